//! The text of `ipvsadm`: lines to save and restore, and its table.

mod connection_log;
mod connections;
pub mod listing;

pub(crate) mod id;
mod parse;
mod protocol;
mod save;
#[cfg(test)]
mod tests;
mod tunnel;

pub use connection_log::{ConnectionChange, ConnectionLog, connection_changes};
pub use connections::{ConnectionEntry, parse_connections};
pub(crate) use protocol::ProtocolName;
pub use save::SaveLine;
