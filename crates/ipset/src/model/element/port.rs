//! The port parts of an element.

use std::fmt;
use std::str::FromStr;

use netlink_wire::Protocol;

use crate::Error;
use crate::model::element::icmp;
use crate::model::parse_number;

/// A protocol and one port or several in a row (host byte order): `tcp:80`, `udp:100-200`.
///
/// For ICMP and ICMPv6 the port holds the type in its high byte and the code in the low one, and
/// prints as `icmp:echo-request` or `icmp:3/13`. Protocols without ports have port 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ports {
    protocol: Protocol,
    range: PortRange,
}

/// One port or several in a row, in host byte order, running upwards: `80`, `100-200`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortRange {
    first: u16,
    last: u16,
}

impl Ports {
    /// One port.
    #[must_use]
    pub fn new(protocol: Protocol, port: u16) -> Self {
        Self {
            protocol,
            range: port.into(),
        }
    }

    /// Every port from the lower to the higher of the two, both included.
    #[must_use]
    pub fn range(protocol: Protocol, one: u16, other: u16) -> Self {
        Self {
            protocol,
            range: PortRange::new(one, other),
        }
    }

    /// An ICMP (or, with [`Protocol::ICMPV6`], ICMPv6) type and code.
    #[must_use]
    pub fn icmp(protocol: Protocol, icmp_type: u8, code: u8) -> Self {
        Self::new(protocol, u16::from_be_bytes([icmp_type, code]))
    }

    /// The protocol.
    #[must_use]
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// The ports.
    #[must_use]
    pub fn port_range(&self) -> PortRange {
        self.range
    }

    /// Parses what [`Ports`] prints. A port without a protocol is of TCP, as for `ipset`.
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        let Some((protocol, port)) = text.split_once(':') else {
            return PortRange::parse(text).map(|range| Self {
                protocol: Protocol::TCP,
                range,
            });
        };
        let protocol = parse_protocol(protocol)?;
        let table = match protocol {
            Protocol::ICMP => icmp::V4,
            Protocol::ICMPV6 => icmp::V6,
            _ => return PortRange::parse(port).map(|range| Self { protocol, range }),
        };
        let numbers = |text: &str| -> Option<(u8, u8)> {
            let (icmp_type, code) = text.split_once('/')?;
            let byte = |text| u8::try_from(parse_number(text)?).ok();
            Some((byte(icmp_type)?, byte(code)?))
        };
        if let Some((icmp_type, code)) = icmp::by_name(table, port).or_else(|| numbers(port)) {
            return Ok(Self::icmp(protocol, icmp_type, code));
        }
        PortRange::parse(port)
            .ok()
            .filter(|range| range.first != range.last)
            .map(|range| Self { protocol, range })
            .ok_or_else(|| {
                Error::token(
                    "an ICMP type",
                    port,
                    "give a name, as in `echo-request`, or type/code",
                )
            })
    }
}

impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.protocol)?;
        let table = match self.protocol {
            Protocol::ICMP => icmp::V4,
            Protocol::ICMPV6 => icmp::V6,
            _ => return fmt::Display::fmt(&self.range, f),
        };
        if self.range.first != self.range.last {
            return fmt::Display::fmt(&self.range, f);
        }
        let [icmp_type, code] = self.range.first.to_be_bytes();
        match icmp::name(table, icmp_type, code) {
            Some(name) => f.write_str(name),
            None => write!(f, "{icmp_type}/{code}"),
        }
    }
}

impl PortRange {
    /// Every port from the lower to the higher of the two, both included.
    #[must_use]
    pub fn new(one: u16, other: u16) -> Self {
        Self {
            first: one.min(other),
            last: one.max(other),
        }
    }

    /// The lowest port.
    #[must_use]
    pub fn first(&self) -> u16 {
        self.first
    }

    /// The highest port.
    #[must_use]
    pub fn last(&self) -> u16 {
        self.last
    }

    /// Parses what [`PortRange`] prints.
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        let number = |part: &str| -> Result<u16, Error> {
            parse_number(part)
                .and_then(|port| u16::try_from(port).ok())
                .ok_or_else(|| {
                    Error::token(
                        "a port",
                        text,
                        "give a number up to 65535, or two with `-`; service names are not looked up",
                    )
                })
        };
        match text.split_once('-') {
            Some((one, other)) => Ok(Self::new(number(one)?, number(other)?)),
            None => number(text).map(Self::from),
        }
    }

    /// The same, perhaps behind a protocol, which `bitmap:port` has no use for.
    pub(crate) fn parse_with_protocol(text: &str) -> Result<Self, Error> {
        match text.split_once(':') {
            Some((protocol, ports)) => {
                parse_protocol(protocol)?;
                Self::parse(ports)
            }
            None => Self::parse(text),
        }
    }
}

/// A protocol by its name, or by its number as `ipset` reads numbers.
fn parse_protocol(text: &str) -> Result<Protocol, Error> {
    let number = parse_number(text).and_then(|number| u8::try_from(number).ok());
    number
        .map(Protocol)
        .or_else(|| text.parse().ok())
        .ok_or_else(|| {
            Error::token(
                "a protocol",
                text,
                "give its name, as in `tcp`, or its number",
            )
        })
}

impl FromStr for Ports {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::parse(text)
    }
}

impl FromStr for PortRange {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::parse(text)
    }
}

impl From<u16> for PortRange {
    fn from(port: u16) -> Self {
        Self {
            first: port,
            last: port,
        }
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.first)?;
        if self.first != self.last {
            write!(f, "-{}", self.last)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As printed by ipset 7.17.
    #[test]
    fn prints_what_ipset_prints() {
        for (written, printed) in [
            ("tcp:80", "tcp:80"),
            ("80", "tcp:80"),
            ("17:53", "udp:53"),
            ("tcp:90-80", "tcp:80-90"),
            ("icmp:8/0", "icmp:echo-request"),
            ("icmp:ping", "icmp:echo-request"),
            ("icmp:1/2", "icmp:1/2"),
            ("icmp:3/12", "icmp:TOS-host-unreachable"),
            ("icmpv6:1/1", "ipv6-icmp:communication-prohibited"),
            ("icmpv6:200/1", "ipv6-icmp:200/1"),
            ("gre:0", "gre:0"),
            ("200:0", "200:0"),
            ("TCP:80", "tcp:80"),
            ("0x6:0x50", "tcp:80"),
            ("06:0100", "tcp:64"),
            ("tcp:+80", "tcp:80"),
            ("icmp:0x8/0", "icmp:echo-request"),
            (
                "icmpv6:neigbour-solicitation",
                "ipv6-icmp:neighbour-solicitation",
            ),
        ] {
            assert_eq!(Ports::parse(written).unwrap().to_string(), printed);
        }
    }

    #[test]
    fn what_is_no_port_is_refused() {
        for text in [
            "",
            "tcp:",
            "tcp:65536",
            "tcp:-1",
            "icmp:any",
            "icmp:1",
            "nope:1",
            "tcp:http",
            "1-2-3",
            "tcp:080",
            "tcp:[80]",
            "[tcp:80]",
            "256:80",
            "all:80",
        ] {
            assert!(Ports::parse(text).is_err(), "{text:?}");
        }
    }
}
