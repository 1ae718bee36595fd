//! What is explained of a node: one that works, and broken ones, in each layout.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that fails should panic"
)]

mod broken;
mod ipv6;
mod loopback;
mod served;
mod unserved;

use proxier::cluster::{Cluster, Host};
use proxier::explain::{Evidence, Explanation, Question, explain};
use proxier::{Config, DetectLocal, Kernel, Layout, MemoryKernel, Observed, reconcile, translate};

/// Services of each kind, seen from node-a: `web` at all kinds of addresses, `dns` for UDP, `local` with endpoints on the
/// other node alone.
const CLUSTER: &str = r#"
apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: Node
  metadata: {name: node-a}
  spec: {podCIDRs: [10.244.1.0/24]}
  status: {addresses: [{type: InternalIP, address: 192.168.10.10}]}
- apiVersion: v1
  kind: Service
  metadata: {name: web, namespace: default, creationTimestamp: "2024-01-01T00:00:00Z"}
  spec:
    type: LoadBalancer
    clusterIP: 10.0.0.10
    externalIPs: [203.0.113.7]
    loadBalancerSourceRanges: [198.51.100.0/24, 192.168.10.0/24]
    ports: [{name: http, port: 80, nodePort: 30080}]
  status: {loadBalancer: {ingress: [{ip: 203.0.113.5}]}}
- apiVersion: discovery.k8s.io/v1
  kind: EndpointSlice
  metadata: {name: web-1, namespace: default, labels: {kubernetes.io/service-name: web}}
  addressType: IPv4
  endpoints:
  - {addresses: [10.244.1.5], nodeName: node-a}
  - {addresses: [10.244.2.6], nodeName: node-b}
  ports: [{name: http, port: 8080}]
- apiVersion: v1
  kind: Service
  metadata: {name: dns, namespace: kube-system}
  spec:
    clusterIP: 10.0.0.53
    ports: [{name: dns, port: 53, protocol: UDP}]
- apiVersion: discovery.k8s.io/v1
  kind: EndpointSlice
  metadata: {name: dns-1, namespace: kube-system, labels: {kubernetes.io/service-name: dns}}
  addressType: IPv4
  endpoints: [{addresses: [10.244.1.9], nodeName: node-a}]
  ports: [{name: dns, port: 53, protocol: UDP}]
- apiVersion: v1
  kind: Service
  metadata: {name: local, namespace: default}
  spec:
    type: NodePort
    clusterIP: 10.0.0.20
    externalTrafficPolicy: Local
    ports: [{port: 8443, nodePort: 30443}]
- apiVersion: discovery.k8s.io/v1
  kind: EndpointSlice
  metadata: {name: local-1, namespace: default, labels: {kubernetes.io/service-name: local}}
  addressType: IPv4
  endpoints: [{addresses: [10.244.2.8], nodeName: node-b}]
  ports: [{port: 8443}]
"#;

/// The layouts that are explained alike.
const LAYOUTS: [Layout; 4] = [
    Layout::Current,
    Layout::Classic,
    Layout::Nftables,
    Layout::Iptables,
];

/// A node, and what its kernel holds.
struct TestNode {
    cluster: Cluster,
    host: Host,
    config: Config,
    observed: Observed,
}

impl TestNode {
    /// A node of the cluster, programmed as it should be.
    fn new(layout: Layout) -> Self {
        Self::of(CLUSTER, layout)
    }

    /// The same of another cluster.
    fn of(yaml: &str, layout: Layout) -> Self {
        let manifests = proxier_manifest::read_cluster("cluster.yaml", yaml.as_bytes());
        assert!(
            manifests.diagnostics.is_empty(),
            "{:?}",
            manifests.diagnostics
        );
        let mut host = Host::new("node-a");
        let link = "eth0".parse().unwrap();
        host.links.insert(link, "192.168.10.10/24".parse().unwrap());
        let mut config = Config::with_layout(layout);
        config.detect_local = DetectLocal::ClusterCidr(vec!["10.244.0.0/16".parse().unwrap()]);
        let mut node = Self {
            cluster: manifests.cluster,
            host,
            config,
            observed: Observed::default(),
        };
        node.program();
        node
    }

    /// The cluster with one text in place of another.
    fn with(layout: Layout, what: &str, instead: &str) -> Self {
        assert!(CLUSTER.contains(what), "{what}");
        Self::of(&CLUSTER.replace(what, instead), layout)
    }

    /// Programs a kernel that nobody has touched.
    fn program(&mut self) {
        let mut kernel = MemoryKernel::new();
        let desired = translate(&self.cluster, &self.host, &self.config);
        let plan = reconcile(&desired, &kernel.observe().unwrap());
        assert!(kernel.apply(&plan).is_ok());
        self.observed = kernel.observe().unwrap();
    }

    fn ask(&self, question: &str) -> Explanation {
        self.answer(&question.parse().unwrap())
    }

    fn answer(&self, question: &Question) -> Explanation {
        let evidence = Evidence::new(&self.cluster, &self.host, &self.config, &self.observed);
        explain(&evidence, question)
    }

    /// The first line of the answer to a question about something that is broken.
    fn cause(&self, question: &str) -> String {
        first_line(&self.ask(question))
    }
}

fn first_line(explanation: &Explanation) -> String {
    let text = explanation.to_string();
    assert!(!explanation.is_served(), "{text}");
    text.lines().next().unwrap().to_owned()
}
