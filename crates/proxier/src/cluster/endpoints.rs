//! EndpointSlices.

use std::net::IpAddr;
use std::num::NonZeroU16;
use std::sync::Arc;

use ipvs_netlink::Protocol;

use super::{Family, ObjectName};

/// One entry of an EndpointSlice's `ports`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EndpointPort {
    /// The name of the Service port that it serves, which all of that name can share; empty where that has none.
    pub name: Arc<str>,
    /// TCP, UDP or SCTP.
    pub protocol: Protocol,
    /// The port of the endpoints' addresses.
    pub port: NonZeroU16,
}

/// One entry of an EndpointSlice's `endpoints`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Endpoint {
    /// Its address: the first one listed, which all others must be equivalent to.
    pub address: IpAddr,
    /// `conditions.ready`; true where it is missing.
    pub ready: bool,
    /// `conditions.serving`; true where it is missing.
    pub serving: bool,
    /// `conditions.terminating`.
    pub terminating: bool,
    /// The node it is on: a name that endpoints can share, of which there are many to a node.
    pub node: Option<Arc<str>>,
    /// `hints`, where there are any; endpoints can share them, too.
    pub hints: Option<Arc<Hints>>,
}

/// Orders entries of slices that have one address: the least decides. One that is not
/// terminating decides over one that is, since pod addresses are reused; among equals, one that is ready.
pub(crate) const fn standing(terminating: bool, ready: bool) -> (bool, bool) {
    (terminating, !ready)
}

/// The nodes and zones that an endpoint is meant for. Without names there is no hint.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hints {
    /// `forNodes`.
    pub nodes: Vec<Box<str>>,
    /// `forZones`.
    pub zones: Vec<Box<str>>,
}

impl Endpoint {
    /// A ready endpoint on no node in particular.
    #[must_use]
    pub const fn ready(address: IpAddr) -> Self {
        Self {
            address,
            ready: true,
            serving: true,
            terminating: false,
            node: None,
            hints: None,
        }
    }

    /// The same endpoint on a node.
    #[must_use]
    pub fn on(mut self, node: impl Into<Arc<str>>) -> Self {
        self.node = Some(node.into());
        self
    }
}

/// A Kubernetes EndpointSlice (`discovery.k8s.io/v1`), reduced to what a proxy needs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EndpointSlice {
    /// Namespace and name.
    pub name: ObjectName,
    /// The name of its Service, in the same namespace (label `kubernetes.io/service-name`).
    pub service: Box<str>,
    /// `addressType`, which all its addresses are of.
    pub family: Family,
    /// The ports each of its endpoints serves.
    pub ports: Vec<EndpointPort>,
    /// The endpoints.
    pub endpoints: Vec<Endpoint>,
}
