//! Events of a watch.

use prost::Message;

use super::envelope::{self, Malformed};
use super::fields::fields;
use super::messages::StatusMessage;
use super::object::EncodedObject;
use crate::list::ListKind;

/// The type of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EventType {
    /// An object is there, or is now one of those that were selected.
    Added,
    /// An object has changed.
    Modified,
    /// An object is gone, or is no longer one of those that were selected.
    Deleted,
    /// Nothing happened up to a version.
    Bookmark,
    /// The watch fails.
    Error,
}

impl EventType {
    /// The type of that name, such as `ADDED`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "ADDED" => Self::Added,
            "MODIFIED" => Self::Modified,
            "DELETED" => Self::Deleted,
            "BOOKMARK" => Self::Bookmark,
            "ERROR" => Self::Error,
            _ => return None,
        })
    }
}

/// One event of a watch.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// What happened to an object; of a bookmark it has no more than a version.
    Object(EventType, EncodedObject<'a>),
    /// Why the watch fails.
    Failed(Status),
}

impl<'a> Event<'a> {
    /// Decodes an event of a watch of that kind: the bytes behind the length.
    ///
    /// # Errors
    /// [`Malformed`] where it is not an event.
    pub fn decode(kind: ListKind, bytes: &'a [u8]) -> Result<Self, Malformed> {
        // A `meta.v1.WatchEvent`, with the object in a `runtime.RawExtension`.
        let (mut name, mut object) = ("", &[][..]);
        for field in fields(bytes) {
            let field = field?;
            match field.number {
                1 => name = field.text()?,
                2 => {
                    for field in fields(field.bytes()?) {
                        let field = field?;
                        if field.number == 1 {
                            object = field.bytes()?;
                        }
                    }
                }
                _ => {}
            }
        }
        let Some(event_type) = EventType::from_name(name) else {
            let reason = format!("there is no event of type {name:?}");
            return Err(Malformed::new(reason));
        };
        if event_type == EventType::Error {
            return Status::decode(object).map(Self::Failed);
        }
        Ok(Self::Object(
            event_type,
            EncodedObject::enveloped(kind, object),
        ))
    }
}

/// A `Status`, by which an API server reports a failure.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// The code, as in HTTP; 0 where there is none.
    pub code: u16,
    /// The server's own words; may be empty.
    pub message: String,
    /// In one word; may be empty.
    pub reason: String,
}

impl Status {
    /// Decodes one in its envelope.
    ///
    /// # Errors
    /// [`Malformed`] where it is something else.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let (found, raw) = envelope::open(bytes)?;
        if found.kind != "Status" {
            return Err(Malformed::new(format!(
                "it is not a Status, but of kind {:?}",
                found.kind
            )));
        }
        Self::bare(raw)
    }

    /// Decodes one without its envelope.
    pub(super) fn bare(bytes: &[u8]) -> Result<Self, Malformed> {
        let status = StatusMessage::decode(bytes)?;
        Ok(Self {
            code: status.code.try_into().unwrap_or_default(),
            message: status.message,
            reason: status.reason,
        })
    }
}
