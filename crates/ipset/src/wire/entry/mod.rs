//! The data of an entry.

mod read;
mod write;

pub(crate) use crate::wire::entry::{read::decode, write::encode};
