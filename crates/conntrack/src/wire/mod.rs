//! Attributes of flows as they are on the wire.

mod details;
mod read;
mod write;

pub(crate) use details::{decode_detail, encode_details, seconds};
pub(crate) use read::decode_tuple;
pub(crate) use write::encode_tuple;
