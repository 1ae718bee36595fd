//! What one Service wants of the node, in one address family.
//!
//! Here, and only here, a Service becomes virtual servers, set members and bound addresses.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use ipnetwork::IpNetwork;
use ipset_netlink::{Entry, Protocol as SetProtocol};
use ipvs_netlink::{
    Destination, Protocol, Scheduler, ServiceFlags, VirtualServerConfig, VirtualServerId,
};

use super::endpoints::{Endpoints, Selection};
use super::node_ports::{loopback, node_port_addresses};
use crate::cluster::{
    Cluster, EndpointSlice, Family, Host, Node, Service, ServicePort, TrafficPolicy,
};
use crate::config::{Config, DetectLocal};
use crate::health::NoLocalEndpoints;
use crate::layout::{FamilyRules, LocalSource, SetId, SetIds, SourceRangeDrop};

/// What does not depend on the Service.
pub(crate) struct Context<'a> {
    pub(crate) host: &'a Host,
    pub(crate) config: &'a Config,
    pub(crate) family: Family,
    node: Option<&'a Node>,
    node_ports: Cow<'a, [IpAddr]>,
}

/// One virtual server that a Service port wants, with all that comes with having it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Claim {
    pub(crate) id: VirtualServerId,
    pub(crate) config: VirtualServerConfig,
    pub(crate) destinations: Arc<[Destination]>,
    /// Whether its address goes onto the proxy's link.
    pub(crate) bind: bool,
    pub(crate) entries: Vec<(SetId, Entry)>,
    pub(crate) drop: Option<SourceRangeDrop>,
    /// The name of the Service port.
    pub(crate) port: Arc<str>,
}

/// All that a Service wants.
#[derive(Debug, Default)]
pub(crate) struct Wish {
    pub(crate) claims: Vec<Claim>,
    /// Set members that come with no virtual server.
    pub(crate) entries: Vec<(SetId, Entry)>,
    /// Whether a policy finds no endpoint on this node where there are some elsewhere.
    pub(crate) no_local: NoLocalEndpoints<bool>,
}

impl<'a> Context<'a> {
    pub(crate) fn new(
        cluster: &'a Cluster,
        host: &'a Host,
        config: &'a Config,
        family: Family,
    ) -> Self {
        let node = cluster.nodes.get(&host.node_name);
        let node_ports = node_port_addresses(host, node, config, family);
        Self::with_node_ports(node, host, config, family, node_ports)
    }

    /// The same, where it is known already which addresses serve node ports.
    pub(crate) fn with_node_ports(
        node: Option<&'a Node>,
        host: &'a Host,
        config: &'a Config,
        family: Family,
        node_ports: impl Into<Cow<'a, [IpAddr]>>,
    ) -> Self {
        Self {
            host,
            config,
            family,
            node,
            node_ports: node_ports.into(),
        }
    }

    /// The rules that go with sets and drops.
    pub(crate) fn rules(&self, filled: SetIds, drops: BTreeSet<SourceRangeDrop>) -> FamilyRules {
        FamilyRules {
            layout: self.config.layout,
            family: self.family,
            mark: self.config.masquerade_mark(),
            masquerade_all: self.config.masquerade_all,
            local_source: self.local_source(),
            random_fully: self.host.random_fully,
            filled,
            drops,
        }
    }

    /// How rules tell traffic of this node's pods, where they can.
    pub(crate) fn local_source(&self) -> Option<LocalSource> {
        let of_family = |networks: &[IpNetwork]| {
            let network = networks
                .iter()
                .find(|network| Family::of(network.ip()) == self.family)?;
            Some(LocalSource::Network(*network))
        };
        match &self.config.detect_local {
            DetectLocal::ClusterCidr(networks) => of_family(networks),
            DetectLocal::NodeCidr => of_family(&self.node?.pod_cidrs),
            DetectLocal::BridgeInterface(name) => Some(LocalSource::Interface(name.clone())),
            DetectLocal::InterfaceNamePrefix(prefix) => {
                Some(LocalSource::Interface(format!("{prefix}+").into()))
            }
        }
    }

    /// What a Service wants that has a cluster IP of the family.
    pub(crate) fn wish(&self, service: &Service, slices: &[&EndpointSlice]) -> Wish {
        let mut wish = Wish::default();
        // Most ports are served on one address, and claims are kept: the room they take counts.
        wish.claims.reserve_exact(service.ports.len());
        for port in &service.ports {
            self.port_wish(service, port, slices, &mut wish);
        }
        if let Some(port) = service.health_check() {
            wish.entries
                .push((SetId::HealthCheckNodePort, Entry::port(port.get())));
        }
        wish
    }

    fn port_wish(
        &self,
        service: &Service,
        port: &ServicePort,
        slices: &[&EndpointSlice],
        wish: &mut Wish,
    ) {
        let external = self.of_family(&service.external_ips);
        let balanced = self.of_family(&service.load_balancer_ips);
        let reachable_outside = port.node_port.is_some()
            || external.clone().next().is_some()
            || balanced.clone().next().is_some();
        let endpoints = Endpoints::gather(
            slices,
            port,
            &Selection {
                family: self.family,
                node: &self.host.node_name,
                zone: self.node.and_then(|node| node.zone.as_deref()),
                rules: self.config.layout.endpoint_rules(),
                internal_local: service.internal_policy == TrafficPolicy::Local,
                external_local: service.external_local(),
                reachable_outside,
            },
        );
        if endpoints.none_here() {
            wish.no_local.internal |= service.internal_policy == TrafficPolicy::Local;
            wish.no_local.external |= service.external_local() && reachable_outside;
        }
        let protocol = SetProtocol(port.protocol.0);
        wish.entries.extend(
            endpoints
                .on_this_node()
                .map(|(ip, port)| (SetId::LoopBack, Entry::ip_port_ip(ip, protocol, port, ip))),
        );

        let number = port.port.get();
        let claim = |address: IpAddr, number: u16, destinations: &Arc<[Destination]>| Claim {
            id: VirtualServerId::Address {
                protocol: port.protocol,
                address,
                port: number,
            },
            config: self.server_config(service),
            destinations: Arc::clone(destinations),
            bind: self.binds(address),
            entries: Vec::new(),
            drop: None,
            port: Arc::clone(&port.name),
        };
        if let Some(ip) = service.cluster_ip(self.family) {
            let mut claim = claim(ip, number, endpoints.internal());
            claim.entries = vec![(SetId::ClusterIp, Entry::ip_port(ip, protocol, number))];
            wish.claims.push(claim);
        }
        for ip in external {
            let heeded = self.config.layout.external_policy_for_external_ips();
            let local = heeded && service.external_local();
            let chosen = if heeded {
                endpoints.external()
            } else {
                endpoints.cluster()
            };
            let mut claim = claim(ip, number, chosen);
            let set = if local {
                SetId::ExternalIpLocal
            } else {
                SetId::ExternalIp
            };
            claim.entries = vec![(set, Entry::ip_port(ip, protocol, number))];
            wish.claims.push(claim);
        }
        for ip in balanced {
            let mut claim = claim(ip, number, endpoints.external());
            self.load_balancer_entries(service, ip, port.protocol, number, &mut claim);
            wish.claims.push(claim);
        }
        if let Some(number) = port.node_port {
            for &ip in self.node_ports.iter() {
                let mut claim = claim(ip, number.get(), endpoints.external());
                claim.bind = false;
                claim.entries = node_port_entries(service, port.protocol, ip, number.get());
                wish.claims.push(claim);
            }
        }
    }

    fn of_family<'s>(
        &self,
        addresses: &'s [IpAddr],
    ) -> impl Iterator<Item = IpAddr> + Clone + use<'s> {
        let family = self.family;
        addresses
            .iter()
            .copied()
            .filter(move |ip| Family::of(*ip) == family)
    }

    fn server_config(&self, service: &Service) -> VirtualServerConfig {
        let mut config = VirtualServerConfig::new(self.config.scheduler);
        if let Some(seconds) = service.affinity_seconds {
            config.flags |= ServiceFlags::PERSISTENT;
            config.timeout = seconds;
        }
        if self.config.scheduler == Scheduler::MH {
            config.flags |= ServiceFlags::MH_PORT;
        }
        config
    }

    /// An address that another link has is local already.
    fn binds(&self, address: IpAddr) -> bool {
        self.config.layout.binds_addresses_of_other_links()
            || !self.host.addresses().any(|own| own == address)
    }

    fn load_balancer_entries(
        &self,
        service: &Service,
        ip: IpAddr,
        protocol: Protocol,
        port: u16,
        claim: &mut Claim,
    ) {
        let set_protocol = SetProtocol(protocol.0);
        let entry = Entry::ip_port(ip, set_protocol, port);
        claim.entries.push((SetId::LoadBalancer, entry.clone()));
        if service.external_local() {
            claim
                .entries
                .push((SetId::LoadBalancerLocal, entry.clone()));
        }
        let ranges = self.source_ranges(service);
        if ranges.is_empty() {
            return;
        }
        claim.entries.push((SetId::LoadBalancerFw, entry));
        claim.entries.extend(ranges.iter().map(|range| {
            (
                SetId::LoadBalancerSourceCidr,
                Entry::ip_port_net(ip, set_protocol, port, *range),
            )
        }));
        let node = self.node.and_then(|node| node.address(self.family));
        let node = node.unwrap_or(loopback(self.family));
        if ranges.iter().any(|range| range.contains(node)) {
            claim.entries.push((
                SetId::LoadBalancerSourceIp,
                Entry::ip_port_ip(ip, set_protocol, port, ip),
            ));
        } else {
            claim.drop = Some(SourceRangeDrop {
                address: ip,
                protocol,
                port,
            });
        }
    }

    /// The ranges in force: none means that everybody may come. A range of length 0 says just that, and
    /// no set could hold it.
    fn source_ranges(&self, service: &Service) -> Vec<IpNetwork> {
        let own = || {
            service
                .source_ranges
                .iter()
                .filter(|r| Family::of(r.ip()) == self.family)
        };
        if own().any(|range| range.prefix() == 0) {
            return Vec::new();
        }
        own()
            .filter_map(|r| IpNetwork::new(r.network(), r.prefix()).ok())
            .collect()
    }
}

fn node_port_entries(
    service: &Service,
    protocol: Protocol,
    ip: IpAddr,
    port: u16,
) -> Vec<(SetId, Entry)> {
    let Some((all, local)) = SetId::node_ports(protocol) else {
        return Vec::new();
    };
    let entry = if protocol == Protocol::SCTP {
        Entry::ip_port(ip, SetProtocol::SCTP, port)
    } else {
        Entry::port(port)
    };
    let mut entries = vec![(all, entry.clone())];
    if service.external_local() {
        entries.push((local, entry));
    }
    entries
}
