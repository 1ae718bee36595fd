//! Ranges of ports in the layouts with ipset: rules of the mangle table give packets the mark of their virtual server.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that fails should panic"
)]

mod affinity;
mod changes;
mod rules;

use iptables_restore::TableName;
use ipvs_netlink::{SaveLine, VirtualServerId};
use proxier::cluster::{Cluster, Host};
use proxier::{
    Config, Desired, DetectLocal, Kernel, Layout, MemoryKernel, Observed, Plan, reconcile,
    translate,
};

fn cluster(manifests: &str) -> Cluster {
    let node = "
---
apiVersion: v1
kind: Node
metadata: {name: node-a}
status: {addresses: [{type: InternalIP, address: 192.168.10.10}]}
";
    let text = format!("{manifests}{node}");
    let reading = proxier_manifest::read_cluster("test", text.as_bytes());
    assert!(reading.diagnostics.is_empty(), "{:?}", reading.diagnostics);
    reading.cluster
}

/// A Service with ranges and an endpoint on each of two nodes.
fn named(name: &str, n: u8, ports: &str, spec: &str) -> String {
    format!(
        "
---
apiVersion: v1
kind: Service
metadata:
  name: {name}
  creationTimestamp: 2024-01-0{n}T00:00:00Z
  annotations: {{kube-proxier/ports: '{ports}'}}
spec: {{clusterIP: 10.0.0.{n}, ports: [{{name: http, port: 80}}], {spec}}}
status: {{loadBalancer: {{ingress: [{{ip: 198.51.100.{n}}}]}}}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: {name}-1, labels: {{kubernetes.io/service-name: {name}}}}}
addressType: IPv4
ports: [{{name: http, port: 8080}}]
endpoints:
- {{addresses: [10.244.1.{n}], nodeName: node-a}}
- {{addresses: [10.244.2.{n}], nodeName: node-b}}
"
    )
}

const BALANCED: &str = "type: LoadBalancer, externalIPs: [203.0.113.7]";

fn host() -> Host {
    let mut host = Host::new("node-a");
    let eth0 = "eth0".parse().unwrap();
    host.links.insert(eth0, "192.168.10.10/24".parse().unwrap());
    host
}

fn config(layout: Layout) -> Config {
    let mut config = Config::with_layout(layout);
    config.detect_local = DetectLocal::ClusterCidr(vec!["10.244.0.0/16".parse().unwrap()]);
    config
}

fn desired(layout: Layout, manifests: &str) -> Desired {
    translate(&cluster(manifests), &host(), &config(layout))
}

fn carried_out(plan: &Plan, found: &Observed) -> Observed {
    let mut kernel = MemoryKernel::holding(found);
    let applied = kernel.apply(plan);
    assert!(applied.is_ok(), "{:?}", applied.failures);
    kernel.state()
}

/// What a kernel holds that was programmed from nothing.
fn programmed(desired: &Desired) -> Observed {
    let fresh = MemoryKernel::new().state();
    carried_out(&reconcile(desired, &fresh), &fresh)
}

/// The rules of a chain, as `iptables-save` prints them.
fn chain(state: &Observed, table: &TableName, name: &str) -> Vec<String> {
    let table = state.rules.v4.table(table);
    let chain = table.and_then(|table| table.chain(name));
    let rules = chain.map(|chain| chain.rules.iter().map(ToString::to_string).collect());
    rules.unwrap_or_default()
}

fn mangle(desired: &Desired, name: &str) -> Vec<String> {
    chain(&programmed(desired), &TableName::Mangle, name)
}

/// The rules that set a mark, or ask for masquerading.
fn marks(desired: &Desired) -> Vec<String> {
    let mut rules = mangle(desired, "KUBE-RANGE-MARKS");
    rules.retain(|rule| rule.starts_with("-d") || rule.starts_with("-s") || rule.starts_with('!'));
    rules
}

/// The virtual servers by mark, with the addresses of their destinations.
fn by_mark(desired: &Desired) -> Vec<(String, Vec<String>)> {
    let servers = desired.servers.iter();
    let servers = servers.filter(|one| matches!(one.id, VirtualServerId::FirewallMark { .. }));
    let shown = servers.map(|server| {
        let (id, config) = (server.id, server.config);
        let line = SaveLine::AddService { id, config };
        let destinations = server.destinations.iter();
        let destinations = destinations.map(|destination| destination.id.to_string());
        (line.to_string(), destinations.collect())
    });
    shown.collect()
}
