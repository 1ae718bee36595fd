//! Dummy links and their addresses, and routing by mark, over rtnetlink.
//!
//! A dummy link is a network interface that drops what is sent through it. Its use is to hold
//! addresses: an address bound to it is local to the node, so that the kernel accepts packets for
//! it. Service proxies and load balancers bind their virtual addresses this way.
//!
//! A packet can also be made local by its mark, without an address on any link: by a routing rule that
//! looks such packets up in a table with a local route.
//!
//! - The model, at the root: [`LinkName`], [`Link`], [`BoundAddress`], [`NewAddress`], [`NodeLinks`]; [`MarkRule`] and
//!   [`LocalRoute`], and [`Rule`] and [`Route`] for what a listing finds. Plain values.
#![cfg_attr(
    feature = "message",
    doc = "- [`message`]: the rtnetlink messages, as `netlink-packet-route` types, for any transport."
)]
#![cfg_attr(
    feature = "client",
    doc = "- [`Client`], blocking, and [`AsyncClient`]; changes many addresses, rules or routes per system call.\n- [`Monitor`] and [`AsyncMonitor`]: wait for changes of them."
)]
//!
//! ```
//! use dummy_link::{LinkName, NodeLinks, host_address};
//!
//! let name: LinkName = "kube-ipvs0".parse()?;
//! let mut links = NodeLinks::new();
//! links.insert(name, host_address("10.96.0.1".parse()?));
//!
//! assert_eq!(links.links_with("10.96.0.1".parse()?).collect::<Vec<_>>(), [name]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//! # Features
//! - `client` (default): `Client` and `Monitor`, on the crate `netlink-batch`. Without it the crate
//!   makes no system calls.
//! - `message` (with `client`): the messages, on the crate `netlink-packet-route`. Without it only the model is left.
//! - `tokio`: `AsyncClient` and `AsyncMonitor` on a tokio runtime.
//! - `serde`: `Serialize` and `Deserialize` of the model.
#![cfg_attr(feature = "client", doc = include_str!("client/client.md"))]
#![forbid(unsafe_code)]

#[cfg(feature = "client")]
mod client;
mod error;
#[cfg(feature = "message")]
pub mod message;
mod model;
#[cfg(feature = "client")]
mod monitor;
pub mod uapi;

#[cfg(feature = "client")]
pub use client::{AsyncClient, Client, Outcome};
pub use error::Error;
pub use model::{
    AddressFlags, AddressLabel, AddressLabelError, AddressProtocol, AddressScope, BoundAddress,
    DUMMY, Lifetime, Lifetimes, Link, LinkName, LinkNameError, LocalRoute, MAX_NAME_LEN, Mark,
    MarkRule, NewAddress, NodeLinks, ParseMarkError, Route, RouteKind, RoutingProtocol, Rule,
    RuleAction, Table, every_address, host_address,
};
#[cfg(feature = "client")]
pub use monitor::{AsyncMonitor, Changes, Monitor, Removal};
pub use netlink_wire::Family;

#[cfg(all(doctest, feature = "tokio"))]
#[doc = include_str!("../README.md")]
struct Readme;
