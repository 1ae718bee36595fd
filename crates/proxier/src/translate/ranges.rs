//! Ranges of ports of a Service, in the `nftables` layout.
//!
//! All ranges of a Service have one virtual server, by firewall mark, whose destinations have port 0: IPVS keeps the port
//! that a packet was sent to. Where a policy is `Local` there is one more for whom the policy is about.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;

use ipnetwork::IpNetwork;
use ipvs_netlink::{Destination, Protocol, VirtualServerConfig, VirtualServerId};

use super::claim::{Claim, Precedence, ServiceClaims};
use super::claims::Context;
use super::endpoints::Endpoints;
use super::forwarding::has_address;
use crate::cluster::{EndpointSlice, Family, ObjectName, PortRange, Service, TrafficPolicy};
use crate::conflict::{Conflict, Holder};
use crate::desired::Drain;
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
pub(super) fn range_marks(service: &Service, family: Family) -> impl Iterator<Item = MarkKey> {
    let wants = service.counts(family) && !service.port_ranges().is_empty();
    let is_outside = has_address(service, family);
    let internal = service.internal_policy == TrafficPolicy::Local;
    let local = is_outside && service.external_local();
    let servers = [
        (RangeServer::Cluster, is_outside || !internal),
        (RangeServer::Internal, internal),
        (RangeServer::Local, local),
    ];
    let wanted = servers.into_iter().filter(move |(_, is)| wants && *is);
    wanted.map(|(server, _)| MarkKey::new(service, Marked::Ranges(server)))
}

/// What the ranges of a Service have in common.
struct Ranges<'a> {
    service: &'a Service,
    config: VirtualServerConfig,
    drain: Drain,
    endpoints: Endpoints,
    /// The marks of its virtual servers.
    marks: BTreeMap<RangeServer, NonZeroU32>,
}

impl Context<'_> {
    /// What the ranges of a Service want.
    pub(super) fn nftables_ranges(
        &self,
        service: &Service,
        slices: &[&EndpointSlice],
        all: &mut ServiceClaims,
    ) {
        if service.port_ranges().is_empty() {
            return;
        }
        let reachable_outside = has_address(service, self.family);
        let endpoints = self.endpoints(service, None, slices, reachable_outside, all);
        let here = endpoints.on_this_node();
        all.elements
            .extend(here.map(|(ip, _)| Element::Hairpin(ip)));
        let keys = range_marks(service, self.family);
        let mark = |key: MarkKey| match key.marked {
            Marked::Ranges(server) => Some((server, *self.grants.marks.get(&key)?)),
            Marked::Port(..) => None,
        };
        let ranges = Ranges {
            service,
            config: self.own_config(service),
            drain: self.drain_of_ranges(service, &endpoints),
            marks: keys.filter_map(mark).collect(),
            endpoints,
        };
        if let Some(ip) = service.cluster_ip(self.family) {
            self.ranges_at(ip, ranges.inside(), &ranges, all);
        }
        for ip in service.outside_addresses(self.family) {
            self.ranges_at(ip, RangeServer::Cluster, &ranges, all);
            self.ranges_outside(ip, &ranges, all);
        }
        let firewalled = self.of_family(&service.load_balancer_ips);
        for ip in firewalled {
            self.firewall_of_ranges(ip, &ranges, all);
        }
        ranges.policies(&mut all.elements);
        let servers = ranges.marks.iter();
        all.claims
            .extend(servers.map(|(server, mark)| ranges.claim(self.family, *server, *mark)));
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
        let mark = ranges.marks.get(&server);
        for &ports in service.port_ranges() {
            let at = AddressRange { address, ports };
            let in_the_way = self
                .grants
                .refused
                .get(&(service.name.clone(), at))
                .cloned();
            let holder = in_the_way
                .or_else(|| self.holder_of_all_ports(service, address))
                .or_else(|| mark.is_none().then_some(Holder::AllMarks));
            match (holder, mark) {
                (Some(holder), _) => all.refused.push(conflict(service, at, holder)),
                (None, Some(mark)) => all.elements.extend([
                    Element::RangeMark(at, mark.get()),
                    Element::RangeAddress(address),
                ]),
                (None, None) => {}
            }
        }
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
    fn drain_of_ranges(&self, service: &Service, endpoints: &Endpoints) -> Drain {
        let ranges = service.port_ranges();
        let has = |protocol| ranges.iter().any(|range| range.protocol() == protocol);
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

impl Ranges<'_> {
    /// The virtual server of the cluster IP.
    fn inside(&self) -> RangeServer {
        match self.service.internal_policy {
            TrafficPolicy::Local => RangeServer::Internal,
            TrafficPolicy::Cluster => RangeServer::Cluster,
        }
    }

    fn destinations(&self, server: RangeServer) -> &Arc<[Destination]> {
        match server {
            RangeServer::Cluster => self.endpoints.cluster(),
            RangeServer::Internal => self.endpoints.internal(),
            RangeServer::Local => self.endpoints.external(),
        }
    }

    /// What becomes of packets with each mark.
    fn policies(&self, elements: &mut Vec<Element>) {
        for (server, mark) in &self.marks {
            let mark = mark.get();
            let none = self.destinations(*server).is_empty();
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

    fn claim(&self, family: Family, server: RangeServer, mark: NonZeroU32) -> Claim {
        Claim {
            id: VirtualServerId::FirewallMark { family, mark },
            cluster_ip: false,
            config: self.config,
            destinations: Arc::clone(self.destinations(server)),
            bind: false,
            entries: Vec::new(),
            drain: self.drain.clone(),
            port: PortRange::display(self.service.port_ranges()).into(),
            extra: None,
        }
    }
}

fn conflict(service: &Service, at: AddressRange, holder: Holder) -> Conflict {
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
