//! Addresses that are another's.

use proxier::cluster::{Change, Endpoint};
use proxier::{Config, ConflictChange, Desired, Engine, Kernel, Layout, MemoryKernel, translate};

use crate::{case, desired, destinations, host};

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
        let mut host = crate::host();
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
