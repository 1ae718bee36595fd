//! Ranges of ports: one virtual server by mark for all ranges of a Service.

use proxier::cluster::{Change, Family, ObjectName};
use proxier::explain::{Evidence, Question, explain};
use proxier::{
    Config, Conflict, Desired, Engine, Holder, Kernel, Layout, MemoryKernel, Operation, reconcile,
    translate,
};

use super::{cluster, config, endpoints, host, shown};

/// A Service with ranges, and its endpoints.
fn with_ranges(ports: &str, spec: &str, addresses: &[&str]) -> String {
    let endpoints = endpoints(addresses, "{name: http, port: 8080}");
    format!("{}{endpoints}", named("web", 7, 1, ports, spec))
}

/// A Service with ranges, made on a day of a month.
fn named(name: &str, n: u8, day: u8, ports: &str, spec: &str) -> String {
    format!(
        "
---
apiVersion: v1
kind: Service
metadata:
  name: {name}
  creationTimestamp: 2024-01-0{day}T00:00:00Z
  annotations: {{kube-proxier/ports: '{ports}'}}
spec: {{clusterIP: 10.0.0.{n}, ports: [{{name: http, port: 80}}], {spec}}}
status: {{loadBalancer: {{ingress: []}}}}
"
    )
}

fn desired(manifests: &str) -> Desired {
    translate(&cluster(manifests), &host(), &config())
}

/// The conflicts about ranges.
fn of_ranges(desired: &Desired) -> Vec<&Conflict> {
    let conflicts = desired.conflicts.iter();
    conflicts
        .filter(|conflict| &*conflict.port != "http")
        .collect()
}

/// What belongs to ranges: virtual servers by mark, and elements.
fn of(manifests: &str) -> Vec<String> {
    let all = shown(&desired(manifests), Family::V4);
    let by_mark = all.iter().skip_while(|line| !line.starts_with("-A -f"));
    let of_ranges = |line: &&String| {
        line.starts_with("-A") || line.starts_with("  -r") || line.starts_with("range-")
    };
    by_mark.filter(of_ranges).cloned().collect()
}

#[test]
fn all_ranges_have_one_virtual_server_whose_destinations_keep_the_port() {
    let ports = "10000-20000/udp, 8000-8100/tcp";
    let found = of(&with_ranges(ports, "", &["10.244.0.1", "10.244.0.2"]));
    let expected = [
        "-A -f 4199 -s rr -b flag-3",
        "  -r 10.244.0.1:0",
        "  -r 10.244.0.2:0",
        "range-marks 10.0.0.7 . tcp . 8000-8100 : 0x00001067",
        "range-marks 10.0.0.7 . udp . 10000-20000 : 0x00001067",
        "range-addresses 10.0.0.7",
    ];
    assert_eq!(found, expected);
}

#[test]
fn every_port_is_three_elements_at_each_address() {
    let spec = "externalIPs: [203.0.113.7]";
    let found = of(&with_ranges("all", spec, &["10.244.0.1"]));
    let servers = found.iter().filter(|line| line.starts_with("-A"));
    assert_eq!(servers.count(), 1);
    let ranges = found.iter().filter(|line| line.starts_with("range-marks "));
    let ranges: Vec<_> = ranges.collect();
    assert_eq!(ranges.len(), 6, "{ranges:?}");
    assert!(ranges.iter().all(|line| line.contains(" . 1-65535 : ")));
}

#[test]
fn session_affinity_is_one_persistent_virtual_server() {
    let found = of(&with_ranges(
        "all",
        "sessionAffinity: ClientIP",
        &["10.244.0.1"],
    ));
    assert_eq!(found[0], "-A -f 4199 -s rr -p 10800 -b flag-3");
}

#[test]
fn policies_local_have_virtual_servers_of_their_own() {
    let spec =
        "externalIPs: [203.0.113.7], externalTrafficPolicy: Local, internalTrafficPolicy: Local";
    let found = of(&with_ranges("7-9/tcp", spec, &["10.244.0.1", "10.244.0.2"]));
    let servers: Vec<_> = found
        .iter()
        .filter(|line| !line.starts_with("range-"))
        .collect();
    // One of the port, three of the range.
    assert_eq!(
        servers.iter().filter(|line| line.starts_with("-A")).count(),
        4
    );
    assert_eq!(
        servers
            .iter()
            .filter(|line| line.contains("10.244.0.2"))
            .count(),
        1
    );
    let policies = found.iter().filter(|line| line.starts_with("range-local"));
    assert_eq!(policies.count(), 2, "{found:?}");

    // No endpoint here: dropped inside, and without a mark outside.
    let found = of(&with_ranges("7-9/tcp", spec, &["10.244.0.2"]));
    let policy = |set: &str| found.iter().filter(|line| line.starts_with(set)).count();
    assert_eq!(policy("range-dropped "), 1, "{found:?}");
    assert_eq!(
        (policy("range-local "), policy("range-local-marks ")),
        (1, 0)
    );
    // None at all: refused.
    let found = of(&with_ranges("7-9/tcp", spec, &[]));
    let policy = |set: &str| found.iter().filter(|line| line.starts_with(set)).count();
    assert_eq!((policy("range-refused "), policy("range-dropped ")), (2, 0));
}

#[test]
fn of_two_ranges_that_overlap_the_older_services_is_served() {
    let spec = "externalIPs: [203.0.113.7]";
    let older = with_ranges("100-200/tcp", spec, &["10.244.0.1"]);
    let younger = named("other", 8, 2, "150-300/tcp, 400/tcp, 150-300/udp", spec);
    let desired = desired(&format!("{older}{younger}"));
    let [conflict] = &of_ranges(&desired)[..] else {
        panic!("{:?}", desired.conflicts);
    };
    assert_eq!(
        conflict.to_string(),
        "Service default/other, port \"150-300/tcp\", does not get -t 203.0.113.7:150: the older Service default/web has it"
    );
    let shown = shown(&desired, Family::V4);
    let marks = shown
        .iter()
        .filter(|line| line.starts_with("range-marks 203"));
    let marks: Vec<_> = marks
        .map(|line| line.split(" : ").next().unwrap())
        .collect();
    assert_eq!(
        marks,
        [
            "range-marks 203.0.113.7 . tcp . 100-200",
            "range-marks 203.0.113.7 . tcp . 400-400",
            "range-marks 203.0.113.7 . udp . 150-300",
        ]
    );
}

#[test]
fn a_cluster_ip_comes_before_an_older_services_external_ip() {
    let older = with_ranges("100-200/tcp", "externalIPs: [10.0.0.8]", &["10.244.0.1"]);
    let younger = named("other", 8, 2, "200/tcp", "");
    let desired = desired(&format!("{older}{younger}"));
    let [conflict] = &of_ranges(&desired)[..] else {
        panic!("{:?}", desired.conflicts);
    };
    assert_eq!(conflict.service.name(), "web");
    assert_eq!(
        conflict.holder,
        Holder::ClusterIp(ObjectName::new("default", "other"))
    );
}

#[test]
fn the_nodes_and_the_api_servers_addresses_have_no_ranges() {
    let spec = "externalIPs: [192.168.10.10, 192.168.10.20]";
    let manifests = with_ranges("all", spec, &["10.244.0.1"]);
    let mut host = host();
    host.api_servers = ["192.168.10.20:6443".parse().unwrap()].into();
    let desired = translate(&cluster(&manifests), &host, &config());
    let holders: Vec<_> = desired
        .conflicts
        .iter()
        .map(|one| one.holder.clone())
        .collect();
    let node = Holder::Node("node-a".into());
    assert_eq!(holders.iter().filter(|holder| **holder == node).count(), 3);
    assert_eq!(
        holders
            .iter()
            .filter(|holder| **holder == Holder::ApiServer)
            .count(),
        3
    );
    let shown = shown(&desired, Family::V4);
    assert!(
        !shown.iter().any(|line| line.starts_with("range-marks 192")),
        "{shown:?}"
    );
}

#[test]
fn without_a_mark_there_is_no_range_and_it_is_said() {
    let mut config = config();
    config.nftables.service_marks = 0x1;
    let older = with_ranges("100-200/tcp", "", &["10.244.0.1"]);
    let younger = named("other", 8, 2, "100-200/tcp", "");
    let desired = translate(&cluster(&format!("{older}{younger}")), &host(), &config);
    let [conflict] = &of_ranges(&desired)[..] else {
        panic!("{:?}", desired.conflicts);
    };
    assert_eq!(conflict.holder, Holder::AllMarks);
    let text = conflict.to_string();
    assert!(
        text.contains("does not get -t 10.0.0.8:100: no firewall mark is left"),
        "{text}"
    );
}

/// Ranges that overlap what is there come after it goes, and what goes leaves nothing behind.
#[test]
fn ranges_change_and_go() {
    let mut engine = Engine::new(host(), config());
    let mut kernel = MemoryKernel::new();
    let plan = engine.audit(&kernel.observe().unwrap());
    engine.applied(&plan, &kernel.apply(&plan));
    let spec = "externalIPs: [203.0.113.7]";
    let empty = kernel.observe().unwrap();
    for ports in ["10-20/tcp", "15-30/tcp", "1-100/udp, 30-40/tcp", "all"] {
        let cluster = cluster(&with_ranges(ports, spec, &["10.244.0.1"]));
        engine.change(Change::Services(cluster.services.into_values().collect()));
        engine.change(Change::Slices(cluster.slices.into_values().collect()));
        let plan = engine.plan();
        let applied = kernel.apply(&plan);
        assert!(applied.is_ok(), "{ports}: {:?}", applied.failures);
        engine.applied(&plan, &applied);
        assert!(reconcile(&engine.desired(), &kernel.observe().unwrap()).is_empty());
    }
    engine.change(Change::Services(Vec::new()));
    engine.change(Change::Slices(Vec::new()));
    let plan = engine.plan();
    let deleted = plan
        .iter()
        .filter(|(_, op)| matches!(op, Operation::DeleteServer(_)));
    assert_eq!(deleted.count(), 3, "{plan}");
    engine.applied(&plan, &kernel.apply(&plan));
    assert_eq!(kernel.observe().unwrap(), empty);
}

/// A node that holds what these manifests ask for.
fn served(manifests: &str) -> MemoryKernel {
    let mut kernel = MemoryKernel::new();
    let plan = reconcile(&desired(manifests), &kernel.observe().unwrap());
    assert!(kernel.apply(&plan).is_ok());
    kernel
}

fn explained(manifests: &str, kernel: &MemoryKernel, question: &str) -> String {
    explained_to(None, manifests, kernel, question)
}

fn explained_to(
    client: Option<&str>,
    manifests: &str,
    kernel: &MemoryKernel,
    question: &str,
) -> String {
    let (cluster, host, config) = (cluster(manifests), host(), config());
    let observed = kernel.state();
    let evidence = Evidence::new(&cluster, &host, &config, &observed);
    let mut question: Question = question.parse().unwrap();
    question.client = client.map(|client| client.parse().unwrap());
    explain(&evidence, &question).to_string()
}

#[test]
fn explain_names_the_range_of_a_port() {
    let ports = "10000-20000/udp, 8000-8100/tcp";
    let manifests = with_ranges(ports, "externalIPs: [203.0.113.7]", &["10.244.0.1"]);
    let kernel = served(&manifests);
    let first = |question: &str| {
        let text = explained(&manifests, &kernel, question);
        text.lines().next().unwrap().to_owned()
    };
    for address in ["10.0.0.7", "203.0.113.7"] {
        assert_eq!(
            first(&format!("{address}:10007/udp")),
            format!(
                "default/web:10000-20000/udp is served at {address}:10007/udp by 10.244.0.1:10007"
            )
        );
    }
    assert!(first("10.0.0.7:80").starts_with("default/web:http is served at 10.0.0.7:80/tcp"));
    assert!(first("10.0.0.7:10007").starts_with("no Service has 10.0.0.7:10007/tcp"));
    assert!(first("10.0.0.7:20001/udp").starts_with("no Service has 10.0.0.7:20001/udp"));
    let all = explained(&manifests, &kernel, "default/web");
    for part in [
        "web:http",
        "web:10000-20000/udp",
        "web:8000-8100/tcp",
        "ports 8000-8100/tcp, 10000-20000/udp",
        "-A -f 4199",
        "range-marks { 203.0.113.7 . udp . 10000-20000 : 0x00001067 }",
    ] {
        assert!(all.contains(part), "{part}: {all}");
    }
}

#[test]
fn explain_says_that_ranges_are_masqueraded() {
    let plain = with_ranges(
        "1000-2000/tcp",
        "externalIPs: [203.0.113.7]",
        &["10.244.0.1"],
    );
    let asked = plain.replace(
        "kube-proxier/ports:",
        "kube-proxier/forwarding: ipip, kube-proxier/ports:",
    );
    let kernel = served(&asked);
    let text = explained(&asked, &kernel, "203.0.113.7:1500");
    let line =
        "forwarding ipip: no effect, ranges of ports (kube-proxier/ports) have one virtual server";
    assert!(text.contains(line), "{text}");
    let none = asked.replace("forwarding: ipip", "forwarding: masquerade");
    let text = explained(&none, &served(&none), "203.0.113.7:1500");
    assert!(!text.contains("no effect"), "{text}");
}

#[test]
fn explain_names_why_a_range_is_not_served() {
    let spec = "externalIPs: [203.0.113.7], externalTrafficPolicy: Local";
    let manifests = with_ranges("1000-2000/tcp", spec, &["10.244.0.2"]);
    let kernel = served(&manifests);
    let text = explained(&manifests, &kernel, "203.0.113.7:1500");
    assert!(text.contains("externalTrafficPolicy"), "{text}");
    let client = Some("10.9.9.9");
    let text = explained_to(client, &manifests, &kernel, "203.0.113.7:1500");
    assert!(
        text.lines()
            .next()
            .unwrap()
            .contains("externalTrafficPolicy"),
        "{text}"
    );

    let empty = explained(&manifests, &MemoryKernel::new(), "10.0.0.7:1500");
    assert!(
        empty.lines().next().unwrap().contains("no virtual server"),
        "{empty}"
    );

    let none = with_ranges("1000-2000/tcp", "", &[]);
    let text = explained(&none, &served(&none), "10.0.0.7:1500");
    assert!(
        text.lines().next().unwrap().contains("no endpoint"),
        "{text}"
    );

    let younger = named("other", 8, 2, "1500-3000/tcp", spec);
    let both = format!("{manifests}{younger}");
    let text = explained(&both, &served(&both), "203.0.113.7:2500");
    let conflict = "does not get -t 203.0.113.7:2500: the older Service default/web has it";
    assert!(text.contains(conflict), "{text}");
}

#[test]
fn iptables_mode_says_that_it_has_no_ranges() {
    let config = Config::with_layout(Layout::Iptables);
    let cluster = cluster(&with_ranges("all", "", &["10.244.0.1"]));
    let observed = MemoryKernel::new().observe().unwrap();
    let host = host();
    let evidence = Evidence::new(&cluster, &host, &config, &observed);
    let text = explain(&evidence, &"default/web".parse().unwrap()).to_string();
    let reason = "iptables mode serves the ports in spec.ports alone; ranges take ipvs mode";
    assert!(text.contains(reason), "{text}");
}
