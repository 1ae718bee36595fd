//! What Services claim and do not get.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use ipvs_netlink::VirtualServerId;

use crate::cluster::{Family, ObjectName, annotation};

/// A virtual server that a Service port claims and does not get, since its address and port, or its address, belong
/// to something else.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct Conflict {
    /// The Service that goes without.
    pub service: ObjectName,
    /// The name of its port; of a range of ports the range, such as `10000-20000/udp`.
    pub port: Arc<str>,
    /// The address family.
    pub family: Family,
    /// What was claimed; of a range its first port.
    pub server: VirtualServerId,
    /// What has it.
    pub holder: Holder,
}

/// What has the virtual server, or its address, that a Service claims.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Holder {
    /// A Service whose cluster IP it is. A cluster IP comes before every other claim, whatever the age.
    ClusterIp(ObjectName),
    /// A Service that is older, or first by name. A Service can be in its own way with another of its ports.
    Service(ObjectName),
    /// The API server that the proxy talks to.
    ApiServer,
    /// Another Node, whose address it is.
    Node(Box<str>),
    /// An endpoint, whose address it is: one of this EndpointSlice.
    Endpoint(ObjectName),
    /// Other Service ports have all the firewall marks there are ([`Layout::Nftables`](crate::Layout::Nftables)). The
    /// virtual server is granted, but with all endpoints, as if `externalTrafficPolicy` were `Cluster`.
    OtherMarks,
    /// The same, of a range of ports: it is not served, since only a virtual server by mark could serve it.
    AllMarks,
    /// The forwarding that the Service asks for cannot be had. The virtual server is granted, and masquerades.
    Forwarding(NotForwarded),
    /// The port cannot choose endpoints together with the Service's other ports, as it asks for
    /// ([`AffinityScope::AllPorts`](crate::cluster::AffinityScope::AllPorts)). The virtual server is granted, and chooses by itself.
    Affinity(NotShared),
}

/// Why something goes without, for want of a mark, and what to do.
const NO_MARK: &str =
    "no firewall mark is left; give the mask of Services' marks (ipvs.serviceMarks) more bits";

/// Why a port of a Service chooses endpoints by itself, though the Service asks for one choice for all its ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum NotShared {
    /// An endpoint has this port, which is not the Service's: IPVS does not translate ports where one choice is for several.
    TargetPort(u16),
    /// Not all endpoints of the Service serve it.
    Endpoints,
    /// Other Service ports have all the firewall marks there are.
    NoMark,
}

impl fmt::Display for NotShared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TargetPort(port) => write!(
                f,
                "an endpoint has port {port}, and IPVS translates no ports where several share a choice; make targetPort the \
                 same as port"
            ),
            Self::Endpoints => f.write_str(
                "not all endpoints of the Service serve this port; list the port in all its EndpointSlices",
            ),
            Self::NoMark => f.write_str(NO_MARK),
        }
    }
}

/// Why packets from outside are masqueraded though the Service asks for another
/// [`Forwarding`](crate::cluster::Forwarding).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum NotForwarded {
    /// An endpoint has this port, which is not the Service's: IPVS translates ports only where it masquerades.
    TargetPort(u16),
    /// Other Service ports have all the firewall marks there are.
    NoMark,
    /// It is a port of a range: its virtual server is for pods and the node too, and masquerades.
    Range,
}

impl fmt::Display for NotForwarded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TargetPort(port) => write!(
                f,
                "an endpoint has port {port}, and IPVS translates ports only where it masquerades; make targetPort the \
                 same as port"
            ),
            Self::Range => f.write_str(
                "ranges of ports (kube-proxier/ports) have one virtual server for everybody, which masquerades; list the \
                 port in spec.ports",
            ),
            Self::NoMark => f.write_str(NO_MARK),
        }
    }
}

impl Holder {
    /// Whether the Service has the virtual server all the same, though not as it asks for.
    #[must_use]
    pub const fn grants(&self) -> bool {
        matches!(
            self,
            Self::OtherMarks | Self::Forwarding(_) | Self::Affinity(_)
        )
    }

    /// The Service that has it, where a Service has it.
    #[must_use]
    pub const fn service(&self) -> Option<&ObjectName> {
        match self {
            Self::ClusterIp(service) | Self::Service(service) => Some(service),
            Self::ApiServer
            | Self::Node(_)
            | Self::Endpoint(_)
            | Self::OtherMarks
            | Self::Forwarding(_)
            | Self::Affinity(_)
            | Self::AllMarks => None,
        }
    }
}

impl Conflict {
    /// The address that was claimed.
    #[must_use]
    pub const fn address(&self) -> Option<IpAddr> {
        match self.server {
            VirtualServerId::Address { address, .. } => Some(address),
            VirtualServerId::FirewallMark { .. } => None,
        }
    }
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            service,
            port,
            server,
            holder,
            ..
        } = self;
        if *holder == Holder::OtherMarks {
            return write!(
                f,
                "Service {service}, port {port:?}, has all its endpoints at {server}, not only those on this node as \
                 externalTrafficPolicy asks for: no firewall mark is left, give the mask of Services' marks more bits"
            );
        }
        if let Holder::Forwarding(why) = holder {
            return write!(
                f,
                "Service {service}, port {port:?}, is masqueraded at {server}, not forwarded as the annotation {} asks \
                 for: {why}",
                annotation::FORWARDING
            );
        }
        if let Holder::Affinity(why) = holder {
            return write!(
                f,
                "Service {service}, port {port:?}, chooses endpoints at {server} by itself, not together with the Service's \
                 other ports as the annotation {} asks for: {why}",
                annotation::AFFINITY
            );
        }
        write!(
            f,
            "Service {service}, port {port:?}, does not get {server}: "
        )?;
        match holder {
            Holder::ClusterIp(holder) => write!(f, "it is the cluster IP of Service {holder}"),
            Holder::Service(holder) => write!(f, "the older Service {holder} has it"),
            Holder::ApiServer => f.write_str("the address is the API server's"),
            Holder::Node(node) => write!(f, "the address is that of Node {node}"),
            Holder::Endpoint(slice) => {
                write!(
                    f,
                    "the address is that of an endpoint in EndpointSlice {slice}"
                )
            }
            Holder::Forwarding(why) => why.fmt(f),
            Holder::Affinity(why) => why.fmt(f),
            Holder::OtherMarks | Holder::AllMarks => {
                f.write_str("no firewall mark is left, give the mask of Services' marks more bits")
            }
        }
    }
}

/// A conflict that began or ended, as [`Engine::conflict_changes`](crate::Engine::conflict_changes) reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConflictChange {
    /// The Service does not get what it claims.
    Began(Conflict),
    /// The Service has it now, or claims it no longer, or something else has it (which is another conflict).
    Ended(Conflict),
}
