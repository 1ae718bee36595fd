//! The `nftables` layout: what becomes of each kind of Service, the order of plans, and what a kernel refuses.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that fails should panic"
)]

mod affinity;
mod direct;
mod engine;
mod loopback;
mod memory;
mod outside;
mod plan;
mod ranges;
mod translate;

use std::fmt::Write;

use ipvs_netlink::SaveLine;
use proxier::cluster::{Cluster, Family, Host};
use proxier::{Config, Desired, Layout};

/// A node with an address of each family, `node-a`.
fn host() -> Host {
    let mut host = Host::new("node-a");
    let eth0 = "eth0".parse().unwrap();
    for address in ["192.168.10.10/24", "2001:db8:10::10/64"] {
        host.links.insert(eth0, address.parse().unwrap());
    }
    host
}

fn config() -> Config {
    Config::with_layout(Layout::Nftables)
}

/// A cluster of manifests, with the Node `node-a`.
fn cluster(manifests: &str) -> Cluster {
    const NODE: &str = "
---
apiVersion: v1
kind: Node
metadata: {name: node-a}
status: {addresses: [{type: InternalIP, address: 192.168.10.10}]}
";
    let text = format!("{manifests}{NODE}");
    let reading = proxier_manifest::read_cluster("test", text.as_bytes());
    assert!(reading.diagnostics.is_empty(), "{:?}", reading.diagnostics);
    reading.cluster
}

/// A Service `web` with these fields of its spec.
fn service(spec: &str) -> String {
    format!(
        "
---
apiVersion: v1
kind: Service
metadata: {{name: web, creationTimestamp: 2024-01-01T00:00:00Z}}
spec: {{clusterIP: 10.0.0.7, {spec}}}
"
    )
}

/// A Service with a node port and `externalTrafficPolicy: Local`, made on a day of a month, and its endpoint on `node-a`.
fn split(name: &str, n: u8, day: u8) -> String {
    format!(
        "
---
apiVersion: v1
kind: Service
metadata: {{name: {name}, creationTimestamp: 2024-01-0{day}T00:00:00Z}}
spec: {{clusterIP: 10.0.0.{n}, type: NodePort, externalTrafficPolicy: Local, ports: [{{port: 80, nodePort: 3008{n}}}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: {name}-1, labels: {{kubernetes.io/service-name: {name}}}}}
addressType: IPv4
ports: [{{port: 8080}}]
endpoints: [{{addresses: [10.244.0.{n}], nodeName: node-a}}]
"
    )
}

/// Its EndpointSlice, of which endpoints with an address that ends in an odd number are on `node-a`.
fn endpoints(addresses: &[&str], port: &str) -> String {
    let mut text = format!(
        "
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: web-1, labels: {{kubernetes.io/service-name: web}}}}
addressType: IPv4
ports: [{port}]
endpoints:
"
    );
    for address in addresses {
        let odd = address.ends_with(['1', '3', '5', '7', '9']);
        let node = if odd { "node-a" } else { "node-b" };
        writeln!(text, "- {{addresses: [{address}], nodeName: {node}}}").unwrap();
    }
    text
}

/// Virtual servers with their destinations as `ipvsadm -S` prints them, then the elements of a family's table.
fn shown(desired: &Desired, family: Family) -> Vec<String> {
    let mut lines = Vec::new();
    for server in desired.servers.iter().filter(|s| s.id.family() == family) {
        let line = SaveLine::AddService {
            id: server.id,
            config: server.config,
        };
        lines.push(line.to_string());
        for destination in server.destinations.iter() {
            lines.push(format!("  -r {}", destination.id));
        }
    }
    let table = desired.tables.get(family).as_ref().unwrap();
    for element in &table.elements {
        lines.push(format!("{} {element}", element.set().as_str()));
    }
    lines
}

/// The same of IPv4, on `node-a`.
fn of(manifests: &str) -> Vec<String> {
    let desired = proxier::translate(&cluster(manifests), &host(), &config());
    shown(&desired, Family::V4)
}
