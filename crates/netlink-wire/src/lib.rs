//! What every netlink codec needs and no subsystem owns. It opens no socket and starts nothing.
//!
//! - [`Attributes`], [`Attribute`] and [`walk`] read attributes (`struct nlattr`) from bytes that
//!   nobody has checked. They never panic, and their [`DecodeError`] names the attribute at fault.
//! - [`Writer`] writes attributes into a buffer of the caller's. The same code measures a message and
//!   writes it, and allocates nothing.
//! - [`Family`] and [`Protocol`] are the address families and IP protocol numbers that IPVS, ipset,
//!   conntrack and iptables share, with one table of names.
//! - [`KernelVersion`] is the number of a kernel's release.
//! - [`InlineName`] holds short names (of sets, links, schedulers) in place, so that they are `Copy`.
//!
//! # Example
//! ```
//! use netlink_wire::{DecodeError, NLA_F_NET_BYTEORDER, Problem, Writer, measure, require, walk};
//!
//! // A nest that holds a port in network byte order and a name.
//! fn encode(writer: &mut Writer<'_>) {
//!     writer.nest(7, |writer| {
//!         writer.u16_be(4 | NLA_F_NET_BYTEORDER, 80);
//!         writer.text(2, "web");
//!     });
//! }
//! let mut buffer = vec![0; measure(encode)];
//! encode(&mut Writer::new(&mut buffer));
//! assert_eq!(buffer.len(), 20);
//!
//! const NAMES: &[(u16, &str)] = &[(2, "MY_ATTR_NAME"), (4, "MY_ATTR_PORT")];
//! fn decode(nest: &[u8]) -> Result<(String, u16), DecodeError> {
//!     let (mut name, mut port) = (None, None);
//!     walk(nest, "MY_NEST", NAMES, |attribute| {
//!         match attribute.kind() {
//!             2 => name = Some(attribute.text()?.to_owned()),
//!             4 => port = Some(attribute.u16_be()?),
//!             _ => {} // newer kernels send more
//!         }
//!         Ok(())
//!     })?;
//!     Ok((require(name, "MY_ATTR_NAME")?, require(port, "MY_ATTR_PORT")?))
//! }
//! let nest = netlink_wire::attributes(&buffer).next().unwrap()?;
//! assert_eq!(decode(nest.value())?, ("web".to_owned(), 80));
//! assert_eq!(decode(&[]), Err(Problem::Missing.of("MY_ATTR_NAME")));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Features
//! - `serde`: `Serialize` and `Deserialize` of [`Family`], [`Protocol`] and [`InlineName`], as the
//!   text they display as.
//! - `fuzz`: `seeds`, by which tests replay the seeds of fuzz targets.
#![forbid(unsafe_code)]

mod error;
mod family;
mod name;
mod protocol;
mod read;
#[cfg(feature = "fuzz")]
pub mod seeds;
#[cfg(feature = "serde")]
mod serde;
mod uapi;
mod version;
mod write;

pub use error::{DecodeError, Fault, Problem, require};
pub use family::{Family, ParseFamilyError};
pub use name::InlineName;
pub use protocol::{ParseProtocolError, Protocol};
pub use read::{Attribute, Attributes, Names, attributes, walk};
pub use uapi::{
    AF_INET, AF_INET6, NLA_ALIGNTO, NLA_F_NESTED, NLA_F_NET_BYTEORDER, NLA_HDRLEN, NLA_TYPE_MASK,
};
pub use version::{KernelVersion, ParseKernelVersionError};
pub use write::{Writer, measure};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
