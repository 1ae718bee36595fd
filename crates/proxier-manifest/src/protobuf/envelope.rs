//! What each object and list is in.

use thiserror::Error;

use super::fields::fields;
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

/// What an envelope says is in it (`runtime.TypeMeta`); empty where it does not.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Named<'a> {
    pub(super) api_version: &'a str,
    pub(super) kind: &'a str,
}

impl<'a> Named<'a> {
    fn decode(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut named = Self::default();
        for field in fields(bytes) {
            let field = field?;
            match field.number {
                1 => named.api_version = field.text()?,
                2 => named.kind = field.text()?,
                _ => {}
            }
        }
        Ok(named)
    }
}

/// Decodes an envelope (`runtime.Unknown`) to the type and the bytes that are in it.
pub(super) fn open(bytes: &[u8]) -> Result<(Named<'_>, &[u8]), Malformed> {
    let Some(bytes) = bytes.strip_prefix(&MAGIC) else {
        return Err(Malformed::new("it does not begin with the bytes k8s\\0"));
    };
    let (mut named, mut raw, mut encoding) = (Named::default(), &[][..], "");
    for field in fields(bytes) {
        let field = field?;
        match field.number {
            1 => named = Named::decode(field.bytes()?)?,
            2 => raw = field.bytes()?,
            3 => encoding = field.text()?,
            _ => {}
        }
    }
    if !encoding.is_empty() {
        return Err(Malformed::new(format!("it is encoded as {encoding}")));
    }
    Ok((named, raw))
}
