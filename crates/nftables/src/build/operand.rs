//! Values to compare with and to set.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Bytes of the name of a link, padded.
const IFNAMSIZ: usize = 16;

/// A value as a register holds it.
///
/// It is made from bytes as they are; from a `u8`; from a `u16` in network byte order, as ports are; from a
/// `u32` in host byte order, as marks and states are; from addresses; from text, as the name of a link,
/// padded to 16 bytes, which must not be longer than 15.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Operand(pub Vec<u8>);

impl From<Vec<u8>> for Operand {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl From<&[u8]> for Operand {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }
}

impl From<u8> for Operand {
    fn from(value: u8) -> Self {
        Self(vec![value])
    }
}

impl From<u16> for Operand {
    fn from(value: u16) -> Self {
        Self(value.to_be_bytes().to_vec())
    }
}

impl From<u32> for Operand {
    fn from(value: u32) -> Self {
        Self(value.to_ne_bytes().to_vec())
    }
}

impl From<Ipv4Addr> for Operand {
    fn from(address: Ipv4Addr) -> Self {
        Self(address.octets().to_vec())
    }
}

impl From<Ipv6Addr> for Operand {
    fn from(address: Ipv6Addr) -> Self {
        Self(address.octets().to_vec())
    }
}

impl From<IpAddr> for Operand {
    fn from(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => address.into(),
            IpAddr::V6(address) => address.into(),
        }
    }
}

impl From<&str> for Operand {
    fn from(link: &str) -> Self {
        let mut bytes = link.as_bytes().to_vec();
        bytes.resize(bytes.len().max(IFNAMSIZ), 0);
        Self(bytes)
    }
}
