//! What one Service wants in the `nftables` layout.
//!
//! A Service's port has one virtual server at each of its addresses, with the endpoints that pods and the node itself
//! get. With `externalTrafficPolicy: Local` it has one more, by firewall mark, with the endpoints on this node: packets
//! from outside get the mark. What is forwarded other than by masquerading has one by mark too
//! ([`forwarding`](super::forwarding)), and so have ranges of ports ([`ranges`](super::ranges)) and ports that choose
//! endpoints together ([`affinity`](super::affinity)).

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::ops::Range;
use std::sync::Arc;

use ipnetwork::IpNetwork;
use ipvs_netlink::{Destination, Scheduler, ServiceFlags, VirtualServerConfig, VirtualServerId};

use super::affinity::SharedMarks;
use super::claim::{Claim, Extra, ServiceClaims};
use super::claims::Context;
use super::endpoints::Endpoints;
use super::grants::{is_reachable_outside, mark_key};
use super::masquerading;
use super::ranges::Ranges;
use crate::cluster::{EndpointSlice, Family, Service, ServicePort, TrafficPolicy};
use crate::conflict::Holder;
use crate::desired::Drain;
use crate::layout::nftables::{
    AddressPort, Element, Kind, MarkFor, NodePort, OWN_FLAG, TableRules,
};

/// What the addresses of a port have in common.
pub(super) struct Port<'a> {
    pub(super) service: &'a Service,
    port: &'a ServicePort,
    config: VirtualServerConfig,
    drain: Drain,
    endpoints: Endpoints,
    /// The source of what is masqueraded, where the Service chooses it.
    source: Option<IpAddr>,
    /// The marks by which it chooses endpoints together with the Service's other ports, where it does.
    shared: Option<SharedMarks>,
    /// What becomes of packets from outside to external IPs and load balancer addresses.
    to_addresses: Outside,
    /// The same to node ports.
    to_node_ports: Outside,
}

/// What becomes of packets that come from outside the node and its pods.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outside {
    /// They go to the endpoints of all.
    Shared,
    /// They go to endpoints of their own, by a mark: those on this node, or those that are forwarded in another way.
    Marked(NonZeroU32),
    /// They are dropped: there are endpoints, none of them on this node.
    Dropped,
}

impl Context<'_> {
    /// What the chains and rules of the family's table depend on, and of Services whether any chooses the address that it is
    /// masqueraded with.
    pub(crate) fn table_rules(&self, masquerade_addresses: bool) -> TableRules {
        let options = &self.config.nftables;
        TableRules {
            family: self.family,
            route_mark: options.route_mark,
            masquerade_mark: self.config.masquerade_mark(),
            service_marks: options.service_marks,
            masquerade_all: self.config.masquerade_all,
            local_source: self.local_source(),
            ping: options.answer_ping.then(|| self.own_address()).flatten(),
            masquerade_addresses,
            loopback: self.loopback_networks(),
        }
    }

    /// The same one of this node's addresses of the family, as long as it has it.
    fn own_address(&self) -> Option<IpAddr> {
        let own = self.host.addresses();
        own.filter(|ip| Family::of(*ip) == self.family && !ip.is_loopback())
            .min()
    }

    /// The elements that depend on no Service.
    pub(crate) fn node_elements(&self) -> impl Iterator<Item = Element> {
        self.node_ports.iter().copied().map(Element::NodeAddress)
    }

    /// What a port of a Service wants. One that chooses endpoints together with others joins the Service's ranges.
    pub(super) fn nftables_claims(
        &self,
        service: &Service,
        port: &ServicePort,
        slices: &[&EndpointSlice],
        ranges: Option<&mut Ranges<'_>>,
        all: &mut ServiceClaims,
    ) {
        let reachable_outside = is_reachable_outside(service, port, self.family);
        let endpoints = self.endpoints(service, Some(port), slices, reachable_outside, all);
        all.elements
            .extend(endpoints.on_this_node().map(|(ip, _)| Element::Hairpin(ip)));
        let split = service.external_local() && reachable_outside;
        let mark = split.then(|| {
            self.grants
                .marks
                .get(&mark_key(service, port, MarkFor::Policy))
                .copied()
        });
        let by_policy = match mark {
            // Refused by the virtual server, since it has no destinations: there are none anywhere.
            Some(Some(_)) if endpoints.cluster().is_empty() && endpoints.external().is_empty() => {
                Outside::Shared
            }
            Some(Some(_)) if endpoints.external().is_empty() => Outside::Dropped,
            Some(Some(mark)) => Outside::Marked(mark),
            Some(None) | None => Outside::Shared,
        };
        let shared = ranges.and_then(|ranges| ranges.join(port, &endpoints));
        let marks_of_all = shared.and_then(Result::ok);
        let asked = self.direct(service, port, &endpoints);
        // Connection tracking does not know what is open, since it has not seen the answers: IPVS drops what is new.
        let goes_on = !endpoints.external().is_empty() || endpoints.shuts_down_here();
        let direct = asked.ok().flatten().filter(|_| goes_on);
        let port = Port {
            service,
            port,
            config: self.own_config(service),
            drain: self.drain(service, port.protocol, &endpoints),
            endpoints,
            source: masquerading::address(service, self.host, self.family),
            shared: marks_of_all,
            to_addresses: direct.map_or(by_policy, |direct| Outside::Marked(direct.mark)),
            to_node_ports: by_policy,
        };
        let of_port = all.claims.len();
        self.cluster_ip(&port, all);
        let of_addresses = all.claims.len();
        self.outside_addresses(&port, all);
        let of_node = all.claims.len();
        self.node_port(&port, all);
        let mut report = |claims: Range<usize>, holder: Holder| {
            let claims = all.claims.get(claims).unwrap_or_default().iter();
            let conflicts = claims.map(|claim| claim.conflict(&service.name, holder.clone()));
            all.refused.extend(conflicts);
        };
        if mark == Some(None) {
            report(of_node..all.claims.len(), Holder::OtherMarks);
            if direct.is_none() && port.shared.is_none() {
                report(of_addresses..of_node, Holder::OtherMarks);
            }
        }
        if let Err(why) = asked {
            report(of_addresses..of_node, Holder::Forwarding(why));
        }
        if let Some(Err(why)) = shared {
            report(of_port..of_node, Holder::Affinity(why));
        }
        let kept = match (by_policy, mark) {
            (Outside::Marked(mark), _) => Some(mark),
            // What is open goes on to endpoints that shut down here. Nothing new comes, since no element has the mark.
            (_, Some(Some(mark))) if port.endpoints.shuts_down_here() => Some(mark),
            _ => None,
        };
        let at_addresses = direct.is_none() && port.shared.is_none();
        let is_used = at_addresses || port.port.node_port.is_some();
        if let Some(mark) = kept.filter(|_| is_used) {
            let mut claim = port.by_mark(self.family, mark, port.endpoints.external());
            claim.config = marked_config(claim.config);
            all.claims.push(claim);
        }
        if let Some(direct) = direct {
            let destinations = direct.destinations(port.endpoints.external());
            all.claims
                .push(port.by_mark(self.family, direct.mark, &destinations));
        }
    }

    /// The settings of a virtual server, by which it is known for the proxy's.
    pub(super) fn own_config(&self, service: &Service) -> VirtualServerConfig {
        let mut config = self.server_config(service);
        config.flags |= OWN_FLAG;
        config
    }

    fn cluster_ip(&self, port: &Port<'_>, all: &mut ServiceClaims) {
        let Some(ip) = port.service.cluster_ip(self.family) else {
            return;
        };
        let local = port.service.internal_policy == TrafficPolicy::Local;
        let kind = if local && port.endpoints.none_here() {
            Kind::Drop
        } else {
            Kind::ClusterIp
        };
        let at = port.at(ip);
        let endpoints = port.endpoints.internal();
        let mut elements = vec![Element::ClusterIp(ip)];
        if let Some(shared) = port.shared {
            elements.extend(SharedMarks::elements(at, shared.inside));
        } else {
            elements.push(Element::Service(at, kind));
            elements.extend(masquerading::of_cluster_ip(port.service, at));
            elements.extend(port.source_at(at));
            if endpoints.is_empty() && kind != Kind::Drop {
                elements.push(Element::Refused(at));
            }
        }
        let mut claim = port.claim(at.server(), endpoints, elements);
        claim.cluster_ip = true;
        all.claims.push(claim);
    }

    /// External IPs and load balancer addresses.
    fn outside_addresses(&self, port: &Port<'_>, all: &mut ServiceClaims) {
        let service = port.service;
        let external = self.of_family(&service.external_ips);
        let balanced = self.of_family(&service.load_balancer_ips);
        let all_addresses = external
            .map(|ip| (ip, false))
            .chain(balanced.map(|ip| (ip, true)));
        for (ip, is_balanced) in all_addresses {
            let at = port.at(ip);
            let elements = match port.shared.and_then(|shared| shared.outside) {
                Some(mark) => SharedMarks::elements(at, mark).into(),
                None => self.elements_outside(port, at, is_balanced),
            };
            let claim = port.claim(at.server(), port.outside_endpoints(), elements);
            let api_server = self.is_api_server(&claim.id);
            self.claim_unless(api_server, port, claim, all);
        }
    }

    /// What a port has at an external IP or a load balancer address.
    fn elements_outside(
        &self,
        port: &Port<'_>,
        at: AddressPort,
        is_balanced: bool,
    ) -> Vec<Element> {
        let mut elements = Vec::new();
        if is_balanced {
            if let Some(clients) = self.firewall(port.service) {
                elements.push(Element::Firewalled(at));
                let source = |client| Element::SourceRange(at, client);
                elements.extend(clients.into_iter().map(source));
            }
        }
        let kind = match port.to_addresses {
            Outside::Shared => Kind::External,
            Outside::Marked(_) | Outside::Dropped => Kind::ExternalLocal,
        };
        if let Outside::Marked(mark) = port.to_addresses {
            elements.push(Element::ServiceMark(at, mark.get()));
        }
        elements.push(Element::Service(at, kind));
        elements.extend(masquerading::of_outside_address(port.service, at));
        elements.extend(port.source_at(at));
        if port.outside_endpoints().is_empty() {
            elements.push(Element::Refused(at));
        }
        elements
    }

    /// Which clients may use a load balancer address; `None` for everybody.
    pub(super) fn firewall(&self, service: &Service) -> Option<BTreeSet<IpNetwork>> {
        let ranges = self.source_ranges(service);
        if ranges.is_empty() && !service.closed_families.contains(&self.family) {
            return None;
        }
        // The kernel takes no range that overlaps another of the same port.
        let widest = ranges.iter().filter(|range| {
            let within = |other: &&IpNetwork| {
                other.prefix() < range.prefix() && other.contains(range.network())
            };
            !ranges.iter().any(|other| within(&other))
        });
        Some(widest.copied().collect())
    }

    fn node_port(&self, port: &Port<'_>, all: &mut ServiceClaims) {
        let Some(number) = port.port.node_port else {
            return;
        };
        let node_port = NodePort {
            protocol: port.port.protocol,
            port: number.get(),
        };
        let kind = match port.to_node_ports {
            Outside::Shared => Kind::NodePort,
            Outside::Marked(_) | Outside::Dropped => Kind::NodePortLocal,
        };
        let mut elements = vec![Element::NodePort(node_port, kind)];
        elements.extend(masquerading::of_node_port(port.service, node_port));
        if let Outside::Marked(mark) = port.to_node_ports {
            elements.push(Element::NodePortMark(node_port, mark.get()));
        }
        elements.extend(self.loopback_elements(port, node_port, all));
        let at = |address: IpAddr| AddressPort {
            address,
            protocol: node_port.protocol,
            port: node_port.port,
        };
        // A node port is one of all node addresses at once: that of the API server would go along.
        let api_server = self
            .node_ports
            .iter()
            .any(|ip| self.is_api_server(&at(*ip).server()));
        for &ip in self.node_ports.iter() {
            let own = elements.iter().copied().chain(port.source_at(at(ip)));
            let claim = port.claim(at(ip).server(), port.outside_endpoints(), own.collect());
            self.claim_unless(api_server, port, claim, all);
        }
    }

    /// Claims a virtual server, unless the API server has its address and port.
    #[allow(clippy::unused_self, reason = "beside its likes")]
    fn claim_unless(
        &self,
        api_server: bool,
        port: &Port<'_>,
        claim: Claim,
        all: &mut ServiceClaims,
    ) {
        if api_server {
            let conflict = claim.conflict(&port.service.name, Holder::ApiServer);
            all.refused.push(conflict);
        } else {
            all.claims.push(claim);
        }
    }
}

impl Port<'_> {
    fn at(&self, address: IpAddr) -> AddressPort {
        AddressPort {
            address,
            protocol: self.port.protocol,
            port: self.port.port.get(),
        }
    }

    /// Which source what is masqueraded gets.
    fn source_at(&self, at: AddressPort) -> Option<Element> {
        let source = self.source?;
        Some(Element::MasqueradeAddress(at, source))
    }

    /// What pods and the node itself get at addresses that are known outside, and everybody where the policy is
    /// `Cluster`.
    pub(super) fn outside_endpoints(&self) -> &Arc<[Destination]> {
        self.endpoints.cluster()
    }

    /// The virtual server for packets with a mark.
    fn by_mark(
        &self,
        family: Family,
        mark: NonZeroU32,
        destinations: &Arc<[Destination]>,
    ) -> Claim {
        let id = VirtualServerId::FirewallMark { family, mark };
        self.claim(id, destinations, Vec::new())
    }

    pub(super) fn claim(
        &self,
        id: VirtualServerId,
        destinations: &Arc<[Destination]>,
        elements: Vec<Element>,
    ) -> Claim {
        let extra = (!elements.is_empty()).then(|| Box::new(Extra::Elements(elements)));
        Claim {
            id,
            cluster_ip: false,
            config: self.config,
            destinations: Arc::clone(destinations),
            bind: false,
            entries: Vec::new(),
            drain: self.drain.clone(),
            port: Arc::clone(&self.port.name),
            extra,
        }
    }
}

/// The settings of a virtual server by mark. IPVS does not translate the port of a persistent one
/// (`ip_vs_sched_persist` in net/netfilter/ipvs/ip_vs_core.c): clients stay with their endpoint by the scheduler `sh`,
/// which chooses by the client's address.
fn marked_config(mut config: VirtualServerConfig) -> VirtualServerConfig {
    if config.flags.contains(ServiceFlags::PERSISTENT) {
        config = VirtualServerConfig::new(Scheduler::SH);
        config.flags |= OWN_FLAG;
    }
    config
}
