//! What can be wrong.

use std::net::IpAddr;
use std::sync::Arc;

use ipnetwork::IpNetwork;
use ipvs_netlink::{DestinationId, Protocol, VirtualServerId};

use super::Flow;
use crate::cluster::{EndpointPort, Family, ObjectName};
use crate::conflict::Conflict;
use crate::layout::Layout;
use crate::layout::nftables::AddressPort;
use crate::settings::Sysctl;

/// Why something is not served, or not to everybody.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Cause {
    /// The API server does not answer, so that what the node programs may be out of date.
    ApiAway(Box<str>),
    /// No Service has this name.
    NoSuchService {
        /// The name.
        name: ObjectName,
        /// Services of a like name.
        nearest: Vec<ObjectName>,
    },
    /// The Service has no such port.
    NoSuchPort {
        /// What was asked for.
        port: Box<str>,
        /// The ports that it has: name and number.
        ports: Vec<(Arc<str>, u16)>,
    },
    /// The proxy leaves the Service alone.
    NotProxied(NotProxied),
    /// No Service has the address and port.
    Nobody {
        /// What was asked for.
        at: AddressPort,
        /// The nearest that Services have: of the same address, else of the same port.
        nearest: Vec<Nearest>,
        /// Whether the kernel has a virtual server there all the same.
        server: bool,
    },
    /// The port of a loopback address is the node port of a Service, and node ports are not served there.
    LoopbackNodePort {
        /// What was asked for.
        at: AddressPort,
        /// The Service.
        service: ObjectName,
        /// Why.
        why: NoLoopback,
    },
    /// Something else has the address and port, or the address.
    Conflict(Conflict),
    /// EndpointSlices of the Service name no port that belongs to the Service's port.
    WrongPortName {
        /// The name of the Service's port.
        name: Arc<str>,
        /// Its protocol.
        protocol: Protocol,
        /// An EndpointSlice.
        slice: ObjectName,
        /// The ports in EndpointSlices of the Service.
        found: Vec<EndpointPort>,
    },
    /// No endpoint can be used.
    NoEndpoint(NoEndpoint),
    /// A policy is `Local`, and no endpoint is on this node.
    NoLocalEndpoint {
        /// Whether it is `externalTrafficPolicy`.
        external: bool,
        /// Whether it keeps what does not come from outside from being served too.
        everybody: bool,
        /// How many endpoints there are on other nodes.
        elsewhere: usize,
    },
    /// The client is outside the source ranges, or the ranges admit nobody.
    SourceRanges {
        /// The client.
        client: Option<IpAddr>,
        /// The ranges.
        ranges: Vec<IpNetwork>,
    },
    /// IPVS lacks the virtual server.
    NoServer(VirtualServerId),
    /// The virtual server has no destination.
    NoDestination {
        /// The virtual server.
        server: VirtualServerId,
        /// How many it should have.
        wanted: usize,
    },
    /// All destinations have weight 0.
    AllWeightsZero {
        /// The virtual server.
        server: VirtualServerId,
        /// Its destinations.
        destinations: Vec<DestinationId>,
        /// Whether EndpointSlices ask for that, by annotation.
        asked: bool,
    },
    /// The virtual server has other destinations, weights or settings than it should.
    ServerDiffers {
        /// The virtual server.
        server: VirtualServerId,
        /// What is missing, other or too much.
        parts: Vec<String>,
    },
    /// Flows of UDP go on to where they went before, which is no endpoint any more.
    StaleFlows {
        /// The virtual server.
        server: VirtualServerId,
        /// The flows.
        flows: Vec<Flow>,
    },
    /// A cluster IP is on another link than the proxy's.
    AnotherLink {
        /// The address.
        address: IpAddr,
        /// The link.
        link: Box<str>,
    },
    /// The address is not on the proxy's link.
    NotBound {
        /// The address.
        address: IpAddr,
        /// Whether there is a link of the proxy's at all.
        link: bool,
    },
    /// Rules, or chains, of the proxy's are missing from iptables.
    Rules {
        /// The address family.
        family: Family,
        /// What is missing: jumps from built-in chains first.
        missing: Vec<String>,
    },
    /// A rule of others refuses every packet to the address before IPVS has it.
    Input {
        /// The address family.
        family: Family,
        /// The rule of the filter table, as `iptables-save` prints it.
        rule: String,
    },
    /// The proxy's table of nf_tables is missing or has other chains, rules and sets than it should.
    Table {
        /// The address family.
        family: Family,
        /// Whether there is one.
        found: bool,
    },
    /// Members of the proxy's sets, or elements of its table, are missing.
    Members(Vec<String>),
    /// The routing rule or the route by which marked packets are local is missing.
    Routing(Vec<String>),
    /// A kernel setting has another value than it should.
    Sysctl {
        /// Which.
        sysctl: Sysctl,
        /// The value that it should have.
        wanted: i64,
        /// The value that it has, if it is there.
        found: Option<i64>,
    },
}

/// Why the proxy leaves a Service alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum NotProxied {
    /// Its label gives it to another proxy.
    OtherProxy,
    /// Its type is `ExternalName`.
    ExternalName,
    /// It is headless.
    Headless,
    /// It has no ports.
    NoPorts,
    /// It has IPv6 addresses alone, and the node does not serve IPv6.
    NoIpv6,
}

/// Why node ports are not served at a loopback address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum NoLoopback {
    /// `iptables.localhostNodePorts` does not ask for it.
    NotAsked,
    /// `nodePortAddresses` leaves the address out.
    Addresses,
    /// The layout cannot.
    Layout(Layout),
    /// The kernel does not route loopback addresses of IPv6.
    Ipv6,
}

/// Why no endpoint can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum NoEndpoint {
    /// No EndpointSlice of the family belongs to the Service.
    NoSlice(Family),
    /// The EndpointSlices have no endpoints.
    Empty,
    /// There are this many, and none of them is ready.
    NotReady(usize),
}

/// A port that a Service has, near to one that no Service has.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Nearest {
    /// Address, protocol and port.
    pub at: AddressPort,
    /// The Service.
    pub service: ObjectName,
}

impl Nearest {
    pub(super) const fn new(at: AddressPort, service: ObjectName) -> Self {
        Self { at, service }
    }
}

impl Cause {
    /// Which of several causes comes first: those that the others follow from.
    #[must_use]
    pub(super) const fn rank(&self) -> u8 {
        match self {
            Self::ApiAway(_) => 0,
            Self::NoSuchService { .. }
            | Self::NoSuchPort { .. }
            | Self::NotProxied(_)
            | Self::Nobody { .. }
            | Self::LoopbackNodePort { .. } => 1,
            Self::WrongPortName { .. } => 2,
            Self::NoEndpoint(_) => 3,
            Self::NoServer(_) => 4,
            Self::NoDestination { .. } | Self::AllWeightsZero { .. } => 5,
            Self::AnotherLink { .. } => 6,
            Self::NotBound { .. } => 7,
            Self::Table { .. } => 8,
            Self::Rules { .. } => 9,
            Self::Input { .. } => 10,
            Self::Routing(_) => 11,
            Self::Members(_) => 12,
            Self::SourceRanges { .. } => 13,
            Self::NoLocalEndpoint { .. } => 14,
            Self::Conflict(_) => 15,
            Self::StaleFlows { .. } => 16,
            Self::ServerDiffers { .. } => 17,
            Self::Sysctl { .. } => 18,
        }
    }

    /// What the cause is called in JSON.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::ApiAway(_) => "ApiAway",
            Self::NoSuchService { .. } => "NoSuchService",
            Self::NoSuchPort { .. } => "NoSuchPort",
            Self::NotProxied(_) => "NotProxied",
            Self::Nobody { .. } => "Nobody",
            Self::LoopbackNodePort { .. } => "LoopbackNodePort",
            Self::Conflict(_) => "Conflict",
            Self::WrongPortName { .. } => "WrongPortName",
            Self::NoEndpoint(_) => "NoEndpoint",
            Self::NoLocalEndpoint { .. } => "NoLocalEndpoint",
            Self::SourceRanges { .. } => "SourceRanges",
            Self::NoServer(_) => "NoServer",
            Self::NoDestination { .. } => "NoDestination",
            Self::AllWeightsZero { .. } => "AllWeightsZero",
            Self::ServerDiffers { .. } => "ServerDiffers",
            Self::StaleFlows { .. } => "StaleFlows",
            Self::AnotherLink { .. } => "AnotherLink",
            Self::NotBound { .. } => "NotBound",
            Self::Rules { .. } => "Rules",
            Self::Input { .. } => "Input",
            Self::Table { .. } => "Table",
            Self::Members(_) => "Members",
            Self::Routing(_) => "Routing",
            Self::Sysctl { .. } => "Sysctl",
        }
    }
}
