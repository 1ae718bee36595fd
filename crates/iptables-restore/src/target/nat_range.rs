//! Addresses and ports to translate to.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use crate::address::{InvalidAddress, write_ip};
use crate::matches::PortRange;

/// What `DNAT` and `SNAT` translate to: an address or a range of them, a port or a range of them, or both.
///
/// Parses from and displays as the tools write it: `10.0.0.1`, `10.0.0.1-10.0.0.9:80-90`, `[2001:db8::1]:80`, `:80`, and for
/// `DNAT` `10.0.0.1:80-90/8080`.
///
/// ```
/// use iptables_restore::{Dnat, NatRange, Target};
///
/// let to: NatRange = "10.0.0.1:8080".parse()?;
/// assert_eq!(to.socket_addr(), Some(([10, 0, 0, 1], 8080).into()));
/// assert_eq!(Target::from(Dnat::new(to)).to_string(), "-j DNAT --to-destination 10.0.0.1:8080");
/// # Ok::<(), iptables_restore::InvalidAddress>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NatRange {
    /// The first and the last, of one family.
    addresses: Option<(IpAddr, IpAddr)>,
    ports: Option<PortRange>,
    base: Option<u16>,
}

impl NatRange {
    /// The addresses, the first and the last: the same for a single one.
    pub fn addresses(&self) -> Option<(IpAddr, IpAddr)> {
        self.addresses
    }

    /// The ports.
    pub fn ports(&self) -> Option<PortRange> {
        self.ports
    }

    /// Of `80-90/8080` the 8080: what was the port 8080 becomes 80, 8081 becomes 81, and so on.
    pub fn base(&self) -> Option<u16> {
        self.base
    }

    /// The address and the port, where there is one of each.
    pub fn socket_addr(&self) -> Option<SocketAddr> {
        let (first, last) = self.addresses?;
        let ports = self.ports?;
        (first == last && ports.first == ports.last).then(|| (first, ports.first).into())
    }

    /// The same addresses, with these ports.
    #[must_use]
    pub fn with_ports(mut self, ports: impl Into<PortRange>) -> Self {
        self.ports = Some(ports.into());
        self
    }

    /// Why the tools would refuse it, with a base or without.
    pub(crate) fn problem(&self, base: bool) -> Option<&'static str> {
        if self.ports.is_some_and(|ports| ports.first > ports.last) {
            Some("the first port of a range is not above the last")
        } else if self.base.is_some() && !base {
            Some("only DNAT takes a port to count from")
        } else {
            None
        }
    }

    fn read(text: &str) -> Option<Self> {
        let (addresses, ports) = if let Some(rest) = text.strip_prefix('[') {
            let (inside, rest) = rest.split_once(']')?;
            let ports = match rest {
                "" => None,
                rest => Some(rest.strip_prefix(':')?),
            };
            (Some(inside), ports)
        } else {
            match text.split_once(':') {
                None => (Some(text), None),
                Some((_, rest)) if rest.contains(':') => (Some(text), None),
                Some(("", ports)) => (None, Some(ports)),
                Some((addresses, ports)) => (Some(addresses), Some(ports)),
            }
        };
        let addresses = match addresses {
            None => None,
            Some(text) => {
                let (first, last) = text.split_once('-').unwrap_or((text, text));
                let (first, last): (IpAddr, IpAddr) = (first.parse().ok()?, last.parse().ok()?);
                (first.is_ipv6() == last.is_ipv6()).then_some(())?;
                Some((first, last))
            }
        };
        let (ports, base) = match ports.map(|ports| ports.split_once('/').ok_or(ports)) {
            None => (None, None),
            Some(Err(ports)) => (Some(dashed(ports)?), None),
            Some(Ok((ports, base))) => {
                // The tools take a base with a range only.
                let ports = dashed(ports).filter(|ports| ports.first != ports.last)?;
                (Some(ports), Some(port(base)?))
            }
        };
        ports
            .is_none_or(|ports| ports.first <= ports.last)
            .then_some(Self {
                addresses,
                ports,
                base,
            })
    }
}

impl FromStr for NatRange {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::read(text).ok_or_else(|| InvalidAddress(text.to_owned()))
    }
}

impl From<IpAddr> for NatRange {
    fn from(address: IpAddr) -> Self {
        Self {
            addresses: Some((address, address)),
            ports: None,
            base: None,
        }
    }
}

impl From<SocketAddr> for NatRange {
    fn from(address: SocketAddr) -> Self {
        Self::from(address.ip()).with_ports(address.port())
    }
}

impl From<PortRange> for NatRange {
    /// The address stays.
    fn from(ports: PortRange) -> Self {
        Self {
            addresses: None,
            ports: Some(ports),
            base: None,
        }
    }
}

impl fmt::Display for NatRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((first, last)) = self.addresses {
            let brackets = self.ports.is_some() && first.is_ipv6();
            f.write_str(if brackets { "[" } else { "" })?;
            write_ip(f, first)?;
            if last != first {
                f.write_str("-")?;
                write_ip(f, last)?;
            }
            f.write_str(if brackets { "]" } else { "" })?;
        }
        if let Some(ports) = self.ports {
            write!(f, ":{}", Dashed(ports))?;
        }
        match self.base {
            Some(base) => write!(f, "/{base}"),
            None => Ok(()),
        }
    }
}

/// Ports as targets write them: `80-90`, where matches write `80:90`.
pub(super) struct Dashed(pub(super) PortRange);

impl fmt::Display for Dashed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(PortRange { first, last }) = self;
        write!(f, "{first}")?;
        if last != first {
            write!(f, "-{last}")?;
        }
        Ok(())
    }
}

/// `80` or `80-90`, in any order.
pub(super) fn dashed(text: &str) -> Option<PortRange> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    Some(PortRange {
        first: port(first)?,
        last: port(last)?,
    })
}

fn port(text: &str) -> Option<u16> {
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Left what was given to iptables and ip6tables 1.8.9, right what they printed.
    #[test]
    fn prints_as_the_tools_do() {
        for (given, printed) in [
            ("10.1.1.1", "10.1.1.1"),
            ("10.1.1.1:80", "10.1.1.1:80"),
            ("10.1.1.1-10.1.1.5:80-90", "10.1.1.1-10.1.1.5:80-90"),
            ("10.1.1.5-10.1.1.1", "10.1.1.5-10.1.1.1"),
            ("10.1.1.1-10.1.1.1:80-80", "10.1.1.1:80"),
            ("10.1.1.1:80-90/8080", "10.1.1.1:80-90/8080"),
            ("10.1.1.1:0", "10.1.1.1:0"),
            (":80", ":80"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("[2001:db8::1]:80-90", "[2001:db8::1]:80-90"),
            (
                "[2001:db8::1-2001:db8::5]:80",
                "[2001:db8::1-2001:db8::5]:80",
            ),
            ("2001:db8::1-2001:db8::5", "2001:db8::1-2001:db8::5"),
            ("::ffff:1.2.3.4", "::ffff:1.2.3.4"),
        ] {
            let read: NatRange = given.parse().unwrap();
            assert_eq!(read.to_string(), printed);
            assert_eq!(printed.parse(), Ok(read));
        }
        for bad in [
            "",
            ":",
            "10.1.1.1:",
            "10.1.1.1:90-80",
            "10.1.1.1:80/90",
            "10.1.1.1:80-80/90",
            "10.1.1.1:http",
            "10.1.1.1:+80",
            "10.1.1.1-2001:db8::1",
            "[2001:db8::1]80",
            "[2001:db8::1",
            "[2001:db8::1]-[2001:db8::5]:80",
            "host",
        ] {
            assert!(bad.parse::<NatRange>().is_err(), "{bad}");
        }
    }
}
