//! The node itself: what the API says of it, and what its kernel does.

use std::net::IpAddr;

use dummy_link::NodeLinks;
use ipnetwork::IpNetwork;
use kmod_probe::KernelVersion;

use super::Family;

/// A Kubernetes Node (`v1`), reduced to what a proxy needs.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Node {
    /// Its name.
    pub name: Box<str>,
    /// Its label `topology.kubernetes.io/zone`.
    pub zone: Option<Box<str>>,
    /// `spec.podCIDRs`.
    pub pod_cidrs: Vec<IpNetwork>,
    /// `status.addresses`: the internal ones, then the external ones, each in the order given.
    pub addresses: Vec<IpAddr>,
}

impl Node {
    /// The address of a family by which the node is known.
    #[must_use]
    pub fn address(&self, family: Family) -> Option<IpAddr> {
        self.addresses
            .iter()
            .copied()
            .find(|address| Family::of(*address) == family)
    }
}

/// What this machine is, apart from the API: the name of its Node, its links, its kernel and tools.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// The name of its Node.
    pub node_name: Box<str>,
    /// Its links and their addresses, loopback and the proxy's own link left out or not: neither counts.
    pub links: NodeLinks,
    /// The kernel's version, on which some settings depend.
    pub kernel: KernelVersion,
    /// Whether its iptables knows `MASQUERADE --random-fully` (1.6.2 and later).
    pub random_fully: bool,
}

impl Host {
    /// A machine with nothing known of it but the name of its Node: no links, a kernel of today
    /// (Linux 6.1) and an iptables of today.
    #[must_use]
    pub fn new(node_name: impl Into<Box<str>>) -> Self {
        Self {
            node_name: node_name.into(),
            links: NodeLinks::new(),
            kernel: KernelVersion::new(6, 1, 0),
            random_fully: true,
        }
    }
}
