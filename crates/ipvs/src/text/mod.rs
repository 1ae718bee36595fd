//! The text of `ipvsadm`: lines to save and restore, and its table.

pub mod listing;

pub(crate) mod id;
mod parse;
mod protocol;
mod save;
#[cfg(test)]
mod tests;
mod tunnel;

pub(crate) use protocol::ProtocolName;
pub use save::SaveLine;
