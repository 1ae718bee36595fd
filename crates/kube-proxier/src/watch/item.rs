//! An object as it came.

use proxier_manifest::json::PlainObject;
use proxier_manifest::protobuf::EncodedObject;
use proxier_manifest::{Names, ObjectReading};
use serde_json::Value;

use super::kind::Kind;

/// An object in the format that the server sent it in.
#[derive(Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "one at a time is held, and taken apart soon"
)]
pub(super) enum Item<'a> {
    /// In JSON.
    Plain(PlainObject<'a>),
    /// In JSON that was not read as that.
    Value(Value),
    Protobuf(EncodedObject<'a>),
}

/// An object that cannot be used.
pub(super) struct Unusable {
    /// The field that is wrong; empty for the whole.
    pub(super) field: Box<str>,
    pub(super) reason: Box<str>,
}

impl Item<'_> {
    /// Its name; empty where it has none.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Value(value) => text(value, "/metadata/name").unwrap_or_default(),
            Self::Plain(object) => object.name(),
            Self::Protobuf(object) => object.name(),
        }
    }

    pub(super) fn namespace(&self) -> Option<&str> {
        match self {
            Self::Value(value) => text(value, "/metadata/namespace"),
            Self::Plain(object) => object.namespace(),
            Self::Protobuf(object) => object.namespace(),
        }
    }

    /// The version of the object, or of the cluster, where it is of a bookmark.
    pub(super) fn version(&self) -> Option<&str> {
        match self {
            Self::Value(value) => {
                text(value, "/metadata/resourceVersion").filter(|v| !v.is_empty())
            }
            Self::Plain(object) => object.resource_version(),
            Self::Protobuf(object) => object.resource_version(),
        }
    }

    pub(super) fn annotation(&self, key: &str) -> Option<&str> {
        match self {
            Self::Value(value) => {
                let annotations = value.pointer("/metadata/annotations")?;
                annotations.get(key)?.as_str()
            }
            Self::Plain(object) => object.annotation(key),
            Self::Protobuf(object) => object.annotation(key),
        }
    }

    /// Whether its deletion was asked for.
    pub(super) fn is_being_deleted(&self) -> bool {
        match self {
            Self::Value(value) => {
                let deleted = value.pointer("/metadata/deletionTimestamp");
                deleted.is_some_and(|time| !time.is_null())
            }
            Self::Plain(object) => object.is_being_deleted(),
            Self::Protobuf(object) => object.is_being_deleted(),
        }
    }

    /// Whether it has a taint of that key.
    pub(super) fn has_taint(&self, key: &str) -> bool {
        match self {
            Self::Value(value) => {
                let taints = value.pointer("/spec/taints").and_then(Value::as_array);
                let mut taints = taints.into_iter().flatten();
                taints.any(|taint| taint.get("key").and_then(Value::as_str) == Some(key))
            }
            // No Node.
            Self::Plain(_) => false,
            Self::Protobuf(object) => object.has_taint(key),
        }
    }

    /// Reads it as an object of that kind.
    pub(super) fn read(self, kind: &Kind, names: &mut Names) -> Result<ObjectReading, Unusable> {
        let other = |field: &str| Unusable {
            field: field.into(),
            reason: "is not what was asked for".into(),
        };
        let read = match self {
            Self::Value(mut value) => {
                kind.mark(&mut value);
                if let Some(field) = kind.contradicts(&value) {
                    return Err(other(field));
                }
                proxier_manifest::read_object(value)
            }
            Self::Plain(object) => object.read(names),
            Self::Protobuf(object) => {
                if let Some(field) = object.contradicts() {
                    return Err(other(field));
                }
                object.read(names)
            }
        };
        read.map_err(|error| Unusable {
            field: error.field,
            reason: error.reason,
        })
    }
}

impl From<Value> for Item<'_> {
    fn from(value: Value) -> Self {
        Self::Value(value)
    }
}

fn text<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    value.pointer(pointer).and_then(Value::as_str)
}
