//! What each object and list is in.

use prost::Message;
use prost::bytes::Bytes;
use thiserror::Error;

use super::messages::{TypeMeta, Unknown};
use crate::text::printable;

/// The first bytes: `k8s`, and the version of the encoding.
pub(super) const MAGIC: [u8; 4] = *b"k8s\0";

/// Bytes that are not the message they should be.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct Malformed(Box<str>);

impl Malformed {
    pub(super) fn new(reason: impl AsRef<str>) -> Self {
        Self(printable(reason.as_ref()).into())
    }
}

impl From<prost::DecodeError> for Malformed {
    fn from(error: prost::DecodeError) -> Self {
        Self::new(error.to_string())
    }
}

/// Decodes an envelope to the type and the bytes that are in it.
pub(super) fn open(mut bytes: Bytes) -> Result<(TypeMeta, Bytes), Malformed> {
    if !bytes.starts_with(&MAGIC) {
        return Err(Malformed::new("it does not begin with the bytes k8s\\0"));
    }
    let unknown = Unknown::decode(bytes.split_off(MAGIC.len()))?;
    if !unknown.content_encoding.is_empty() {
        let encoding = unknown.content_encoding;
        return Err(Malformed::new(format!("it is encoded as {encoding}")));
    }
    Ok((unknown.type_meta.unwrap_or_default(), unknown.raw))
}
