//! Reading attributes, without trusting a byte of them.

use std::net::IpAddr;

use crate::uapi::{
    IPSET_ATTR_IPADDR_IPV4, IPSET_ATTR_IPADDR_IPV6, NFPROTO_IPV4, NFPROTO_IPV6, NFPROTO_UNSPEC,
    NLA_F_NESTED, NLA_F_NET_BYTEORDER,
};
use crate::{Family, SetName, SetType};

/// Bytes of an attribute's header.
const HEADER: usize = 4;

/// A reply that is not what the kernel's interface says. Kernels do not send such.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// Bytes that are cut off, or lengths that lead outside.
    #[error("a message of ipset is cut off or has a wrong length at its byte {offset}")]
    Truncated {
        /// Where, from the start of the row of attributes.
        offset: usize,
    },
    /// An attribute that should be there.
    #[error("attribute {attribute} is missing")]
    Missing {
        /// The kernel's name of it.
        attribute: &'static str,
    },
    /// An attribute whose value is not of its type.
    #[error("attribute {attribute} has a value that is not of its type")]
    Value {
        /// The kernel's name of it.
        attribute: &'static str,
    },
    /// A set whose name is not UTF-8, or has what the text format of `ipset` cannot carry.
    #[error("the name of set {name:?} cannot be handled: it is no plain text")]
    Name {
        /// The name, with what is no UTF-8 replaced.
        name: String,
    },
    /// A message type that is not of ipset, or a command that has no reply.
    #[error("message type {message_type:#06x} is no reply of ipset")]
    MessageType {
        /// The type.
        message_type: u16,
    },
    /// Entries of a type this crate does not know.
    #[error("entries of set type {set_type} are not known to this crate")]
    UnknownSetType {
        /// The type.
        set_type: SetType,
    },
}

/// One attribute.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attribute<'a> {
    /// Its type, without flags.
    pub(crate) kind: u16,
    /// Whether a number is in network byte order. Replies have [`IPSET_ATTR_MARKMASK`] in the
    /// host's, against the rule for requests.
    ///
    /// [`IPSET_ATTR_MARKMASK`]: crate::uapi::IPSET_ATTR_MARKMASK
    big_endian: bool,
    /// Its value, without padding.
    pub(crate) value: &'a [u8],
}

/// The attributes in `bytes`, in order; after an error nothing more.
pub(crate) fn attributes(bytes: &[u8]) -> impl Iterator<Item = Result<Attribute<'_>, DecodeError>> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let offset = bytes.len() - rest.len();
        let item = split(rest).ok_or(DecodeError::Truncated { offset });
        rest = item.as_ref().map_or(&[], |(_, rest)| rest);
        Some(item.map(|(attribute, _)| attribute))
    })
}

fn split(bytes: &[u8]) -> Option<(Attribute<'_>, &[u8])> {
    let (header, _) = bytes.split_first_chunk::<HEADER>()?;
    let [length_low, length_high, kind_low, kind_high] = *header;
    let length = usize::from(u16::from_ne_bytes([length_low, length_high]));
    let kind = u16::from_ne_bytes([kind_low, kind_high]);
    let big_endian = kind & NLA_F_NET_BYTEORDER != 0;
    let kind = kind & !(NLA_F_NESTED | NLA_F_NET_BYTEORDER);
    let value = bytes.get(HEADER..length)?;
    // The last one may come without its padding.
    let rest = bytes
        .get(length.next_multiple_of(HEADER)..)
        .unwrap_or_default();
    Some((
        Attribute {
            kind,
            big_endian,
            value,
        },
        rest,
    ))
}

impl<'a> Attribute<'a> {
    fn array<const N: usize>(&self, attribute: &'static str) -> Result<[u8; N], DecodeError> {
        self.value
            .try_into()
            .map_err(|_| DecodeError::Value { attribute })
    }

    pub(crate) fn u8(&self, attribute: &'static str) -> Result<u8, DecodeError> {
        self.array(attribute).map(|[byte]| byte)
    }

    pub(crate) fn u16(&self, attribute: &'static str) -> Result<u16, DecodeError> {
        let bytes = self.array(attribute)?;
        Ok(if self.big_endian {
            u16::from_be_bytes(bytes)
        } else {
            u16::from_ne_bytes(bytes)
        })
    }

    pub(crate) fn u32(&self, attribute: &'static str) -> Result<u32, DecodeError> {
        let bytes = self.array(attribute)?;
        Ok(if self.big_endian {
            u32::from_be_bytes(bytes)
        } else {
            u32::from_ne_bytes(bytes)
        })
    }

    pub(crate) fn u64(&self, attribute: &'static str) -> Result<u64, DecodeError> {
        let bytes = self.array(attribute)?;
        Ok(if self.big_endian {
            u64::from_be_bytes(bytes)
        } else {
            u64::from_ne_bytes(bytes)
        })
    }

    pub(crate) fn mac(&self, attribute: &'static str) -> Result<[u8; 6], DecodeError> {
        self.array(attribute)
    }

    /// Text up to its NUL.
    pub(crate) fn text(&self, attribute: &'static str) -> Result<&'a str, DecodeError> {
        std::str::from_utf8(self.until_nul()).map_err(|_| DecodeError::Value { attribute })
    }

    fn until_nul(&self) -> &'a [u8] {
        self.value
            .split(|byte| *byte == 0)
            .next()
            .unwrap_or_default()
    }

    pub(crate) fn ip(&self, attribute: &'static str) -> Result<IpAddr, DecodeError> {
        let inner = attributes(self.value)
            .next()
            .ok_or(DecodeError::Value { attribute })??;
        match inner.kind {
            IPSET_ATTR_IPADDR_IPV4 => inner.array::<4>(attribute).map(IpAddr::from),
            IPSET_ATTR_IPADDR_IPV6 => inner.array::<16>(attribute).map(IpAddr::from),
            _ => Err(DecodeError::Value { attribute }),
        }
    }
}

/// The name of a set.
pub(crate) fn set_name(attribute: &Attribute<'_>) -> Result<SetName, DecodeError> {
    let name = || String::from_utf8_lossy(attribute.until_nul()).into_owned();
    let text = std::str::from_utf8(attribute.until_nul())
        .map_err(|_| DecodeError::Name { name: name() })?;
    SetName::new(text).map_err(|_| DecodeError::Name { name: name() })
}

/// A family by its number.
pub(crate) fn family(attribute: &Attribute<'_>) -> Result<Family, DecodeError> {
    match attribute.u8("IPSET_ATTR_FAMILY")? {
        NFPROTO_UNSPEC => Ok(Family::Unspecified),
        NFPROTO_IPV4 => Ok(Family::Inet),
        NFPROTO_IPV6 => Ok(Family::Inet6),
        _ => Err(DecodeError::Value {
            attribute: "IPSET_ATTR_FAMILY",
        }),
    }
}
