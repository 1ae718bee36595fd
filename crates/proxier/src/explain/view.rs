//! The cluster as the node sees it, with what belongs to one Service port at hand.

use std::borrow::Cow;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};

use ipnetwork::IpNetwork;
use ipset_netlink::Entry;
use ipvs_netlink::VirtualServerId;

use super::Evidence;
use super::answer::{FrontendKind, Origin};
use crate::cluster::{EndpointSlice, Family, PerFamily, Service, ServicePort, slices_by_service};
use crate::conflict::Conflict;
use crate::desired::Desired;
use crate::health::NoLocalEndpoints;
use crate::layout::nftables::Element;
use crate::layout::{LocalSource, RangeRule, SetId};
use crate::translate::{Claim, Context, Grants, ReservedIn, grants, translate};

/// What a question is answered from.
pub(super) struct View<'a> {
    pub(super) evidence: &'a Evidence<'a>,
    pub(super) desired: Desired,
    /// The client that the question is about.
    pub(super) client: Option<IpAddr>,
    slices: HashMap<(&'a str, &'a str), Vec<&'a EndpointSlice>>,
    reserved: ReservedIn<'a>,
    grants: PerFamily<Grants>,
}

/// A port of a Service in one family, and what it claims.
pub(super) struct PortView<'a> {
    pub(super) family: Family,
    pub(super) service: &'a Service,
    pub(super) port: Cow<'a, ServicePort>,
    /// Whether it is a port of a range, which is served by mark alone.
    pub(super) is_range: bool,
    pub(super) slices: Vec<&'a EndpointSlice>,
    /// What it claims, granted or not; only what was asked for.
    pub(super) claims: Vec<Claim>,
    /// The virtual servers by firewall mark: of a port the one for what comes from outside, of a range all that it has.
    pub(super) by_mark: Vec<Claim>,
    /// What it claims and does not get; only what was asked for.
    pub(super) conflicts: Vec<Conflict>,
    /// Set members that belong to no virtual server.
    pub(super) entries: Vec<(SetId, Entry)>,
    /// Elements that belong to no virtual server.
    pub(super) elements: Vec<Element>,
    /// Rules of ranges of ports, in layouts with ipset.
    pub(super) marked: Vec<RangeRule>,
    pub(super) no_local: NoLocalEndpoints<bool>,
    /// Who may use its load balancer addresses; `None` is everybody.
    pub(super) ranges: Option<Vec<IpNetwork>>,
    /// How pods of this node are recognized.
    pub(super) local_source: Option<LocalSource>,
}

impl<'a> View<'a> {
    pub(super) fn new(evidence: &'a Evidence<'a>, client: Option<IpAddr>) -> Self {
        let Evidence {
            cluster,
            host,
            config,
            ..
        } = evidence;
        let grants = PerFamily::from_fn(|family| match config.layout.uses_ipvs() {
            true => grants(config, family, cluster.services.values()),
            false => Grants::none(),
        });
        Self {
            evidence,
            desired: translate(cluster, host, config),
            client,
            slices: slices_by_service(cluster),
            reserved: ReservedIn::new(cluster, host),
            grants,
        }
    }

    /// The families in which the node serves a Service.
    pub(super) fn families(&self, service: &Service) -> Vec<Family> {
        let served =
            |family: &Family| service.counts(*family) && self.evidence.host.serves(*family);
        Family::ALL.into_iter().filter(served).collect()
    }

    /// A port of a Service, with what it claims, or with its claim of one virtual server alone.
    pub(super) fn port(
        &self,
        family: Family,
        service: &'a Service,
        port: &'a ServicePort,
        only: Option<VirtualServerId>,
    ) -> PortView<'a> {
        let mut alone = Service {
            ports: vec![port.clone()],
            ..service.clone()
        };
        if let Some(options) = &mut alone.options {
            options.ports = Vec::new();
        }
        let view = self.port_of(family, service, Cow::Borrowed(port), &alone, only);
        view.with_shared()
    }

    /// The same, with what this Service claims: the part of the other that is asked for.
    pub(super) fn port_of(
        &self,
        family: Family,
        service: &'a Service,
        port: Cow<'a, ServicePort>,
        alone: &Service,
        only: Option<VirtualServerId>,
    ) -> PortView<'a> {
        let Evidence {
            cluster,
            host,
            config,
            ..
        } = *self.evidence;
        let grants = self.grants.get(family);
        let context = Context::new(cluster, host, config, family, &self.reserved, grants);
        let key = (service.name.namespace(), service.name.name());
        let slices = self.slices.get(&key).cloned().unwrap_or_default();
        let mut all = context.service_claims(alone, &slices);
        let at_loopback = self.loopback_address(only);
        let claim = all.take_loopback(at_loopback.unwrap_or(Ipv4Addr::LOCALHOST));
        all.claims.extend(claim.filter(|_| at_loopback.is_some()));
        let (by_mark, of_addresses): (Vec<_>, Vec<_>) = all
            .claims
            .into_iter()
            .partition(|claim| matches!(claim.id, VirtualServerId::FirewallMark { .. }));
        // Rules of iptables mode serve a node port at all addresses at once; each address has a claim too.
        let is_address = |id: VirtualServerId| match id {
            VirtualServerId::Address { address, .. } => !address.is_unspecified(),
            VirtualServerId::FirewallMark { .. } => false,
        };
        let asked = |id: VirtualServerId| only.is_none_or(|only| only == id) && is_address(id);
        let mut claims: Vec<Claim> = Vec::new();
        for claim in of_addresses.into_iter().filter(|claim| asked(claim.id)) {
            // An address can be a Service's twice, as an external IP and as a load balancer's.
            match claims.iter_mut().find(|known| known.id == claim.id) {
                Some(known) => known.entries.extend(claim.entries),
                None => claims.push(claim),
            }
        }
        let conflicts = self.desired.conflicts.iter().filter(|conflict| {
            let of_port = conflict.service == service.name && conflict.port == port.name;
            of_port && conflict.family == family && asked(conflict.server)
        });
        let ranges = context.source_ranges(service);
        let closed = service.closed_families.contains(&family);
        let conflicts = conflicts.cloned().collect();
        PortView {
            family,
            service,
            port,
            conflicts,
            claims,
            by_mark,
            is_range: false,
            entries: all.entries,
            elements: all.elements,
            marked: all.ranges,
            no_local: all.no_local,
            ranges: (closed || !ranges.is_empty()).then_some(ranges),
            local_source: context.local_source(),
            slices,
        }
    }

    /// The loopback address that a question is about, or `127.0.0.1`, if node ports are served there.
    fn loopback_address(&self, only: Option<VirtualServerId>) -> Option<Ipv4Addr> {
        let address = match only {
            None => Ipv4Addr::LOCALHOST,
            Some(VirtualServerId::Address {
                address: IpAddr::V4(address),
                ..
            }) => address,
            Some(_) => return None,
        };
        let networks = self.evidence.config.localhost_node_ports_at();
        let mut networks = networks.iter();
        let is_served = networks.any(|network| network.contains(address.into()));
        is_served.then_some(address)
    }

    /// Where a client is.
    pub(super) fn origin(&self, client: IpAddr, port: &PortView<'_>) -> Origin {
        let in_pods = match &port.local_source {
            Some(LocalSource::Network(network)) => network.contains(client),
            _ => self
                .own_pod_networks()
                .any(|network| network.contains(client)),
        };
        if client.is_loopback() || self.evidence.host.addresses().any(|own| own == client) {
            Origin::Node
        } else if in_pods {
            Origin::Pod
        } else {
            Origin::Outside
        }
    }

    fn own_pod_networks(&self) -> impl Iterator<Item = IpNetwork> + '_ {
        let node = self
            .evidence
            .cluster
            .nodes
            .get(&self.evidence.host.node_name);
        node.into_iter().flat_map(|node| &node.pod_cidrs).copied()
    }

    /// The network of this node's pods in a family, as far as it is known.
    pub(super) fn pod_network(&self, port: &PortView<'_>) -> Option<IpNetwork> {
        let of_family = |network: &IpNetwork| Family::of(network.ip()) == port.family;
        let own = self.own_pod_networks().find(of_family);
        own.or(match &port.local_source {
            Some(LocalSource::Network(network)) => Some(*network),
            _ => None,
        })
    }

    /// The address of a family that the node sends from.
    pub(super) fn node_address(&self, family: Family) -> Option<IpAddr> {
        let node = self
            .evidence
            .cluster
            .nodes
            .get(&self.evidence.host.node_name);
        node.and_then(|node| node.address(family))
    }
}

impl PortView<'_> {
    /// What kind of address a claim is for.
    pub(super) fn kind(&self, at: VirtualServerId) -> FrontendKind {
        let VirtualServerId::Address { address, port, .. } = at else {
            return FrontendKind::NodePort;
        };
        let service = self.service;
        let own_port = port == self.port.port.get();
        if own_port && service.cluster_ip(self.family) == Some(address) {
            FrontendKind::ClusterIp
        } else if own_port && service.load_balancer_ips.contains(&address) {
            FrontendKind::LoadBalancer
        } else if own_port && service.external_ips.contains(&address) {
            FrontendKind::ExternalIp
        } else {
            FrontendKind::NodePort
        }
    }

    /// The virtual server by mark for what comes from outside to the address of a claim.
    pub(super) fn marked(&self, claim: &Claim) -> Option<&Claim> {
        self.by_number(claim.elements().iter().find_map(Element::mark)?)
    }

    /// The virtual server of a mark.
    pub(super) fn by_number(&self, mark: u32) -> Option<&Claim> {
        self.by_mark.iter().find(|claim| {
            matches!(claim.id, VirtualServerId::FirewallMark { mark: of, .. } if of.get() == mark)
        })
    }

    /// Whether the Service has what it claims.
    pub(super) fn is_granted(&self, claim: &Claim) -> bool {
        !self
            .conflicts
            .iter()
            .any(|conflict| conflict.server == claim.id && !conflict.holder.grants())
    }
}
