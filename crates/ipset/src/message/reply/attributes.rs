//! The attributes of a reply, and what they say together.

use std::borrow::Cow;

use netlink_wire::{Attribute, Fault, Names, Problem, require, walk};

use super::{EntryData, SetInfo, SetPart, TypeInfo};
#[allow(
    clippy::wildcard_imports,
    reason = "the kernel's names, all with a prefix of their own"
)]
use crate::uapi::*;
use crate::wire::{decode_spec, family, set_name};
use crate::{DecodeError, Family, SetName, SetSpec, SetType};

/// The attributes of a message.
const NAMES: &Names = &[
    (IPSET_ATTR_PROTOCOL, "IPSET_ATTR_PROTOCOL"),
    (IPSET_ATTR_SETNAME, "IPSET_ATTR_SETNAME"),
    (IPSET_ATTR_TYPENAME, "IPSET_ATTR_TYPENAME"),
    (IPSET_ATTR_REVISION, "IPSET_ATTR_REVISION"),
    (IPSET_ATTR_FAMILY, "IPSET_ATTR_FAMILY"),
    (IPSET_ATTR_DATA, "IPSET_ATTR_DATA"),
    (IPSET_ATTR_ADT, "IPSET_ATTR_ADT"),
    (IPSET_ATTR_PROTOCOL_MIN, "IPSET_ATTR_PROTOCOL_MIN"),
    (IPSET_ATTR_INDEX, "IPSET_ATTR_INDEX"),
];

/// The attributes of a message, before its command gives them a meaning.
#[derive(Default)]
pub(super) struct Raw<'a> {
    pub(super) protocol: Option<u8>,
    set: Option<&'a [u8]>,
    type_name: Option<&'a str>,
    revision: Option<u8>,
    pub(super) family: Option<Option<Family>>,
    data: Option<&'a [u8]>,
    entries: &'a [u8],
    pub(super) min: Option<u8>,
    pub(super) index: Option<u16>,
}

impl<'a> Raw<'a> {
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut raw = Self::default();
        walk(bytes, "a message of ipset", NAMES, |attribute| {
            raw.take(&attribute)
        })?;
        Ok(raw)
    }

    fn take(&mut self, attribute: &Attribute<'a>) -> Result<(), Fault> {
        match attribute.kind() {
            IPSET_ATTR_PROTOCOL => self.protocol = Some(attribute.u8()?),
            IPSET_ATTR_SETNAME => self.set = Some(attribute.until_nul()),
            IPSET_ATTR_TYPENAME => self.type_name = Some(attribute.text()?),
            IPSET_ATTR_REVISION => self.revision = Some(attribute.u8()?),
            IPSET_ATTR_FAMILY => self.family = Some(family(attribute)?),
            IPSET_ATTR_DATA => self.data = Some(attribute.value()),
            IPSET_ATTR_ADT => self.entries = attribute.value(),
            IPSET_ATTR_PROTOCOL_MIN => self.min = Some(attribute.u8()?),
            IPSET_ATTR_INDEX => self.index = Some(attribute.u16_by_flag()?),
            _ => {}
        }
        Ok(())
    }

    pub(super) fn set(&self) -> Result<SetName, DecodeError> {
        set_name(require(self.set, "IPSET_ATTR_SETNAME")?)
    }

    fn set_type(&self) -> Result<SetType, DecodeError> {
        let attribute = "IPSET_ATTR_TYPENAME";
        SetType::new(require(self.type_name, attribute)?).map_err(|_| {
            Problem::Invalid {
                expected: "the name of a set type",
            }
            .of(attribute)
            .into()
        })
    }

    fn revision(&self) -> Result<u8, DecodeError> {
        Ok(require(self.revision, "IPSET_ATTR_REVISION")?)
    }

    fn family(&self) -> Result<Option<Family>, DecodeError> {
        Ok(require(self.family, "IPSET_ATTR_FAMILY")?)
    }

    pub(super) fn type_info(&self) -> Result<TypeInfo, DecodeError> {
        let revision = self.revision()?;
        Ok(TypeInfo {
            set_type: self.set_type()?,
            family: self.family()?,
            revision,
            revision_min: self.min.unwrap_or(revision),
        })
    }

    pub(super) fn set_part(&self) -> Result<SetPart<'a>, DecodeError> {
        let set = self.set()?;
        let info = self
            .data
            .map(|data| self.set_info(set, data).map(Box::new))
            .transpose()?;
        Ok(SetPart {
            set,
            info,
            entries: EntryData(Cow::Borrowed(self.entries)),
        })
    }

    fn set_info(&self, name: SetName, data: &[u8]) -> Result<SetInfo, DecodeError> {
        let set_type = self.set_type()?;
        let (options, usage) = decode_spec(&set_type, data)?;
        let spec = SetSpec {
            name,
            set_type,
            family: self.family()?,
            options,
        };
        Ok(SetInfo {
            spec,
            revision: self.revision()?,
            index: self.index,
            usage,
        })
    }
}
