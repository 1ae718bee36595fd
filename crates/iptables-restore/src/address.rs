//! Addresses of a rule, and conditions that can be negated.

use std::fmt::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use ipnetwork::{IpNetwork, Ipv4Network, Ipv6Network};

/// A value that a rule requires, or with `!` excludes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Negatable<T> {
    /// The value.
    pub value: T,
    /// True for `!`: everything but the value.
    pub negated: bool,
}

impl<T> Negatable<T> {
    /// The value itself.
    pub fn is(value: T) -> Self {
        Self {
            value,
            negated: false,
        }
    }

    /// Everything but the value.
    pub fn not(value: T) -> Self {
        Self {
            value,
            negated: true,
        }
    }

    pub(crate) fn write(&self, f: &mut fmt::Formatter<'_>, option: &str) -> fmt::Result
    where
        T: fmt::Display,
    {
        write!(f, " {}{option} {}", bang(self.negated), self.value)
    }
}

/// `! ` before an option that is negated.
pub(crate) fn bang(negated: bool) -> &'static str {
    if negated { "! " } else { "" }
}

/// Source or destination of a rule: a network, or an address with a mask that is not a prefix.
///
/// Host bits are cleared, as the tools do. Prints as `iptables-save` does: `10.0.0.0/8`, `::1/128`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address(Repr);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Repr {
    Network(IpNetwork),
    Masked4(Ipv4Addr, Ipv4Addr),
    Masked6(Ipv6Addr, Ipv6Addr),
}

impl Address {
    /// The network; `None` if the mask is not a prefix.
    pub fn network(&self) -> Option<IpNetwork> {
        match self.0 {
            Repr::Network(network) => Some(network),
            _ => None,
        }
    }

    /// True for IPv6.
    pub fn is_ipv6(&self) -> bool {
        match self.0 {
            Repr::Network(network) => network.is_ipv6(),
            Repr::Masked4(..) => false,
            Repr::Masked6(..) => true,
        }
    }

    /// A network of length 0: every address, the same as giving none.
    pub(crate) fn is_any(&self) -> bool {
        self.network().is_some_and(|network| network.prefix() == 0)
    }

    fn masked(address: IpAddr, mask: IpAddr) -> Option<Self> {
        if let Ok(network) = IpNetwork::with_netmask(address, mask) {
            return Some(network.into());
        }
        match (address, mask) {
            (IpAddr::V4(address), IpAddr::V4(mask)) => {
                Some(Self(Repr::Masked4(address & mask, mask)))
            }
            (IpAddr::V6(address), IpAddr::V6(mask)) => {
                Some(Self(Repr::Masked6(address & mask, mask)))
            }
            _ => None,
        }
    }
}

impl From<IpNetwork> for Address {
    fn from(network: IpNetwork) -> Self {
        let base = IpNetwork::new(network.network(), network.prefix());
        Self(Repr::Network(base.unwrap_or(network)))
    }
}

impl From<Ipv4Network> for Address {
    fn from(network: Ipv4Network) -> Self {
        IpNetwork::V4(network).into()
    }
}

impl From<Ipv6Network> for Address {
    fn from(network: Ipv6Network) -> Self {
        IpNetwork::V6(network).into()
    }
}

impl From<IpAddr> for Address {
    fn from(address: IpAddr) -> Self {
        IpNetwork::from(address).into()
    }
}

impl From<Ipv4Addr> for Address {
    fn from(address: Ipv4Addr) -> Self {
        IpAddr::V4(address).into()
    }
}

impl From<Ipv6Addr> for Address {
    fn from(address: Ipv6Addr) -> Self {
        IpAddr::V6(address).into()
    }
}

/// Not an address, nor an address with a prefix length or a mask of the same family.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{}` is not an address: wanted ADDRESS, ADDRESS/LENGTH or ADDRESS/MASK (host names are not resolved)",
    crate::text::Shown(.0)
)]
pub struct InvalidAddress(pub String);

impl FromStr for Address {
    type Err = InvalidAddress;

    /// Parses `10.0.0.1`, `10.0.0.0/8`, `10.0.0.0/255.0.0.0`, `::1/128`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let read = || {
            let Some((address, mask)) = text.split_once('/') else {
                return Some(text.parse::<IpAddr>().ok()?.into());
            };
            let address: IpAddr = address.parse().ok()?;
            if let Ok(mask) = mask.parse::<IpAddr>() {
                return Self::masked(address, mask);
            }
            let prefix = mask
                .bytes()
                .all(|b| b.is_ascii_digit())
                .then(|| mask.parse().ok())??;
            Some(IpNetwork::new(address, prefix).ok()?.into())
        };
        read().ok_or_else(|| InvalidAddress(text.to_owned()))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Repr::Network(network) => {
                write_ip(f, network.ip())?;
                write!(f, "/{}", network.prefix())
            }
            Repr::Masked4(address, mask) => write!(f, "{address}/{mask}"),
            Repr::Masked6(address, mask) => {
                write_ip(f, address.into())?;
                f.write_char('/')?;
                write_ip(f, mask.into())
            }
        }
    }
}

/// As inet_ntop(3) of glibc prints it: unlike Rust's, it writes the last 32 bits of `::/96` dotted.
pub(crate) fn write_ip(f: &mut fmt::Formatter<'_>, address: IpAddr) -> fmt::Result {
    if let IpAddr::V6(v6) = address {
        let low = u32::try_from(v6.to_bits()).ok();
        if let Some(low) = low.filter(|low| *low > 0xffff) {
            return write!(f, "::{}", Ipv4Addr::from_bits(low));
        }
    }
    write!(f, "{address}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Left what was given to `iptables-legacy -A` or `ip6tables-legacy -A` 1.8.9, right what `-save` printed.
    #[test]
    fn prints_as_the_tools_do() {
        for (given, printed) in [
            ("10.1.2.3", "10.1.2.3/32"),
            ("10.1.2.3/8", "10.0.0.0/8"),
            ("10.1.2.3/255.255.0.0", "10.1.0.0/16"),
            ("10.1.2.3/255.0.255.0", "10.0.2.0/255.0.255.0"),
            ("::1", "::1/128"),
            ("::1.2.3.4", "::1.2.3.4/128"),
            ("::ffff:1.2.3.4/128", "::ffff:1.2.3.4/128"),
            ("1::5/1::ff", "1::5/1::ff"),
            ("2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1/128"),
            ("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1/128"),
        ] {
            assert_eq!(given.parse::<Address>().unwrap().to_string(), printed);
            assert_eq!(printed.parse::<Address>(), given.parse());
        }
        for bad in [
            "",
            "/8",
            "10.0.0.0/",
            "10.0.0.0/33",
            "10.0.0.0/+8",
            "10.0.0.0/::1",
            "host",
            "10.0.0.0/8/8",
        ] {
            assert!(bad.parse::<Address>().is_err(), "{bad}");
        }
    }
}
