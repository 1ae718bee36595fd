//! The two address families.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use crate::uapi::{AF_INET, AF_INET6};

/// An address family: IPv4 or IPv6.
///
/// Displays as `IPv4` and `IPv6`, as Kubernetes writes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// IPv4, `AF_INET`.
    #[doc(alias("AF_INET", "NFPROTO_IPV4", "Inet"))]
    V4,
    /// IPv6, `AF_INET6`.
    #[doc(alias("AF_INET6", "NFPROTO_IPV6", "Inet6"))]
    V6,
}

impl Family {
    /// Both, IPv4 first.
    pub const ALL: [Self; 2] = [Self::V4, Self::V6];

    /// The family of an address. An IPv4-mapped IPv6 address is IPv6, as it is for the kernel.
    #[inline]
    #[must_use]
    pub const fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }

    /// Bits of an address: 32 or 128.
    #[inline]
    #[must_use]
    pub const fn bits(self) -> u8 {
        match self {
            Self::V4 => 32,
            Self::V6 => 128,
        }
    }

    /// Length of the prefix that covers a single address: 32 or 128.
    #[inline]
    #[must_use]
    pub const fn host_prefix(self) -> u8 {
        self.bits()
    }

    /// The unspecified address: `0.0.0.0` or `::`.
    #[must_use]
    pub const fn unspecified(self) -> IpAddr {
        match self {
            Self::V4 => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            Self::V6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        }
    }

    /// The kernel's number: [`AF_INET`] or [`AF_INET6`], which netfilter uses too (`NFPROTO_IPV4`,
    /// `NFPROTO_IPV6`).
    #[inline]
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::V4 => AF_INET,
            Self::V6 => AF_INET6,
        }
    }

    /// The family with this number, if it is one of the two.
    #[inline]
    #[must_use]
    pub const fn from_number(number: u16) -> Option<Self> {
        if number == AF_INET as u16 {
            Some(Self::V4)
        } else if number == AF_INET6 as u16 {
            Some(Self::V6)
        } else {
            None
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        })
    }
}

/// Text that is neither `IPv4` nor `IPv6`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not an address family: write `IPv4` or `IPv6`")]
#[non_exhaustive]
pub struct ParseFamilyError {
    /// The text as given.
    pub text: String,
}

impl FromStr for Family {
    type Err = ParseFamilyError;

    /// Reads `IPv4` or `IPv6`, in any case.
    fn from_str(text: &str) -> Result<Self, ParseFamilyError> {
        if text.eq_ignore_ascii_case("IPv4") {
            Ok(Self::V4)
        } else if text.eq_ignore_ascii_case("IPv6") {
            Ok(Self::V6)
        } else {
            Err(ParseFamilyError {
                text: text.to_owned(),
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_text_go_both_ways() {
        for (family, number, text) in [(Family::V4, 2, "IPv4"), (Family::V6, 10, "IPv6")] {
            assert_eq!(u16::from(family.number()), number);
            assert_eq!(Family::from_number(number), Some(family));
            assert_eq!(family.to_string(), text);
            assert_eq!(text.parse(), Ok(family));
            assert_eq!(text.to_lowercase().parse(), Ok(family));
            assert_eq!(Family::of(family.unspecified()), family);
        }
        for other in [0, 1, 258, 0x0a00] {
            assert_eq!(Family::from_number(other), None);
        }
        assert!("inet".parse::<Family>().is_err());
    }

    #[test]
    fn a_mapped_address_is_ipv6() {
        let mapped: IpAddr = "::ffff:10.0.0.1".parse().unwrap();
        assert_eq!(Family::of(mapped), Family::V6);
        assert_eq!(Family::V4.bits(), 32);
        assert_eq!(Family::V6.host_prefix(), 128);
    }

    #[test]
    fn ipv4_comes_first() {
        assert_eq!(Family::ALL, [Family::V4, Family::V6]);
        assert!(Family::V4 < Family::V6);
        assert_eq!(format!("{:>6}", Family::V4), "  IPv4");
    }
}
