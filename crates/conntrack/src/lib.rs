//! Connection tracking over netlink: which flows the kernel keeps, and deleting many of them at
//! once, without the `conntrack` binary.
//!
//! The kernel remembers where it sent the first packet of a flow and sends the rest there too. UDP
//! has no end that would make it forget: a flow to a server that is gone lives on for as long as its
//! client keeps sending. Load balancers therefore delete such flows.
//!
//! - [`Flow`], [`Tuple`] and [`Target`] are plain values without any input or output.
//! - [`message`] has the requests and reads the replies, for any transport.
#![cfg_attr(
    feature = "client",
    doc = "- [`Client`] (feature `client`, on by default) is blocking and deletes many flows per system call."
)]
//!
//! Read of a flow is what identifies it: its two tuples, zone and id. Counters, marks, states,
//! timeouts and whatever newer kernels add are passed over. Expectations and events are not here.
//!
//! Source of all that is said of the kernel:
//! [`nf_conntrack_netlink.c`](https://github.com/torvalds/linux/blob/v6.12/net/netfilter/nf_conntrack_netlink.c)
//! and [`uapi`]'s.
//!
//! | attributes | here | tests |
//! | --- | --- | --- |
//! | `CTA_TUPLE_ORIG`, `CTA_TUPLE_REPLY`, `CTA_TUPLE_IP`, `CTA_TUPLE_PROTO` | [`Tuple`] | `flows_are_those_that_conntrack_prints`, `listed_as_conntrack_lists_them` |
//! | `CTA_PROTO_*` | [`Layer4`] | the same |
//! | `CTA_ZONE`, `CTA_TUPLE_ZONE` | [`Flow::zone`], [`Tuple::zone`] | the same, `zones_of_this_kernel`, `a_kernel_without_zones` |
//! | `CTA_ID` | [`Flow::id`] | `deleting_is_what_conntrack_asks_for`, `a_newer_flow_of_the_same_tuple_stays` |
#![cfg_attr(feature = "client", doc = include_str!("client.md"))]
#![forbid(unsafe_code)]

#[cfg(feature = "client")]
mod client;
#[cfg(feature = "client")]
mod error;
mod flow;
#[doc(hidden)]
pub mod fuzz;
pub mod message;
mod protocol;
pub mod uapi;
mod wire;

#[cfg(feature = "client")]
pub use client::{Client, Listed};
#[cfg(feature = "client")]
pub use error::Error;
pub use flow::{Family, Flow, Layer4, Target, Tuple};
pub use protocol::Protocol;
pub use wire::DecodeError;
