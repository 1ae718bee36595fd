//! What an engine knows.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipvs_netlink::{DestinationId, VirtualServerId};

use super::{Engine, RuleCounts};
use crate::cluster::{Cluster, EndpointSlice, Host, ObjectName, PerFamily, Service};
use crate::config::Config;
use crate::conflict::{Conflict, ConflictChange};
use crate::desired::{Desired, Server};
use crate::health::{NoLocalEndpoints, ServiceHealth};
use crate::layout::nftables::NodePort;
use crate::translate::translate;

impl Engine {
    /// A Service as it was told, if there is one of this name.
    #[must_use]
    pub fn service(&self, name: &ObjectName) -> Option<&Service> {
        self.store.service(name)
    }

    /// The Services as they were told, in no particular order.
    pub fn services(&self) -> impl Iterator<Item = &Service> {
        self.store.services()
    }

    /// The EndpointSlices as they were told, in no particular order.
    pub fn slices(&self) -> impl Iterator<Item = &EndpointSlice> {
        self.store.slices()
    }

    /// The EndpointSlices of a Service as they were told, by name.
    #[must_use]
    pub fn slices_of(&self, service: &ObjectName) -> &[EndpointSlice] {
        self.store.slices_of(service)
    }

    /// A virtual server as it was wanted when the last plan was made, if it was.
    #[must_use]
    pub fn server(&self, id: &VirtualServerId) -> Option<Server> {
        self.wanted.server(id)
    }

    /// The virtual servers that were wanted when the last plan was made, in no particular order.
    pub fn servers(&self) -> impl ExactSizeIterator<Item = &VirtualServerId> {
        self.wanted.servers()
    }

    /// In iptables mode, the addresses and ports of a Service with the endpoints that packets to them may go to, as they
    /// were wanted when the last plan was made. Node ports are at each address that serves them.
    #[must_use]
    pub fn rule_targets(&self, service: &ObjectName) -> Vec<(VirtualServerId, Vec<DestinationId>)> {
        self.wanted.rule_targets(service)
    }

    /// Where packets to a node port at a loopback address may go, in the layout `nftables`, as it was wanted when the last plan was
    /// made.
    #[must_use]
    pub fn loopback_endpoints(&self, port: NodePort) -> BTreeSet<DestinationId> {
        self.wanted.loopback_endpoints(port).collect()
    }

    /// The node ports of all Services, in no particular order.
    pub fn node_ports(&self) -> impl Iterator<Item = NodePort> {
        let ports = self.store.services().flat_map(|service| &service.ports);
        ports.filter_map(|port| {
            Some(NodePort {
                protocol: port.protocol,
                port: port.node_port?.get(),
            })
        })
    }

    /// How many rules the kernel has of the proxy's, as last applied.
    #[must_use]
    pub fn rule_counts(&self) -> PerFamily<RuleCounts> {
        let applied = self.last_applied.as_ref();
        let counts = |family| applied.map(|applied| applied.rules.get(family).counts());
        PerFamily::from_fn(|family| counts(family).unwrap_or_default())
    }

    /// The addresses that node ports are served on.
    pub fn node_port_addresses(&self) -> impl Iterator<Item = IpAddr> {
        let PerFamily { v4, v6 } = &self.node_ports;
        v4.iter().chain(v6).copied()
    }

    /// Claims that were not granted when the last plan was made, by virtual server.
    pub fn conflicts(&self) -> impl Iterator<Item = Conflict> {
        self.wanted.conflicts()
    }

    /// Which conflicts began and ended, up to the last plan made, since this was last asked: each is reported once.
    pub fn conflict_changes(&mut self) -> Vec<ConflictChange> {
        let now: BTreeSet<_> = self.wanted.conflicts().collect();
        let ended = self.reported.difference(&now).cloned();
        let began = now.difference(&self.reported).cloned();
        let changes = ended
            .map(ConflictChange::Ended)
            .chain(began.map(ConflictChange::Began));
        let changes = changes.collect();
        self.reported = now;
        changes
    }

    /// What health checks were to be answered when the last plan was made, by the Service's name.
    pub fn health(&self) -> impl Iterator<Item = &ServiceHealth> {
        self.health.values()
    }

    /// How many Services of each family had a policy `Local`, endpoints, and none on this node, when the last plan was
    /// made.
    #[must_use]
    pub const fn no_local_endpoints(&self) -> PerFamily<NoLocalEndpoints> {
        self.wanted.no_local()
    }

    /// The cluster as it was told: a copy, for tests and for people. Costs what the cluster costs.
    #[must_use]
    pub fn cluster(&self) -> Cluster {
        let (services, slices) = (self.store.services(), self.store.slices());
        Cluster {
            services: services.map(|s| (s.name.clone(), s.clone())).collect(),
            slices: slices.map(|s| (s.name.clone(), s.clone())).collect(),
            nodes: self.nodes.clone(),
        }
    }

    /// This machine as it was told.
    #[must_use]
    pub const fn host(&self) -> &Host {
        &self.host
    }

    /// The configuration.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// All that the kernel should hold, from scratch: for tests and for people. Costs what the cluster costs.
    #[must_use]
    pub fn desired(&self) -> Desired {
        translate(&self.cluster(), &self.host, &self.config)
    }
}
