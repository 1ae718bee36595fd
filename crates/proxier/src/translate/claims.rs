//! What one Service wants of the node, in one address family.
//!
//! Here, and only here, a Service becomes virtual servers, set members and bound addresses.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use ipnetwork::IpNetwork;
use ipset_netlink::Entry;
use ipvs_netlink::{Destination, Protocol, VirtualServerConfig, VirtualServerId};

use super::claim::{Claim, ServiceClaims};
use super::endpoints::{Endpoints, Selection};
use super::grants::Grants;
use super::node_ports::{node_port_addresses, node_port_networks};
use super::ranges::Ranges;
use super::reserved::Reserved;
use super::{masquerading, options};
use crate::cluster::{
    Cluster, EndpointSlice, Family, Host, Node, Service, ServiceOptions, ServicePort, TrafficPolicy,
};
use crate::config::{Config, DetectLocal};
use crate::conflict::Holder;
use crate::layout::{FamilyRules, Layout, LocalSource, SetId, SetIds};

/// What does not depend on the Service.
pub(crate) struct Context<'a> {
    pub(crate) host: &'a Host,
    pub(crate) config: &'a Config,
    pub(crate) family: Family,
    pub(super) node: Option<&'a Node>,
    pub(super) node_ports: Cow<'a, [IpAddr]>,
    pub(super) reserved: &'a dyn Reserved,
    /// The marks and ranges of ports that this family's Services get.
    pub(super) grants: &'a Grants,
}

impl<'a> Context<'a> {
    pub(crate) fn new(
        cluster: &'a Cluster,
        host: &'a Host,
        config: &'a Config,
        family: Family,
        reserved: &'a dyn Reserved,
        grants: &'a Grants,
    ) -> Self {
        let node = cluster.nodes.get(&host.node_name);
        let node_ports = node_port_addresses(host, node, config, family);
        Self::with_node_ports(node, host, config, family, node_ports, reserved, grants)
    }

    /// The same, where it is known already which addresses serve node ports.
    pub(crate) fn with_node_ports(
        node: Option<&'a Node>,
        host: &'a Host,
        config: &'a Config,
        family: Family,
        node_ports: impl Into<Cow<'a, [IpAddr]>>,
        reserved: &'a dyn Reserved,
        grants: &'a Grants,
    ) -> Self {
        Self {
            host,
            config,
            family,
            node,
            node_ports: node_ports.into(),
            reserved,
            grants,
        }
    }

    /// The rules that go with sets, without those of single Services.
    pub(crate) fn rules(&self, filled: SetIds) -> FamilyRules {
        FamilyRules {
            layout: self.config.layout,
            family: self.family,
            mark: self.config.masquerade_mark(),
            masquerade_all: self.config.masquerade_all,
            local_source: self.local_source(),
            random_fully: self.host.random_fully,
            filled,
            drops: BTreeSet::new(),
            ranges: BTreeSet::new(),
            node_port_networks: node_port_networks(self.node, self.config, self.family),
            iptables: self.iptables_rules(),
        }
    }

    /// How rules recognize traffic of this node's pods, where they can.
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
    pub(crate) fn service_claims(
        &self,
        service: &Service,
        slices: &[&EndpointSlice],
    ) -> ServiceClaims {
        let mut all = ServiceClaims::default();
        // Most ports are served on one address, and claims are kept: the room they take counts.
        all.claims.reserve_exact(service.ports.len());
        if self.config.layout == Layout::Nftables {
            let mut ranges = self.ranges(service, slices, &mut all);
            for port in &service.ports {
                self.nftables_claims(service, port, slices, ranges.as_mut(), &mut all);
            }
            if let Some(ranges) = &ranges {
                self.nftables_ranges(ranges, &mut all);
            }
            return all;
        }
        let has_ranges = self.config.layout.has_ipset();
        let mut ranges = has_ranges
            .then(|| self.ranges(service, slices, &mut all))
            .flatten();
        for port in &service.ports {
            self.port_claims(service, port, slices, ranges.as_mut(), &mut all);
        }
        if let Some(ranges) = &ranges {
            self.marked_ranges(ranges, &mut all);
        }
        if let Some(port) = service
            .health_check()
            .filter(|_| self.config.layout.uses_ipvs())
        {
            all.entries
                .push((SetId::HealthCheckNodePort, Entry::port(port.get())));
        }
        all
    }

    fn port_claims(
        &self,
        service: &Service,
        port: &ServicePort,
        slices: &[&EndpointSlice],
        mut ranges: Option<&mut Ranges<'_>>,
        all: &mut ServiceClaims,
    ) {
        let external = self.of_family(&service.external_ips);
        let balanced = self.of_family(&service.load_balancer_ips);
        let reachable_outside = port.node_port.is_some()
            || external.clone().next().is_some()
            || balanced.clone().next().is_some();
        let endpoints = self.endpoints(service, Some(port), slices, reachable_outside, all);
        if !self.config.layout.uses_ipvs() {
            self.iptables_claims(service, port, &endpoints, all);
            return;
        }
        let shared = ranges
            .as_mut()
            .and_then(|ranges| ranges.join(port, &endpoints));
        let joined = ranges.filter(|_| shared.is_some_and(|shared| shared.is_ok()));
        let join = |claim: &mut Claim| {
            if let Some(ranges) = &joined {
                self.mark_listed(ranges, claim);
            }
        };
        let before = all.claims.len();
        let protocol = port.protocol;
        all.entries.extend(
            endpoints
                .on_this_node()
                .map(|(ip, port)| (SetId::LoopBack, Entry::ip_port_ip(ip, protocol, port, ip))),
        );

        let number = port.port.get();
        let drain = self.drain(service, protocol, &endpoints);
        let claim = |address: IpAddr, number: u16, destinations: &Arc<[Destination]>| Claim {
            id: VirtualServerId::Address {
                protocol: port.protocol,
                address,
                port: number,
            },
            cluster_ip: false,
            config: self.server_config(service),
            destinations: Arc::clone(destinations),
            bind: self.binds(address),
            entries: Vec::new(),
            drain: drain.clone(),
            port: Arc::clone(&port.name),
            extra: None,
        };
        if let Some(ip) = service.cluster_ip(self.family) {
            let mut claim = claim(ip, number, endpoints.internal());
            claim.cluster_ip = true;
            claim.entries = vec![(SetId::ClusterIp, Entry::ip_port(ip, protocol, number))];
            claim.entries.extend(masquerading::entry(service, &claim));
            join(&mut claim);
            all.claims.push(claim);
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
            claim.entries.extend(masquerading::entry(service, &claim));
            join(&mut claim);
            self.claim_unless_reserved(service, ip, claim, all);
        }
        for ip in balanced {
            let mut claim = claim(ip, number, endpoints.external());
            self.load_balancer_entries(service, ip, port.protocol, number, &mut claim);
            claim.entries.extend(masquerading::entry(service, &claim));
            join(&mut claim);
            self.claim_unless_reserved(service, ip, claim, all);
        }
        if let Some(Err(why)) = shared {
            let alone = all.claims.get(before..).unwrap_or_default().iter();
            let conflict = |claim: &Claim| claim.conflict(&service.name, Holder::Affinity(why));
            all.refused.extend(alone.map(conflict));
        }
        if let Some(number) = port.node_port {
            for &ip in self.node_ports.iter() {
                let mut claim = claim(ip, number.get(), endpoints.external());
                claim.bind = false;
                claim.entries = node_port_entries(service, port.protocol, ip, number.get());
                claim.entries.extend(masquerading::entry(service, &claim));
                self.claim_unless_reserved(service, ip, claim, all);
            }
        }
    }

    /// The endpoints of a port, or those of ranges of ports. Notes where a policy finds none on this node.
    pub(super) fn endpoints(
        &self,
        service: &Service,
        port: Option<&ServicePort>,
        slices: &[&EndpointSlice],
        reachable_outside: bool,
        all: &mut ServiceClaims,
    ) -> Endpoints {
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
                thresholds: service
                    .options
                    .as_deref()
                    .map_or((0, 0), ServiceOptions::thresholds),
            },
        );
        if endpoints.none_here() {
            all.no_local.internal |= service.internal_policy == TrafficPolicy::Local;
            all.no_local.external |= service.external_local() && reachable_outside;
        }
        endpoints
    }

    /// Claims an external IP, a load balancer address or a node port, unless that would take the address, by binding it, or
    /// the API server's port from whom it belongs to.
    pub(super) fn claim_unless_reserved(
        &self,
        service: &Service,
        ip: IpAddr,
        claim: Claim,
        all: &mut ServiceClaims,
    ) {
        let spares = claim.bind && self.config.layout.spares_reserved_addresses();
        let holder = if self.is_api_server(&claim.id) {
            Some(Holder::ApiServer)
        } else {
            self.reserved.holder(ip).filter(|_| spares)
        };
        match holder {
            Some(holder) => all.refused.push(claim.conflict(&service.name, holder)),
            None => all.claims.push(claim),
        }
    }

    pub(super) fn is_api_server(&self, id: &VirtualServerId) -> bool {
        let VirtualServerId::Address {
            protocol: Protocol::TCP,
            address,
            port,
        } = *id
        else {
            return false;
        };
        let at = SocketAddr::new(address, port);
        self.host.api_servers.contains(&at)
    }

    pub(super) fn of_family<'s>(
        &self,
        addresses: &'s [IpAddr],
    ) -> impl Iterator<Item = IpAddr> + Clone + use<'s> {
        let family = self.family;
        addresses
            .iter()
            .copied()
            .filter(move |ip| Family::of(*ip) == family)
    }

    pub(super) fn server_config(&self, service: &Service) -> VirtualServerConfig {
        options::server_config(service, self.host, self.config)
    }

    /// An address that another link has is local already.
    fn binds(&self, address: IpAddr) -> bool {
        self.config.layout.binds_addresses_of_other_links()
            || !self.host.addresses().any(|own| own == address)
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
        Entry::ip_port(ip, Protocol::SCTP, port)
    } else {
        Entry::port(port)
    };
    let mut entries = vec![(all, entry.clone())];
    if service.external_local() {
        entries.push((local, entry));
    }
    entries
}
