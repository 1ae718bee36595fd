//! One Service port, as far as its chains and rules depend on it.

use std::net::IpAddr;
use std::sync::Arc;

use ipnetwork::IpNetwork;
use ipvs_netlink::{Destination, Protocol};

use crate::cluster::{Masquerading, ObjectName};

/// A port of a Service in one address family, whatever addresses it gets.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PortSpec {
    /// The Service.
    pub service: ObjectName,
    /// The name of its port, empty where it has none.
    pub name: Arc<str>,
    /// How many ports of the Service with this name and protocol come before it. The API server allows none.
    pub namesakes: usize,
    /// TCP, UDP or SCTP.
    pub protocol: Protocol,
    /// The port of the Service's addresses.
    pub number: u16,
    /// The port of the node's addresses, where there is one.
    pub node_port: Option<u16>,
    /// The port of the Service's health check, where it has one.
    pub health_check_node_port: Option<u16>,
    /// `internalTrafficPolicy: Local`.
    pub internal_local: bool,
    /// `externalTrafficPolicy: Local`, where it is in force.
    pub external_local: bool,
    /// Which packets are masqueraded.
    pub masquerading: Masquerading,
    /// With `sessionAffinity: ClientIP`, how many seconds a client stays with its endpoint.
    pub affinity_seconds: Option<u32>,
    /// The external IPs of the family, in the order of the Service, granted or not.
    pub external_ips: Vec<IpAddr>,
    /// The load balancer addresses of the family, in the order of the Service's status, granted or not.
    pub load_balancer_ips: Vec<IpAddr>,
    /// Who may use the load balancer addresses; `None` is everybody.
    pub sources: Option<Sources>,
    /// Whether there is any endpoint to send to, here or elsewhere.
    pub has_endpoints: bool,
    /// The endpoints of the policy `Cluster`, by address and port.
    pub cluster: Arc<[Destination]>,
    /// The endpoints on this node, by address and port; none where no policy asks for them.
    pub local: Arc<[Destination]>,
}

/// Who may use the load balancer addresses of a Service.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sources {
    /// `loadBalancerSourceRanges` of the family. None at all refuses everybody.
    pub ranges: Vec<IpNetwork>,
    /// Whether the node's own address is in one of them.
    pub node: bool,
}

impl Sources {
    /// Clients in these networks, and the node itself where one of them has its address.
    #[must_use]
    pub const fn new(ranges: Vec<IpNetwork>, node: bool) -> Self {
        Self { ranges, node }
    }
}

/// A Service port and the addresses that it was granted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PortRules {
    /// The port.
    pub spec: Arc<PortSpec>,
    /// The cluster IP.
    pub cluster_ip: Option<IpAddr>,
    /// The external IPs, in the order of the Service.
    pub external_ips: Vec<IpAddr>,
    /// The load balancer addresses, in the order of the Service's status.
    pub load_balancer_ips: Vec<IpAddr>,
    /// Whether its node port is served.
    pub node_port: bool,
}

impl PortRules {
    /// A port without any address.
    #[must_use]
    pub const fn new(spec: Arc<PortSpec>) -> Self {
        Self {
            spec,
            cluster_ip: None,
            external_ips: Vec::new(),
            load_balancer_ips: Vec::new(),
            node_port: false,
        }
    }

    /// The node port, where it is served.
    pub(crate) fn served_node_port(&self) -> Option<u16> {
        self.spec.node_port.filter(|_| self.node_port)
    }

    /// Whether it is reachable at anything else than its cluster IP.
    pub(crate) fn reachable_outside(&self) -> bool {
        self.served_node_port().is_some()
            || !self.external_ips.is_empty()
            || !self.load_balancer_ips.is_empty()
    }
}

impl PortSpec {
    /// A port as it is without endpoints and with the default policies.
    #[must_use]
    pub fn new(
        service: ObjectName,
        name: impl Into<Arc<str>>,
        protocol: Protocol,
        number: u16,
    ) -> Self {
        Self {
            service,
            name: name.into(),
            namesakes: 0,
            protocol,
            number,
            node_port: None,
            health_check_node_port: None,
            internal_local: false,
            external_local: false,
            masquerading: Masquerading::Default,
            affinity_seconds: None,
            external_ips: Vec::new(),
            load_balancer_ips: Vec::new(),
            sources: None,
            has_endpoints: false,
            cluster: Arc::default(),
            local: Arc::default(),
        }
    }

    /// Its name in comments and, hashed, in the names of its chains: `namespace/name:port`, without the colon where the
    /// port has no name.
    pub(crate) fn label(&self) -> String {
        match &*self.name {
            "" => self.service.to_string(),
            name => format!("{}:{name}", self.service),
        }
    }

    /// What distinguishes it in the names of its chains from ports with the same label and protocol: nothing for the
    /// first, which is named as kube-proxy does it.
    pub(crate) fn namesake(&self) -> String {
        match self.namesakes {
            0 => String::new(),
            count => format!(":{count}"),
        }
    }
}
