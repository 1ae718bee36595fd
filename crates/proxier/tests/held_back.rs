//! What goes on while a change of rules fails, and what waits for it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that fails should panic"
)]

use proxier::cluster::{Change, Cluster, Host};
use proxier::kernel::Applied;
use proxier::{
    Config, Engine, Kernel, KernelError, KernelErrorKind, KernelPart, MemoryKernel, Operation,
    Plan, reconcile, translate,
};

fn service(name: &str, spec: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\nspec: {spec}\n---\n\
         apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\naddressType: IPv4\n\
         metadata: {{name: {name}, labels: {{kubernetes.io/service-name: {name}}}}}\n\
         ports: [{{name: http, port: 8080}}]\nendpoints: [{{addresses: [10.244.1.5]}}]\n"
    )
}

fn plain(name: &str, ip: &str) -> String {
    service(
        name,
        &format!("{{clusterIP: {ip}, ports: [{{name: http, port: 80}}]}}"),
    )
}

fn closed() -> String {
    let spec = "{type: LoadBalancer, allocateLoadBalancerNodePorts: false, clusterIP: 10.0.0.9, \
         loadBalancerSourceRanges: [192.0.2.0/24], ports: [{name: http, port: 80}]}\n\
         status: {loadBalancer: {ingress: [{ip: 203.0.113.9}]}}";
    service("closed", spec)
}

fn node_port() -> String {
    let spec =
        "{type: NodePort, clusterIP: 10.0.0.8, ports: [{name: http, port: 80, nodePort: 30080}]}";
    service("node-port", spec)
}

fn cluster(parts: &[String]) -> Cluster {
    let reading = proxier_manifest::read_cluster("test", parts.concat().as_bytes());
    assert!(reading.diagnostics.is_empty(), "{:?}", reading.diagnostics);
    reading.cluster
}

fn host() -> Host {
    let mut host = Host::new("node-a");
    let address = "192.168.10.10/24".parse().unwrap();
    host.links.insert("eth0".parse().unwrap(), address);
    host
}

/// No rules can be changed from here on, or again.
fn refuse_rules(kernel: &mut MemoryKernel, refuse: bool) {
    let fault = |operation: &Operation| {
        matches!(operation, Operation::RestoreRules(_))
            .then(|| KernelError::new(KernelPart::Rules, KernelErrorKind::TimedOut, "it hangs"))
    };
    kernel.fail_with(refuse.then(|| Box::new(fault) as _));
}

fn plan(kernel: &mut MemoryKernel, parts: &[String]) -> Plan {
    let desired = translate(&cluster(parts), &host(), &Config::default());
    reconcile(&desired, &kernel.observe().unwrap())
}

fn step(kernel: &mut MemoryKernel, parts: &[String]) -> Applied {
    let plan = plan(kernel, parts);
    kernel.apply(&plan)
}

/// The virtual servers and the addresses that are bound.
fn held(kernel: &mut MemoryKernel) -> (Vec<String>, Vec<String>) {
    let state = kernel.observe().unwrap();
    let ids = state.servers.iter().map(|server| server.id.to_string());
    let bound = state.addresses.iter().flatten();
    (
        ids.collect(),
        bound.map(|net| net.ip().to_string()).collect(),
    )
}

#[test]
fn without_any_rules_no_virtual_server_is_added() {
    let mut kernel = MemoryKernel::new();
    refuse_rules(&mut kernel, true);
    assert!(!step(&mut kernel, &[plain("web", "10.0.0.7")]).is_ok());
    assert_eq!(held(&mut kernel), (Vec::new(), Vec::new()));
}

#[test]
fn only_virtual_servers_whose_rules_are_missing_wait() {
    let web = || plain("web", "10.0.0.7");
    let mut kernel = MemoryKernel::new();
    assert!(step(&mut kernel, &[web()]).is_ok());
    refuse_rules(&mut kernel, true);
    let all = [web(), plain("api", "10.0.0.6"), node_port(), closed()];
    // The second time the members of sets are there already.
    for _ in 0..2 {
        assert!(!step(&mut kernel, &all).is_ok());
        let (servers, addresses) = held(&mut kernel);
        let cluster_ips = ["10.0.0.6", "10.0.0.7", "10.0.0.8", "10.0.0.9"];
        assert_eq!(servers, cluster_ips.map(|ip| format!("-t {ip}:80")));
        assert_eq!(addresses, cluster_ips);
    }
    // What goes away goes.
    assert!(!step(&mut kernel, &[web(), node_port(), closed()]).is_ok());
    assert!(!held(&mut kernel).0.contains(&"-t 10.0.0.6:80".to_owned()));
    refuse_rules(&mut kernel, false);
    assert!(step(&mut kernel, &all).is_ok());
    let (servers, addresses) = held(&mut kernel);
    assert_eq!(servers.len(), 6, "{servers:?}");
    assert!(servers.contains(&"-t 192.168.10.10:30080".to_owned()));
    assert!(addresses.contains(&"203.0.113.9".to_owned()));
    assert!(plan(&mut kernel, &all).is_empty());
}

/// The engine knows by itself who must wait, though its plans are about changes alone.
#[test]
fn the_engine_holds_the_same_back() {
    let mut kernel = MemoryKernel::new();
    let mut engine = Engine::new(host(), Config::default());
    let plan = engine.audit(&kernel.observe().unwrap());
    engine.applied(&plan, &kernel.apply(&plan));
    let mut sync = |kernel: &mut MemoryKernel, parts: &[String], audit: bool| {
        let Cluster {
            services, slices, ..
        } = cluster(parts);
        engine.change(Change::Services(services.into_values().collect()));
        engine.change(Change::Slices(slices.into_values().collect()));
        let plan = match audit {
            true => engine.audit(&kernel.observe().unwrap()),
            false => engine.plan(),
        };
        let desired = engine.desired();
        let applied = kernel.apply(&plan);
        engine.applied(&plan, &applied);
        (desired, applied.is_ok())
    };
    let web = || plain("web", "10.0.0.7");
    assert!(sync(&mut kernel, &[web()], false).1);
    refuse_rules(&mut kernel, true);
    let all = [web(), node_port(), closed()];
    for audit in [false, false, true] {
        assert!(!sync(&mut kernel, &all, audit).1);
        let cluster_ips = ["10.0.0.7", "10.0.0.8", "10.0.0.9"];
        let expected = cluster_ips.map(|ip| format!("-t {ip}:80"));
        assert_eq!(held(&mut kernel).0, expected, "audit: {audit}");
    }
    refuse_rules(&mut kernel, false);
    let (desired, done) = sync(&mut kernel, &all, false);
    assert!(done);
    assert!(reconcile(&desired, &kernel.observe().unwrap()).is_empty());
}

/// Without its jump a chain is nothing: everybody waits until it is back.
#[test]
fn a_jump_that_others_removed_is_needed_by_all() {
    let web = || plain("web", "10.0.0.7");
    let mut kernel = MemoryKernel::new();
    assert!(step(&mut kernel, &[web()]).is_ok());
    let mut state = kernel.observe().unwrap();
    let nat = &mut state.rules.v4.tables;
    let chains = nat.iter_mut().flat_map(|table| &mut table.chains);
    for chain in chains.filter(|chain| chain.name == "PREROUTING") {
        chain.rules.clear();
    }
    let mut kernel = MemoryKernel::holding(&state);
    refuse_rules(&mut kernel, true);
    assert!(!step(&mut kernel, &[web(), plain("api", "10.0.0.6")]).is_ok());
    assert_eq!(held(&mut kernel).0, ["-t 10.0.0.7:80"]);
}

/// A packet that nobody accepts is dropped, which harms nobody else.
#[test]
fn the_chain_that_accepts_is_needed_by_none() {
    let web = || plain("web", "10.0.0.7");
    let mut kernel = MemoryKernel::new();
    assert!(step(&mut kernel, &[web()]).is_ok());
    let mut state = kernel.observe().unwrap();
    let tables = state.rules.v4.tables.iter_mut();
    for chain in tables.flat_map(|table| &mut table.chains) {
        if chain.name == "INPUT" {
            chain.rules.pop();
        }
    }
    let mut kernel = MemoryKernel::holding(&state);
    refuse_rules(&mut kernel, true);
    assert!(!step(&mut kernel, &[web(), plain("api", "10.0.0.6")]).is_ok());
    assert_eq!(held(&mut kernel).0, ["-t 10.0.0.6:80", "-t 10.0.0.7:80"]);
}
