//! Addresses that must not be bound, since they belong to another Node, an endpoint or the API server.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;

use crate::cluster::{Cluster, Host, Node, ObjectName, Service};
use crate::conflict::Holder;

/// What else than a Service has an address.
pub(crate) trait Reserved {
    /// The first that has it: the API server, another Node, an endpoint; of Nodes and of endpoints the first by name.
    fn holder(&self, address: IpAddr) -> Option<Holder>;
}

/// Nothing has any.
impl Reserved for () {
    fn holder(&self, _: IpAddr) -> Option<Holder> {
        None
    }
}

/// The addresses of a Service that go onto the proxy's link and are not its cluster IPs, which nothing else can have.
pub(crate) fn bindable(service: &Service) -> impl Iterator<Item = IpAddr> {
    let lists = [&service.external_ips, &service.load_balancer_ips];
    lists.into_iter().flatten().copied()
}

/// The addresses of all Nodes but this machine's own; of those that several have, the first by name has it.
pub(crate) fn node_addresses<'a>(
    nodes: &'a BTreeMap<Box<str>, Node>,
    own: &str,
) -> HashMap<IpAddr, &'a str> {
    let mut all = HashMap::new();
    for node in nodes.values().filter(|node| *node.name != *own) {
        for address in &node.addresses {
            all.entry(*address).or_insert(&*node.name);
        }
    }
    all
}

/// What [`translate`](crate::translate()) knows of a cluster.
pub(crate) struct ReservedIn<'a> {
    host: &'a Host,
    nodes: HashMap<IpAddr, &'a str>,
    /// Only those that a Service would bind.
    endpoints: HashMap<IpAddr, &'a ObjectName>,
}

impl<'a> ReservedIn<'a> {
    pub(crate) fn new(cluster: &'a Cluster, host: &'a Host) -> Self {
        let wanted: HashSet<_> = cluster.services.values().flat_map(bindable).collect();
        let mut endpoints = HashMap::new();
        if !wanted.is_empty() {
            for slice in cluster.slices.values() {
                let addresses = slice.endpoints.iter().map(|endpoint| endpoint.address);
                for address in addresses.filter(|address| wanted.contains(address)) {
                    endpoints.entry(address).or_insert(&slice.name);
                }
            }
        }
        Self {
            host,
            nodes: node_addresses(&cluster.nodes, &host.node_name),
            endpoints,
        }
    }
}

impl Reserved for ReservedIn<'_> {
    fn holder(&self, address: IpAddr) -> Option<Holder> {
        let node = || {
            self.nodes
                .get(&address)
                .map(|name| Holder::Node((*name).into()))
        };
        let endpoint = || {
            self.endpoints
                .get(&address)
                .map(|slice| Holder::Endpoint((*slice).clone()))
        };
        if self.host.is_api_server(address) {
            return Some(Holder::ApiServer);
        }
        node().or_else(endpoint)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use super::*;

    #[test]
    fn addresses_belong_to_the_first_other_node_that_has_them() {
        let ip = |last: u8| IpAddr::from([192, 168, 10, last]);
        let nodes = [("c", vec![2, 3]), ("a", vec![1]), ("b", vec![2])];
        let nodes: BTreeMap<Box<str>, Node> = nodes
            .into_iter()
            .map(|(name, last)| {
                let addresses: Vec<_> = last.into_iter().map(ip).collect();
                (name.into(), Node::new(name).with_addresses(addresses))
            })
            .collect();
        let expected = HashMap::from([(ip(2), "b"), (ip(3), "c")]);
        assert_eq!(node_addresses(&nodes, "a"), expected);
    }
}
