//! What an answer is made of. `display` writes it for people.

use std::net::IpAddr;
use std::sync::Arc;

use ipnetwork::IpNetwork;
use ipvs_netlink::{Connections, DestinationId, Protocol, VirtualServerId};

use super::cause::Cause;
use super::question::{At, Question};
use crate::cluster::{Family, Forwarding, ObjectName, ServiceOption, ServiceType, TrafficPolicy};
use crate::layout::Layout;
use crate::translate::NoEffect;

/// The answer to a question.
///
/// Its text is for people; the first line names the cause if something is wrong.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Explanation {
    /// What was asked.
    pub question: Question,
    /// The layout that is programmed.
    pub layout: Layout,
    /// What is wrong, the cause of the rest first. Empty if everything that was asked for is served.
    pub findings: Vec<Finding>,
    /// The Service ports that were asked for, each in each of its families.
    pub ports: Vec<PortAnswer>,
    /// What the kernel should hold for all Services together: settings, rules, chains, routing.
    pub shared: Vec<Part>,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Finding {
    /// The Service and the name of its port, if it is about one.
    pub port: Option<(ObjectName, Arc<str>)>,
    /// The address, protocol and port that do not work, if it is about one of them.
    pub at: Option<VirtualServerId>,
    /// What is wrong.
    pub cause: Cause,
}

impl Finding {
    /// The address, protocol and port as people write them: `10.0.0.10:53/udp`.
    #[must_use]
    pub fn place(&self) -> Option<String> {
        self.at.map(|at| At(at).to_string())
    }
}

impl Frontend {
    /// Address, protocol and port as people write them: `10.0.0.10:53/udp`.
    #[must_use]
    pub fn place(&self) -> String {
        At(self.at).to_string()
    }
}

/// A port of a Service in one address family.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct PortAnswer {
    /// The Service.
    pub service: ObjectName,
    /// The name of the port, empty if it has none.
    pub name: Arc<str>,
    /// TCP, UDP or SCTP.
    pub protocol: Protocol,
    /// The port of the Service's addresses.
    pub number: u16,
    /// The port of the node's addresses, if there is one.
    pub node_port: Option<u16>,
    /// The address family.
    pub family: Family,
    /// `spec.type`.
    pub service_type: ServiceType,
    /// `internalTrafficPolicy`.
    pub internal_policy: TrafficPolicy,
    /// `externalTrafficPolicy`.
    pub external_policy: TrafficPolicy,
    /// With `sessionAffinity: ClientIP`, how many seconds a client stays with its endpoint.
    pub affinity_seconds: Option<u32>,
    /// What the Service's annotations ask for.
    pub options: Vec<OptionAnswer>,
    /// The endpoints that EndpointSlices name for the port.
    pub endpoints: Vec<EndpointAnswer>,
    /// What the kernel should hold for all its addresses, and holds.
    pub parts: Vec<Part>,
    /// The addresses that it is reached at.
    pub frontends: Vec<Frontend>,
}

/// An option that a Service has by annotation.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OptionAnswer {
    /// Which.
    pub option: ServiceOption,
    /// Its value.
    pub value: String,
    /// Why it has no effect on this node, if it has none.
    pub unused: Option<NoEffect>,
}

/// An endpoint of a Service port, as EndpointSlices have it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EndpointAnswer {
    /// Its address and port.
    pub id: DestinationId,
    /// The node that it is on.
    pub node: Option<Arc<str>>,
    /// Whether the endpoint is on this node.
    pub local: bool,
    /// `conditions.ready`.
    pub ready: bool,
    /// `conditions.serving`.
    pub serving: bool,
    /// `conditions.terminating`.
    pub terminating: bool,
    /// Its weight, if its EndpointSlice gives it one.
    pub weight: Option<u16>,
}

/// An address, protocol and port that a Service port is reached at.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Frontend {
    /// Address, protocol and port.
    pub at: VirtualServerId,
    /// What kind of address it is.
    pub kind: FrontendKind,
    /// Whether the Service has it. If not, a finding names what has it.
    pub granted: bool,
    /// The clients that may use it; `None` for everybody. An empty list admits nobody.
    pub source_ranges: Option<Vec<IpNetwork>>,
    /// What the kernel should hold for it, and holds.
    pub parts: Vec<Part>,
    /// What happens to a packet that is sent to it.
    pub paths: Vec<Path>,
}

/// What kind of address a frontend is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum FrontendKind {
    /// A cluster IP.
    ClusterIp,
    /// One of `spec.externalIPs`.
    ExternalIp,
    /// A load balancer's address.
    LoadBalancer,
    /// A node port.
    NodePort,
}

impl FrontendKind {
    /// Its name in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ClusterIp => "ClusterIP",
            Self::ExternalIp => "ExternalIP",
            Self::LoadBalancer => "LoadBalancer",
            Self::NodePort => "NodePort",
        }
    }

    /// Whether `externalTrafficPolicy` is the policy of what is sent there.
    #[must_use]
    pub const fn is_external(self) -> bool {
        !matches!(self, Self::ClusterIp)
    }
}

/// Something that the kernel should hold, written as the tool that shows it writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Part {
    /// By what tool one would program it: as in [`Line::subject`](crate::Line::subject).
    pub subject: &'static str,
    /// What it is, as that tool writes it.
    pub text: String,
    /// What was found of it.
    pub state: PartState,
    /// The connections of a destination that was found.
    pub connections: Option<Connections>,
}

impl PartState {
    /// Its name in JSON.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Present => "present",
            Self::Missing => "missing",
            Self::Differs(_) => "differs",
            Self::Draining => "draining",
            Self::Unwanted => "unwanted",
        }
    }
}

impl Part {
    /// Whether it is as it should be. What drains is not, and does no harm.
    #[must_use]
    pub const fn is_present(&self) -> bool {
        matches!(self.state, PartState::Present)
    }
}

/// What was found in the kernel of something that should be there.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PartState {
    /// It is as it should be.
    Present,
    /// It is missing.
    Missing,
    /// It is there, but not as it should be: this is what was found.
    Differs(String),
    /// It is a destination that gets no new connections and stays for those that it has.
    Draining,
    /// It is there and is not wanted (any more).
    Unwanted,
}

/// What happens to the packets of one kind of client.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Path {
    /// Where they come from.
    pub from: Origin,
    /// What happens, in order. The last step is the one at which packets fail, if they do.
    pub steps: Vec<Step>,
    /// Where it ends.
    pub outcome: Outcome,
}

/// Where a packet comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Origin {
    /// A pod of this node.
    Pod,
    /// This node itself.
    Node,
    /// Another machine.
    Outside,
}

impl Origin {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Pod, Self::Node, Self::Outside];

    /// Its name in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pod => "pod",
            Self::Node => "node",
            Self::Outside => "outside",
        }
    }
}

/// How the way of a packet ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// It reaches an endpoint, and the answer comes back.
    Served,
    /// It is answered with an error (a reset, or an ICMP error): the client knows at once.
    Refused,
    /// It is dropped without an answer: the client waits until it gives up.
    Dropped,
    /// It leaves this node for somewhere else, or reaches the wrong program: nothing here serves it.
    Unserved,
    /// It reaches an endpoint whose answer does not come back through this node.
    Unanswered,
}

impl Outcome {
    /// Its name in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Served => "served",
            Self::Refused => "refused",
            Self::Dropped => "dropped",
            Self::Unserved => "unserved",
            Self::Unanswered => "unanswered",
        }
    }
}

/// What happens to a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// The address is on this link, so that the packet is for this machine.
    Local(IpAddr, Box<str>),
    /// The address is on no link of this machine, so that the packet is routed away.
    NotLocal(IpAddr),
    /// A rule of others, at the INPUT hook, refuses it.
    Input(String),
    /// The packet gets the route mark, by which it is routed to this machine.
    RouteMark {
        /// The mark.
        mark: u32,
        /// Whether the table, its element, the routing rule and the route for that are all in the kernel.
        works: bool,
    },
    /// The packet, to a range of ports, gets the mark by which IPVS knows its virtual server.
    RangeMark {
        /// The mark.
        mark: u32,
        /// Whether all rules that it passes are in the kernel.
        works: bool,
    },
    /// The source ranges let the packet pass.
    InRanges(Vec<IpNetwork>),
    /// Only clients inside the source ranges pass; whether this one is cannot be known.
    RangesDecide(Vec<IpNetwork>),
    /// The source is outside the source ranges; dropped.
    OutOfRanges(Vec<IpNetwork>),
    /// The policy `Local` finds no endpoint on this node; dropped.
    NoLocalEndpoint,
    /// The packet is refused, because there is no endpoint.
    NoEndpoint,
    /// IPVS has no virtual server here; the packet is answered by whatever listens on the port, mostly with a reset.
    NoServer(VirtualServerId),
    /// IPVS has the virtual server, which has no destination that takes new connections; refused.
    NoDestination(VirtualServerId),
    /// IPVS chooses a destination.
    Schedule {
        /// The virtual server.
        server: VirtualServerId,
        /// Its scheduler, as `ipvsadm` names it.
        scheduler: String,
        /// The destinations that take new connections.
        destinations: Vec<DestinationId>,
    },
    /// Rules of iptables choose an endpoint.
    Dnat {
        /// The endpoints.
        destinations: Vec<DestinationId>,
        /// Whether all the rules for that are in the kernel.
        works: bool,
    },
    /// It goes to the endpoint as it is, which answers the client past this node.
    Direct {
        /// How it gets there.
        forwarding: Forwarding,
        /// The Service's address, which the endpoint has to have.
        address: IpAddr,
    },
    /// The source becomes an address of this node, so that the answer comes back here.
    Masquerade,
    /// The same, and it is this one, as the Service asks.
    MasqueradeAs(IpAddr),
    /// The source should become an address of this node, but rules for that are missing.
    NoMasquerade,
    /// The source stays.
    KeepSource,
    /// The source stays though the endpoint is on another node: it answers the client directly, which drops the answer.
    AnswersElsewhere(Vec<DestinationId>),
    /// The source stays, as the Service asks: these endpoints on other nodes must answer the client through this node.
    AnswerThisWay(Vec<DestinationId>),
}
