//! Objects and lists in protobuf, as an API server writes them for `Accept: application/vnd.kubernetes.protobuf`.
//!
//! An object or list is in an *envelope*: four bytes, then a message `runtime.Unknown` with its API version, its kind and
//! its bytes. [`ListReader`] reads a list while it arrives, with one item at a time in memory. [`Event`] is one event of a
//! watch, which comes behind its length in four bytes, big endian. [`EncodedObject`] is one object; its [`read`] gives what
//! [`read_object`](crate::read_object) gives for the same object in JSON, entry by entry: both end in the same conversion.
//!
//! Only the fields that a proxy needs are decoded. Managed fields are passed over unread, and so are
//! annotations and labels but for those that say something to a proxy.
//!
//! The formats are those of `k8s.io/apimachinery/pkg/runtime/serializer/protobuf` and the `generated.proto` of
//! `k8s.io/apimachinery/pkg/runtime`, `.../pkg/apis/meta/v1`, `k8s.io/api/core/v1` and `k8s.io/api/discovery/v1`.
//!
//! [`read`]: EncodedObject::read

#[cfg(feature = "encode")]
pub mod encode;
mod envelope;
mod event;
mod fields;
mod list;
mod messages;
mod metadata;
mod object;
mod raw;
mod wire;

pub use self::envelope::Malformed;
pub use self::event::{Event, EventType, Status};
pub use self::list::ListReader;
pub use self::object::EncodedObject;

/// The media type of these messages.
pub const MEDIA_TYPE: &str = "application/vnd.kubernetes.protobuf";
