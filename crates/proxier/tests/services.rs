//! What becomes of single fields of Services and of the configuration, where no scenario has them.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that fails should panic"
)]

use std::num::NonZeroU16;

use ipvs_netlink::Protocol;
use proxier::cluster::{
    Cluster, Family, Host, Node, ObjectName, Service, ServicePort, ServiceType,
};
use proxier::{Config, NodePortAddresses, SetId, translate};

fn host(addresses: &[&str]) -> Host {
    let mut host = Host::new("node-a");
    for address in addresses {
        let link = "eth0".parse().unwrap();
        host.links.insert(link, address.parse().unwrap());
    }
    host
}

fn web() -> Service {
    let name = ObjectName::new("default", "web");
    let mut service = Service::new(name, vec!["10.0.0.7".parse().unwrap()]);
    service.service_type = ServiceType::LoadBalancer;
    let port = ServicePort::new("", Protocol::TCP, NonZeroU16::new(80).unwrap());
    service
        .ports
        .push(port.with_node_port(NonZeroU16::new(30_080).unwrap()));
    service
}

/// Source ranges of which none can be used refuse every client, and the node itself.
#[test]
fn a_closed_family_lets_nobody_in() {
    let mut service = web();
    service.load_balancer_ips = vec!["198.51.100.7".parse().unwrap()];
    for closed in [Vec::new(), vec![Family::V6], vec![Family::V4]] {
        service.closed_families.clone_from(&closed);
        let mut cluster = Cluster::default();
        cluster.add_service(service.clone());
        let desired = translate(&cluster, &host(&["192.168.10.10/24"]), &Config::default());
        let state = desired.families.v4.unwrap();
        let members = |id| state.set(id).unwrap().entries.len();
        let refuses = closed.contains(&Family::V4);
        assert_eq!(members(SetId::LoadBalancerFw), usize::from(refuses));
        assert_eq!(state.rules.drops.len(), usize::from(refuses));
        assert_eq!(members(SetId::LoadBalancerSourceCidr), 0);
    }
}

#[test]
fn primary_serves_node_ports_at_the_nodes_own_address_alone() {
    let mut cluster = Cluster::default();
    cluster.add_service(web());
    cluster.add_node(Node::new("node-a").with_addresses(["192.168.10.10".parse().unwrap()]));
    let host = host(&["192.168.10.10/24", "192.168.20.10/24"]);
    let served = |addresses| {
        let mut config = Config::default();
        config.node_port_addresses = addresses;
        let servers = translate(&cluster, &host, &config).servers;
        let ids = servers.iter().map(|server| server.id.to_string());
        ids.filter(|id| id.ends_with(":30080")).collect::<Vec<_>>()
    };
    let both = ["-t 192.168.10.10:30080", "-t 192.168.20.10:30080"];
    assert_eq!(served(NodePortAddresses::All), both);
    assert_eq!(served(NodePortAddresses::Primary), &both[..1]);
}
