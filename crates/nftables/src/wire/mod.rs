//! Attributes as they are on the wire: how a value is read and written, and the macros that make the
//! structures of the model from a list of their attributes.
//!
//! One list per structure serves reading and writing, so that the two cannot drift apart. Attributes
//! that the list does not have are kept in [`Others`](crate::Others) and written again as they were.

mod attributes;
mod number;
mod value;

pub(crate) use attributes::{attributes, field, finish, put};
pub(crate) use number::number;
pub(crate) use value::{Value, read_list, too_long, write_list};

use netlink_wire::{Writer, measure};

use crate::DecodeError;

/// The bytes of `value`'s attributes, without a header.
pub(crate) fn to_bytes(encode: impl Fn(&mut Writer<'_>)) -> Vec<u8> {
    let mut bytes = vec![0; measure(&encode)];
    encode(&mut Writer::new(&mut bytes));
    bytes
}

/// What has attributes: the inside of a nest, or of a message behind its header.
pub(crate) trait Attributes: Sized {
    /// Reads all attributes in `bytes`.
    fn decode(bytes: &[u8]) -> Result<Self, DecodeError>;
    /// Writes all attributes.
    fn encode(&self, writer: &mut Writer<'_>);
}

/// Whether it is what stands for absence.
pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
