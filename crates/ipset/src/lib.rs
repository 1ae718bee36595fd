//! ipset over netlink: set types, entries and a blocking client, without the ipset binary.
//!
//! A set is described by a [`SetSpec`] and holds [`Entry`]s; [`parse_save`] and `Display` speak the text of `ipset save`.
//! [`SetSpec::check`] says beforehand what the kernel would refuse.
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
#![forbid(unsafe_code)]

#[cfg(test)]
mod arbitrary;
#[cfg(feature = "client")]
pub mod client;
mod element;
mod entry;
mod error;
mod family;
#[doc(hidden)]
pub mod fuzz;
mod inline;
pub mod message;
mod name;
mod operation;
mod protocol;
mod refusal;
mod revision;
mod set_type;
mod spec;
mod text;
pub mod uapi;
mod wire;

#[cfg(feature = "client")]
pub use crate::client::Client;
pub use crate::{
    element::{Addresses, Element, Interface, MacAddr, PortRange, Ports},
    entry::{Counters, Entry, EntryOptions, Position, SkbInfo},
    error::{EntryFault, Error},
    family::Family,
    name::{InterfaceName, SetName},
    operation::Operation,
    protocol::Protocol,
    refusal::Refusal,
    set_type::{Dimension, Method, SetType},
    spec::{BitmapRange, CreateOptions, MAX_TIMEOUT, SetSpec},
    text::{Listing, SaveLine, Set, parse_save},
    wire::{DecodeError, Usage},
};
