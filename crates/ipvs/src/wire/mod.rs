//! Attributes as they are on the wire, read and written through checked cursors.
//!
//! [`attributes`] is the lossless view of a message, attributes that this crate does not know
//! included; the typed messages are built on it.

mod decode;
mod encode;
mod layout;

pub use self::decode::{Attribute, Attributes, DecodeError, Problem, attributes};
pub(crate) use self::decode::{Fault, RawAddress, require, walk};
pub(crate) use self::encode::Encoder;
pub(crate) use self::layout::*;
