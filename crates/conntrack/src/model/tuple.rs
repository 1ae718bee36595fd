//! What identifies the packets of a flow.

use std::net::IpAddr;

use netlink_wire::{Family, Protocol};

/// What identifies the packets of one direction of a flow.
///
/// Displays as `conntrack` prints it: `src=10.0.0.1 dst=10.96.0.10 sport=40000 dport=53`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Tuple {
    /// Source address.
    pub source: IpAddr,
    /// Destination address, of the same family; the kernel rejects other tuples.
    pub destination: IpAddr,
    /// IP protocol.
    pub protocol: Protocol,
    /// Ports, or what the protocol has instead.
    pub layer4: Layer4,
    /// The zone of this direction, if it has one of its own.
    pub zone: Option<u16>,
}

/// What distinguishes the flows of one protocol between two addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Layer4 {
    /// Ports; of GRE the keys.
    Ports {
        /// Source port.
        source: u16,
        /// Destination port.
        destination: u16,
    },
    /// A query of ICMP or ICMPv6, with its reply.
    Icmp {
        /// Its type.
        kind: u8,
        /// Its code.
        code: u8,
        /// Its identifier.
        id: u16,
    },
    /// Nothing, or nothing that this crate knows of.
    None,
}

impl Tuple {
    /// Packets in the zone of their flow.
    #[must_use]
    pub const fn new(
        protocol: Protocol,
        source: IpAddr,
        destination: IpAddr,
        layer4: Layer4,
    ) -> Self {
        Self {
            source,
            destination,
            protocol,
            layer4,
            zone: None,
        }
    }

    /// Packets of a protocol with ports, in the zone of their flow.
    #[must_use]
    pub const fn ports(
        protocol: Protocol,
        (source, source_port): (IpAddr, u16),
        (destination, destination_port): (IpAddr, u16),
    ) -> Self {
        let layer4 = Layer4::Ports {
            source: source_port,
            destination: destination_port,
        };
        Self::new(protocol, source, destination, layer4)
    }

    /// The same with a zone of its own.
    #[must_use]
    pub const fn with_zone(mut self, zone: u16) -> Self {
        self.zone = Some(zone);
        self
    }

    /// The family of its addresses.
    #[must_use]
    pub const fn family(&self) -> Family {
        Family::of(self.source)
    }

    /// The source port, if the protocol has ports.
    #[must_use]
    pub const fn source_port(&self) -> Option<u16> {
        match self.layer4 {
            Layer4::Ports { source, .. } => Some(source),
            Layer4::Icmp { .. } | Layer4::None => None,
        }
    }

    /// The destination port, if the protocol has ports.
    #[must_use]
    pub const fn destination_port(&self) -> Option<u16> {
        match self.layer4 {
            Layer4::Ports { destination, .. } => Some(destination),
            Layer4::Icmp { .. } | Layer4::None => None,
        }
    }
}
