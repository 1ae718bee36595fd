//! Small inputs of a kind that people reported to go wrong (`cases/`), and what is right for them.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that fails should panic"
)]

use std::path::Path;

use proxier::cluster::{Change, Cluster, Endpoint, Hints, Host};
use proxier::{
    Config, ConflictChange, Desired, Engine, Kernel, Layout, MemoryKernel, reconcile, translate,
};
use proxier_manifest::Snapshot;

fn case(name: &str) -> Cluster {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/cases")
        .join(name);
    let text = std::fs::read(&path).unwrap();
    let reading = proxier_manifest::read_cluster(name, &text);
    let problems = &reading.diagnostics;
    assert!(problems.is_empty(), "{name}: {problems:?}");
    reading.cluster
}

fn host() -> Host {
    let mut host = Host::new("node-a");
    let link = "eth0".parse().unwrap();
    host.links.insert(link, "192.168.10.10/24".parse().unwrap());
    host
}

fn desired(cluster: &Cluster) -> Desired {
    translate(cluster, &host(), &Config::default())
}

/// The destinations of a virtual server, as ADDRESS:PORT; panics if there is no such virtual server.
fn destinations(desired: &Desired, id: &str) -> Vec<String> {
    let server = desired
        .servers
        .iter()
        .find(|server| server.id.to_string() == id);
    let server = server.unwrap_or_else(|| panic!("no {id} in {:?}", desired.servers));
    server
        .destinations
        .iter()
        .map(|d| d.id.to_string())
        .collect()
}

/// Pod addresses are reused: what is not terminating decides, ready or not.
#[test]
fn an_entry_that_is_not_terminating_decides_over_one_that_is() {
    let mut cluster = case("dup-terminating-and-unready.yaml");
    assert_eq!(
        destinations(&desired(&cluster), "-t 10.96.0.10:80"),
        [""; 0]
    );
    let slice = cluster.slices.values_mut().next().unwrap();
    slice.endpoints.reverse();
    assert_eq!(
        destinations(&desired(&cluster), "-t 10.96.0.10:80"),
        [""; 0]
    );
    let slice = cluster.slices.values_mut().next().unwrap();
    slice.endpoints.retain(|endpoint| endpoint.terminating);
    assert_eq!(
        destinations(&desired(&cluster), "-t 10.96.0.10:80"),
        ["10.0.1.1:80"]
    );
}

/// What another endpoint and an entry found twice lead to, whichever of the two comes first.
fn with_entries_of_one_address(one: &Endpoint, other: &Endpoint) -> [Vec<String>; 2] {
    let mut cluster = case("dup-terminating-and-unready.yaml");
    let hinted = |endpoint: &Endpoint, zone: &str| {
        let mut endpoint = endpoint.clone();
        endpoint.hints = Some(Hints::for_zones([zone]).into());
        endpoint
    };
    let elsewhere = hinted(&Endpoint::ready("10.0.1.2".parse().unwrap()), "zone-b");
    let here = hinted(&Endpoint::ready("10.0.1.3".parse().unwrap()), "zone-a");
    [[one, other], [other, one]].map(|twice| {
        let slice = cluster.slices.values_mut().next().unwrap();
        slice.endpoints = vec![elsewhere.clone(), here.clone()];
        slice.endpoints.extend(twice.map(Clone::clone));
        destinations(&desired(&cluster), "-t 10.96.0.10:80")
    })
}

#[test]
fn hints_and_node_come_from_the_entry_that_decides() {
    let address = "10.0.1.1".parse().unwrap();
    let ready = Endpoint::ready(address);
    let mut hinted = ready.clone();
    hinted.hints = Some(Hints::for_zones(["zone-a"]).into());
    let all = ["10.0.1.1:80", "10.0.1.2:80", "10.0.1.3:80"];
    let here = ["10.0.1.1:80", "10.0.1.3:80"];

    // The ready entry has no hints, so that none count; those of the other are not looked at.
    let mut unready = hinted.clone();
    unready.ready = false;
    assert_eq!(with_entries_of_one_address(&ready, &unready), [all, all]);
    let mut leaving = hinted.clone();
    leaving.terminating = true;
    assert_eq!(with_entries_of_one_address(&ready, &leaving), [all, all]);

    // The other way round, hints are complete.
    let mut bare_unready = ready.clone();
    bare_unready.ready = false;
    assert_eq!(
        with_entries_of_one_address(&hinted, &bare_unready),
        [here, here]
    );
    let mut bare_leaving = ready.clone();
    bare_leaving.terminating = true;
    assert_eq!(
        with_entries_of_one_address(&hinted, &bare_leaving),
        [here, here]
    );

    // Of equals the first counts.
    assert_eq!(
        with_entries_of_one_address(&hinted, &ready),
        [&here[..], &all[..]]
    );
}

fn conflicts(desired: &Desired) -> Vec<String> {
    desired.conflicts.iter().map(ToString::to_string).collect()
}

#[test]
fn a_cluster_ip_comes_before_an_older_services_external_ip() {
    let mut cluster = case("older-service-takes-a-cluster-ip.yaml");
    let wanted = desired(&cluster);
    assert_eq!(destinations(&wanted, "-u 10.0.0.10:53"), ["10.244.1.9:53"]);
    assert_eq!(destinations(&wanted, "-u 10.0.0.66:53"), ["10.244.66.6:53"]);
    assert_eq!(
        conflicts(&wanted),
        [
            "Service default/a, port \"d\", does not get -u 10.0.0.10:53: \
          it is the cluster IP of Service default/kube-dns"
        ]
    );
    let conflict = &wanted.conflicts[0];
    assert_eq!(conflict.address(), "10.0.0.10".parse().ok());
    assert_eq!(conflict.holder.service().unwrap().name(), "kube-dns");

    // Neither do load balancer addresses, nor node ports where the address is the node's.
    for service in cluster.services.values_mut() {
        service.load_balancer_ips = std::mem::take(&mut service.external_ips);
    }
    let balanced = desired(&cluster);
    assert_eq!(
        destinations(&balanced, "-u 10.0.0.10:53"),
        ["10.244.1.9:53"]
    );
    assert_eq!(balanced.conflicts, wanted.conflicts);

    // Of two cluster IPs, and of two external ones, the older has it.
    for service in cluster.services.values_mut() {
        service.load_balancer_ips.clear();
        service.cluster_ips = vec!["10.0.0.10".parse().unwrap()];
    }
    let both = desired(&cluster);
    assert_eq!(destinations(&both, "-u 10.0.0.10:53"), ["10.244.66.6:53"]);
    assert_eq!(
        conflicts(&both),
        [
            "Service default/kube-dns, port \"d\", does not get -u 10.0.0.10:53: \
          it is the cluster IP of Service default/a"
        ]
    );
}

/// Whether an address is bound, or has anything at all.
fn holds(desired: &Desired, address: &str) -> bool {
    let ip = address.parse().unwrap();
    let states = [&desired.families.v4, &desired.families.v6];
    let entries = states
        .into_iter()
        .flatten()
        .flat_map(|state| &state.sets)
        .flat_map(|set| &set.entries);
    desired.addresses.contains(&ip)
        || desired
            .servers
            .iter()
            .any(|s| s.id.to_string().contains(address))
        || entries
            .map(ToString::to_string)
            .any(|entry| entry.contains(address))
}

#[test]
fn addresses_of_nodes_endpoints_and_the_api_server_are_not_taken() {
    let node = "the address is that of Node node-b";
    for (name, address, service, reason) in [
        (
            "other-nodes-address-as-external-ip.yaml",
            "192.168.10.11",
            "web",
            node,
        ),
        (
            "other-nodes-address-as-lb-address.yaml",
            "192.168.10.11",
            "traefik",
            node,
        ),
        (
            "external-ip-is-api-server.yaml",
            "192.168.10.100",
            "dash",
            "the address is that of an endpoint in EndpointSlice default/kubernetes-1",
        ),
    ] {
        let cluster = case(name);
        let wanted = desired(&cluster);
        assert!(!holds(&wanted, address), "{name}: {wanted:#?}");
        let told = conflicts(&wanted);
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(
            told[0].starts_with(&format!("Service default/{service}, "))
                && told[0].ends_with(reason),
            "{told:?}"
        );

        // The classic layout is that of its time.
        let classic = translate(&cluster, &host(), &Config::with_layout(Layout::Classic));
        assert!(holds(&classic, address), "{name}");
        assert!(classic.conflicts.is_empty());
    }
    // This node's own is served, though never bound.
    let lb = desired(&case("other-nodes-address-as-lb-address.yaml"));
    assert_eq!(destinations(&lb, "-t 192.168.10.10:80"), ["10.244.1.5:80"]);
    assert!(!lb.addresses.contains(&"192.168.10.10".parse().unwrap()));
}

/// Though no Node and no endpoint has its address.
#[test]
fn the_api_servers_address_is_not_taken_and_cluster_ips_are() {
    let mut cluster = case("external-ip-is-api-server.yaml");
    cluster
        .slices
        .retain(|name, _| name.name() != "kubernetes-1");
    assert!(holds(&desired(&cluster), "192.168.10.100"));
    let mut host = host();
    host.api_servers
        .insert("192.168.10.100:6443".parse().unwrap());
    let wanted = translate(&cluster, &host, &Config::default());
    assert!(!holds(&wanted, "192.168.10.100"));
    assert!(conflicts(&wanted)[0].ends_with("the address is the API server's"));

    // Where the address is the node's own, it is not bound, and all ports but the API server's are served.
    let at = |server: &str| {
        let mut host = self::host();
        let address = "192.168.10.100/24".parse().unwrap();
        host.links.insert("eth0".parse().unwrap(), address);
        host.api_servers.insert(server.parse().unwrap());
        translate(&cluster, &host, &Config::default())
    };
    let other_port = at("192.168.10.100:6443");
    assert_eq!(
        destinations(&other_port, "-t 192.168.10.100:443"),
        ["10.244.1.9:443"]
    );
    let same_port = at("192.168.10.100:443");
    let servers = format!("{:?}", same_port.servers);
    assert!(!servers.contains("192.168.10.100"), "{servers}");
    assert!(conflicts(&same_port)[0].ends_with("the address is the API server's"));

    // In a pod, the API server is reached by a cluster IP.
    host.api_servers.insert("10.96.0.1:443".parse().unwrap());
    let wanted = translate(&cluster, &host, &Config::default());
    assert!(wanted.addresses.contains(&"10.96.0.1".parse().unwrap()));
}

/// What an engine gives for whoever comes and goes, and what it reports: each conflict once, and its end.
#[test]
fn an_engine_reports_conflicts_once() {
    let name = "other-nodes-address-as-external-ip.yaml";
    let cluster = case(name);
    let mut kernel = MemoryKernel::new();
    let mut engine = Engine::new(host(), Config::default());
    for service in cluster.services.values() {
        engine.change(Change::Service(Box::new(service.clone())));
    }
    let plan = engine.audit(&kernel.observe().unwrap());
    engine.applied(&plan, &kernel.apply(&plan));
    assert!(holds(&engine.desired(), "192.168.10.11"));
    assert_eq!(engine.conflict_changes(), []);

    let node_b = cluster.nodes.values().find(|node| &*node.name == "node-b");
    let node_b = Box::new(node_b.unwrap().clone());
    let slice = cluster.slices.values().next().unwrap().clone();
    let slice = slice.with_endpoints([Endpoint::ready("192.168.10.11".parse().unwrap())]);
    let comings = [
        (Change::Node(node_b), Change::NodeGone("node-b".into())),
        (
            Change::Slice(Box::new(slice.clone())),
            Change::SliceGone(slice.name.clone()),
        ),
        (Change::Slices(vec![slice]), Change::Slices(Vec::new())),
    ];
    let address = "192.168.10.11/32".parse().unwrap();
    for (comes, goes) in comings {
        engine.change(comes);
        let plan = engine.plan();
        engine.applied(&plan, &kernel.apply(&plan));
        let state = kernel.state();
        assert!(!state.addresses.unwrap().contains(&address), "{plan}");
        assert!(!plan.is_empty());
        let conflicts: Vec<_> = engine.conflicts().collect();
        assert_eq!(conflicts, engine.desired().conflicts);
        assert_eq!(
            engine.conflict_changes(),
            [ConflictChange::Began(conflicts[0].clone())]
        );
        assert_eq!(engine.conflict_changes(), []);

        engine.change(goes);
        let plan = engine.plan();
        engine.applied(&plan, &kernel.apply(&plan));
        assert!(
            kernel.state().addresses.unwrap().contains(&address),
            "{plan}"
        );
        assert_eq!(
            engine.conflict_changes(),
            [ConflictChange::Ended(conflicts[0].clone())]
        );
    }
}

/// A Service's port that is the number of a node port: traffic to the Service's address is no node port's.
#[test]
fn node_port_rules_leave_out_service_addresses() {
    let wanted = desired(&case("cluster-ip-port-equals-node-port.yaml"));
    let mut kernel = MemoryKernel::new();
    assert!(kernel.apply(&reconcile(&wanted, &kernel.state())).is_ok());
    let state = Snapshot::of(&kernel.state());
    assert!(
        state
            .ipset
            .contains(&"add KUBE-IPVS-IPS 10.0.1.20".to_owned())
    );
    assert!(
        !state
            .ipset
            .contains(&"add KUBE-IPVS-IPS 192.168.10.10".to_owned())
    );
    let node_port = |line: &&String| line.starts_with("-A KUBE-NODE-PORT ");
    let rules: Vec<_> = state.iptables.iter().filter(node_port).collect();
    assert!(
        rules[0].ends_with("--match-set KUBE-IPVS-IPS dst -j RETURN"),
        "{rules:?}"
    );
    assert!(
        rules[1].contains("KUBE-NODE-PORT-TCP dst -j KUBE-MARK-MASQ"),
        "{rules:?}"
    );

    // Without addresses that are bound, or without node ports, there is nothing to leave out.
    let mut bare = case("cluster-ip-port-equals-node-port.yaml");
    bare.services.retain(|name, _| name.name() == "c");
    let mut kernel = MemoryKernel::new();
    assert!(
        kernel
            .apply(&reconcile(&desired(&bare), &kernel.state()))
            .is_ok()
    );
    let state = Snapshot::of(&kernel.state());
    assert!(
        !state
            .iptables
            .iter()
            .any(|line| line.contains("KUBE-IPVS-IPS dst -j RETURN"))
    );
}

/// Whatever others, or a table that could not be read, made there be twice.
#[test]
fn jumps_found_several_times_are_reduced_to_one() {
    let wanted = desired(&case("cluster-ip-port-equals-node-port.yaml"));
    let mut kernel = MemoryKernel::new();
    assert!(kernel.apply(&reconcile(&wanted, &kernel.state())).is_ok());
    let right = kernel.state();
    let mut state = right.clone();
    for rules in [&mut state.rules.v4, &mut state.rules.v6] {
        for chain in rules.tables.iter_mut().flat_map(|table| &mut table.chains) {
            let once = chain.rules.clone();
            if !chain.name.as_str().starts_with("KUBE-") {
                chain.rules.extend(once.iter().cloned());
                chain.rules.extend(once);
            }
        }
    }
    assert_ne!(state.rules, right.rules);
    let mut kernel = MemoryKernel::holding(&state);
    let plan = reconcile(&wanted, &state);
    let applied = kernel.apply(&plan);
    assert!(applied.is_ok(), "{:?}", applied.failures);
    assert_eq!(
        Snapshot::of(&kernel.state()),
        Snapshot::of(&right),
        "{plan}"
    );
    assert!(reconcile(&wanted, &kernel.state()).is_empty());
}

/// A Service can be in its own way: here the node port of one port is another port's number at an address of the node.
#[test]
fn a_service_in_its_own_way_is_reported() {
    let mut cluster = case("other-nodes-address-as-external-ip.yaml");
    let service = cluster.services.values_mut().next().unwrap();
    service.external_ips = vec!["192.168.10.10".parse().unwrap()];
    let mut second = service.ports[0].clone();
    second.name = "second".into();
    second.port = 81.try_into().unwrap();
    second.node_port = 80.try_into().ok();
    service.ports.push(second);
    let wanted = desired(&cluster);
    assert_eq!(
        conflicts(&wanted),
        [
            "Service default/web, port \"second\", does not get -t 192.168.10.10:80: \
          the older Service default/web has it"
        ]
    );
    assert_eq!(
        destinations(&wanted, "-t 192.168.10.10:80"),
        ["10.244.1.5:80"]
    );
}

/// v1.20 had no hints and no `internalTrafficPolicy`, and the classic layout is its.
#[test]
fn the_classic_layout_heeds_neither_hints_nor_the_internal_policy() {
    const YAML: &str = "
apiVersion: v1
kind: Node
metadata: {name: node-a, labels: {topology.kubernetes.io/zone: zone-a}}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {clusterIP: 10.96.0.10, POLICY ports: [{port: 80}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{port: 80}]
endpoints:
- {addresses: [10.0.1.1], nodeName: node-a HINT-A}
- {addresses: [10.0.1.2], nodeName: node-b HINT-B}
";
    let hint = |zone: &str| format!(", hints: {{forZones: [{{name: {zone}}}]}}");
    let hinted = YAML
        .replace("POLICY ", "")
        .replace(" HINT-A", &hint("zone-a"))
        .replace(" HINT-B", &hint("zone-b"));
    let local = YAML
        .replace("POLICY", "internalTrafficPolicy: Local,")
        .replace(" HINT-A", "")
        .replace(" HINT-B", "");
    for yaml in [hinted, local] {
        let reading = proxier_manifest::read_cluster("test", yaml.as_bytes());
        assert!(reading.diagnostics.is_empty(), "{:?}", reading.diagnostics);
        let of = |layout| {
            let desired = translate(&reading.cluster, &host(), &Config::with_layout(layout));
            destinations(&desired, "-t 10.96.0.10:80")
        };
        assert_eq!(of(Layout::Current), ["10.0.1.1:80"]);
        assert_eq!(of(Layout::Classic), ["10.0.1.1:80", "10.0.1.2:80"]);
    }
}
