//! One object.

use super::metadata::EncodedMetadata;
use super::{envelope, fields, raw};
use crate::convert;
use crate::field_error::FieldError;
use crate::list::ListKind;
use crate::names::Names;
use crate::object::{ObjectError, ObjectReading};

/// An object in protobuf. Its metadata were decoded, if they could be.
#[derive(Clone, Debug)]
pub struct EncodedObject<'a> {
    kind: ListKind,
    /// What its envelope names it.
    named: envelope::Named<'a>,
    metadata: EncodedMetadata<'a>,
    bytes: &'a [u8],
    /// What is wrong with it as a whole.
    malformed: Option<Box<str>>,
}

impl<'a> EncodedObject<'a> {
    /// An item of a list, which has no envelope.
    #[must_use]
    pub fn item(kind: ListKind, bytes: &'a [u8]) -> Self {
        Self::of(kind, envelope::Named::default(), bytes)
    }

    /// An object in its envelope, which should be of that kind.
    #[must_use]
    pub fn enveloped(kind: ListKind, bytes: &'a [u8]) -> Self {
        match envelope::open(bytes) {
            Ok((named, raw)) => Self::of(kind, named, raw),
            Err(error) => Self {
                malformed: Some(error.to_string().into()),
                ..Self::item(kind, &[])
            },
        }
    }

    fn of(kind: ListKind, named: envelope::Named<'a>, bytes: &'a [u8]) -> Self {
        // Found first, so that the name is known where the rest is malformed.
        let found = fields::first(bytes, 1);
        let decoded = EncodedMetadata::decode(found.unwrap_or_default());
        let malformed = decoded.as_ref().err().map(ToString::to_string);
        Self {
            kind,
            named,
            metadata: decoded.unwrap_or_default(),
            bytes,
            malformed: malformed.map(Into::into),
        }
    }

    /// The field by which it contradicts to be of its kind, `kind` or `apiVersion`.
    #[must_use]
    pub fn contradicts(&self) -> Option<&'static str> {
        let envelope::Named { api_version, kind } = self.named;
        let other = |found: &str, expected| !found.is_empty() && found != expected;
        match self.kind {
            list if other(kind, list.item_kind()) => Some("kind"),
            list if other(api_version, list.api_version()) => Some("apiVersion"),
            _ => None,
        }
    }

    /// Its name; empty where it has none.
    #[must_use]
    pub const fn name(&self) -> &'a str {
        self.metadata.name
    }

    /// Its namespace, if it has one.
    #[must_use]
    pub fn namespace(&self) -> Option<&'a str> {
        Some(self.metadata.namespace).filter(|namespace| !namespace.is_empty())
    }

    /// Its uid; empty where it has none.
    #[must_use]
    pub const fn uid(&self) -> &'a str {
        self.metadata.uid
    }

    /// Its version, if it has one.
    #[must_use]
    pub fn resource_version(&self) -> Option<&'a str> {
        Some(self.metadata.resource_version).filter(|version| !version.is_empty())
    }

    /// Whether its deletion was asked for.
    #[must_use]
    pub const fn is_being_deleted(&self) -> bool {
        self.metadata.is_being_deleted
    }

    /// The annotation of that key, if it has it. The others are not decoded.
    #[must_use]
    pub fn annotation(&self, key: &str) -> Option<&'a str> {
        std::str::from_utf8(self.metadata.annotation(key)?).ok()
    }

    /// Whether it is a Node with a taint of that key.
    #[must_use]
    pub fn has_taint(&self, key: &str) -> bool {
        self.kind == ListKind::Nodes && raw::has_taint(self.bytes, key)
    }

    /// Reads it, as [`read_object`](crate::read_object) reads the same object in JSON.
    ///
    /// # Errors
    /// [`ObjectError`] where the object as a whole cannot be used, with the field at fault.
    pub fn read(self, names: &mut Names) -> Result<ObjectReading, ObjectError> {
        let filled = |text: &'a str| Some(text).filter(|text| !text.is_empty());
        let known = || (filled(self.metadata.namespace), filled(self.metadata.name));
        let metadata = self.metadata;
        convert::of_kind(self.kind, known, |notes| match &self.malformed {
            Some(reason) => Err(FieldError::new("", reason)),
            None => raw::convert(self.kind, metadata.into(), self.bytes, names, notes),
        })
    }
}
