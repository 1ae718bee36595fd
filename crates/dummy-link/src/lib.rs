//! Dummy links and their addresses, over rtnetlink.
//!
//! A dummy link is a network interface that drops what is sent through it. Its use is to hold
//! addresses: an address bound to it is local to the node, so that the kernel accepts packets for
//! it. Service proxies and load balancers bind their virtual addresses this way.
//!
//! - [`LinkName`] and [`NodeLinks`] are plain values without any input or output.
//! - [`message`] has the rtnetlink messages, as `netlink-packet-route` types, for any transport.
#![cfg_attr(
    feature = "client",
    doc = "- [`Client`] (feature `client`, on by default) is blocking and changes many addresses per system call;\n  [`Monitor`] says when links or addresses change."
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
#![cfg_attr(feature = "client", doc = include_str!("client.md"))]
#![forbid(unsafe_code)]

#[cfg(feature = "client")]
mod client;
#[cfg(feature = "client")]
mod error;
pub mod message;
#[cfg(feature = "client")]
mod monitor;
mod name;
mod node;

#[cfg(feature = "client")]
pub use client::{Client, Effect};
#[cfg(feature = "client")]
pub use error::Error;
pub use message::{BoundAddress, Link};
#[cfg(feature = "client")]
pub use monitor::{Monitor, Notice};
pub use name::{LinkName, LinkNameError, MAX_NAME_LEN};
pub use node::{NodeLinks, host_address};
