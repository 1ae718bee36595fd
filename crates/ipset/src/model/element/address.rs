//! The address part of an element: one address, a network, or a range.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

use ipnetwork::IpNetwork;
use netlink_wire::Family;

use crate::Error;
use crate::model::parse_number;

/// One address, a network, or a range of IPv4 addresses.
///
/// One value for one meaning: a network has its host bits cleared, one of full length is an
/// address, and a range runs upwards and is an address where it has only one. Ordered by first
/// address, numerically, IPv4 first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Addresses {
    first: IpAddr,
    extent: Extent,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Extent {
    /// Prefix length in bits.
    Prefix(u8),
    /// Last address.
    Last(Ipv4Addr),
}

impl Addresses {
    /// All addresses from the lower to the higher of the two, both included.
    #[must_use]
    pub fn range(one: Ipv4Addr, other: Ipv4Addr) -> Self {
        let (first, last) = (one.min(other), one.max(other));
        if first == last {
            return Self::from(IpAddr::V4(first));
        }
        Self {
            first: first.into(),
            extent: Extent::Last(last),
        }
    }

    /// The first `prefix_len` bits of `address`; `None` where it has fewer.
    #[must_use]
    pub fn network(address: IpAddr, prefix_len: u8) -> Option<Self> {
        IpNetwork::new(address, prefix_len).ok().map(Self::from)
    }

    /// The lowest address.
    #[must_use]
    pub fn first(&self) -> IpAddr {
        self.first
    }

    /// The highest address.
    #[must_use]
    pub fn last(&self) -> IpAddr {
        match (self.first, self.extent) {
            (_, Extent::Last(last)) => last.into(),
            (first, Extent::Prefix(prefix_len)) => {
                IpNetwork::new(first, prefix_len).map_or(first, |network| network.broadcast())
            }
        }
    }

    /// The address, if it is one.
    #[must_use]
    pub fn as_ip(&self) -> Option<IpAddr> {
        match self.extent {
            Extent::Prefix(prefix_len) if prefix_len == full_prefix(&self.first) => {
                Some(self.first)
            }
            _ => None,
        }
    }

    /// The network, if it is one; an address is one of full length.
    #[must_use]
    pub fn as_network(&self) -> Option<IpNetwork> {
        match self.extent {
            Extent::Prefix(prefix_len) => IpNetwork::new(self.first, prefix_len).ok(),
            Extent::Last(_) => None,
        }
    }

    /// Length of the network's prefix in bits; `None` for a range.
    #[must_use]
    pub fn prefix_len(&self) -> Option<u8> {
        match self.extent {
            Extent::Prefix(prefix_len) => Some(prefix_len),
            Extent::Last(_) => None,
        }
    }

    /// First and last address, if it is a range.
    #[must_use]
    pub fn as_range(&self) -> Option<(Ipv4Addr, Ipv4Addr)> {
        match (self.first, self.extent) {
            (IpAddr::V4(first), Extent::Last(last)) => Some((first, last)),
            _ => None,
        }
    }

    /// The family.
    #[must_use]
    pub fn family(&self) -> Family {
        Family::of(self.first)
    }

    /// Parses what [`Addresses`] prints: `10.0.0.1`, `10.0.0.0/8`, `10.0.0.1-10.0.0.9`. Addresses may
    /// be in brackets, as in `[2001:db8::]/32`.
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        if let Some((first, last)) = text.split_once('-') {
            let (first, last) = (address(first, text)?, address(last, text)?);
            let (IpAddr::V4(first), IpAddr::V4(last)) = (first, last) else {
                return Err(Error::token(
                    "a range of addresses",
                    text,
                    "ranges are of IPv4 addresses only; give a network",
                ));
            };
            return Ok(Self::range(first, last));
        }
        let Some((first, prefix_len)) = text.split_once('/') else {
            return address(text, text).map(Self::from);
        };
        let prefix_len = parse_number(prefix_len).and_then(|length| u8::try_from(length).ok());
        let first = address(first, text)?;
        prefix_len
            .and_then(|length| Self::network(first, length))
            .ok_or_else(|| {
                Error::token(
                    "a network",
                    text,
                    "give the length of its prefix in bits, not a netmask: 10.0.0.0/8",
                )
            })
    }
}

/// One address, in brackets or without, in an element `whole`.
///
/// `ipset` also reads addresses in the forms of C (`010.0.0.1` is 8.0.0.1, `10.1` is 10.0.0.1). Few
/// mean that, so these are refused.
fn address(text: &str, whole: &str) -> Result<IpAddr, Error> {
    let inner = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'))
        .unwrap_or(text);
    inner.parse().map_err(|_| {
        let octal = |part: &str| part.len() > 1 && part.starts_with('0');
        let hint = if inner.contains('.') && inner.split('.').any(octal) {
            "`ipset` reads a number with a leading zero as octal; write it without"
        } else {
            "give an address, a network, or an IPv4 range with `-`; host names are not looked up"
        };
        Error::token("an address", whole, hint)
    })
}

fn full_prefix(address: &IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

impl From<IpAddr> for Addresses {
    fn from(first: IpAddr) -> Self {
        let extent = Extent::Prefix(full_prefix(&first));
        Self { first, extent }
    }
}

impl From<IpNetwork> for Addresses {
    /// Clears the host bits, as the kernel does.
    fn from(network: IpNetwork) -> Self {
        Self {
            first: network.network(),
            extent: Extent::Prefix(network.prefix()),
        }
    }
}

impl FromStr for Addresses {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::parse(text)
    }
}

impl fmt::Display for Addresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Inet(self.first))?;
        match self.extent {
            Extent::Prefix(prefix_len) if prefix_len == full_prefix(&self.first) => Ok(()),
            Extent::Prefix(prefix_len) => write!(f, "/{prefix_len}"),
            Extent::Last(last) => write!(f, "-{last}"),
        }
    }
}

/// An address as `inet_ntop` prints it: unlike the standard library's, IPv4-compatible addresses
/// are dotted.
pub(crate) struct Inet(pub(crate) IpAddr);

impl fmt::Display for Inet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let IpAddr::V6(address) = self.0 {
            let low = u32::try_from(address.to_bits()).ok();
            if let Some(low) = low.filter(|low| *low > 0xffff) {
                return write!(f, "::{}", Ipv4Addr::from_bits(low));
            }
        }
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_value_for_one_meaning() {
        for (written, kept) in [
            ("10.1.2.3/8", "10.0.0.0/8"),
            ("10.1.2.3/32", "10.1.2.3"),
            ("10.0.0.9-10.0.0.1", "10.0.0.1-10.0.0.9"),
            ("10.0.0.1-10.0.0.1", "10.0.0.1"),
            ("2001:db8::1/32", "2001:db8::/32"),
            ("2001:db8::1/128", "2001:db8::1"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            // As ipset 7.17 reads them.
            ("[10.0.0.1]", "10.0.0.1"),
            ("[10.0.0.0]/30", "10.0.0.0/30"),
            ("[10.0.0.1]-[10.0.0.3]", "10.0.0.1-10.0.0.3"),
            ("[2001:DB8::1]", "2001:db8::1"),
            ("[2001:db8::]/32", "2001:db8::/32"),
            ("10.0.0.0/010", "10.0.0.0/8"),
            ("10.0.0.0/0x18", "10.0.0.0/24"),
            ("10.0.0.0/+24", "10.0.0.0/24"),
        ] {
            let addresses = Addresses::parse(written).unwrap();
            assert_eq!(addresses.to_string(), kept);
            assert_eq!(addresses, Addresses::parse(kept).unwrap());
        }
    }

    #[test]
    fn what_is_none_is_refused() {
        for text in [
            "",
            "10.0.0",
            "10.0.0.1/33",
            "::1/129",
            "10.0.0.1-",
            "::1-::2",
            "10.0.0.1/-1",
            "a",
            "[10.0.0.0/30]",
            "[10.0.0.1",
            "10.0.0.1]",
            "[]",
            "[[10.0.0.1]]",
            "10.0.0.1/08",
            "10.0.0.0/255.0.0.0",
            "fe80::1%lo",
            // ipset takes these, for other addresses than their writers mean.
            "010.0.0.1",
            "10.1",
            "10.0.0.8-10",
        ] {
            assert!(Addresses::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn what_ipset_reads_otherwise_is_explained() {
        for (text, hint) in [
            ("010.0.0.1", "octal"),
            ("10.0.0.0/255.0.0.0", "not a netmask"),
            ("::1-::2", "IPv4 addresses only"),
            ("localhost", "host names are not looked up"),
        ] {
            let error = Addresses::parse(text).unwrap_err().to_string();
            assert!(error.contains(hint), "{error}");
        }
    }

    #[test]
    fn first_and_last() {
        let network = Addresses::parse("10.0.0.0/30").unwrap();
        assert_eq!(network.last().to_string(), "10.0.0.3");
        assert_eq!(network.as_ip(), None);
        assert_eq!(
            Addresses::parse("::/0").unwrap().last().to_string(),
            "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"
        );
    }

    #[test]
    fn order_is_numeric() {
        let texts = [
            "2.0.0.0/7",
            "2.0.0.0/8",
            "2.0.0.0",
            "10.0.0.1",
            "100.0.0.1",
            "::1",
            "2001:db8::/32",
        ];
        let sorted: Vec<_> = texts
            .iter()
            .map(|text| Addresses::parse(text).unwrap())
            .collect();
        assert!(sorted.is_sorted(), "{sorted:?}");
    }

    /// Both forms as printed by ipset 7.17.
    #[test]
    fn mapped_and_compatible_addresses_are_dotted() {
        for text in ["::1.2.3.4", "::ffff:1.2.3.4", "::1", "::ffff"] {
            assert_eq!(Addresses::parse(text).unwrap().to_string(), text);
        }
    }
}
