//! The text of `ipvsadm`: lines to save and restore, and its table.

mod connections;
pub mod listing;

pub(crate) mod id;
mod parse;
mod protocol;
mod save;
#[cfg(test)]
mod tests;
mod tunnel;

pub use connections::{ConnectionChange, ConnectionEntry, connection_changes, parse_connections};
pub(crate) use protocol::ProtocolName;
pub use save::SaveLine;
