//! Node ports at loopback addresses.

use std::collections::BTreeMap;
use std::net::SocketAddrV4;

use proxier::cluster::{Change, Family};
use proxier::nftables::Element;
use proxier::{
    Config, Desired, Engine, Kernel, KernelError, KernelErrorKind, KernelPart, Layout,
    MemoryKernel, NodePortAddresses, Operation, Plan, Sysctl, reconcile, translate,
};

use super::{cluster, config, endpoints, host, service};

const HTTP: &str = "type: NodePort, ports: [{port: 80, nodePort: 30080}]";
const TARGET: &str = "{port: 8080}";

fn on() -> Config {
    let mut config = config();
    config.localhost_node_ports = Some(true);
    config
}

fn web(spec: &str, addresses: &[&str]) -> String {
    format!("{}{}", service(spec), endpoints(addresses, TARGET))
}

/// Brings a kernel to a cluster, and gives the plan.
fn bring(kernel: &mut MemoryKernel, manifests: &str, config: &Config) -> Plan {
    let desired = translate(&cluster(manifests), &host(), config);
    let plan = reconcile(&desired, &kernel.state());
    let applied = kernel.apply(&plan);
    assert!(applied.is_ok(), "{:?}", applied.failures);
    let left = reconcile(&desired, &kernel.state());
    assert!(left.is_empty(), "{left}");
    plan
}

/// How many slots each endpoint has, and whether the port is served at loopback addresses.
fn slots(manifests: &str, config: &Config) -> (BTreeMap<String, usize>, usize) {
    let desired = translate(&cluster(manifests), &host(), config);
    assert!(
        desired
            .servers
            .iter()
            .all(|server| !server.id.to_string().contains("127."))
    );
    let elements = |family| &desired.tables.get(family).as_ref().unwrap().elements;
    let is_loopback = |element: &&Element| element.set().is_of_loopback();
    assert_eq!(elements(Family::V6).iter().filter(is_loopback).count(), 0);
    let (mut slots, mut ports) = (BTreeMap::new(), 0);
    for element in elements(Family::V4) {
        match element {
            Element::LoopbackEndpoint(_, _, to) => *slots.entry(to.to_string()).or_default() += 1,
            Element::LoopbackPort(_) => ports += 1,
            Element::NodeAddress(address) => assert!(!address.is_loopback()),
            _ => {}
        }
    }
    (slots, ports)
}

fn localnet(kernel: &MemoryKernel) -> i64 {
    kernel.state().sysctls[&Sysctl::RouteLocalnet]
}

const fn sets_localnet(operation: &Operation) -> bool {
    matches!(
        operation,
        Operation::SetSysctl {
            sysctl: Sysctl::RouteLocalnet,
            ..
        }
    )
}

#[test]
fn endpoints_of_a_node_port_share_the_slots() {
    let two = web(HTTP, &["10.244.0.1", "10.244.1.2"]);
    let (found, ports) = slots(&two, &on());
    let counts: Vec<_> = found.into_iter().collect();
    assert_eq!(
        counts,
        [
            ("10.244.0.1:8080".to_owned(), 30),
            ("10.244.1.2:8080".to_owned(), 31)
        ]
    );
    assert_eq!(ports, 1);
    // To the node itself the policy does not matter.
    let local = format!("{HTTP}, externalTrafficPolicy: Local");
    let (found, _) = slots(&web(&local, &["10.244.0.1", "10.244.1.2"]), &on());
    assert_eq!(found.len(), 2);
    // Every client is the node.
    let sticky = format!("{HTTP}, sessionAffinity: ClientIP");
    let (found, _) = slots(&web(&sticky, &["10.244.0.1", "10.244.1.2"]), &on());
    assert_eq!(found.into_values().collect::<Vec<_>>(), [61]);
    // Without endpoints the port is refused.
    assert_eq!(slots(&web(HTTP, &[]), &on()), (BTreeMap::new(), 1));
    // A Service that has no node port.
    let none = slots(&web("ports: [{port: 80}]", &["10.244.0.1"]), &on());
    assert_eq!(none, (BTreeMap::new(), 0));
}

/// They are on where that is asked for and `nodePortAddresses` allows it.
#[test]
fn it_takes_an_explicit_choice_and_an_address() {
    let one = web(HTTP, &["10.244.0.1"]);
    let within = |networks: &[&str]| {
        let networks = networks.iter().map(|network| network.parse().unwrap());
        NodePortAddresses::Within(networks.collect())
    };
    for (asked, addresses, at) in [
        (None, NodePortAddresses::All, &[][..]),
        (Some(false), NodePortAddresses::All, &[]),
        (Some(true), NodePortAddresses::All, &["127.0.0.0/8"]),
        (Some(true), NodePortAddresses::Primary, &[]),
        (Some(true), within(&["192.168.0.0/16"]), &[]),
        (Some(true), within(&["0.0.0.0/0"]), &["127.0.0.0/8"]),
        (Some(true), within(&["::1/128"]), &["127.0.0.0/8"]),
        (Some(true), within(&["64.0.0.0/2"]), &["127.0.0.0/8"]),
        // Without any other address too.
        (
            Some(true),
            within(&["127.0.0.1/32", "127.1.0.0/16"]),
            &["127.0.0.1/32", "127.1.0.0/16"],
        ),
    ] {
        let mut config = config();
        (config.localhost_node_ports, config.node_port_addresses) = (asked, addresses);
        let (found, ports) = slots(&one, &config);
        let is_on = usize::from(!at.is_empty());
        assert_eq!((found.len(), ports), (is_on, is_on), "{config:?}");
        let desired = translate(&cluster(&one), &host(), &config);
        let rules = &desired.tables.v4.as_ref().unwrap().rules;
        let networks: Vec<_> = rules.loopback.iter().map(ToString::to_string).collect();
        assert_eq!(networks, at);
        let localnet = desired.sysctls.contains(&(Sysctl::RouteLocalnet, 1));
        assert_eq!(localnet, !at.is_empty());
        assert_eq!(desired.tables.v6.as_ref().unwrap().rules.loopback, []);
    }
    for layout in Layout::WITH_IPSET {
        let mut config = Config::with_layout(layout);
        let without = translate(&cluster(&one), &host(), &config);
        config.localhost_node_ports = Some(true);
        assert_eq!(translate(&cluster(&one), &host(), &config), without);
    }
}

/// The API server keeps its port, at loopback addresses alone.
#[test]
fn the_port_of_an_api_server_is_left_alone() {
    let mut host = host();
    host.api_servers.insert("127.0.0.1:30080".parse().unwrap());
    let desired = translate(&cluster(&web(HTTP, &["10.244.0.1"])), &host, &on());
    let table = desired.tables.v4.as_ref().unwrap();
    assert!(!table.elements.iter().any(|one| one.set().is_of_loopback()));
    let conflicts: Vec<_> = desired.conflicts.iter().map(ToString::to_string).collect();
    assert!(
        conflicts.len() == 1 && conflicts[0].contains("127.0.0.1:30080"),
        "{conflicts:?}"
    );
}

/// The guard is there before loopback addresses are routed, and goes after they are not any more.
#[test]
fn loopback_addresses_are_guarded_at_every_step() {
    let one = web(HTTP, &["10.244.0.1"]);
    let mut kernel = MemoryKernel::new();
    bring(&mut kernel, &one, &config());
    let place = |plan: &Plan, is: fn(&Operation) -> bool| {
        let found: Vec<_> = plan.iter().map(|(_, operation)| is(operation)).collect();
        assert_eq!(found.iter().filter(|found| **found).count(), 1, "{plan}");
        found.iter().position(|found| *found).unwrap()
    };
    let writes_or_deletes = |operation: &Operation| match operation {
        Operation::WriteTable(write) => write.rules.family == Family::V4,
        Operation::DeleteTable(family) => *family == Family::V4,
        _ => false,
    };
    for off in [config(), Config::default()] {
        let plan = bring(&mut kernel, &one, &on());
        assert!(
            place(&plan, writes_or_deletes) < place(&plan, sets_localnet),
            "{plan}"
        );
        assert_eq!(localnet(&kernel), 1);
        let plan = bring(&mut kernel, &one, &off);
        assert!(
            place(&plan, sets_localnet) < place(&plan, writes_or_deletes),
            "{plan}"
        );
        assert_eq!(localnet(&kernel), 0);
    }
    // Between the two modes that serve them they stay open, and guarded.
    bring(&mut kernel, &one, &on());
    let plan = bring(&mut kernel, &one, &Config::with_layout(Layout::Iptables));
    assert!(
        !plan.iter().any(|(_, operation)| sets_localnet(operation)),
        "{plan}"
    );
    let plan = bring(&mut kernel, &one, &on());
    assert!(
        !plan.iter().any(|(_, operation)| sets_localnet(operation)),
        "{plan}"
    );
    assert_eq!(localnet(&kernel), 1);
}

#[test]
fn cleaning_up_takes_the_setting_back() {
    let mut kernel = MemoryKernel::new();
    bring(&mut kernel, &web(HTTP, &["10.244.0.1"]), &on());
    assert_eq!(localnet(&kernel), 1);
    let state = kernel.state();
    let plan = reconcile(&Desired::nothing(&state, &host()), &state);
    assert!(kernel.apply(&plan).is_ok());
    let state = kernel.state();
    assert_eq!((localnet(&kernel), state.tables.v4), (0, None));
}

/// What somebody else has set is not taken back by a node that does not serve them.
#[test]
fn a_setting_of_others_stays() {
    let one = web(HTTP, &["10.244.0.1"]);
    let mut kernel = MemoryKernel::new();
    let set = Operation::SetSysctl {
        sysctl: Sysctl::RouteLocalnet,
        value: 1,
        was: None,
    };
    kernel.perform(&set).unwrap();
    bring(&mut kernel, &one, &config());
    bring(&mut kernel, &one, &Config::default());
    assert_eq!(localnet(&kernel), 1);
}

#[test]
fn without_the_guard_loopback_addresses_are_not_opened_and_with_them_open_it_stays() {
    let one = web(HTTP, &["10.244.0.1"]);
    let failing = |what: fn(&Operation) -> bool| {
        let faults = move |operation: &Operation| {
            let part = KernelPart::of(operation);
            let refused = || KernelError::new(part, KernelErrorKind::Other, "by the test");
            what(operation).then(refused)
        };
        Some(Box::new(faults) as proxier::kernel::Faults)
    };
    let try_to = |kernel: &mut MemoryKernel, config: &Config| {
        let desired = translate(&cluster(&one), &host(), config);
        let plan = reconcile(&desired, &kernel.state());
        assert!(!kernel.apply(&plan).is_ok());
    };
    let mut kernel = MemoryKernel::new();
    kernel.fail_with(failing(|op| matches!(op, Operation::WriteTable(_))));
    try_to(&mut kernel, &on());
    assert_eq!(localnet(&kernel), 0);
    kernel.fail_with(None);
    bring(&mut kernel, &one, &on());
    for off in [config(), Config::default()] {
        kernel.fail_with(failing(sets_localnet));
        try_to(&mut kernel, &off);
        let state = kernel.state();
        let table = &state.tables.v4.as_ref().unwrap().structure;
        let guard = |chain: &&nftables_netlink::Chain| {
            chain
                .name
                .as_ref()
                .is_some_and(|name| *name == *"loopback-guard")
        };
        assert_eq!(
            (table.chains.iter().filter(guard).count(), localnet(&kernel)),
            (1, 1)
        );
        kernel.fail_with(None);
        bring(&mut kernel, &one, &off);
        assert_eq!(localnet(&kernel), 0);
        bring(&mut kernel, &one, &on());
    }
}

/// An engine makes the same of each change, at the cost of the slots that change hands.
#[test]
fn an_engine_changes_slots_and_takes_the_setting_back() {
    let manifests = |addresses: &[&str]| web(HTTP, addresses);
    let slices = |addresses: &[&str]| {
        let slices = cluster(&manifests(addresses)).slices;
        Change::Slices(slices.into_values().collect())
    };
    let mut engine = Engine::new(host(), on());
    let mut kernel = MemoryKernel::new();
    let all = cluster(&manifests(&["10.244.0.1", "10.244.1.2"]));
    engine.change(Change::Services(all.services.into_values().collect()));
    engine.change(Change::Nodes(all.nodes.into_values().collect()));
    engine.change(slices(&["10.244.0.1", "10.244.1.2"]));
    let plan = engine.audit(&kernel.observe().unwrap());
    engine.applied(&plan, &kernel.apply(&plan));
    assert_eq!(localnet(&kernel), 1);
    assert!(engine.plan().is_empty());

    // Those of the one that goes change hands, and no others.
    engine.change(slices(&["10.244.0.1"]));
    let plan = engine.plan();
    let changed = plan.iter().filter(|(_, operation)| {
        matches!(
            operation,
            Operation::ChangeElement {
                element: Element::LoopbackEndpoint(..),
                ..
            }
        )
    });
    assert_eq!(changed.count(), 31, "{plan}");
    engine.applied(&plan, &kernel.apply(&plan));
    assert!(engine.plan().is_empty());

    // One that somebody changed is mended.
    let nobody = SocketAddrV4::new([10, 9, 9, 9].into(), 9);
    let state = kernel.state();
    let elements = &state.tables.v4.as_ref().unwrap().elements;
    let of_slot = |element: &&Element| matches!(element, Element::LoopbackEndpoint(_, 7, _));
    let element = *elements.iter().find(of_slot).unwrap();
    let Element::LoopbackEndpoint(port, slot, _) = element else {
        panic!("{element}");
    };
    let by_hand = Operation::ChangeElement {
        family: Family::V4,
        element: Element::LoopbackEndpoint(port, slot, nobody),
        was: element,
    };
    kernel.perform(&by_hand).unwrap();
    let plan = engine.audit(&kernel.observe().unwrap());
    assert_eq!(
        plan.to_string().matches("(was 10.9.9.9:9)").count(),
        1,
        "{plan}"
    );
    let changes = |operation: &Operation| matches!(operation, Operation::ChangeElement { .. });
    assert_eq!(
        plan.iter().filter(|(_, one)| changes(one)).count(),
        1,
        "{plan}"
    );
    engine.applied(&plan, &kernel.apply(&plan));
    assert!(engine.plan().is_empty());

    engine.set_config(config());
    let plan = engine.plan();
    engine.applied(&plan, &kernel.apply(&plan));
    assert_eq!(localnet(&kernel), 0);
    assert!(engine.plan().is_empty());
    assert!(reconcile(&engine.desired(), &kernel.state()).is_empty());
    // Nothing is left of it where the layout is.
    engine.set_config(on());
    let plan = engine.plan();
    engine.applied(&plan, &kernel.apply(&plan));
    engine.set_config(Config::default());
    let plan = engine.plan();
    engine.applied(&plan, &kernel.apply(&plan));
    assert_eq!(localnet(&kernel), 0);
    assert!(reconcile(&engine.desired(), &kernel.state()).is_empty());
}
