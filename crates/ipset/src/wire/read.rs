//! How ipset's attributes are read.

use std::net::IpAddr;

use netlink_wire::{Attribute, Family, Problem};

use crate::uapi::{IPSET_ATTR_IPADDR_IPV4, IPSET_ATTR_IPADDR_IPV6, NFPROTO_UNSPEC};
use crate::{SetName, SetType};

/// A reply that breaks the rules of the kernel's interface, or that this crate has no value for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// An attribute that is missing, cut off or not of its type. Kernels do not send such replies.
    #[error(transparent)]
    Attribute(#[from] netlink_wire::DecodeError),
    /// A set whose name is not UTF-8, or one that the text format of `ipset` cannot carry.
    #[error("the set name {name:?} cannot be read: it is not a name that ipset could write")]
    Name {
        /// The name; what is not UTF-8 in it is replaced.
        name: String,
    },
    /// A message type that is not of ipset, or a command that has no reply.
    #[error("message type {message_type:#06x} is not a reply of ipset")]
    MessageType {
        /// The type.
        message_type: u16,
    },
    /// Entries of a type that this crate does not know.
    #[error("entries of set type {set_type} are unknown to this crate")]
    UnknownSetType {
        /// The type.
        set_type: SetType,
    },
}

/// An address in its nest.
pub(crate) fn address(attribute: &Attribute<'_>) -> Result<IpAddr, Problem> {
    let expected = "an IPv4 or IPv6 address";
    let inner = attribute
        .nested()
        .next()
        .ok_or(Problem::Invalid { expected })??;
    match inner.kind() {
        IPSET_ATTR_IPADDR_IPV4 => inner.ipv4().map(IpAddr::V4),
        IPSET_ATTR_IPADDR_IPV6 => inner.ipv6().map(IpAddr::V6),
        _ => Err(Problem::Invalid { expected }),
    }
}

/// The family of a set: none for types without addresses.
pub(crate) fn family(attribute: &Attribute<'_>) -> Result<Option<Family>, Problem> {
    match attribute.u8()? {
        NFPROTO_UNSPEC => Ok(None),
        number => match Family::from_number(number.into()) {
            None => Err(Problem::Unknown(number.into())),
            family => Ok(family),
        },
    }
}

/// The name of a set from its bytes.
pub(crate) fn set_name(bytes: &[u8]) -> Result<SetName, DecodeError> {
    std::str::from_utf8(bytes)
        .ok()
        .and_then(|text| SetName::new(text).ok())
        .ok_or_else(|| DecodeError::Name {
            name: String::from_utf8_lossy(bytes).into_owned(),
        })
}
