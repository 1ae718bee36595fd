//! Ranges of ports in the layouts with ipset: rules of the mangle table give packets the mark of their virtual server.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that fails should panic"
)]

use ipset_netlink::{Family as SetFamily, Set, SetSpec, SetType};
use iptables_restore::TableName;
use ipvs_netlink::{SaveLine, VirtualServerId};
use proxier::cluster::{Change, Cluster, Family, Host, ObjectName};
use proxier::explain::{Evidence, Outcome, Question, explain};
use proxier::{
    Config, Desired, DetectLocal, Engine, Holder, Kernel, KernelError, KernelErrorKind, KernelPart,
    Layout, MemoryKernel, NotShared, Observed, Operation, Phase, Plan, SetId, reconcile, translate,
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

#[test]
fn a_range_is_one_rule_at_each_address_and_one_virtual_server() {
    for layout in Layout::WITH_IPSET {
        let ports = "10000-20000/udp, 8000-8100/tcp, 7/sctp";
        let desired = desired(
            layout,
            &named("web", 7, ports, "externalIPs: [203.0.113.7]"),
        );
        let [(server, destinations)] = &by_mark(&desired)[..] else {
            panic!("{:?}", by_mark(&desired));
        };
        assert_eq!(server, "-A -f 4199 -s rr -b flag-3");
        assert_eq!(destinations[..], ["10.244.1.7:0", "10.244.2.7:0"]);
        let rules = marks(&desired);
        assert_eq!(rules.len(), 3 * 3 + 3, "{rules:#?}");
        assert_eq!(
            rules[..3],
            [
                "-d 10.0.0.7/32 -p tcp -m tcp --dport 8000:8100 -j MARK --set-xmark 0x1067/0xffffffff",
                "-d 10.0.0.7/32 -p udp -m udp --dport 10000:20000 -j MARK --set-xmark 0x1067/0xffffffff",
                "-d 10.0.0.7/32 -p sctp -m sctp --dport 7 -j MARK --set-xmark 0x1067/0xffffffff",
            ]
        );
        let requests = &rules[9..];
        assert!(
            requests.iter().any(|rule| rule
                == "! -s 10.244.0.0/16 -d 10.0.0.7/32 -m mark --mark 0x1067 -j CONNMARK --set-xmark 0x4000/0x4000"),
            "{requests:#?}"
        );
        assert!(
            requests.iter().any(|rule| rule
                == "-d 203.0.113.7/32 -m mark --mark 0x1067 -j CONNMARK --set-xmark 0x4000/0x4000"),
            "{requests:#?}"
        );
    }
}

#[test]
fn every_port_is_a_rule_without_ports_for_each_protocol() {
    let rules = marks(&desired(Layout::Current, &named("web", 7, "all", "")));
    let of_cluster_ip = rules.iter().filter(|rule| rule.contains("10.0.0.7/32 -p "));
    let of_cluster_ip: Vec<_> = of_cluster_ip.collect();
    assert_eq!(of_cluster_ip.len(), 3, "{rules:#?}");
    assert!(of_cluster_ip.iter().all(|rule| !rule.contains("--dport")));
}

#[test]
fn without_ranges_there_is_no_mangle_table() {
    for layout in Layout::WITH_IPSET {
        let manifests = named("web", 7, "7-9/tcp", "").replace("annotations", "labels");
        let state = programmed(&desired(layout, &manifests));
        assert!(state.rules.v4.table(&TableName::Mangle).is_none());
    }
}

/// What listed ports do with packets to the same addresses.
#[test]
fn masquerading_is_that_of_listed_ports() {
    let asked = |annotation: &str, spec: &str| {
        let manifests = named("web", 7, "7/tcp", spec).replace(
            "annotations: {",
            &format!("annotations: {{kube-proxier/masquerade: {annotation}, "),
        );
        let mut rules = marks(&desired(Layout::Current, &manifests));
        rules.retain(|rule| rule.contains("CONNMARK"));
        rules
    };
    let node = "-m addrtype --src-type LOCAL -j CONNMARK";
    let never = asked("never", BALANCED);
    assert_eq!(never.len(), 3);
    assert!(never.iter().all(|rule| rule.contains(node)), "{never:#?}");
    let always = asked("always", BALANCED);
    assert!(
        !always.iter().any(|rule| rule.contains(node)),
        "{always:#?}"
    );
    assert!(
        always[0].starts_with("-d 10.0.0.7/32 -m mark"),
        "{always:#?}"
    );
    let local = asked(
        "default",
        &format!("{BALANCED}, externalTrafficPolicy: Local"),
    );
    let [only] = &local[..] else {
        panic!("{local:#?}");
    };
    assert!(
        only.starts_with("! -s 10.244.0.0/16 -d 10.0.0.7/32 "),
        "{only}"
    );
}

#[test]
fn policies_local_have_virtual_servers_of_their_own() {
    let spec = format!("{BALANCED}, externalTrafficPolicy: Local, internalTrafficPolicy: Local");
    for (layout, count) in [(Layout::Current, 2), (Layout::Classic, 3)] {
        // The classic layout heeds the policy at load balancer addresses alone, and no internal one.
        let servers = by_mark(&desired(layout, &named("web", 7, "7/tcp", &spec)));
        assert_eq!(servers.len(), count, "{servers:#?}");
        let local = servers.iter().filter(|(_, to)| to.len() == 1).count();
        assert_eq!(local, if layout == Layout::Current { 2 } else { 1 });
    }
}

#[test]
fn source_ranges_let_clients_pass_and_drop_the_rest() {
    let of = |clients: &str| {
        let spec = format!("{BALANCED}, loadBalancerSourceRanges: [{clients}]");
        let mut rules = marks(&desired(Layout::Current, &named("web", 7, "7/tcp", &spec)));
        rules.retain(|rule| rule.contains("198.51.100.7/32 -p"));
        rules
    };
    let to = "-d 198.51.100.7/32 -p tcp -m tcp --dport 7";
    let mark = "-j MARK --set-xmark 0x1067/0xffffffff";
    assert_eq!(
        of("192.0.2.0/24"),
        [
            format!("-s 192.0.2.0/24 {to} {mark}"),
            format!("{to} -m mark ! --mark 0x1067 -j DROP"),
        ]
    );
    // The node is in them, and sends from the address itself.
    assert_eq!(
        of("192.168.10.0/24"),
        [
            format!("-s 192.168.10.0/24 {to} {mark}"),
            format!("-s 198.51.100.7/32 {to} {mark}"),
            format!("{to} -m mark ! --mark 0x1067 -j DROP"),
        ]
    );
}

#[test]
fn other_rules_let_packets_with_a_mark_pass() {
    let state = programmed(&desired(Layout::Current, &named("web", 7, "7/tcp", "")));
    let own = |table, name| chain(&state, &table, name);
    let mark = "-m mark --mark 0x1067";
    assert_eq!(
        own(TableName::Nat, "KUBE-SERVICES")[1],
        format!("{mark} -j ACCEPT")
    );
    let filter = own(TableName::Filter, "KUBE-IPVS-FILTER");
    assert_eq!(filter[filter.len() - 2], format!("{mark} -j RETURN"));
    let accept = own(TableName::Filter, "KUBE-IPVS-ACCEPT");
    assert!(accept.contains(&format!("{mark} -j ACCEPT")), "{accept:#?}");
    let first = "-m conntrack ! --ctstate RELATED,ESTABLISHED,SNAT";
    let masquerade = "-j MARK --set-xmark 0x4000/0xffffffff";
    assert_eq!(
        own(TableName::Mangle, "KUBE-RANGE-POSTROUTING"),
        [
            format!("-s 10.244.1.7/32 -d 10.244.1.7/32 {mark} {first} {masquerade}"),
            format!("{mark} -m connmark --mark 0x4000/0x4000 {first} {masquerade}"),
            format!("{mark} -j MARK --set-xmark 0x0/0xffffffff"),
        ]
    );
}

/// No mark is that of rules, whatever bits there are to be.
#[test]
fn marks_are_none_of_the_bits_of_rules() {
    let manifests = named("web", 7, "7/tcp", "");
    for layout in Layout::WITH_IPSET {
        let mut config = config(layout);
        config.nftables.service_marks = 0xc001;
        let desired = translate(&cluster(&manifests), &host(), &config);
        assert_eq!(by_mark(&desired)[0].0, "-A -f 1 -s rr -b flag-3");
        config.nftables.service_marks = 0xc000;
        let desired = translate(&cluster(&manifests), &host(), &config);
        assert!(by_mark(&desired).is_empty());
        let addresses = desired.conflicts.iter().map(|conflict| {
            assert_eq!(conflict.holder, Holder::AllMarks);
            conflict.address().unwrap().to_string()
        });
        let addresses: Vec<_> = addresses.collect();
        assert_eq!(addresses, ["10.0.0.7", "198.51.100.7"]);
    }
}

#[test]
fn of_the_nodes_own_address_there_is_no_range() {
    let spec = "externalIPs: [192.168.10.10]";
    let desired = desired(Layout::Current, &named("web", 7, "7/tcp", spec));
    assert!(
        !marks(&desired)
            .iter()
            .any(|rule| rule.contains("192.168.10.10"))
    );
    assert_eq!(desired.conflicts.len(), 1, "{:?}", desired.conflicts);
}

/// An address that only another link has: its node ports come before ranges.
#[test]
fn node_ports_come_before_ranges() {
    let spec = "externalIPs: [192.168.10.77]";
    let mut host = host();
    let eth0 = "eth0".parse().unwrap();
    host.links.insert(eth0, "192.168.10.77/24".parse().unwrap());
    let cluster = cluster(&named("web", 7, "all", spec));
    let desired = translate(&cluster, &host, &config(Layout::Current));
    let rules = mangle(&desired, "KUBE-RANGE-MARKS");
    let at = |text: &str| rules.iter().position(|rule| rule.contains(text)).unwrap();
    let node_port =
        at("-d 192.168.10.77/32 -p udp -m set --match-set KUBE-NODE-PORT-UDP dst -j RETURN");
    assert!(
        node_port < at("-d 192.168.10.77/32 -p udp -j MARK"),
        "{rules:#?}"
    );
}

/// A packet never gets a mark whose virtual server is missing, or another Service's.
#[test]
fn an_address_loses_its_mark_before_another_gets_it() {
    let one_mark = |manifests: &str| {
        let mut config = config(Layout::Current);
        config.nftables.service_marks = 0x1;
        translate(&cluster(manifests), &host(), &config)
    };
    let younger = named("b", 8, "7/tcp", "");
    let before = one_mark(&younger);
    let found = programmed(&before);
    let after = one_mark(&format!("{younger}{}", named("a", 7, "7/tcp", "")));
    let plan = reconcile(&after, &found);
    let rules = |phase| {
        let changes = plan.phase(phase).iter();
        let changes = changes.filter(|one| matches!(one, Operation::RestoreRules(_)));
        changes.cloned().collect::<Vec<_>>()
    };
    let ([withdrawn], [marked]) = (&rules(Phase::Fill)[..], &rules(Phase::Map)[..]) else {
        panic!("{plan}");
    };
    // Whichever of them fails, nothing after it that would lead packets astray is done.
    for (failing, skipped) in [(withdrawn, true), (marked, false)] {
        let failing = failing.clone();
        let mut kernel = MemoryKernel::holding(&found);
        kernel.fail_with(Some(Box::new(move |operation| {
            (*operation == failing)
                .then(|| KernelError::new(KernelPart::Rules, KernelErrorKind::Other, "by the test"))
        })));
        assert!(!kernel.apply(&plan).is_ok());
        let state = kernel.state();
        let server = state.servers.iter();
        let mut server =
            server.filter(|one| matches!(one.id, VirtualServerId::FirewallMark { .. }));
        let destinations = &server.next().unwrap().destinations;
        let of_a = destinations
            .iter()
            .any(|found| found.destination.id.to_string() == "10.244.1.7:0");
        assert_eq!(of_a, !skipped, "{plan}");
        kernel.fail_with(None);
        let rest = reconcile(&after, &kernel.state());
        assert!(kernel.apply(&rest).is_ok());
        assert!(reconcile(&after, &kernel.state()).is_empty());
    }
}

/// A set of another type under the name of one of the proxy's has to go before it is made anew, and rules that name it before
/// that: these may be in the chain that loses a mark.
#[test]
fn a_mark_that_was_taken_off_does_not_come_back_with_another_change_of_its_chain() {
    let mut found = programmed(&desired(Layout::Current, &named("web", 7, "7/tcp", "")));
    let name = SetId::ClusterIp.name(Family::V4);
    let set = found.sets.get_mut(&name).unwrap();
    *set = Set::new(SetSpec::hash(name, SetType::HASH_NET, SetFamily::V4));
    let nothing = desired(Layout::Current, "");
    let plan = reconcile(&nothing, &found);
    let mut kernel = MemoryKernel::holding(&found);
    let mut changes_of_marks = 0;
    for (_, operation) in plan.iter() {
        kernel.perform(operation).unwrap();
        let state = kernel.state();
        let has_mark = chain(&state, &TableName::Mangle, "KUBE-RANGE-MARKS")
            .iter()
            .any(|rule| rule.contains("-j MARK"));
        changes_of_marks += usize::from(operation.to_string().contains("KUBE-RANGE-MARKS"));
        let marks = state.servers.iter();
        let mut marks = marks.filter(|one| matches!(one.id, VirtualServerId::FirewallMark { .. }));
        assert!(!has_mark || marks.next().is_some(), "{operation}\n{plan}");
    }
    assert!(changes_of_marks > 1, "{plan}");
}

#[test]
fn without_its_virtual_server_no_mark_is_set() {
    let desired = desired(Layout::Current, &named("web", 7, "7/tcp", ""));
    let mut kernel = MemoryKernel::new();
    kernel.fail_with(Some(Box::new(|operation| {
        let fails = matches!(
            operation,
            Operation::AddServer {
                id: VirtualServerId::FirewallMark { .. },
                ..
            }
        );
        fails.then(|| KernelError::new(KernelPart::Ipvs, KernelErrorKind::Other, "by the test"))
    })));
    let plan = reconcile(&desired, &kernel.state());
    assert!(!kernel.apply(&plan).is_ok());
    let state = kernel.state();
    assert!(chain(&state, &TableName::Mangle, "KUBE-RANGE-MARKS").is_empty());
    // Listed ports go on.
    assert_eq!(state.servers.len(), 2);
}

#[test]
fn the_engine_adds_changes_and_removes_ranges() {
    let mut kernel = MemoryKernel::new();
    let mut engine = Engine::new(host(), config(Layout::Current));
    let plan = engine.audit(&kernel.observe().unwrap());
    engine.applied(&plan, &kernel.apply(&plan));
    let mut states = Vec::new();
    for ports in ["7-9/tcp", "7-10/tcp, 1/udp"] {
        let cluster = cluster(&named("web", 7, ports, BALANCED));
        for service in cluster.services.values() {
            engine.change(Change::Service(Box::new(service.clone())));
        }
        for slice in cluster.slices.values() {
            engine.change(Change::Slice(Box::new(slice.clone())));
        }
        let plan = engine.plan();
        engine.applied(&plan, &kernel.apply(&plan));
        assert!(engine.plan().is_empty());
        states.push(chain(
            &kernel.state(),
            &TableName::Mangle,
            "KUBE-RANGE-MARKS",
        ));
    }
    assert_eq!(states[1].len() - states[0].len(), 3, "{states:#?}");
    engine.change(Change::ServiceGone(ObjectName::new("default", "web")));
    let plan = engine.plan();
    engine.applied(&plan, &kernel.apply(&plan));
    let mangle = kernel.state().rules.v4.table(&TableName::Mangle).cloned();
    let own = mangle.iter().flat_map(|table| &table.chains);
    assert!(
        !own.clone()
            .any(|chain| chain.name.as_str().starts_with("KUBE-"))
    );
    assert!(own.clone().all(|chain| chain.rules.is_empty()));
}

/// UDP flows to ports that were not served before must be forgotten.
#[test]
fn a_plan_tells_which_ports_are_marked_anew() {
    let found = programmed(&desired(Layout::Current, &named("web", 7, "7/udp", "")));
    let ports = "7/udp, 9-10/udp, all/sctp";
    let wider = desired(Layout::Current, &named("web", 7, ports, ""));
    let marked = |plan: &Plan| {
        let changes = plan.iter().filter_map(|(_, operation)| match operation {
            Operation::RestoreRules(change) => Some(change.marked_ranges()),
            _ => None,
        });
        let ranges = changes.flatten().map(|range| range.to_string());
        ranges.collect::<Vec<_>>()
    };
    let plan = reconcile(&wider, &found);
    let of = |address: &str| {
        [
            format!("{address} . udp . 9-10"),
            format!("{address} . sctp . 1-65535"),
        ]
    };
    assert_eq!(marked(&plan), [of("10.0.0.7"), of("198.51.100.7")].concat());
    let narrower = reconcile(
        &desired(Layout::Current, &named("web", 7, "7/udp", "")),
        &programmed(&wider),
    );
    assert_eq!(marked(&narrower), [""; 0]);
}

#[test]
fn another_mode_and_cleaning_up_take_all_of_it_away() {
    let manifests = named("web", 7, "7/tcp", BALANCED);
    let found = programmed(&desired(Layout::Current, &manifests));
    let ends = [Layout::Nftables, Layout::Iptables].map(|layout| desired(layout, &manifests));
    let nothing = Desired::nothing(&found, &host());
    for end in ends.iter().chain([&nothing]) {
        let state = carried_out(&reconcile(end, &found), &found);
        let mangle = state.rules.v4.table(&TableName::Mangle);
        let chains = mangle.iter().flat_map(|table| &table.chains);
        let left: Vec<_> = chains.filter(|chain| !chain.rules.is_empty()).collect();
        assert!(left.is_empty(), "{left:?}");
        assert!(reconcile(end, &state).is_empty());
    }
}

/// A Service whose ports 80 and 443 choose endpoints together, if they can.
fn together(targets: [u16; 2], spec: &str) -> String {
    let [http, https] = targets;
    named("web", 7, "7/udp", spec)
        .replace(
            "annotations: {",
            "annotations: {kube-proxier/affinity: all-ports, ",
        )
        .replace(
            "ports: [{name: http, port: 80}]",
            "sessionAffinity: ClientIP, ports: [{name: http, port: 80}, {name: https, port: 443}]",
        )
        .replace(
            "ports: [{name: http, port: 8080}]",
            &format!("ports: [{{name: http, port: {http}}}, {{name: https, port: {https}}}]"),
        )
}

#[test]
fn ports_that_choose_together_come_before_ports_of_their_own() {
    for layout in Layout::WITH_IPSET {
        let desired = desired(layout, &together([80, 443], BALANCED));
        let [(server, _)] = &by_mark(&desired)[..] else {
            panic!("{:?}", by_mark(&desired));
        };
        assert_eq!(server, "-A -f 4199 -s rr -p 10800 -b flag-3");
        let rules = mangle(&desired, "KUBE-RANGE-MARKS");
        let at = |text: &str| rules.iter().position(|rule| rule.contains(text)).unwrap();
        let own = at("--match-set KUBE-CLUSTER-IP dst,dst -j RETURN");
        for port in [80, 443] {
            for address in ["10.0.0.7", "203.0.113.7", "198.51.100.7"] {
                let rule = format!("-d {address}/32 -p tcp -m tcp --dport {port} -j MARK");
                assert!(at(&rule) < own, "{rules:#?}");
            }
        }
        // They ask for masquerading before they are left out.
        assert!(at("CONNMARK") < own, "{rules:#?}");
        assert!(at("--dport 7 -j MARK") > own, "{rules:#?}");
        assert!(desired.conflicts.is_empty(), "{:?}", desired.conflicts);
    }
}

#[test]
fn a_port_with_another_target_port_chooses_by_itself() {
    let desired = desired(Layout::Current, &together([80, 8443], ""));
    let rules = marks(&desired);
    assert!(rules.iter().any(|rule| rule.contains("--dport 80 -j MARK")));
    assert!(!rules.iter().any(|rule| rule.contains("--dport 443")));
    let holders = desired.conflicts.iter().map(|one| &one.holder);
    let why = Holder::Affinity(NotShared::TargetPort(8443));
    assert_eq!(holders.collect::<Vec<_>>(), [&why, &why]);
}

/// The address and port of another Service are not taken with a mark.
#[test]
fn a_port_of_another_service_is_left_to_it() {
    let spec = "externalIPs: [203.0.113.7]";
    let older = named("older", 3, "9/udp", spec);
    let desired = desired(
        Layout::Current,
        &format!("{older}{}", together([80, 443], spec)),
    );
    let rules = marks(&desired);
    let marked = |port| {
        let rule = format!("-d 203.0.113.7/32 -p tcp -m tcp --dport {port} -j MARK");
        rules.iter().any(|found| found.starts_with(&rule))
    };
    assert!(!marked(80) && marked(443), "{rules:#?}");
}

#[test]
fn explain_names_the_service_and_the_mark() {
    for layout in Layout::WITH_IPSET {
        let manifests = named("web", 7, "10000-20000/udp", BALANCED);
        let (cluster, host, config) = (cluster(&manifests), host(), config(layout));
        let desired = translate(&cluster, &host, &config);
        let mut observed = programmed(&desired);
        let question: Question = "10.0.0.7:10007/udp".parse().unwrap();
        let answer = |observed: &Observed| {
            let evidence = Evidence::new(&cluster, &host, &config, observed);
            explain(&evidence, &question)
        };
        let explained = answer(&observed);
        let text = explained.to_string();
        assert!(text.contains("default/web"), "{text}");
        assert!(text.contains("give it the mark 0x1067"), "{text}");
        let paths = explained.ports[0].frontends[0].paths.iter();
        let outcomes: Vec<_> = paths.map(|path| path.outcome).collect();
        assert_eq!(outcomes, [Outcome::Served; 3], "{text}");

        // Somebody flushed the table.
        let mangle = observed.rules.v4.table_mut(&TableName::Mangle).unwrap();
        for chain in &mut mangle.chains {
            chain.rules.clear();
        }
        let text = answer(&observed).to_string();
        let first = text.lines().next().unwrap();
        assert!(first.contains("KUBE-"), "{text}");
    }
}
