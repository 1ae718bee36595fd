//! Services.

use std::net::IpAddr;
use std::num::NonZeroU16;
use std::sync::Arc;

use ipnetwork::IpNetwork;
use ipvs_netlink::Protocol;

use super::{Family, Masquerading, ObjectName, PortRange, ServiceOptions};

/// `spec.type`, as far as it matters to a proxy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ServiceType {
    /// Reached by its cluster IP.
    #[default]
    ClusterIp,
    /// Also by a port on every node.
    NodePort,
    /// Also by the addresses of a load balancer.
    LoadBalancer,
    /// A name only: nothing for a proxy to do.
    ExternalName,
}

/// `internalTrafficPolicy` and `externalTrafficPolicy`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum TrafficPolicy {
    /// Any endpoint of the Service.
    #[default]
    Cluster,
    /// Endpoints on this node, while there are any.
    Local,
}

/// One entry of `spec.ports`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct ServicePort {
    /// Its name, empty for the only port of a Service. EndpointSlice ports are matched by it, and can share it.
    pub name: Arc<str>,
    /// TCP, UDP or SCTP.
    pub protocol: Protocol,
    /// The port of the Service's addresses.
    pub port: NonZeroU16,
    /// The port of the node's addresses, where there is one.
    pub node_port: Option<NonZeroU16>,
}

impl ServicePort {
    /// A port without a node port.
    #[must_use]
    pub fn new(name: impl Into<Arc<str>>, protocol: Protocol, port: NonZeroU16) -> Self {
        Self {
            name: name.into(),
            protocol,
            port,
            node_port: None,
        }
    }

    /// The same port, which is also served at a port of the node's addresses.
    #[must_use]
    pub const fn with_node_port(mut self, node_port: NonZeroU16) -> Self {
        self.node_port = Some(node_port);
        self
    }
}

/// A Kubernetes Service (`v1`), reduced to what a proxy needs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Service {
    /// Namespace and name.
    pub name: ObjectName,
    /// `metadata.creationTimestamp`, in seconds since the Unix epoch. Of two Services that claim one
    /// virtual server the older keeps it; one without a timestamp counts as younger than any with.
    pub created: Option<i64>,
    /// `spec.type`.
    pub service_type: ServiceType,
    /// The cluster IPs, at most one for each family; none for a headless Service.
    pub cluster_ips: Vec<IpAddr>,
    /// `spec.externalIPs`.
    pub external_ips: Vec<IpAddr>,
    /// The addresses under `status.loadBalancer.ingress` whose `ipMode` is not `Proxy`.
    pub load_balancer_ips: Vec<IpAddr>,
    /// `spec.loadBalancerSourceRanges`, of both families.
    pub source_ranges: Vec<IpNetwork>,
    /// The families whose load balancer addresses refuse every client: those that have source ranges of which none can
    /// be used.
    pub closed_families: Vec<Family>,
    /// The ports.
    pub ports: Vec<ServicePort>,
    /// With `sessionAffinity: ClientIP`, how many seconds a client stays with its endpoint.
    pub affinity_seconds: Option<u32>,
    /// `spec.internalTrafficPolicy`.
    pub internal_policy: TrafficPolicy,
    /// `spec.externalTrafficPolicy`.
    pub external_policy: TrafficPolicy,
    /// `spec.healthCheckNodePort`.
    pub health_check_node_port: Option<NonZeroU16>,
    /// Whether the label `service.kubernetes.io/service-proxy-name` gives it to another proxy.
    pub other_proxy: bool,
    /// What its annotations ask for; `None` where they ask for nothing.
    pub options: Option<Box<ServiceOptions>>,
}

impl Service {
    /// A ClusterIP Service with nothing set but its name and addresses.
    #[must_use]
    pub fn new(name: ObjectName, cluster_ips: Vec<IpAddr>) -> Self {
        Self {
            name,
            created: None,
            service_type: ServiceType::ClusterIp,
            cluster_ips,
            external_ips: Vec::new(),
            load_balancer_ips: Vec::new(),
            source_ranges: Vec::new(),
            closed_families: Vec::new(),
            ports: Vec::new(),
            affinity_seconds: None,
            internal_policy: TrafficPolicy::Cluster,
            external_policy: TrafficPolicy::Cluster,
            health_check_node_port: None,
            other_proxy: false,
            options: None,
        }
    }

    /// Its cluster IP of a family.
    #[must_use]
    pub fn cluster_ip(&self, family: Family) -> Option<IpAddr> {
        self.cluster_ips
            .iter()
            .copied()
            .find(|ip| Family::of(*ip) == family)
    }

    /// Its external IPs and load balancer addresses of a family.
    pub(crate) fn outside_addresses(&self, family: Family) -> impl Iterator<Item = IpAddr> {
        let all = self.external_ips.iter().chain(&self.load_balancer_ips);
        all.copied().filter(move |ip| Family::of(*ip) == family)
    }

    /// Whether a proxy serves it in a family.
    #[must_use]
    pub fn counts(&self, family: Family) -> bool {
        !self.other_proxy
            && self.service_type != ServiceType::ExternalName
            && self.cluster_ip(family).is_some()
    }

    /// Whether `externalTrafficPolicy: Local` is in force: it is only where the Service can be
    /// reached from outside the cluster at all.
    #[must_use]
    pub fn external_local(&self) -> bool {
        let reachable = match self.service_type {
            ServiceType::LoadBalancer | ServiceType::NodePort => true,
            ServiceType::ClusterIp => !self.external_ips.is_empty(),
            ServiceType::ExternalName => false,
        };
        reachable && self.external_policy == TrafficPolicy::Local
    }

    /// The port its health check is served on, where it has one: a load balancer asks each node
    /// whether it has endpoints of a Service with `externalTrafficPolicy: Local`.
    #[must_use]
    pub fn health_check(&self) -> Option<NonZeroU16> {
        (self.service_type == ServiceType::LoadBalancer && self.external_local())
            .then_some(self.health_check_node_port)
            .flatten()
    }

    /// The ranges of ports that are served beside its ports, as its annotation asks for.
    #[must_use]
    pub fn port_ranges(&self) -> &[PortRange] {
        let options = self.options.as_deref();
        options.map_or(&[], |options| &options.ports)
    }

    /// Which packets to it are masqueraded, as its annotation asks for.
    pub(crate) fn masquerading(&self) -> Masquerading {
        let options = self.options.as_deref();
        options
            .and_then(|options| options.masquerade)
            .unwrap_or_default()
    }

    /// Where the address lies that it is masqueraded with, as its annotation asks for.
    pub(crate) fn masquerade_networks(&self) -> &[IpNetwork] {
        let options = self.options.as_deref();
        options.map_or(&[], |options| &options.masquerade_networks)
    }

    /// The order in which Services get what they claim: the older first, then by name.
    #[must_use]
    pub fn seniority(&self) -> (bool, i64, &ObjectName) {
        (
            self.created.is_none(),
            self.created.unwrap_or_default(),
            &self.name,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_older_service_is_senior_and_one_of_unknown_age_is_the_youngest() {
        let service = |name: &str, created| {
            let mut service = Service::new(ObjectName::new("default", name), Vec::new());
            service.created = created;
            service
        };
        let services = [
            service("d", Some(-1)),
            service("c", Some(7)),
            service("b", Some(8)),
            service("e", Some(8)),
            service("a", None),
            service("f", None),
        ];
        assert!(services.is_sorted_by(|a, b| a.seniority() < b.seniority()));
    }
}
