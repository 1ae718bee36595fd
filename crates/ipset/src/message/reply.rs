//! What the kernel replies.

mod attributes;

use std::borrow::Cow;

use netlink_packet_core::Emitable;
use netlink_wire::{NLA_F_NESTED, Problem, Writer, attributes, measure, require};

use self::attributes::Raw;
use crate::message::request::family_number;
#[allow(
    clippy::wildcard_imports,
    reason = "the kernel's names, all with a prefix of their own"
)]
use crate::uapi::*;
use crate::wire::{IpsetWriter, decode_entry, encode_spec_reply};
use crate::{DecodeError, Entry, Family, SetName, SetSpec, SetType, Usage};

/// Bytes of `struct nfgenmsg`.
const NFGENMSG: usize = 4;

/// A reply of the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reply<'a> {
    /// To [`Request::Protocol`](crate::message::Request::Protocol): the newest and oldest version of the
    /// protocol; kernels before 4.20 name only one.
    Protocol {
        /// Newest.
        max: u8,
        /// Oldest.
        min: u8,
    },
    /// To [`Request::List`](crate::message::Request::List) and [`Request::Save`](crate::message::Request::Save): a
    /// set, or more of its entries.
    Set(SetPart<'a>),
    /// To [`Request::Header`](crate::message::Request::Header).
    Header {
        /// The set.
        set: SetName,
        /// Its type, family and revision. The kernel does not report the oldest revision here; it is set
        /// to the same.
        info: TypeInfo,
    },
    /// To [`Request::Type`](crate::message::Request::Type).
    Type(TypeInfo),
    /// To [`Request::GetByName`](crate::message::Request::GetByName).
    Index {
        /// Family of the set.
        family: Option<Family>,
        /// Its index.
        index: u16,
    },
    /// To [`Request::GetByIndex`](crate::message::Request::GetByIndex).
    Name {
        /// The set.
        set: SetName,
    },
}

/// A set type as the kernel has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct TypeInfo {
    /// The type.
    pub set_type: SetType,
    /// The family asked for.
    pub family: Option<Family>,
    /// The newest revision.
    pub revision: u8,
    /// The oldest revision.
    pub revision_min: u8,
}

/// A set, or a part of one: the first message about it describes it, those after it only have more
/// entries.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SetPart<'a> {
    /// The set.
    pub set: SetName,
    /// What it is, if this is its first message and more than names were asked for.
    pub info: Option<Box<SetInfo>>,
    /// Some of its entries.
    pub entries: EntryData<'a>,
}

/// A set without its entries, as the kernel reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SetInfo {
    /// What it was created with, and what the kernel filled in.
    pub spec: SetSpec,
    /// Revision of its type.
    pub revision: u8,
    /// Its index, from protocol 7 on.
    pub index: Option<u16>,
    /// Its size and users.
    pub usage: Usage,
}

/// Entries as received, undecoded: their meaning depends on the type and family of their set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EntryData<'a>(Cow<'a, [u8]>);

impl<'a> EntryData<'a> {
    /// Entries from the bytes of `IPSET_ATTR_ADT`, unread.
    #[must_use]
    pub fn from_bytes(bytes: &'a [u8]) -> Self {
        Self(Cow::Borrowed(bytes))
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The entries, of a set of this type and family.
    ///
    /// # Errors
    /// [`DecodeError`] for each that cannot be read; the others come all the same.
    pub fn decode(
        &self,
        set_type: SetType,
        family: Option<Family>,
    ) -> impl Iterator<Item = Result<Entry, DecodeError>> {
        attributes(&self.0)
            .filter(|item| !matches!(item, Ok(attribute) if attribute.kind() != IPSET_ATTR_DATA))
            .map(move |item| {
                let attribute = item.map_err(|problem| problem.of("IPSET_ATTR_ADT"))?;
                decode_entry(&set_type, family, attribute.value())
            })
    }
}

impl<'a> Reply<'a> {
    /// Reads a reply: its `nlmsg_type`, and what follows the netlink header.
    ///
    /// # Errors
    /// [`DecodeError`] for a message that is not a reply of ipset, is cut off, or lacks an attribute.
    pub fn parse(message_type: u16, payload: &'a [u8]) -> Result<Self, DecodeError> {
        let [subsystem, command] = message_type.to_be_bytes();
        if u16::from(subsystem) != NFNL_SUBSYS_IPSET {
            return Err(DecodeError::MessageType { message_type });
        }
        let attributes = payload.get(NFGENMSG..).ok_or_else(|| {
            Problem::Truncated {
                stated: NFGENMSG,
                available: payload.len(),
            }
            .of("struct nfgenmsg")
        })?;
        let raw = Raw::parse(attributes)?;
        match command {
            IPSET_CMD_PROTOCOL => {
                let max = require(raw.protocol, "IPSET_ATTR_PROTOCOL")?;
                Ok(Self::Protocol {
                    max,
                    min: raw.min.unwrap_or(max),
                })
            }
            IPSET_CMD_LIST | IPSET_CMD_SAVE => raw.set_part().map(Self::Set),
            IPSET_CMD_HEADER => {
                let info = raw.type_info()?;
                let info = TypeInfo {
                    revision_min: info.revision,
                    ..info
                };
                Ok(Self::Header {
                    set: raw.set()?,
                    info,
                })
            }
            IPSET_CMD_TYPE => raw.type_info().map(Self::Type),
            IPSET_CMD_GET_BYNAME => Ok(Self::Index {
                family: raw.family.flatten(),
                index: require(raw.index, "IPSET_ATTR_INDEX")?,
            }),
            IPSET_CMD_GET_BYINDEX => Ok(Self::Name { set: raw.set()? }),
            _ => Err(DecodeError::MessageType { message_type }),
        }
    }

    /// `nlmsg_type`.
    #[must_use]
    pub fn message_type(&self) -> u16 {
        let command = match self {
            Self::Protocol { .. } => IPSET_CMD_PROTOCOL,
            Self::Set(_) => IPSET_CMD_LIST,
            Self::Header { .. } => IPSET_CMD_HEADER,
            Self::Type(_) => IPSET_CMD_TYPE,
            Self::Index { .. } => IPSET_CMD_GET_BYNAME,
            Self::Name { .. } => IPSET_CMD_GET_BYINDEX,
        };
        NFNL_SUBSYS_IPSET << 8 | u16::from(command)
    }

    /// The same, independent of the bytes it came from.
    #[must_use]
    pub fn into_owned(self) -> Reply<'static> {
        match self {
            Self::Set(SetPart {
                set,
                info,
                entries: EntryData(bytes),
            }) => Reply::Set(SetPart {
                set,
                info,
                entries: EntryData(Cow::Owned(bytes.into_owned())),
            }),
            Self::Protocol { max, min } => Reply::Protocol { max, min },
            Self::Header { set, info } => Reply::Header { set, info },
            Self::Type(info) => Reply::Type(info),
            Self::Index { family, index } => Reply::Index { family, index },
            Self::Name { set } => Reply::Name { set },
        }
    }

    fn encode(&self, writer: &mut Writer<'_>) {
        writer.header([NFPROTO_IPV4, NFNETLINK_V0, 0, 0]);
        let protocol = if let Self::Protocol { max, .. } = self {
            *max
        } else {
            IPSET_PROTOCOL
        };
        writer.u8(IPSET_ATTR_PROTOCOL, protocol);
        match self {
            Self::Protocol { min, .. } => writer.u8(IPSET_ATTR_PROTOCOL_MIN, *min),
            Self::Set(part) => part.encode(writer),
            Self::Header { set, info } => {
                writer.text(IPSET_ATTR_SETNAME, set.as_str());
                info.encode(writer);
            }
            Self::Type(info) => {
                info.encode(writer);
                writer.u8(IPSET_ATTR_REVISION_MIN, info.revision_min);
            }
            Self::Index { family, index } => {
                writer.u8(IPSET_ATTR_FAMILY, family_number(*family));
                writer.be16(IPSET_ATTR_INDEX, *index);
            }
            Self::Name { set } => writer.text(IPSET_ATTR_SETNAME, set.as_str()),
        }
    }
}

/// As the kernel would write it (protocol 7).
impl Emitable for Reply<'_> {
    fn buffer_len(&self) -> usize {
        measure(|writer| self.encode(writer))
    }

    fn emit(&self, buffer: &mut [u8]) {
        self.encode(&mut Writer::new(buffer));
    }
}

impl TypeInfo {
    fn encode(&self, writer: &mut Writer<'_>) {
        writer.text(IPSET_ATTR_TYPENAME, self.set_type.as_str());
        writer.u8(IPSET_ATTR_FAMILY, family_number(self.family));
        writer.u8(IPSET_ATTR_REVISION, self.revision);
    }
}

impl SetPart<'_> {
    fn encode(&self, writer: &mut Writer<'_>) {
        writer.text(IPSET_ATTR_SETNAME, self.set.as_str());
        if let Some(info) = &self.info {
            writer.text(IPSET_ATTR_TYPENAME, info.spec.set_type.as_str());
            writer.u8(IPSET_ATTR_FAMILY, family_number(info.spec.family));
            writer.u8(IPSET_ATTR_REVISION, info.revision);
            if let Some(index) = info.index {
                writer.be16(IPSET_ATTR_INDEX, index);
            }
            writer.nest(IPSET_ATTR_DATA, |writer| {
                encode_spec_reply(&info.spec.options, &info.usage, writer);
            });
        }
        if !self.entries.is_empty() {
            writer.bytes(IPSET_ATTR_ADT | NLA_F_NESTED, &self.entries.0);
        }
    }
}
