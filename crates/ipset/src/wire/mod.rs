//! Attributes as they are on the wire: reading and writing them, and those of sets and entries.
//!
//! The kernel takes a number of several bytes only in network byte order and flagged as such
//! (`NLA_F_NET_BYTEORDER`), and nested attributes only with `NLA_F_NESTED`; one byte and text carry
//! no flag.

mod entry;
mod read;
mod spec;
mod write;

pub use crate::wire::read::DecodeError;
pub(crate) use crate::wire::{
    entry::{decode as decode_entry, encode as encode_entry},
    read::{family, set_name},
    spec::{decode as decode_spec, encode as encode_spec, encode_reply as encode_spec_reply},
    write::IpsetWriter,
};
