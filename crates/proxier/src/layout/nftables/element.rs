//! The elements of sets and maps.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};
use std::num::NonZeroU16;

use ipnetwork::IpNetwork;
use ipvs_netlink::{Protocol, VirtualServerId};

use super::SetId;
use crate::cluster::PortRange;

/// A port of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AddressPort {
    /// The address.
    pub address: IpAddr,
    /// The protocol.
    pub protocol: Protocol,
    /// The port.
    pub port: u16,
}

impl AddressPort {
    /// That of a virtual server; `None` of one by firewall mark.
    #[must_use]
    pub const fn of(id: &VirtualServerId) -> Option<Self> {
        match *id {
            VirtualServerId::Address {
                protocol,
                address,
                port,
            } => Some(Self {
                address,
                protocol,
                port,
            }),
            VirtualServerId::FirewallMark { .. } => None,
        }
    }

    /// The virtual server there.
    #[must_use]
    pub const fn server(self) -> VirtualServerId {
        let Self {
            address,
            protocol,
            port,
        } = self;
        VirtualServerId::Address {
            protocol,
            address,
            port,
        }
    }
}

/// A range of ports of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AddressRange {
    /// The address.
    pub address: IpAddr,
    /// The protocol and its ports.
    pub ports: PortRange,
}

impl AddressRange {
    /// The range of one port; `None` for port 0.
    #[must_use]
    pub fn of_port(at: AddressPort) -> Option<Self> {
        let port = NonZeroU16::new(at.port)?;
        Some(Self {
            address: at.address,
            ports: PortRange::new(at.protocol, port, port)?,
        })
    }

    /// Whether two have a port in common.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.address == other.address && self.ports.overlaps(&other.ports)
    }

    /// Whether a port is one of these.
    #[must_use]
    pub fn contains(&self, at: AddressPort) -> bool {
        self.address == at.address && self.ports.contains(at.protocol, at.port)
    }
}

/// A port of those of the node's addresses that node ports are served on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodePort {
    /// The protocol.
    pub protocol: Protocol,
    /// The port.
    pub port: u16,
}

/// What becomes of packets to a Service's port: the set that the port is in.
///
/// "Outside" is what comes neither from a pod of this node, as far as pods are recognized, nor from the node itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// A cluster IP.
    ClusterIp,
    /// An external IP or a load balancer address: what comes from outside is masqueraded.
    External,
    /// The same with `externalTrafficPolicy: Local`: what comes from outside keeps its source and gets the mark that
    /// `service-marks` has for it. Without a mark there, it is dropped: no endpoint is on this node.
    ExternalLocal,
    /// A node port: what comes from outside is masqueraded.
    NodePort,
    /// The same with `externalTrafficPolicy: Local`, with marks in `node-port-marks`.
    NodePortLocal,
    /// Everything is dropped: `internalTrafficPolicy: Local`, and all endpoints are on other nodes.
    Drop,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::ClusterIp,
        Self::External,
        Self::ExternalLocal,
        Self::NodePort,
        Self::NodePortLocal,
        Self::Drop,
    ];

    /// The set of its ports.
    #[must_use]
    pub const fn set(self) -> SetId {
        match self {
            Self::ClusterIp => SetId::Services,
            Self::External => SetId::External,
            Self::ExternalLocal => SetId::ExternalLocal,
            Self::NodePort => SetId::NodePorts,
            Self::NodePortLocal => SetId::NodePortsLocal,
            Self::Drop => SetId::Dropped,
        }
    }

    /// Whether what comes from outside needs a mark to get through.
    #[must_use]
    pub const fn needs_mark(self) -> bool {
        matches!(self, Self::ExternalLocal | Self::NodePortLocal)
    }
}

/// An element of one of the proxy's sets and maps.
///
/// They sort by their set, and within a map by key first: of several elements with one key, the least is in the map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Element {
    /// Clients of this network may use the port.
    SourceRange(AddressPort, IpNetwork),
    /// Clients of this network may use the ranges of a mark at the address.
    RangeSource(IpAddr, u32, IpNetwork),
    /// Only clients in its source ranges may use the port.
    Firewalled(AddressPort),
    /// The same of the ranges of a mark at the address.
    RangeFirewalled(IpAddr, u32),
    /// The port has no endpoint: new connections are refused.
    Refused(AddressPort),
    /// The same of the ranges of a mark.
    RangeRefused(u32),
    /// An endpoint on this node: what it sends to itself, through a Service, is masqueraded.
    Hairpin(IpAddr),
    /// What comes in to the port keeps its source.
    SourceKept(AddressPort),
    /// The same of a node port.
    NodePortSourceKept(NodePort),
    /// The same of the ranges of a mark.
    RangeSourceKept(u32),
    /// The port is a cluster IP's: everything to it is masqueraded.
    Masqueraded(AddressPort),
    /// The same of the ranges of a mark.
    RangeMasqueraded(u32),
    /// What goes to the port and is masqueraded gets this source.
    MasqueradeAddress(AddressPort, IpAddr),
    /// The same of the ranges of a mark.
    RangeMasqueradeAddress(u32, IpAddr),
    /// A cluster IP: ports that no Service has are refused.
    ClusterIp(IpAddr),
    /// An address of this node that node ports are served on.
    NodeAddress(IpAddr),
    /// The mark that packets from outside get.
    ServiceMark(AddressPort, u32),
    /// The same for a node port.
    NodePortMark(NodePort, u32),
    /// The same for the ranges of a mark.
    RangeLocalMark(u32, u32),
    /// Everything new to the ranges of a mark is dropped: `internalTrafficPolicy: Local`, and all endpoints are on other
    /// nodes.
    RangeDropped(u32),
    /// The ranges of a mark have `externalTrafficPolicy: Local`, except at cluster IPs.
    RangeLocal(u32),
    /// A port of a Service's address.
    Service(AddressPort, Kind),
    /// A node port.
    NodePort(NodePort, Kind),
    /// The mark of ranges that packets to a port get which is served together with them.
    PortMark(AddressPort, u32),
    /// The mark that packets to a range of ports get.
    RangeMark(AddressRange, u32),
    /// An address that has ranges of ports, or ports that are served together with them.
    RangeAddress(IpAddr),
    /// What goes to the node port at a loopback address and draws this slot ([`LOOPBACK_SLOTS`](super::LOOPBACK_SLOTS)) goes
    /// to the endpoint.
    LoopbackEndpoint(NodePort, u8, SocketAddrV4),
    /// The node port is served at loopback addresses: what has no endpoint there is refused.
    LoopbackPort(NodePort),
}

impl Element {
    /// The least of those in sets that are optional ([`SetId::is_optional`]), which are one after the other.
    pub(crate) const FIRST_OPTIONAL: Self = Self::MasqueradeAddress(
        AddressPort {
            address: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            protocol: Protocol(0),
            port: 0,
        },
        IpAddr::V4(Ipv4Addr::UNSPECIFIED),
    );

    /// The set or map that it is in.
    #[must_use]
    pub const fn set(&self) -> SetId {
        match self {
            Self::SourceRange(..) => SetId::SourceRanges,
            Self::RangeSource(..) => SetId::RangeSources,
            Self::Firewalled(_) => SetId::Firewalled,
            Self::RangeFirewalled(..) => SetId::RangeFirewalled,
            Self::Refused(_) => SetId::Refused,
            Self::RangeRefused(_) => SetId::RangeRefused,
            Self::Hairpin(_) => SetId::Hairpin,
            Self::SourceKept(_) => SetId::SourceKept,
            Self::NodePortSourceKept(_) => SetId::NodePortsSourceKept,
            Self::RangeSourceKept(_) => SetId::RangeSourceKept,
            Self::Masqueraded(_) => SetId::Masqueraded,
            Self::RangeMasqueraded(_) => SetId::RangeMasqueraded,
            Self::MasqueradeAddress(..) => SetId::MasqueradeAddresses,
            Self::RangeMasqueradeAddress(..) => SetId::RangeMasqueradeAddresses,
            Self::ClusterIp(_) => SetId::ClusterIps,
            Self::NodeAddress(_) => SetId::NodeAddresses,
            Self::ServiceMark(..) => SetId::ServiceMarks,
            Self::NodePortMark(..) => SetId::NodePortMarks,
            Self::RangeLocalMark(..) => SetId::RangeLocalMarks,
            Self::RangeDropped(_) => SetId::RangeDropped,
            Self::RangeLocal(_) => SetId::RangeLocal,
            Self::PortMark(..) => SetId::PortMarks,
            Self::RangeMark(..) => SetId::RangeMarks,
            Self::RangeAddress(_) => SetId::RangeAddresses,
            Self::LoopbackEndpoint(..) => SetId::LoopbackEndpoints,
            Self::LoopbackPort(_) => SetId::LoopbackPorts,
            Self::Service(_, kind) | Self::NodePort(_, kind) => kind.set(),
        }
    }

    /// The same without what a map has for it: what it is known by in its set.
    #[must_use]
    pub(crate) const fn place(&self) -> Self {
        const ANY: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        match *self {
            Self::MasqueradeAddress(at, _) => Self::MasqueradeAddress(at, ANY),
            Self::RangeMasqueradeAddress(of, _) => Self::RangeMasqueradeAddress(of, ANY),
            Self::ServiceMark(at, _) => Self::ServiceMark(at, 0),
            Self::NodePortMark(at, _) => Self::NodePortMark(at, 0),
            Self::RangeLocalMark(of, _) => Self::RangeLocalMark(of, 0),
            Self::PortMark(at, _) => Self::PortMark(at, 0),
            Self::RangeMark(at, _) => Self::RangeMark(at, 0),
            Self::LoopbackEndpoint(at, slot, _) => {
                Self::LoopbackEndpoint(at, slot, SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0))
            }
            other => other,
        }
    }

    /// The same without what a map has for it, or without its kind: equal for elements of which a table has but one, though
    /// those of two kinds are in two sets.
    #[must_use]
    pub const fn key(&self) -> Self {
        match *self {
            Self::Service(at, _) => Self::Service(at, Kind::ClusterIp),
            Self::NodePort(at, _) => Self::NodePort(at, Kind::ClusterIp),
            other => other.place(),
        }
    }

    /// Of elements that are sorted, whether any is in a set that a table has only as long as it has elements.
    pub(crate) fn any_optional(sorted: &[Self]) -> bool {
        let from = sorted.partition_point(|element| *element < Self::FIRST_OPTIONAL);
        let first = sorted.get(from);
        first.is_some_and(|element| element.set().is_optional())
    }

    /// The mark that a map has for its key.
    #[must_use]
    pub const fn mark(&self) -> Option<u32> {
        match self {
            Self::ServiceMark(_, mark)
            | Self::NodePortMark(_, mark)
            | Self::RangeLocalMark(_, mark)
            | Self::PortMark(_, mark)
            | Self::RangeMark(_, mark) => Some(*mark),
            _ => None,
        }
    }
}

/// As `nft` writes it, without its set: `10.96.0.1 . tcp . 443`.
impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SourceRange(at, source) => write!(f, "{at} . {source}"),
            Self::Firewalled(at)
            | Self::Refused(at)
            | Self::SourceKept(at)
            | Self::Masqueraded(at)
            | Self::Service(at, _) => write!(f, "{at}"),
            Self::Hairpin(address) => write!(f, "{address} . {address}"),
            Self::ClusterIp(address) | Self::NodeAddress(address) | Self::RangeAddress(address) => {
                write!(f, "{address}")
            }
            Self::RangeSource(address, mark, source) => {
                write!(f, "{address} . {mark:#010x} . {source}")
            }
            Self::RangeFirewalled(address, mark) => write!(f, "{address} . {mark:#010x}"),
            Self::RangeRefused(mark)
            | Self::RangeDropped(mark)
            | Self::RangeLocal(mark)
            | Self::RangeSourceKept(mark)
            | Self::RangeMasqueraded(mark) => write!(f, "{mark:#010x}"),
            Self::MasqueradeAddress(at, source) => write!(f, "{at} : {source}"),
            Self::RangeMasqueradeAddress(of, source) => write!(f, "{of:#010x} : {source}"),
            Self::RangeLocalMark(of, mark) => write!(f, "{of:#010x} : {mark:#010x}"),
            Self::RangeMark(at, mark) => write!(f, "{at} : {mark:#010x}"),
            Self::ServiceMark(at, mark) | Self::PortMark(at, mark) => {
                write!(f, "{at} : {mark:#010x}")
            }
            Self::NodePortMark(at, mark) => write!(f, "{at} : {mark:#010x}"),
            Self::NodePort(at, _) | Self::NodePortSourceKept(at) | Self::LoopbackPort(at) => {
                write!(f, "{at}")
            }
            Self::LoopbackEndpoint(at, slot, to) => {
                write!(f, "{at} . {slot} : {} . {}", to.ip(), to.port())
            }
        }
    }
}

impl fmt::Display for AddressPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            address,
            protocol,
            port,
        } = self;
        write!(f, "{address} . {protocol} . {port}")
    }
}

impl fmt::Display for AddressRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, ports } = self;
        let (first, last) = (ports.first(), ports.last());
        write!(f, "{address} . {} . {first}-{last}", ports.protocol())
    }
}

impl fmt::Display for NodePort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} . {}", self.protocol, self.port)
    }
}

/// Sorts elements and keeps the least of each key.
pub(crate) fn least_of_each_key(elements: &mut Vec<Element>) {
    elements.sort_unstable();
    elements.dedup_by_key(|element| element.key());
}

#[cfg(test)]
mod tests;
