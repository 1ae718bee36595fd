//! Connection tracking over netlink: lists the flows that the kernel tracks, changes and deletes many of them
//! at once, and follows what becomes of them, without the `conntrack` binary.
//!
//! The kernel remembers where it sent the first packet of a flow and sends the rest there too. UDP
//! has no end that would make it forget: a flow to a server that is gone lives on for as long as its
//! client keeps sending. Load balancers therefore delete such flows.
//!
//! - The model, at the root: [`Flow`], [`Tuple`] and [`FlowKey`], plain values, which display as
//!   `conntrack -L` prints them ([`protocol_name`]); [`Filter`] and [`FlowUpdate`].
//! - [`message`]: writes requests and reads replies, for any transport.
#![cfg_attr(
    feature = "client",
    doc = "- [`Client`], blocking, and [`AsyncClient`]; changes and deletes many flows per system call.\n- [`Monitor`] and [`AsyncMonitor`]: receive what becomes of flows."
)]
//!
//! Labels, helpers, security contexts, sequence adjustments and what newer kernels add are skipped. Expectations
//! are not supported.
//!
//! Sources:
//! [`nf_conntrack_netlink.c`](https://github.com/torvalds/linux/blob/v6.12/net/netfilter/nf_conntrack_netlink.c)
//! and those of [`uapi`].
//!
//! | attributes | here | tests |
//! | --- | --- | --- |
//! | `CTA_TUPLE_ORIG`, `CTA_TUPLE_REPLY`, `CTA_TUPLE_IP`, `CTA_TUPLE_PROTO` | [`Tuple`] | `flows_are_those_that_conntrack_prints`, `listed_as_conntrack_lists_them` |
//! | `CTA_PROTO_*` | [`Layer4`] | the same |
//! | `CTA_ZONE`, `CTA_TUPLE_ZONE` | [`Flow::zone`], [`Tuple::zone`] | the same, `zones_are_printed_as_conntrack_does`, `zones_of_this_kernel`, `a_kernel_without_zones` |
//! | `CTA_STATUS`, `CTA_TIMEOUT`, `CTA_MARK`, `CTA_USE`, `CTA_COUNTERS_*`, `CTA_PROTOINFO_*_STATE` | [`Flow::status`] and others | `details_are_those_that_conntrack_prints`, `a_connection_from_its_first_packet_to_its_last` |
//! | `CTA_TIMESTAMP` | [`Flow::started`], [`Flow::ended`] | `times_are_read`, `times_of_this_kernel` |
//! | `CTA_MARK_MASK`, `CTA_STATUS_MASK` | [`Filter`], [`FlowUpdate`] | `filters_are_what_conntrack_asks_for`, `filters_narrow_listings_and_deletions` |
//! | `CTA_ID` | [`Flow::id`] | `deleting_is_what_conntrack_asks_for`, `a_newer_flow_of_the_same_tuple_stays` |
//!
//! # Features
//! - `client` (default): `Client`, on the crate `netlink-batch`. Without it the crate is a codec and
//!   makes no system calls.
//! - `tokio`: `AsyncClient` and `AsyncMonitor` on a tokio runtime.
//! - `serde`: `Serialize` and `Deserialize` of the model.
//! - `fuzz`: the bodies of the fuzz targets.
#![cfg_attr(feature = "client", doc = include_str!("client/client.md"))]
#![forbid(unsafe_code)]

#[cfg(feature = "client")]
mod client;
mod error;
#[cfg(any(test, feature = "fuzz"))]
pub mod fuzz;
pub mod message;
mod model;
mod text;
pub mod uapi;
mod wire;

#[cfg(feature = "client")]
pub use client::{AsyncClient, AsyncMonitor, Client, DumpItem, Event, EventKinds, Monitor};
pub use error::Error;
pub use message::FlowEvent;
pub use model::{
    Counters, Filter, Flow, FlowKey, FlowUpdate, Layer4, Mark, ProtocolState, SctpState, Status,
    TcpState, Tuple,
};
pub use netlink_wire::{DecodeError, Family, Problem, Protocol};
pub use text::{protocol_by_name, protocol_name};

#[cfg(all(doctest, feature = "tokio"))]
#[doc = include_str!("../README.md")]
struct Readme;
