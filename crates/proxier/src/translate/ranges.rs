//! Ranges of ports of a Service, in the layouts of ipvs mode.
//!
//! All ranges of a Service have one virtual server, by firewall mark, whose destinations have port 0: IPVS keeps the port
//! that a packet was sent to. Where a policy is `Local` there is one more for whom the policy is about. What sets the mark is
//! made here for layout `nftables`, and for the others in [`marked_ranges`](super::marked_ranges).

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;

use ipnetwork::IpNetwork;
use ipvs_netlink::{Destination, Protocol, VirtualServerConfig, VirtualServerId};

use super::affinity;
use super::claim::{Claim, Precedence, ServiceClaims};
use super::claims::Context;
use super::endpoints::Endpoints;
use super::forwarding::has_address;
use super::{marked_ranges, masquerading};
use crate::cluster::{EndpointSlice, Family, ObjectName, PortRange, Service, TrafficPolicy};
use crate::conflict::{Conflict, Holder};
use crate::desired::Drain;
use crate::layout::Layout;
use crate::layout::nftables::{AddressRange, Element, MarkKey, Marked, RangeServer};

/// A range of ports that a Service wants at one of its addresses, in the order in which Services get them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RangeClaim {
    precedence: Precedence,
    /// Whether nothing is known of the Service's age.
    unknown: bool,
    created: i64,
    service: ObjectName,
    at: AddressRange,
}

/// Ranges that Services do not get, each with what has a port of it.
pub(crate) type RefusedRanges = BTreeMap<(ObjectName, AddressRange), Holder>;

/// The ranges that a Service wants in a family.
pub(crate) fn range_claims(service: &Service, family: Family) -> impl Iterator<Item = RangeClaim> {
    let (unknown, created, name) = service.seniority();
    let cluster_ip = service.cluster_ip(family);
    let cluster_ip = cluster_ip.map(|ip| (Precedence::ClusterIp, ip));
    let others = service
        .outside_addresses(family)
        .map(|ip| (Precedence::Other, ip));
    let addresses = cluster_ip.into_iter().chain(others);
    let counts = service.counts(family);
    addresses
        .filter(move |_| counts)
        .flat_map(move |(precedence, address)| {
            let ranges = service.port_ranges().iter();
            ranges.map(move |ports| RangeClaim {
                precedence,
                unknown,
                created,
                service: name.clone(),
                at: AddressRange {
                    address,
                    ports: *ports,
                },
            })
        })
}

/// The ranges that overlap one of another Service that comes first. Such a range is refused whole.
pub(crate) fn refused_ranges<'a>(
    claims: impl IntoIterator<Item = &'a RangeClaim>,
) -> RefusedRanges {
    let claims: BTreeSet<_> = claims.into_iter().collect();
    let mut granted: BTreeMap<IpAddr, Vec<&RangeClaim>> = BTreeMap::new();
    let mut refused = BTreeMap::new();
    for claim in claims {
        let of_address = granted.entry(claim.at.address).or_default();
        let mut others = of_address.iter();
        let in_the_way =
            others.find(|other| other.service != claim.service && other.at.overlaps(&claim.at));
        match in_the_way {
            Some(other) => {
                let service = other.service.clone();
                let holder = match other.precedence {
                    Precedence::ClusterIp => Holder::ClusterIp(service),
                    Precedence::Other => Holder::Service(service),
                };
                refused.insert((claim.service.clone(), claim.at), holder);
            }
            None => of_address.push(claim),
        }
    }
    refused
}

/// The marks that the ranges of a Service want.
pub(super) fn range_marks(
    layout: Layout,
    service: &Service,
    family: Family,
) -> impl Iterator<Item = MarkKey> {
    let shares = affinity::is_asked(layout, service) && !service.ports.is_empty();
    let wants = service.counts(family) && (shares || !service.port_ranges().is_empty());
    let servers = match layout {
        _ if !wants => BTreeSet::new(),
        Layout::Nftables => servers_by_client(service, family),
        _ => {
            let addresses = marked_ranges::addresses(service, family);
            let server = |address| marked_ranges::server_at(layout, service, address);
            addresses.map(server).collect()
        }
    };
    let key = |server| MarkKey::new(service, Marked::Ranges(server));
    servers.into_iter().map(key)
}

/// The virtual servers where it depends on the client which one has a packet.
fn servers_by_client(service: &Service, family: Family) -> BTreeSet<RangeServer> {
    let is_outside = has_address(service, family);
    let internal = service.internal_policy == TrafficPolicy::Local;
    let local = is_outside && service.external_local();
    let servers = [
        (RangeServer::Cluster, is_outside || !internal),
        (RangeServer::Internal, internal),
        (RangeServer::Local, local),
    ];
    let wanted = servers.into_iter().filter(|(_, is)| *is);
    wanted.map(|(server, _)| server).collect()
}

/// What the ranges of a Service have in common.
pub(super) struct Ranges<'a> {
    pub(super) service: &'a Service,
    pub(super) layout: Layout,
    config: VirtualServerConfig,
    pub(super) endpoints: Endpoints,
    /// The virtual servers that there should be.
    pub(super) servers: Vec<RangeServer>,
    /// The marks of those that have one.
    pub(super) marks: BTreeMap<RangeServer, NonZeroU32>,
    /// Listed ports that are served together with the ranges ([`affinity`]).
    pub(super) joined: Vec<PortRange>,
}

impl Context<'_> {
    /// The ranges of a Service, before any port has joined them; `None` if there are none and no port can.
    pub(super) fn ranges<'a>(
        &self,
        service: &'a Service,
        slices: &[&EndpointSlice],
        all: &mut ServiceClaims,
    ) -> Option<Ranges<'a>> {
        let keys: Vec<_> = range_marks(self.config.layout, service, self.family).collect();
        if keys.is_empty() {
            return None;
        }
        let reachable_outside = has_address(service, self.family);
        let mut ranges = Ranges {
            service,
            layout: self.config.layout,
            config: self.own_config(service),
            endpoints: self.endpoints(service, None, slices, reachable_outside, all),
            servers: Vec::new(),
            marks: BTreeMap::new(),
            joined: Vec::new(),
        };
        for key in keys {
            if let Marked::Ranges(server) = key.marked {
                ranges.servers.push(server);
                let mark = self.grants.marks.get(&key);
                ranges.marks.extend(mark.map(|mark| (server, *mark)));
            }
        }
        Some(ranges)
    }

    /// What the ranges of a Service want, and the ports that have joined them.
    pub(super) fn nftables_ranges(&self, ranges: &Ranges<'_>, all: &mut ServiceClaims) {
        let service = ranges.service;
        if service.port_ranges().is_empty() && ranges.joined.is_empty() {
            return;
        }
        let here = ranges.endpoints.on_this_node();
        all.elements
            .extend(here.map(|(ip, _)| Element::Hairpin(ip)));
        if let Some(ip) = service.cluster_ip(self.family) {
            self.ranges_at(ip, ranges.inside(), ranges, all);
        }
        for ip in service.outside_addresses(self.family) {
            self.ranges_at(ip, RangeServer::Cluster, ranges, all);
            self.ranges_outside(ip, ranges, all);
        }
        let firewalled = self.of_family(&service.load_balancer_ips);
        for ip in firewalled {
            self.firewall_of_ranges(ip, ranges, all);
        }
        let source = masquerading::address(service, self.host, self.family);
        ranges.policies(source, &mut all.elements);
        all.claims.extend(self.claims_of_ranges(ranges));
    }

    /// The virtual servers.
    pub(super) fn claims_of_ranges<'r>(
        &self,
        ranges: &'r Ranges<'_>,
    ) -> impl Iterator<Item = Claim> + use<'r> {
        let (family, drain) = (self.family, self.drain_of_ranges(ranges));
        let marks = ranges.marks.iter();
        marks.map(move |(server, mark)| ranges.claim(family, *server, *mark, &drain))
    }

    /// The ranges at one address: those that another Service has, or at the address of something else, are refused.
    fn ranges_at(
        &self,
        address: IpAddr,
        server: RangeServer,
        ranges: &Ranges<'_>,
        all: &mut ServiceClaims,
    ) {
        let service = ranges.service;
        let mark = ranges.marks.get(&server).copied();
        for &ports in service.port_ranges() {
            let at = AddressRange { address, ports };
            match (self.holder_of_range(service, at, mark), mark) {
                (Some(holder), _) => all.refused.push(conflict(service, at, holder)),
                (None, Some(mark)) => all.elements.extend([
                    Element::RangeMark(at, mark.get()),
                    Element::RangeAddress(address),
                ]),
                (None, None) => {}
            }
        }
    }

    /// Why a Service does not get a range.
    pub(super) fn holder_of_range(
        &self,
        service: &Service,
        at: AddressRange,
        mark: Option<NonZeroU32>,
    ) -> Option<Holder> {
        let refused = &self.grants.refused;
        let in_the_way = refused.get(&(service.name.clone(), at)).cloned();
        in_the_way
            .or_else(|| self.holder_of_all_ports(service, at.address))
            .or_else(|| mark.is_none().then_some(Holder::AllMarks))
    }

    /// Says where the policy `Local` is not in force for want of a mark.
    fn ranges_outside(&self, address: IpAddr, ranges: &Ranges<'_>, all: &mut ServiceClaims) {
        let service = ranges.service;
        let marks = &ranges.marks;
        let is_whole = marks.contains_key(&RangeServer::Local) || !service.external_local();
        if is_whole || !marks.contains_key(&RangeServer::Cluster) {
            return;
        }
        for &ports in service.port_ranges() {
            let at = AddressRange { address, ports };
            if !all.refused.iter().any(|other| other.is_about(at)) {
                all.refused.push(conflict(service, at, Holder::OtherMarks));
            }
        }
    }

    /// What else than a Service has an address that a range would take so much of. A cluster IP is nobody else's.
    fn holder_of_all_ports(&self, service: &Service, address: IpAddr) -> Option<Holder> {
        if service.cluster_ips.contains(&address) {
            return None;
        }
        let own = self.node.filter(|node| node.addresses.contains(&address));
        let own = own.map(|node| Holder::Node(node.name.clone()));
        self.reserved.holder(address).or(own)
    }

    fn firewall_of_ranges(&self, address: IpAddr, ranges: &Ranges<'_>, all: &mut ServiceClaims) {
        let Some(mark) = ranges.marks.get(&RangeServer::Cluster) else {
            return;
        };
        let Some(clients) = self.firewall(ranges.service) else {
            return;
        };
        let mark = mark.get();
        all.elements.push(Element::RangeFirewalled(address, mark));
        let source = |client: IpNetwork| Element::RangeSource(address, mark, client);
        all.elements.extend(clients.into_iter().map(source));
    }

    /// TCP ends by itself and UDP does not. Of a destination that serves both, connections go on as long as its pod is known.
    fn drain_of_ranges(&self, ranges: &Ranges<'_>) -> Drain {
        let (service, endpoints) = (ranges.service, &ranges.endpoints);
        let has = |protocol| ranges.all().any(|range| range.protocol() == protocol);
        let tcp = || self.drain(service, Protocol::TCP, endpoints);
        match (has(Protocol::TCP), has(Protocol::UDP), has(Protocol::SCTP)) {
            (true, false, false) => tcp(),
            (true, _, _) => match tcp() {
                Drain::UntilIdle => Drain::Of(Arc::new(endpoints.all().collect())),
                asked => asked,
            },
            (false, true, _) => self.drain(service, Protocol::UDP, endpoints),
            (false, false, _) => self.drain(service, Protocol::SCTP, endpoints),
        }
    }
}

/// The endpoints that a virtual server gets.
pub(super) const fn chosen(endpoints: &Endpoints, server: RangeServer) -> &Arc<[Destination]> {
    match server {
        RangeServer::Cluster => endpoints.cluster(),
        RangeServer::Internal => endpoints.internal(),
        RangeServer::Local => endpoints.external(),
    }
}

impl Ranges<'_> {
    /// The ranges, and the ports that have joined them.
    fn all(&self) -> impl Iterator<Item = PortRange> {
        let ranges = self.service.port_ranges().iter();
        ranges.chain(&self.joined).copied()
    }

    /// Whether every virtual server that there should be has a mark.
    pub(super) fn has_all_marks(&self) -> bool {
        self.marks.len() == self.servers.len()
    }

    /// The virtual server of the cluster IP.
    pub(super) const fn inside(&self) -> RangeServer {
        match self.service.internal_policy {
            TrafficPolicy::Local => RangeServer::Internal,
            TrafficPolicy::Cluster => RangeServer::Cluster,
        }
    }

    /// What becomes of packets with each mark, and which source those get that are masqueraded.
    fn policies(&self, source: Option<IpAddr>, elements: &mut Vec<Element>) {
        for (server, mark) in &self.marks {
            let mark = mark.get();
            let none = chosen(&self.endpoints, *server).is_empty();
            if *server != RangeServer::Local {
                elements.extend(masquerading::of_ranges(self.service, mark));
                elements.extend(source.map(|ip| Element::RangeMasqueradeAddress(mark, ip)));
            }
            match server {
                RangeServer::Internal if self.endpoints.none_here() => {
                    elements.push(Element::RangeDropped(mark));
                }
                RangeServer::Internal | RangeServer::Cluster if none => {
                    elements.push(Element::RangeRefused(mark));
                }
                RangeServer::Internal | RangeServer::Cluster => {}
                RangeServer::Local => {
                    let Some(cluster) = self.marks.get(&RangeServer::Cluster) else {
                        continue;
                    };
                    elements.push(Element::RangeLocal(cluster.get()));
                    if !none {
                        elements.push(Element::RangeLocalMark(cluster.get(), mark));
                    }
                }
            }
        }
    }

    fn claim(&self, family: Family, server: RangeServer, mark: NonZeroU32, drain: &Drain) -> Claim {
        Claim {
            id: VirtualServerId::FirewallMark { family, mark },
            cluster_ip: false,
            config: self.config,
            destinations: Arc::clone(chosen(&self.endpoints, server)),
            bind: false,
            entries: Vec::new(),
            drain: drain.clone(),
            port: PortRange::display(&PortRange::merge(self.all().collect())).into(),
            extra: None,
        }
    }
}

pub(super) fn conflict(service: &Service, at: AddressRange, holder: Holder) -> Conflict {
    Conflict {
        service: service.name.clone(),
        port: at.ports.to_string().into(),
        family: Family::of(at.address),
        server: VirtualServerId::Address {
            protocol: at.ports.protocol(),
            address: at.address,
            port: at.ports.first(),
        },
        holder,
    }
}

impl Conflict {
    /// Whether it is one about this range.
    fn is_about(&self, at: AddressRange) -> bool {
        self.address() == Some(at.address) && *self.port == *at.ports.to_string()
    }
}
