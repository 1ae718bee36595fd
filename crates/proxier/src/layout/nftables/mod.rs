//! The state of [`Layout::Nftables`](crate::Layout::Nftables): one nf_tables table for each family, and routing by mark.
//!
//! | what | where it is |
//! |---|---|
//! | chains and rules, which depend on options, and on Services in one part alone | [`TableRules`], [`Structure`] |
//! | sets and maps | [`SetId`] |
//! | their elements, which depend on Services | [`Element`], of a [`Kind`] |
//! | marks | [`Options`] |
//! | the rule and the route that make marked packets local | [`Routing`] |
//!
//! A packet to an address, protocol and port of a Service is marked with [`Options::route_mark`], and a routing rule by
//! that mark delivers it to this machine, where IPVS takes it. No address is bound to any link.

mod element;
mod options;
mod routing;
mod rules;
mod sets;
mod structure;
mod wire;

pub(crate) use element::least_of_each_key;
pub use element::{AddressPort, AddressRange, Element, Kind, NodePort};
pub use options::Options;
pub(crate) use options::{MarkFor, MarkKey, Marked, Marks, RangeServer, allocate};
pub use routing::{ROUTING_PROTOCOL, Routing};
pub use rules::TableRules;
pub(crate) use rules::{Difference, guards_loopback};
pub use sets::SetId;
pub use structure::Structure;

use ipvs_netlink::ServiceFlags;
use nftables_netlink::Name;

/// The name of the table, of each family.
pub const TABLE: &str = "kube-proxier";

/// How many slots the endpoints of a node port share at loopback addresses. Each connection draws one at random. A prime number, so
/// that every step through the slots comes to all of them.
pub const LOOPBACK_SLOTS: u8 = 61;

/// The flag that virtual servers of this layout have: by it they are recognized as the proxy's, whatever became of the
/// table. It is a flag for schedulers, the third (`flag-3`), which no scheduler of Linux has a use for.
///
/// An element goes before its virtual server, so that between the two nothing else shows whose server it is.
pub const OWN_FLAG: ServiceFlags = ServiceFlags::SCHED_3;

/// The table's name as the kernel takes it.
pub(crate) fn table() -> Name {
    name(TABLE)
}

#[allow(
    clippy::expect_used,
    reason = "the names are this module's own; tests make each of them"
)]
pub(crate) fn name(text: &str) -> Name {
    Name::new(text).expect("a valid name")
}
