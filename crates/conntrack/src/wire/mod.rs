//! Attributes of flows as they are on the wire.

mod read;
mod write;

pub(crate) use read::decode_tuple;
pub(crate) use write::encode_tuple;
