//! The sets and maps of a table.

use nftables_netlink::expression::NumgenKind;
use nftables_netlink::{DataType, Set, TypeOf};

use super::{LOOPBACK_SLOTS, name, table};
use crate::cluster::Family;

/// A set or map of the table.
///
/// What becomes of packets to a port is told by the set that the port is in, not by a verdict in a map: for one new verdict
/// that leads to a chain the kernel checks the whole table and walks all elements (163 ms for one element among 200,000).
///
/// In the order in which elements are added: what lets packets pass before what holds them back, marks before what
/// needs them, and what makes a port reachable last. They are removed the other way round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum SetId {
    /// The clients allowed to load balancer addresses and ports that are firewalled.
    SourceRanges,
    /// The clients allowed to ranges of ports that are firewalled, by address and mark.
    RangeSources,
    /// Load balancer addresses and ports with `loadBalancerSourceRanges`.
    Firewalled,
    /// Load balancer addresses and marks of ranges with `loadBalancerSourceRanges`.
    RangeFirewalled,
    /// Ports of addresses without any endpoint: new connections are refused. IPVS cannot, since its ICMP errors would come
    /// from an address that is not the node's.
    Refused,
    /// Marks of ranges without any endpoint.
    RangeRefused,
    /// Sources and destinations of traffic that returns to its sender: this node's endpoints, each with itself.
    Hairpin,
    /// Ports of addresses to which what comes in keeps its source.
    SourceKept,
    /// The same of node ports, by protocol and port.
    NodePortsSourceKept,
    /// The same of ranges, by mark.
    RangeSourceKept,
    /// Ports of cluster IPs to which everything is masqueraded.
    Masqueraded,
    /// The same of ranges, by mark.
    RangeMasqueraded,
    /// Map: which address of the node is the source of what is masqueraded, by the address, protocol and port that a
    /// connection was made to.
    MasqueradeAddresses,
    /// Map: the same of ranges, by mark.
    RangeMasqueradeAddresses,
    /// Cluster IPs.
    ClusterIps,
    /// The node's addresses that node ports are served on.
    NodeAddresses,
    /// Map: which mark what comes from outside gets, by address, protocol and port.
    ServiceMarks,
    /// Map: the same by protocol and node port.
    NodePortMarks,
    /// Map: the same by the mark of ranges.
    RangeLocalMarks,
    /// Marks of ranges from which everything new is dropped.
    RangeDropped,
    /// Marks of ranges with `externalTrafficPolicy: Local`.
    RangeLocal,
    /// Ports from which everything is dropped ([`Kind::Drop`](super::Kind::Drop)).
    Dropped,
    /// Ports of cluster IPs.
    Services,
    /// Ports of external IPs and load balancer addresses.
    External,
    /// The same with `externalTrafficPolicy: Local`.
    ExternalLocal,
    /// Node ports, by protocol and port.
    NodePorts,
    /// The same with `externalTrafficPolicy: Local`.
    NodePortsLocal,
    /// Map: which mark of ranges packets get, by address, protocol and port: those of ports that are served together with
    /// ranges.
    PortMarks,
    /// Map: which mark packets get, by address, protocol and range of ports.
    RangeMarks,
    /// Addresses with any of these: other packets are spared the search among them.
    RangeAddresses,
    /// Map: the endpoint that packets to a node port at a loopback address go to, by protocol, port and slot.
    LoopbackEndpoints,
    /// Node ports that are served at loopback addresses.
    LoopbackPorts,
}

impl SetId {
    /// All of them.
    pub const ALL: [Self; 32] = [
        Self::SourceRanges,
        Self::RangeSources,
        Self::Firewalled,
        Self::RangeFirewalled,
        Self::Refused,
        Self::RangeRefused,
        Self::Hairpin,
        Self::SourceKept,
        Self::NodePortsSourceKept,
        Self::RangeSourceKept,
        Self::Masqueraded,
        Self::RangeMasqueraded,
        Self::MasqueradeAddresses,
        Self::RangeMasqueradeAddresses,
        Self::ClusterIps,
        Self::NodeAddresses,
        Self::ServiceMarks,
        Self::NodePortMarks,
        Self::RangeLocalMarks,
        Self::RangeDropped,
        Self::RangeLocal,
        Self::Dropped,
        Self::Services,
        Self::External,
        Self::ExternalLocal,
        Self::NodePorts,
        Self::NodePortsLocal,
        Self::PortMarks,
        Self::RangeMarks,
        Self::RangeAddresses,
        Self::LoopbackEndpoints,
        Self::LoopbackPorts,
    ];

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SourceRanges => "source-ranges",
            Self::RangeSources => "range-sources",
            Self::RangeFirewalled => "range-firewalled",
            Self::RangeRefused => "range-refused",
            Self::RangeLocalMarks => "range-local-marks",
            Self::RangeDropped => "range-dropped",
            Self::RangeLocal => "range-local",
            Self::PortMarks => "port-marks",
            Self::RangeMarks => "range-marks",
            Self::RangeAddresses => "range-addresses",
            Self::Firewalled => "firewalled",
            Self::Refused => "refused",
            Self::Hairpin => "hairpin",
            Self::SourceKept => "source-kept",
            Self::NodePortsSourceKept => "node-ports-source-kept",
            Self::RangeSourceKept => "range-source-kept",
            Self::Masqueraded => "masqueraded",
            Self::RangeMasqueraded => "range-masqueraded",
            Self::MasqueradeAddresses => "masquerade-addresses",
            Self::RangeMasqueradeAddresses => "range-masquerade-addresses",
            Self::ClusterIps => "cluster-ips",
            Self::NodeAddresses => "node-addresses",
            Self::ServiceMarks => "service-marks",
            Self::NodePortMarks => "node-port-marks",
            Self::Dropped => "dropped",
            Self::Services => "services",
            Self::External => "external",
            Self::ExternalLocal => "external-local",
            Self::NodePorts => "node-ports",
            Self::NodePortsLocal => "node-ports-local",
            Self::LoopbackEndpoints => "loopback-endpoints",
            Self::LoopbackPorts => "loopback-ports",
        }
    }

    /// Whether a table has it only as long as it has elements
    /// ([`TableRules::masquerade_addresses`](super::TableRules::masquerade_addresses)).
    #[must_use]
    pub const fn is_optional(self) -> bool {
        matches!(
            self,
            Self::MasqueradeAddresses | Self::RangeMasqueradeAddresses
        )
    }

    /// Whether a table has it only where node ports are served at loopback addresses
    /// ([`TableRules::loopback`](super::TableRules::loopback)).
    #[must_use]
    pub const fn is_of_loopback(self) -> bool {
        matches!(self, Self::LoopbackEndpoints | Self::LoopbackPorts)
    }

    /// The set of a name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|id| id.as_str() == name)
    }

    /// How it is made.
    #[must_use]
    pub fn spec(self, family: Family) -> Set {
        use DataType as T;
        let address = match family {
            Family::V4 => T::IPV4_ADDR,
            Family::V6 => T::IPV6_ADDR,
        };
        let service = [address, T::INET_PROTO, T::INET_SERVICE];
        let make = |key: &[DataType]| Set::new(family, table(), name(self.as_str()), key);
        match self {
            Self::SourceRanges => {
                make(&[address, T::INET_PROTO, T::INET_SERVICE, address]).intervals()
            }
            Self::RangeSources => make(&[address, T::MARK, address]).intervals(),
            Self::RangeFirewalled => make(&[address, T::MARK]),
            Self::RangeRefused
            | Self::RangeDropped
            | Self::RangeLocal
            | Self::RangeSourceKept
            | Self::RangeMasqueraded => make(&[T::MARK]),
            Self::RangeLocalMarks => make(&[T::MARK]).map_to(T::MARK),
            Self::MasqueradeAddresses => make(&service).map_to(address),
            Self::RangeMasqueradeAddresses => make(&[T::MARK]).map_to(address),
            Self::RangeMarks => make(&service).intervals().map_to(T::MARK),
            Self::Firewalled
            | Self::Refused
            | Self::SourceKept
            | Self::Masqueraded
            | Self::Dropped
            | Self::Services
            | Self::External
            | Self::ExternalLocal => make(&service),
            Self::Hairpin => make(&[address, address]),
            Self::ClusterIps | Self::NodeAddresses | Self::RangeAddresses => make(&[address]),
            Self::ServiceMarks | Self::PortMarks => make(&service).map_to(T::MARK),
            Self::NodePortMarks => make(&[T::INET_PROTO, T::INET_SERVICE]).map_to(T::MARK),
            // The number of a slot has no type with a name.
            Self::LoopbackEndpoints => {
                let slot = TypeOf::Numgen(NumgenKind::RANDOM, LOOPBACK_SLOTS.into());
                let key = [TypeOf::L4Proto, TypeOf::ThDport, slot];
                Set::of_typeof(family, table(), name(self.as_str()), &key)
                    .map_to_typeof(&[TypeOf::IpDaddr, TypeOf::ThDport])
            }
            Self::NodePorts
            | Self::NodePortsLocal
            | Self::NodePortsSourceKept
            | Self::LoopbackPorts => make(&[T::INET_PROTO, T::INET_SERVICE]),
        }
    }
}
