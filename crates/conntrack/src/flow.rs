//! Flows, and what identifies them.

use std::fmt;
use std::net::IpAddr;

use crate::Protocol;
use crate::uapi::{AF_INET, AF_INET6};

/// Address family of flows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// IPv4.
    Inet,
    /// IPv6.
    Inet6,
}

impl Family {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Inet, Self::Inet6];

    /// The family of an address. An IPv4-mapped IPv6 address is IPv6, as it is to the kernel.
    #[must_use]
    pub const fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::Inet,
            IpAddr::V6(_) => Self::Inet6,
        }
    }

    /// Its number in the header of nfnetlink.
    pub(crate) const fn number(self) -> u8 {
        match self {
            Self::Inet => AF_INET,
            Self::Inet6 => AF_INET6,
        }
    }
}

/// What the packets of one direction have in common.
///
/// Displays as `conntrack` prints it: `src=10.0.0.1 dst=10.96.0.10 sport=40000 dport=53`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tuple {
    /// Address that they come from.
    pub source: IpAddr,
    /// Address that they go to; of the same family, or the kernel refuses the tuple.
    pub destination: IpAddr,
    /// Their protocol.
    pub protocol: Protocol,
    /// What the protocol tells flows apart by.
    pub layer4: Layer4,
    /// The zone of this direction, where it has one of its own.
    pub zone: Option<u16>,
}

/// What a protocol tells the flows between two addresses apart by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Layer4 {
    /// Ports; the keys of GRE.
    Ports {
        /// Port that the packets come from.
        source: u16,
        /// Port that the packets go to.
        destination: u16,
    },
    /// A query of ICMP or ICMPv6.
    Icmp {
        /// Its type.
        kind: u8,
        /// Its code.
        code: u8,
        /// Its identifier.
        id: u16,
    },
    /// Nothing, or nothing that this crate knows.
    None,
}

impl Tuple {
    /// The packets of a protocol with ports, in the zone of their flow.
    #[must_use]
    pub const fn ports(
        protocol: Protocol,
        (source, source_port): (IpAddr, u16),
        (destination, destination_port): (IpAddr, u16),
    ) -> Self {
        Self {
            source,
            destination,
            protocol,
            layer4: Layer4::Ports {
                source: source_port,
                destination: destination_port,
            },
            zone: None,
        }
    }

    /// The port that they come from, if the protocol has ports.
    #[must_use]
    pub const fn source_port(&self) -> Option<u16> {
        match self.layer4 {
            Layer4::Ports { source, .. } => Some(source),
            Layer4::Icmp { .. } | Layer4::None => None,
        }
    }

    /// The port that they go to, if the protocol has ports.
    #[must_use]
    pub const fn destination_port(&self) -> Option<u16> {
        match self.layer4 {
            Layer4::Ports { destination, .. } => Some(destination),
            Layer4::Icmp { .. } | Layer4::None => None,
        }
    }
}

impl fmt::Display for Tuple {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "src={} dst={}", self.source, self.destination)?;
        match self.layer4 {
            Layer4::Ports {
                source,
                destination,
            } if self.protocol == Protocol::GRE => {
                write!(f, " srckey={source:#x} dstkey={destination:#x}")?;
            }
            Layer4::Ports {
                source,
                destination,
            } => write!(f, " sport={source} dport={destination}")?,
            Layer4::Icmp { kind, code, id } => write!(f, " type={kind} code={code} id={id}")?,
            Layer4::None => {}
        }
        match self.zone {
            Some(zone) => write!(f, " zone={zone}"),
            None => Ok(()),
        }
    }
}

/// A flow that the kernel keeps: a connection, or what comes nearest to one.
///
/// Displays as `conntrack` prints it, without counters, marks, states and timeouts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Flow {
    /// The packets of the side that began, as they were before any translation.
    pub original: Tuple,
    /// The packets that come back, as they are before they are translated back: their source is
    /// where the flow was sent.
    pub reply: Tuple,
    /// The zone it is in; 0 is the default.
    pub zone: u16,
    /// Tells it apart from an earlier or later flow with the same tuples.
    pub id: Option<u32>,
}

impl Flow {
    /// A flow in the default zone, of unknown id.
    #[must_use]
    pub const fn new(original: Tuple, reply: Tuple) -> Self {
        Self {
            original,
            reply,
            zone: 0,
            id: None,
        }
    }

    /// Its family.
    #[must_use]
    pub const fn family(&self) -> Family {
        Family::of(self.original.source)
    }
}

impl fmt::Display for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let protocol = self.original.protocol;
        write!(f, "{protocol:<8} {} ", protocol.0)?;
        write!(f, "{} {}", self.original, self.reply)?;
        match self.zone {
            0 => Ok(()),
            zone => write!(f, " zone={zone}"),
        }
    }
}

/// A flow to be deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Target {
    /// Its original tuple.
    pub original: Tuple,
    /// The zone it is in; 0 is the default.
    pub zone: u16,
    /// Deletes no other flow that has come to the same tuple meanwhile.
    pub id: Option<u32>,
}

impl From<&Flow> for Target {
    fn from(flow: &Flow) -> Self {
        Self {
            original: flow.original,
            zone: flow.zone,
            id: flow.id,
        }
    }
}

impl From<Tuple> for Target {
    /// Whatever flow has this original tuple, in the default zone.
    fn from(original: Tuple) -> Self {
        Self {
            original,
            zone: 0,
            id: None,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.original.protocol, self.original)
    }
}
