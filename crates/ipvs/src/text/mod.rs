//! The text of `ipvsadm`: lines to save and restore, and its table.

pub mod listing;

mod parse;
mod protocol;
mod save;
#[cfg(test)]
mod tests;

pub(crate) use self::protocol::ProtocolName;
pub use self::save::SaveLine;
