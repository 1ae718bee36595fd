//! EndpointSlices.

use std::net::IpAddr;
use std::num::NonZeroU16;
use std::sync::Arc;

use ipvs_netlink::Protocol;

use super::{Family, ObjectName};

/// One entry of an EndpointSlice's `ports`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct EndpointPort {
    /// The name of the Service port that it serves, empty if that port has no name. Ports of one name can share it.
    pub name: Arc<str>,
    /// TCP, UDP or SCTP.
    pub protocol: Protocol,
    /// The port of the endpoints' addresses.
    pub port: NonZeroU16,
}

impl EndpointPort {
    /// A port by the name of the Service port that it serves.
    #[must_use]
    pub fn new(name: impl Into<Arc<str>>, protocol: Protocol, port: NonZeroU16) -> Self {
        Self {
            name: name.into(),
            protocol,
            port,
        }
    }
}

/// One entry of an EndpointSlice's `endpoints`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Endpoint {
    /// Its address: the first one listed, which all others must be equivalent to.
    pub address: IpAddr,
    /// `conditions.ready`; true where it is missing.
    pub ready: bool,
    /// `conditions.serving`; true where it is missing.
    pub serving: bool,
    /// `conditions.terminating`.
    pub terminating: bool,
    /// The node it is on. The many endpoints of a node can share its name.
    pub node: Option<Arc<str>>,
    /// `hints`, where there are any. Endpoints can share them.
    pub hints: Option<Arc<Hints>>,
}

/// Orders entries of slices that have one address: the least decides. One that is not
/// terminating decides over one that is, since pod addresses are reused; among equals, one that is ready.
pub(crate) const fn standing(terminating: bool, ready: bool) -> (bool, bool) {
    (terminating, !ready)
}

/// The nodes and zones that an endpoint is meant for; an empty list does not hint.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct Hints {
    /// `forNodes`.
    pub nodes: Vec<Box<str>>,
    /// `forZones`.
    pub zones: Vec<Box<str>>,
}

impl Hints {
    /// Hints for these nodes and zones.
    pub fn new<N, Z>(nodes: impl IntoIterator<Item = N>, zones: impl IntoIterator<Item = Z>) -> Self
    where
        N: Into<Box<str>>,
        Z: Into<Box<str>>,
    {
        Self {
            nodes: nodes.into_iter().map(Into::into).collect(),
            zones: zones.into_iter().map(Into::into).collect(),
        }
    }

    /// Hints for these zones.
    pub fn for_zones<Z: Into<Box<str>>>(zones: impl IntoIterator<Item = Z>) -> Self {
        Self::new::<Box<str>, Z>([], zones)
    }
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
#[non_exhaustive]
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
    /// The weight of its endpoints ([`annotation::WEIGHT`]): their share of new connections beside those of other slices,
    /// with a scheduler that heeds weights. 0 is for none at all; without it they have 1.
    ///
    /// [`annotation::WEIGHT`]: super::annotation::WEIGHT
    pub weight: Option<u16>,
}

impl EndpointSlice {
    /// A slice of a Service, without ports and endpoints.
    #[must_use]
    pub fn new(name: ObjectName, service: impl Into<Box<str>>, family: Family) -> Self {
        Self {
            name,
            service: service.into(),
            family,
            ports: Vec::new(),
            endpoints: Vec::new(),
            weight: None,
        }
    }

    /// The same slice with these ports.
    #[must_use]
    pub fn with_ports(mut self, ports: impl Into<Vec<EndpointPort>>) -> Self {
        self.ports = ports.into();
        self
    }

    /// The same slice with these endpoints.
    #[must_use]
    pub fn with_endpoints(mut self, endpoints: impl Into<Vec<Endpoint>>) -> Self {
        self.endpoints = endpoints.into();
        self
    }
}
