//! ipset over netlink: set types, entries and a blocking client, without the ipset binary.
//!
//! A [`SetSpec`] describes a set, which holds [`Entry`]s. [`parse_save`] reads the text of `ipset save`
//! and `ipset restore`, `Display` prints it. [`SetSpec::check`] finds what the kernel would refuse
//! before anything is sent.
//!
//! ```
//! use ipset_netlink::{parse_save, Entry, Protocol};
//!
//! let text = "create web hash:ip,port family inet hashsize 1024 maxelem 65536\nadd web 10.0.0.1,tcp:80\n";
//! let mut sets = parse_save(text)?;
//! assert_eq!(sets[0].to_string(), text);
//!
//! let entry = sets[0].spec.parse_entry("10.0.0.1,443")?;
//! assert_eq!(entry, Entry::ip_port([10, 0, 0, 1].into(), Protocol::TCP, 443));
//! let refused = sets[0].spec.check(&Entry::port(80)).unwrap_err();
//! assert_eq!(
//!     refused.to_string(),
//!     "set web (hash:ip,port) cannot hold 80: its elements are made of an address, a protocol and a port"
//! );
//! # Ok::<(), ipset_netlink::Error>(())
//! ```
//!
//! # Layers
//! - The model and its text, at the root: [`SetSpec`], [`Entry`], [`parse_save`], [`RestoreFile`], [`Listing`].
//! - [`uapi`]: the kernel's numbers. [`message`]: requests and replies without a socket, also for
//!   `netlink-proto`.
//! - `client` (feature `client`, on by default): the blocking client.
//!
//! # Features
//! - `client` (default): [`Client`], on `netlink-batch`.
//! - `tokio`: [`AsyncClient`] on a tokio runtime.
//! - `serde`: `Serialize` and `Deserialize` of sets and entries, in the words of `ipset save`, and of
//!   what they consist of.
//! - `fuzz`: the bodies of the fuzz targets.
//!
//! ```no_run
//! # #[cfg(feature = "client")] {
//! use ipset_netlink::message::Mode;
//! use ipset_netlink::{Client, Entry, Family, SetName, SetSpec, SetType};
//!
//! let mut client = Client::open()?;
//! let mut blocked = SetSpec::hash(SetName::new("blocked")?, SetType::HASH_NET, Family::V4);
//! blocked.options.timeout = Some(600);
//! client.create(&blocked, Mode::Idempotent)?;
//! // Atomic: rules that refer to the set never see it half full.
//! let entries = ["192.0.2.0/24", "198.51.100.7"].map(|text| blocked.parse_entry(text));
//! client.replace(&blocked, &entries.into_iter().collect::<Result<Vec<_>, _>>()?)?;
//! # }
//! # Ok::<(), ipset_netlink::Error>(())
//! ```
//!
//! # Not here
//! - Names of hosts and services: addresses and ports are numbers.
//! - The interactive mode of `ipset` and its XML and JSON listings.
//! - Entries of set types that this crate does not know. Such sets are listed without them.
#![doc = include_str!("../INTERFACE.md")]
#![forbid(unsafe_code)]

#[cfg(test)]
mod arbitrary;
#[cfg(feature = "client")]
pub mod client;
mod error;
#[cfg(any(test, feature = "fuzz"))]
pub mod fuzz;
pub mod message;
mod model;
mod restore;
mod text;
pub mod uapi;
mod wire;

#[cfg(feature = "client")]
pub use crate::client::{AsyncClient, Client};
pub use crate::{
    error::{EntryFault, Error},
    message::{ErrorKind, Operation},
    model::{
        Addresses, BitmapRange, Comment, Counters, CreateOptions, Dimension, Element, Entry,
        EntryOptions, Interface, InterfaceName, MAX_TIMEOUT, MacAddr, Method, PortRange, Ports,
        Position, Set, SetName, SetSpec, SetType, SkbInfo, Usage,
    },
    restore::{RestoreCommand, RestoreFile, RestoreLine},
    text::{Listing, SaveLine, parse_save},
    wire::DecodeError,
};
pub use netlink_wire::{Family, Protocol};

#[cfg(all(doctest, feature = "tokio"))]
#[doc = include_str!("../README.md")]
struct Readme;
