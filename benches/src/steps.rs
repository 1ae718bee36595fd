//! Changes of a cluster, one after the other, for an engine to take in.

use std::net::IpAddr;
use std::num::NonZeroU16;

use ipvs_netlink::Protocol;
use proxier::cluster::{
    Change, Cluster, Endpoint, EndpointPort, EndpointSlice, Family, ObjectName, Service,
    ServicePort,
};
use proxier::kernel::Applied;
use proxier::{Config, Engine, Kernel, MemoryKernel, Plan};

use crate::numbered;

/// What becomes of a plan where all goes well.
pub fn all_done(plan: &Plan) -> Applied {
    Applied::complete(plan.len())
}

/// An engine that was told a cluster and knows nothing of any kernel.
#[must_use]
pub fn started(cluster: Cluster) -> Engine {
    started_as(Config::default(), cluster)
}

/// The same with another configuration.
#[must_use]
pub fn started_as(config: Config, cluster: Cluster) -> Engine {
    let mut engine = Engine::new(crate::host(), config);
    engine.change(Change::Nodes(cluster.nodes.into_values().collect()));
    engine.change(Change::Services(cluster.services.into_values().collect()));
    engine.change(Change::Slices(cluster.slices.into_values().collect()));
    engine
}

/// An engine that believes all of a cluster to be programmed.
///
/// # Panics
///
/// If there is anything left to do.
#[must_use]
pub fn settled(cluster: &Cluster) -> Engine {
    let mut engine = started(cluster.clone());
    if let Ok(nothing) = MemoryKernel::new().observe() {
        let plan = engine.audit(&nothing);
        engine.applied(&plan, &all_done(&plan));
    }
    assert!(engine.plan().is_empty(), "all is programmed");
    engine
}

/// Changes in an order that looks like none.
pub struct Wheel {
    slices: Vec<EndpointSlice>,
    at: usize,
    turn: usize,
}

impl Wheel {
    /// Those of a cluster made by [`cluster`](crate::cluster()).
    #[must_use]
    pub fn new(cluster: &Cluster) -> Self {
        Self {
            slices: cluster.slices.values().cloned().collect(),
            at: 0,
            turn: 0,
        }
    }

    /// One endpoint of one Service is replaced by another; `None` if the cluster has no endpoints.
    pub fn endpoint_changed(&mut self) -> Option<Change> {
        // A prime, so that all have their turn.
        self.at = (self.at + 7_919) % self.slices.len().max(1);
        self.turn += 1;
        let slice = self.slices.get_mut(self.at)?;
        let place = self.turn % slice.endpoints.len().max(1);
        let endpoint = slice.endpoints.get_mut(place)?;
        other_address(endpoint);
        Some(Change::Slice(Box::new(slice.clone())))
    }

    /// The same of one on this node; `None` if there is none.
    pub fn local_endpoint_changed(&mut self) -> Option<Change> {
        let here = |endpoint: &Endpoint| endpoint.node.as_deref() == Some(crate::NODE);
        let slice = self
            .slices
            .iter_mut()
            .find(|s| s.endpoints.iter().any(here))?;
        let endpoint = slice.endpoints.iter_mut().find(|e| here(e))?;
        other_address(endpoint);
        Some(Change::Slice(Box::new(slice.clone())))
    }

    /// A Service with its endpoints that comes, or goes.
    pub fn service(&mut self, there: bool) -> [Change; 2] {
        let (service, slice) = one_service("added", 1, 10);
        if there {
            [
                Change::Service(Box::new(service)),
                Change::Slice(Box::new(slice)),
            ]
        } else {
            [
                Change::ServiceGone(service.name),
                Change::SliceGone(slice.name),
            ]
        }
    }
}

/// There and back, so that what drains does not pile up where nobody has it drained.
fn other_address(endpoint: &mut Endpoint) {
    if let IpAddr::V4(v4) = endpoint.address {
        let [a, b, c, d] = v4.octets();
        endpoint.address = IpAddr::from([a ^ 1, b, c, d]);
    }
}

fn one_service(name: &str, address: u32, endpoints: u32) -> (Service, EndpointSlice) {
    let object = ObjectName::new("bench", name);
    let mut service = Service::new(object, vec![numbered(172, address)]);
    let (port, target) = (
        NonZeroU16::MIN.saturating_add(79),
        NonZeroU16::MIN.saturating_add(8079),
    );
    service
        .ports
        .push(ServicePort::new("http", Protocol::TCP, port));
    let object = ObjectName::new("bench", format!("{name}-x"));
    let endpoints = (0..endpoints).map(|e| Endpoint::ready(numbered(102, e + 1)));
    let slice = EndpointSlice::new(object, name, Family::V4)
        .with_ports([EndpointPort::new("http", Protocol::TCP, target)])
        .with_endpoints(endpoints.collect::<Vec<_>>());
    (service, slice)
}

/// One Service with many endpoints, 100 to a slice as Kubernetes has them.
#[must_use]
pub fn large_service(endpoints: u32) -> (Service, Vec<EndpointSlice>) {
    let (service, all) = one_service("large", 2, endpoints);
    let parts = all.endpoints.chunks(100).enumerate();
    let slices = parts.map(|(n, part)| {
        let object = ObjectName::new("bench", format!("large-{n}"));
        EndpointSlice::new(object, "large", Family::V4)
            .with_ports(all.ports.clone())
            .with_endpoints(part)
    });
    (service, slices.collect())
}

/// A slice whose endpoints all have other addresses, or their own again.
#[must_use]
pub fn moved(mut slice: EndpointSlice, away: bool) -> EndpointSlice {
    if away {
        for endpoint in &mut slice.endpoints {
            if let IpAddr::V4(v4) = endpoint.address {
                let [_, b, c, d] = v4.octets();
                endpoint.address = IpAddr::from([103, b, c, d]);
            }
        }
    }
    slice
}
