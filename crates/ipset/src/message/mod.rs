//! The messages of ipset, without a socket.
//!
//! A [`Request`] is sent with [`Request::message_type`] and [`Request::flags`] in its netlink header; the payload is a
//! [`Payload`], which puts the header of nfnetlink before the attributes. Replies are read with [`Reply::parse`].
//! [`IpsetMessage`] is both, for `netlink-packet-core` and what builds on it (`netlink-proto`).

#[cfg(test)]
mod captured;
mod entries;
mod netlink;
mod reply;
mod request;
#[cfg(test)]
mod tests;

pub use self::{
    entries::EntryBatch,
    netlink::IpsetMessage,
    reply::{EntryData, Reply, SetInfo, SetPart, TypeInfo},
    request::{Detail, Mode, Payload, Request},
};
