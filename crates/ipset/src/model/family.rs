//! Address families as ipset has them.

use std::fmt;
use std::net::IpAddr;

/// The address family of a set (`NFPROTO_*`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// No family: `bitmap:port`, `hash:mac` and `list:set` (`NFPROTO_UNSPEC`).
    #[default]
    Unspecified,
    /// IPv4 (`NFPROTO_IPV4`).
    Inet,
    /// IPv6 (`NFPROTO_IPV6`).
    Inet6,
}

impl Family {
    /// The family of `address`.
    #[must_use]
    pub fn of(address: &IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::Inet,
            IpAddr::V6(_) => Self::Inet6,
        }
    }

    /// The name `ipset` prints: `inet`, `inet6`, and `unspec` for none.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unspecified => "unspec",
            Self::Inet => "inet",
            Self::Inet6 => "inet6",
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
