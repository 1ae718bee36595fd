//! The part of a Kubernetes cluster that decides what a node's IPVS state is.
//!
//! These are plain values in which only usable objects exist: every address parsed, every port in
//! range. They come from manifests (crate `proxier-manifest`), from a watch, or from a program's own source.

mod affinity;
mod change;
mod endpoints;
mod name;
mod node;
mod options;
mod port_range;
mod service;

use std::collections::{BTreeMap, HashMap};

pub use affinity::AffinityScope;
pub use change::Change;
pub(crate) use endpoints::standing;
pub use endpoints::{Endpoint, EndpointPort, EndpointSlice, Hints};
pub use ipvs_netlink::Family;
pub use name::ObjectName;
pub use node::{Host, LINK, Node};
pub use options::{
    DrainLimit, Forwarding, Masquerading, ServiceOption, ServiceOptions, annotation,
};
pub use port_range::PortRange;
pub use service::{Service, ServicePort, ServiceType, TrafficPolicy};

/// One value for each address family.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PerFamily<T> {
    /// For IPv4.
    pub v4: T,
    /// For IPv6.
    pub v6: T,
}

impl<T> PerFamily<T> {
    /// Makes both from a function of the family.
    pub fn from_fn(mut make: impl FnMut(Family) -> T) -> Self {
        Self {
            v4: make(Family::V4),
            v6: make(Family::V6),
        }
    }

    /// The one of `family`.
    pub const fn get(&self, family: Family) -> &T {
        match family {
            Family::V4 => &self.v4,
            Family::V6 => &self.v6,
        }
    }

    /// The one of `family`, to be changed.
    pub const fn get_mut(&mut self, family: Family) -> &mut T {
        match family {
            Family::V4 => &mut self.v4,
            Family::V6 => &mut self.v6,
        }
    }
}

/// All Services, EndpointSlices and Nodes at one moment, each found by its name.
///
/// Sorted maps, so that whatever order objects arrive in, everything made of them comes out the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cluster {
    /// The Services.
    pub services: BTreeMap<ObjectName, Service>,
    /// The EndpointSlices, each naming the Service it belongs to.
    pub slices: BTreeMap<ObjectName, EndpointSlice>,
    /// The Nodes: this machine's own, and others for their addresses.
    pub nodes: BTreeMap<Box<str>, Node>,
}

impl Cluster {
    /// Adds a Service, taking the place of one of the same name.
    pub fn add_service(&mut self, service: Service) -> Option<Service> {
        self.services.insert(service.name.clone(), service)
    }

    /// Adds an EndpointSlice, taking the place of one of the same name.
    pub fn add_slice(&mut self, slice: EndpointSlice) -> Option<EndpointSlice> {
        self.slices.insert(slice.name.clone(), slice)
    }

    /// Adds a Node, taking the place of one of the same name.
    pub fn add_node(&mut self, node: Node) -> Option<Node> {
        self.nodes.insert(node.name.clone(), node)
    }
}

/// The slices of each Service, by namespace and name, in the order of their own names.
pub(crate) fn slices_by_service(cluster: &Cluster) -> HashMap<(&str, &str), Vec<&EndpointSlice>> {
    let mut slices: HashMap<_, Vec<_>> = HashMap::new();
    for slice in cluster.slices.values() {
        slices
            .entry((slice.name.namespace(), &*slice.service))
            .or_default()
            .push(slice);
    }
    slices
}
