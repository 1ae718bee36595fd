//! The messages of nf_tables, without a socket.
//!
//! An [`Operation`] changes something; operations go to the kernel in a [`Transaction`] only, between two
//! messages that begin and end it. A [`Get`] asks. Replies and notifications are read by [`parse`].
//!
//! What these emit begins with the header of nfnetlink and goes behind the header of netlink, with
//! `message_type` and `flags` in it.

mod get;
mod item;
mod operation;
mod transaction;

pub use get::Get;
pub use item::{Item, Reply, parse};
pub use operation::{Operation, Verb};
pub use transaction::{Transaction, begin, end};

use crate::TableFamily;

/// `struct nfgenmsg`: family, version 0 (`NFNETLINK_V0`), resource id 0.
const fn header(family: TableFamily) -> [u8; 4] {
    [family.0, 0, 0, 0]
}

/// The message type of a command of nf_tables.
const fn message_type(command: u16) -> u16 {
    crate::uapi::NFNL_SUBSYS_NFTABLES << 8 | command
}

#[cfg(test)]
mod captured;
#[cfg(test)]
pub(crate) use captured::captured;
#[cfg(test)]
mod tests;
