//! What becomes of single fields of Services and of the configuration, where no scenario has them.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that fails should panic"
)]

use std::num::NonZeroU16;

use ipvs_netlink::Protocol;
use proxier::cluster::{
    Cluster, Endpoint, EndpointPort, EndpointSlice, Family, Host, Node, ObjectName, PerFamily,
    Service, ServicePort, ServiceType, TrafficPolicy,
};
use proxier::kernel::FailureReason;
use proxier::{
    Config, Desired, Kernel, KernelError, KernelErrorKind, KernelPart, MemoryKernel,
    NodePortAddresses, Operation, Phase, SetId, reconcile, translate,
};

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

#[test]
fn networks_without_an_address_of_the_node_serve_no_node_ports() {
    let mut cluster = Cluster::default();
    cluster.add_service(web());
    let host = host(&["192.168.10.10/24"]);
    let mut config = Config::default();
    config.node_port_addresses = NodePortAddresses::Within(vec!["203.0.113.0/24".parse().unwrap()]);
    let desired = translate(&cluster, &host, &config);
    let ids = desired.servers.iter().map(|server| server.id.to_string());
    assert_eq!(ids.collect::<Vec<_>>(), ["-t 10.0.0.7:80"]);
}

/// The kernel's state for a Service with an endpoint here and one elsewhere.
fn served(service: &Service) -> (Desired, MemoryKernel) {
    let mut cluster = Cluster::default();
    cluster.add_service(service.clone());
    let port = EndpointPort::new("", Protocol::TCP, NonZeroU16::new(8080).unwrap());
    let endpoints = [("10.244.1.5", "node-a"), ("10.244.2.6", "node-b")];
    let endpoints = endpoints.map(|(ip, node)| Endpoint::ready(ip.parse().unwrap()).on(node));
    let name = ObjectName::new("default", "web-1");
    let slice = EndpointSlice::new(name, "web", Family::V4);
    cluster.add_slice(slice.with_ports([port]).with_endpoints(endpoints));
    let desired = translate(&cluster, &host(&["192.168.10.10/24"]), &Config::default());
    let mut kernel = MemoryKernel::new();
    let plan = reconcile(&desired, &kernel.state());
    assert!(kernel.apply(&plan).is_ok());
    (desired, kernel)
}

/// Else clients' addresses reach endpoints on other nodes, which answer past this one.
#[test]
fn traffic_is_exempted_from_masquerading_once_no_endpoint_elsewhere_gets_it() {
    let mut service = web();
    let (_, kernel) = served(&service);
    service.external_policy = TrafficPolicy::Local;
    let (local, _) = served(&service);
    let plan = reconcile(&local, &kernel.state());
    let name = SetId::NodePortLocalTcp.name(Family::V4);
    let exempts = |operation: &Operation| matches!(operation, Operation::AddEntry { set, .. } if *set == name);
    let deletes = |operation: &Operation| matches!(operation, Operation::DeleteDestination { .. });
    let phases = |of: &dyn Fn(&Operation) -> bool| -> Vec<Phase> {
        let found = plan.iter().filter(|(_, operation)| of(operation));
        found.map(|(phase, _)| phase).collect()
    };
    assert_eq!(phases(&exempts), [Phase::Settle], "{plan}");
    assert_eq!(phases(&deletes), [Phase::Retire], "{plan}");
}

#[test]
fn no_address_is_bound_for_a_virtual_server_whose_rules_failed() {
    let (desired, kernel) = served(&web());
    let mut state = kernel.state();
    state.addresses = Some(Vec::new());
    state.rules = PerFamily::default();
    let mut kernel = MemoryKernel::holding(&state);
    kernel.fail_with(Some(Box::new(|operation| {
        matches!(operation, Operation::RestoreRules(_))
            .then(|| KernelError::new(KernelPart::Rules, KernelErrorKind::Other, "by the test"))
    })));
    let plan = reconcile(&desired, &state);
    let binds = |operation: &Operation| matches!(operation, Operation::BindAddress(_));
    assert!(plan.iter().any(|(_, operation)| binds(operation)), "{plan}");
    let applied = kernel.apply(&plan);
    let skipped = applied.failures.iter().filter(|failure| {
        binds(&failure.operation) && matches!(failure.reason, FailureReason::Skipped { .. })
    });
    assert_eq!(skipped.count(), 1);
    assert_eq!(kernel.state().addresses, Some(Vec::new()));
}

/// As many ports as one protocol has, nearly: each is a virtual server, the sets have room, and a change of one endpoint goes
/// through. An endpoint that is in the slice twice counts once.
#[test]
fn a_service_of_thousands_of_ports_is_served() {
    const PORTS: usize = 5000;
    let ports = |what: &str| -> String {
        let port = |n: usize| format!("{{name: p{n}, port: {}{what}}}", 1 + n);
        (0..PORTS).map(port).collect::<Vec<_>>().join(", ")
    };
    let text = format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: many}}\nspec: {{clusterIP: 10.0.0.7, ports: [{}]}}\n---\n\
         apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\naddressType: IPv4\n\
         metadata: {{name: many, labels: {{kubernetes.io/service-name: many}}}}\n\
         ports: [{}]\nendpoints: [{{addresses: [10.244.1.5]}}, {{addresses: [10.244.1.5]}}]\n",
        ports(""),
        ports("")
    );
    let cluster = proxier_manifest::read_cluster("test", text.as_bytes()).cluster;
    let desired = translate(&cluster, &Host::new("node-a"), &Config::default());
    assert_eq!(desired.servers.len(), PORTS);
    assert!(
        desired
            .servers
            .iter()
            .all(|server| server.destinations.len() == 1)
    );
    let mut kernel = MemoryKernel::new();
    let plan = reconcile(&desired, &kernel.observe().unwrap());
    let applied = kernel.apply(&plan);
    assert!(applied.is_ok(), "{:?}", applied.failures.first());
    assert!(reconcile(&desired, &kernel.observe().unwrap()).is_empty());
}
