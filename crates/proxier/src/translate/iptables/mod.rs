//! What a Service port wants in iptables mode.
//!
//! It claims the same addresses as in ipvs mode, so that the same Service has each of them in both modes. What is
//! granted becomes rules in [`layout`](crate::layout).

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use ipvs_netlink::{Protocol, Scheduler, VirtualServerConfig, VirtualServerId};

use super::claim::{Claim, Extra, ServiceClaims};
use super::claims::Context;
use super::endpoints::Endpoints;
use super::node_ports::node_port_networks;
use crate::cluster::{Family, ObjectName, Service, ServicePort, TrafficPolicy};
use crate::desired::Drain;
use crate::layout::{IptablesRules, PortRules, PortSpec, Sources};

/// What a claim means in iptables mode. All claims of a Service port share its description.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PortClaim {
    pub(crate) spec: Arc<PortSpec>,
    pub(crate) address: AddressKind,
}

/// What kind of address is claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AddressKind {
    ClusterIp,
    ExternalIp,
    LoadBalancer,
    /// The node port itself, at whatever address.
    NodePort,
    /// The node port at one address of the node. It has no rule of its own: where another Service has that address, its
    /// rule comes first.
    NodeAddress,
}

impl Context<'_> {
    /// What the rules of iptables mode depend on, apart from Services.
    pub(super) fn iptables_rules(&self) -> IptablesRules {
        let mut rules = IptablesRules::NONE;
        let restricted = node_port_networks(self.node, self.config, self.family).is_some();
        rules.node_port_addresses = restricted.then(|| self.node_ports.to_vec());
        rules.localhost_node_ports = self.config.serves_localhost_node_ports();
        rules.drop_invalid = !self.config.conntrack_tcp_be_liberal;
        rules
    }

    pub(super) fn iptables_claims(
        &self,
        service: &Service,
        port: &ServicePort,
        endpoints: &Endpoints,
        all: &mut ServiceClaims,
    ) {
        let known = [Protocol::TCP, Protocol::UDP, Protocol::SCTP];
        if !known.contains(&port.protocol) {
            return;
        }
        let spec = Arc::new(self.port_spec(service, port, endpoints));
        let claim = |address: IpAddr, number: u16, kind: AddressKind| Claim {
            id: VirtualServerId::Address {
                protocol: port.protocol,
                address,
                port: number,
            },
            cluster_ip: kind == AddressKind::ClusterIp,
            config: VirtualServerConfig::new(Scheduler::RR),
            destinations: Arc::default(),
            bind: false,
            entries: Vec::new(),
            drain: Drain::Never,
            port: Arc::clone(&port.name),
            extra: Some(Box::new(Extra::Rules(PortClaim {
                spec: Arc::clone(&spec),
                address: kind,
            }))),
        };
        let number = port.port.get();
        if let Some(ip) = service.cluster_ip(self.family) {
            all.claims.push(claim(ip, number, AddressKind::ClusterIp));
        }
        for (addresses, kind) in [
            (&service.external_ips, AddressKind::ExternalIp),
            (&service.load_balancer_ips, AddressKind::LoadBalancer),
        ] {
            for ip in self.of_family(addresses) {
                self.claim_unless_reserved(service, ip, claim(ip, number, kind), all);
            }
        }
        let Some(number) = port.node_port.map(std::num::NonZero::get) else {
            return;
        };
        let mut own = self.node_ports.iter().copied();
        for ip in own.clone() {
            let claim = claim(ip, number, AddressKind::NodeAddress);
            self.claim_unless_reserved(service, ip, claim, all);
        }
        // One rule serves it at all addresses: the API server's must not be among them.
        let anywhere = claim(unspecified(self.family), number, AddressKind::NodePort);
        let reserved = own.any(|ip| {
            self.is_api_server(&VirtualServerId::Address {
                protocol: port.protocol,
                address: ip,
                port: number,
            })
        });
        if !reserved {
            all.claims.push(anywhere);
        }
    }

    fn port_spec(&self, service: &Service, port: &ServicePort, endpoints: &Endpoints) -> PortSpec {
        let (internal_local, external_local) = (
            service.internal_policy == TrafficPolicy::Local,
            service.external_local(),
        );
        let before = service
            .ports
            .iter()
            .take_while(|other| !std::ptr::eq(*other, port));
        let alike =
            |other: &&ServicePort| (&other.name, other.protocol) == (&port.name, port.protocol);
        let mut spec = PortSpec::new(
            service.name.clone(),
            Arc::clone(&port.name),
            port.protocol,
            port.port.get(),
        );
        spec.namesakes = before.filter(alike).count();
        spec.node_port = port.node_port.map(std::num::NonZero::get);
        spec.health_check_node_port = service.health_check().map(std::num::NonZero::get);
        spec.internal_local = internal_local;
        spec.external_local = external_local;
        spec.masquerading = service.masquerading();
        spec.affinity_seconds = service.affinity_seconds;
        spec.external_ips = self.of_family(&service.external_ips).collect();
        spec.load_balancer_ips = self.of_family(&service.load_balancer_ips).collect();
        spec.sources = self.sources(service);
        spec.has_endpoints = endpoints.any();
        spec.cluster = Arc::clone(endpoints.cluster());
        if internal_local || external_local {
            spec.local = endpoints.local();
        }
        spec
    }

    /// Who may use the load balancer addresses.
    fn sources(&self, service: &Service) -> Option<Sources> {
        let ranges = self.source_ranges(service);
        let closed = service.closed_families.contains(&self.family);
        (closed || !ranges.is_empty()).then(|| {
            let node = self.node_is_in(&ranges);
            Sources::new(ranges, node)
        })
    }
}

const fn unspecified(family: Family) -> IpAddr {
    match family {
        Family::V4 => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        Family::V6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    }
}

/// The Service ports that have addresses, as they are granted to them.
#[derive(Default)]
pub(crate) struct Ports(BTreeMap<(ObjectName, Arc<str>, Protocol, usize), PortRules>);

impl Ports {
    /// Notes a claim that is granted.
    pub(crate) fn grant(&mut self, id: VirtualServerId, claim: &PortClaim) {
        let PortClaim { spec, address } = claim;
        let VirtualServerId::Address { address: ip, .. } = id else {
            return;
        };
        let key = (
            spec.service.clone(),
            Arc::clone(&spec.name),
            spec.protocol,
            spec.namesakes,
        );
        let port = self
            .0
            .entry(key)
            .or_insert_with(|| PortRules::new(Arc::clone(spec)));
        port.grant(*address, ip);
    }

    /// All of them, sorted.
    pub(crate) fn into_sorted(self) -> Vec<PortRules> {
        self.0.into_values().collect()
    }
}

impl PortRules {
    fn grant(&mut self, kind: AddressKind, ip: IpAddr) {
        match kind {
            AddressKind::ClusterIp => self.cluster_ip = Some(ip),
            AddressKind::ExternalIp => {
                insert_as_listed(&mut self.external_ips, ip, &self.spec.external_ips);
            }
            AddressKind::LoadBalancer => {
                insert_as_listed(
                    &mut self.load_balancer_ips,
                    ip,
                    &self.spec.load_balancer_ips,
                );
            }
            AddressKind::NodePort => self.node_port = true,
            AddressKind::NodeAddress => {}
        }
    }
}

/// Inserts an address, which may be there, into a list that is in the order of another.
fn insert_as_listed(list: &mut Vec<IpAddr>, ip: IpAddr, listed: &[IpAddr]) {
    let place = |ip: &IpAddr| listed.iter().position(|listed| listed == ip);
    if let Err(at) = list.binary_search_by_key(&place(&ip), place) {
        list.insert(at, ip);
    }
}
