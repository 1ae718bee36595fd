//! The node: its Kubernetes object, and the machine.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use dummy_link::NodeLinks;
use ipnetwork::IpNetwork;
use ipvs_netlink::Scheduler;
use netlink_wire::KernelVersion;

use super::Family;

/// The link that service addresses are bound to. It is never brought up: IPVS only needs its addresses
/// to be local.
pub const LINK: &str = "kube-ipvs0";

/// A Kubernetes Node (`v1`), reduced to what a proxy needs.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
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
    /// A Node of which only the name is known.
    #[must_use]
    pub fn new(name: impl Into<Box<str>>) -> Self {
        Self {
            name: name.into(),
            ..Self::default()
        }
    }

    /// The same Node with these addresses.
    #[must_use]
    pub fn with_addresses(mut self, addresses: impl Into<Vec<IpAddr>>) -> Self {
        self.addresses = addresses.into();
        self
    }

    /// The address of a family by which the node is known.
    #[must_use]
    pub fn address(&self, family: Family) -> Option<IpAddr> {
        self.addresses
            .iter()
            .copied()
            .find(|address| Family::of(*address) == family)
    }
}

/// What is known of this machine apart from the API: the name of its Node, its links, its kernel and tools.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Host {
    /// The name of its Node.
    pub node_name: Box<str>,
    /// Its links and their addresses. Loopback and the proxy's own link do not count, whether they are here or not.
    pub links: NodeLinks,
    /// The kernel's version, on which some settings depend.
    pub kernel: KernelVersion,
    /// Whether its iptables knows `MASQUERADE --random-fully` (1.6.2 and later).
    pub random_fully: bool,
    /// Whether it does IPv6: its kernel knows it, and there is an ip6tables. If not, it serves IPv4 alone.
    pub ipv6: bool,
    /// The addresses and ports of the API server that the proxy talks to, or the proxy would lock itself out: no external
    /// IP, load balancer address or node port gets a virtual server there, and
    /// [`Layout::Current`](crate::Layout::Current) never binds the addresses. Cluster IPs are no matter: a pod reaches its
    /// API server by one.
    pub api_servers: BTreeSet<SocketAddr>,
    /// Schedulers that Services ask for and its kernel does not have. These Services get the configured one.
    pub missing_schedulers: BTreeSet<Scheduler>,
}

impl Host {
    /// The addresses that are this machine's own: those of all links but the proxy's, without IPv6 link-local ones,
    /// which mean nothing without a link.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        let others = self.links.iter().filter(|(link, _)| link.as_str() != LINK);
        others
            .flat_map(|(_, addresses)| addresses)
            .map(IpNetwork::ip)
            .filter(|ip| !matches!(ip, IpAddr::V6(v6) if v6.is_unicast_link_local()))
    }

    /// The address of a family in the first of these networks that has one, the least of those in it. Loopback addresses do
    /// not count: other machines cannot answer them.
    #[must_use]
    pub fn address_in(&self, networks: &[IpNetwork], family: Family) -> Option<IpAddr> {
        networks.iter().find_map(|network| {
            let within = |address: &IpAddr| {
                Family::of(*address) == family
                    && network.contains(*address)
                    && !address.is_loopback()
            };
            self.addresses().filter(within).min()
        })
    }

    /// Whether an address is one of the API server's, whatever the port.
    pub(crate) fn is_api_server(&self, address: IpAddr) -> bool {
        self.api_servers.iter().any(|at| at.ip() == address)
    }

    /// Whether its kernel has a scheduler, as far as is known.
    pub(crate) fn has_scheduler(&self, scheduler: Scheduler) -> bool {
        !self.missing_schedulers.contains(&scheduler)
    }

    /// Whether it serves Services of a family.
    #[must_use]
    pub const fn serves(&self, family: Family) -> bool {
        match family {
            Family::V4 => true,
            Family::V6 => self.ipv6,
        }
    }

    /// Whether everything that a translation depends on is the same, whatever else happened to its links.
    pub(crate) fn serves_like(&self, other: &Self) -> bool {
        let addresses = |host: &Self| host.addresses().collect::<BTreeSet<_>>();
        self.node_name == other.node_name
            && self.kernel == other.kernel
            && self.random_fully == other.random_fully
            && self.ipv6 == other.ipv6
            && self.api_servers == other.api_servers
            && self.missing_schedulers == other.missing_schedulers
            && addresses(self) == addresses(other)
    }

    /// A machine with nothing known of it but the name of its Node: no links, a kernel of today
    /// (Linux 6.1) with IPv6, and an iptables of today.
    #[must_use]
    pub fn new(node_name: impl Into<Box<str>>) -> Self {
        Self {
            node_name: node_name.into(),
            links: NodeLinks::new(),
            kernel: KernelVersion::new(6, 1, 0),
            random_fully: true,
            ipv6: true,
            api_servers: BTreeSet::new(),
            missing_schedulers: BTreeSet::new(),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use super::*;

    fn host(addresses: &[(&str, &str)]) -> Host {
        let mut host = Host::new("node-a");
        for (link, address) in addresses {
            let link = link.parse().unwrap();
            host.links.insert_link(link);
            host.links.insert(link, address.parse().unwrap());
        }
        host
    }

    #[test]
    fn pods_and_services_that_come_and_go_do_not_make_it_another_machine() {
        let before = host(&[("eth0", "192.168.10.10/24"), (LINK, "10.96.0.1/32")]);
        let after = host(&[
            ("eth0", "192.168.10.10/25"),
            (LINK, "10.96.0.2/32"),
            ("veth7", "fe80::7/64"),
        ]);
        assert!(after.serves_like(&before));
        let moved = host(&[("eth0", "192.168.10.11/24")]);
        assert!(!moved.serves_like(&before));
    }
}
