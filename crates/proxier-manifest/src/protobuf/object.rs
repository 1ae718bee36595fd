//! One object.

use prost::Message;
use prost::bytes::Bytes;

use super::envelope;
use super::messages::{Node, ObjectMeta, Taint, TypeMeta};
use super::{raw, wire};
use crate::convert;
use crate::field_error::FieldError;
use crate::list::ListKind;
use crate::object::{ObjectError, ObjectReading};
use crate::text::printable;

/// An object in protobuf. Its metadata were decoded, if they could be.
#[derive(Clone, Debug)]
pub struct EncodedObject {
    kind: ListKind,
    /// What its envelope names it.
    named: TypeMeta,
    metadata: ObjectMeta,
    bytes: Bytes,
    /// What is wrong with it as a whole.
    malformed: Option<Box<str>>,
}

impl EncodedObject {
    /// An item of a list, which has no envelope.
    #[must_use]
    pub fn item(kind: ListKind, bytes: Bytes) -> Self {
        Self::of(kind, TypeMeta::default(), bytes)
    }

    /// An object in its envelope, which should be of that kind.
    #[must_use]
    pub fn enveloped(kind: ListKind, bytes: Bytes) -> Self {
        match envelope::open(bytes) {
            Ok((named, raw)) => Self::of(kind, named, raw),
            Err(error) => Self {
                malformed: Some(error.to_string().into()),
                ..Self::of(kind, TypeMeta::default(), Bytes::new())
            },
        }
    }

    fn of(kind: ListKind, named: TypeMeta, bytes: Bytes) -> Self {
        // Found first, so that the name is known where the rest is malformed.
        let found = wire::first(&bytes, 1).map(|range| bytes.slice(range));
        let decoded = found.map(ObjectMeta::decode).transpose();
        let malformed = decoded.as_ref().err().map(ToString::to_string);
        Self {
            kind,
            named,
            metadata: decoded.ok().flatten().unwrap_or_default(),
            bytes,
            malformed: malformed.map(Into::into),
        }
    }

    /// The field by which it contradicts to be of its kind, `kind` or `apiVersion`.
    #[must_use]
    pub fn contradicts(&self) -> Option<&'static str> {
        let TypeMeta { api_version, kind } = &self.named;
        let other = |found: &str, expected| !found.is_empty() && found != expected;
        match self.kind {
            list if other(kind, list.item_kind()) => Some("kind"),
            list if other(api_version, list.api_version()) => Some("apiVersion"),
            _ => None,
        }
    }

    /// Its name; empty where it has none.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.metadata.name
    }

    /// Its namespace, if it has one.
    #[must_use]
    pub fn namespace(&self) -> Option<&str> {
        Some(&*self.metadata.namespace).filter(|namespace| !namespace.is_empty())
    }

    /// Its uid; empty where it has none.
    #[must_use]
    pub fn uid(&self) -> &str {
        &self.metadata.uid
    }

    /// Its version, if it has one.
    #[must_use]
    pub fn resource_version(&self) -> Option<&str> {
        Some(&*self.metadata.resource_version).filter(|version| !version.is_empty())
    }

    /// Whether its deletion was asked for.
    #[must_use]
    pub fn is_being_deleted(&self) -> bool {
        self.metadata.deletion_timestamp.is_some()
    }

    /// The annotation of that key, if it has it. The others are not decoded.
    #[must_use]
    pub fn annotation(&self, key: &str) -> Option<String> {
        let value = lookup(&self.metadata.annotations, key)?;
        String::from_utf8(value.into()).ok()
    }

    /// Whether it is a Node with a taint of that key.
    #[must_use]
    pub fn has_taint(&self, key: &str) -> bool {
        if self.kind != ListKind::Nodes {
            return false;
        }
        let spec = Node::decode(self.bytes.clone())
            .ok()
            .and_then(|node| node.spec);
        let mut taints = spec.into_iter().flat_map(|spec| spec.taints);
        taints.any(|taint| Taint::decode(taint).is_ok_and(|taint| taint.key == key))
    }

    /// Reads it, as [`read_object`](crate::read_object) reads the same object in JSON.
    ///
    /// # Errors
    /// [`ObjectError`] where the object as a whole cannot be used, with the field at fault.
    pub fn read(self) -> Result<ObjectReading, ObjectError> {
        let Self {
            kind,
            metadata,
            bytes,
            malformed,
            ..
        } = self;
        let read = convert::encoded(kind, metadata.into(), |metadata, notes| match malformed {
            Some(reason) => Err(FieldError::new("", reason)),
            None => raw::convert(kind, metadata, bytes, notes),
        });
        read.into_reading()
    }
}

/// The value of a key in a map.
pub(super) fn lookup(map: &[Bytes], key: &str) -> Option<Bytes> {
    map.iter().find_map(|entry| {
        let found = entry.get(wire::first(entry, 1)?)?;
        let is_it = found == key.as_bytes();
        is_it.then(|| wire::first(entry, 2).map_or_else(Bytes::new, |range| entry.slice(range)))
    })
}

/// What is wrong with a part, for a message.
pub(super) fn reason(error: &prost::DecodeError) -> String {
    printable(&error.to_string()).into_owned()
}
