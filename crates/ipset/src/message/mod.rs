//! The messages of ipset, without a socket.
//!
//! A [`Request`] is sent with [`Request::message_type`] and [`Request::flags`] in its netlink
//! header; the payload is a [`Payload`], which puts the header of nfnetlink before the attributes.
//! Replies are read with [`Reply::parse`]. [`IpsetMessage`] is both, for `netlink-packet-core` and
//! what builds on it (`netlink-proto`).
//!
//! ```
//! use ipset_netlink::message::{EntryBatch, IpsetMessage, Mode, Request};
//! use ipset_netlink::{Entry, Protocol, SetName};
//! use netlink_packet_core::{NLM_F_ACK, NLM_F_REQUEST, NetlinkMessage};
//!
//! let entry = Entry::ip_port([10, 0, 0, 1].into(), Protocol::TCP, 80);
//! let request = Request::Add {
//!     set: SetName::new("web")?,
//!     entries: EntryBatch::one(&entry),
//!     mode: Mode::Strict,
//! };
//! let flags = request.flags() | NLM_F_REQUEST | NLM_F_ACK;
//! let mut message = NetlinkMessage::from(IpsetMessage::request(request.into_owned()));
//! message.header.flags = flags;
//! message.finalize();
//! let mut bytes = vec![0; message.buffer_len()];
//! message.serialize(&mut bytes);
//! assert_eq!(bytes.len(), 76);
//! # Ok::<(), ipset_netlink::Error>(())
//! ```

#[cfg(test)]
mod captured;
mod entries;
mod error_kind;
mod netlink;
mod operation;
mod reply;
mod request;
#[cfg(test)]
mod tests;

pub use crate::message::{
    entries::EntryBatch,
    error_kind::ErrorKind,
    netlink::IpsetMessage,
    operation::Operation,
    reply::{EntryData, Reply, SetInfo, SetPart, TypeInfo},
    request::{Detail, Mode, Payload, Request},
};
