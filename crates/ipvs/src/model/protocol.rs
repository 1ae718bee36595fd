//! Address families and transport protocols.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use crate::{Error, Result};

/// Address family of a virtual server or a destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// IPv4, `AF_INET`.
    Inet,
    /// IPv6, `AF_INET6`.
    Inet6,
}

impl Family {
    /// The family of an address. An IPv4-mapped IPv6 address is IPv6, as it is to the kernel.
    #[must_use]
    pub const fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::Inet,
            IpAddr::V6(_) => Self::Inet6,
        }
    }

    /// Bits of an address: 32 or 128, which is also the prefix length that holds one address.
    #[must_use]
    pub const fn bits(self) -> u8 {
        match self {
            Self::Inet => 32,
            Self::Inet6 => 128,
        }
    }
}

/// IP protocol number of a virtual server. IPVS schedules TCP, UDP and SCTP.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Protocol(pub u8);

impl Protocol {
    /// TCP, 6.
    pub const TCP: Self = Self(6);
    /// UDP, 17.
    pub const UDP: Self = Self(17);
    /// SCTP, 132.
    pub const SCTP: Self = Self(132);
}

impl fmt::Display for Protocol {
    /// `TCP`, `UDP`, `SCTP`, or the number.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::TCP => f.pad("TCP"),
            Self::UDP => f.pad("UDP"),
            Self::SCTP => f.pad("SCTP"),
            Self(number) => fmt::Display::fmt(&number, f),
        }
    }
}

impl fmt::Debug for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Protocol({self})")
    }
}

impl FromStr for Protocol {
    type Err = Error;

    /// A name in any case, or a number.
    fn from_str(text: &str) -> Result<Self> {
        let named = [("TCP", Self::TCP), ("UDP", Self::UDP), ("SCTP", Self::SCTP)];
        if let Some((_, protocol)) = named
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(text))
        {
            return Ok(*protocol);
        }
        text.parse()
            .map(Self)
            .map_err(|_| Error::text(text, "a protocol: TCP, UDP, SCTP or a number up to 255"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protocols_print_and_parse() {
        for (text, protocol) in [
            ("TCP", Protocol(6)),
            ("UDP", Protocol(17)),
            ("SCTP", Protocol(132)),
            ("51", Protocol(51)),
        ] {
            assert_eq!(protocol.to_string(), text);
            assert_eq!(text.parse(), Ok(protocol));
            assert_eq!(text.to_lowercase().parse(), Ok(protocol));
        }
        for text in ["", "tcpx", "256", "-1"] {
            assert!(text.parse::<Protocol>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_mapped_address_is_ipv6() {
        assert_eq!(
            Family::of("::ffff:10.0.0.1".parse().unwrap()),
            Family::Inet6
        );
        assert_eq!(Family::of("10.0.0.1".parse().unwrap()).bits(), 32);
    }
}
