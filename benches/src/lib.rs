//! Inputs shared by the benchmarks.

pub mod calls;
pub mod dump;
pub mod kube_proxy;
pub mod machine;
pub mod requests;
pub mod steps;

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU16;

use ipvs_netlink::Protocol;
use proxier::cluster::{
    Cluster, Endpoint, EndpointPort, EndpointSlice, Family, Host, Node, ObjectName, Service,
    ServicePort,
};

/// The name of the node that clusters are seen from.
pub const NODE: &str = "node-a";

/// A machine with one link and no Services of its own.
#[must_use]
pub fn host() -> Host {
    let mut host = Host::new(NODE);
    if let (Ok(link), Ok(address)) = ("eth0".parse(), "192.168.10.10/16".parse()) {
        host.links.insert(link, address);
    }
    host
}

fn numbered(net: u8, n: u32) -> IpAddr {
    let [_, b, c, d] = n.to_be_bytes();
    Ipv4Addr::new(net, b, c, d).into()
}

/// A cluster of `services` ClusterIP Services with `endpoints` ready endpoints each, every tenth of them on
/// this node.
#[must_use]
pub fn cluster(services: u32, endpoints: u32) -> Cluster {
    let mut cluster = Cluster::default();
    let address = Ipv4Addr::new(192, 168, 10, 10).into();
    cluster.add_node(Node::new(NODE).with_addresses([address]));
    let (port, target) = (
        NonZeroU16::MIN.saturating_add(79),
        NonZeroU16::MIN.saturating_add(8079),
    );
    for s in 0..services {
        let name = format!("service-{s}");
        let mut service = Service::new(ObjectName::new("bench", &name), vec![numbered(10, s + 1)]);
        service
            .ports
            .push(ServicePort::new("http", Protocol::TCP, port));
        let endpoint = |e: u32| {
            let node = if e.is_multiple_of(10) { NODE } else { "node-b" };
            Endpoint::ready(numbered(100, s * endpoints + e + 1)).on(node)
        };
        let object = ObjectName::new("bench", format!("{name}-x"));
        cluster.add_slice(
            EndpointSlice::new(object, name, Family::V4)
                .with_ports([EndpointPort::new("http", Protocol::TCP, target)])
                .with_endpoints((0..endpoints).map(endpoint).collect::<Vec<_>>()),
        );
        cluster.add_service(service);
    }
    cluster
}

/// The same cluster as kubectl prints it, as YAML.
#[must_use]
pub fn manifest(cluster: &Cluster) -> String {
    let mut text = String::new();
    for service in cluster.services.values() {
        let _ = write!(
            text,
            "---\napiVersion: v1\nkind: Service\nmetadata:\n  name: {}\n  namespace: bench\nspec:\n  \
             clusterIP: {}\n  type: ClusterIP\n  ports:\n  - name: http\n    port: 80\n    protocol: TCP\n",
            service.name.name(),
            service
                .cluster_ips
                .first()
                .map(ToString::to_string)
                .unwrap_or_default()
        );
    }
    for slice in cluster.slices.values() {
        let _ = write!(
            text,
            "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\naddressType: IPv4\nmetadata:\n  \
             name: {}\n  namespace: bench\n  labels:\n    kubernetes.io/service-name: {}\nports:\n- name: http\n  \
             port: 8080\n  protocol: TCP\nendpoints:\n",
            slice.name.name(),
            slice.service
        );
        for endpoint in &slice.endpoints {
            let _ = write!(
                text,
                "- addresses:\n  - {}\n  conditions:\n    ready: true\n    serving: true\n    \
                 terminating: false\n  nodeName: {}\n",
                endpoint.address,
                endpoint.node.as_deref().unwrap_or_default()
            );
        }
    }
    text
}
