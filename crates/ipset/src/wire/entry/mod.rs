//! The data of an entry.

mod read;
mod write;

pub(crate) use self::{read::decode, write::encode};
