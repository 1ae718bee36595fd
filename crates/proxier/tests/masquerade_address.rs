//! The address that a Service is masqueraded with: the annotation `kube-proxier/masquerade-address`.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that fails should panic"
)]

use std::collections::BTreeSet;

use proxier::cluster::{Change, Cluster, Family, Host, ServiceOption};
use proxier::explain::{Evidence, explain};
use proxier::kernel::FailureReason;
use proxier::{
    Config, Desired, DetectLocal, Engine, Kernel, KernelError, KernelErrorKind, KernelPart, Layout,
    MemoryKernel, NoEffect, Operation, Plan, reconcile, translate, unused_options,
};

const NETWORKS: &str = "10.9.0.0/16, 192.168.30.0/24, fd00:30::/64";

/// A Service of both families with addresses of every kind, and one beside it that asks for nothing.
fn cluster(annotations: &str, spec: &str) -> Cluster {
    let service = |name: &str, number: u8, annotations: &str, spec: &str| {
        format!(
            "---
apiVersion: v1
kind: Service
metadata: {{name: {name}, annotations: {{{annotations}}}}}
spec: {{clusterIPs: [10.0.0.{number}, 'fd00::{number}'], type: LoadBalancer, externalIPs: [203.0.113.{number}],
  ports: [{{port: 80, nodePort: 3000{number}}}], {spec}}}
status: {{loadBalancer: {{ingress: [{{ip: 198.51.100.{number}}}]}}}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
addressType: IPv4
metadata: {{name: {name}, labels: {{kubernetes.io/service-name: {name}}}}}
ports: [{{port: 80}}]
endpoints: [{{addresses: [10.244.1.5], nodeName: node-a}}, {{addresses: [10.244.2.6], nodeName: node-b}}]
"
        )
    };
    let yaml = service("web", 7, annotations, spec) + &service("other", 8, "", "");
    let reading = proxier_manifest::read_cluster("test", yaml.as_bytes());
    assert!(reading.diagnostics.is_empty(), "{:?}", reading.diagnostics);
    reading.cluster
}

fn choosing(networks: &str) -> Cluster {
    cluster(&annotation(networks), "")
}

fn annotation(networks: &str) -> String {
    format!("kube-proxier/masquerade-address: '{networks}'")
}

/// With addresses in a network that Services name, and others.
fn host() -> Host {
    let mut host = Host::new("node-a");
    for (link, address) in [
        ("eth0", "192.168.10.10/24"),
        ("eth2", "192.168.30.12/24"),
        ("eth2", "192.168.30.11/24"),
        ("lo", "10.8.0.1/32"),
        ("lo", "127.0.0.1/8"),
    ] {
        let (link, address) = (link.parse().unwrap(), address.parse().unwrap());
        host.links.insert(link, address);
    }
    host
}

fn config(layout: Layout) -> Config {
    let mut config = Config::with_layout(layout);
    config.detect_local = DetectLocal::ClusterCidr(vec!["10.244.0.0/16".parse().unwrap()]);
    config
}

fn desired(cluster: &Cluster) -> Desired {
    translate(cluster, &host(), &config(Layout::Nftables))
}

/// The elements of a family that choose an address.
fn chosen(cluster: &Cluster, family: Family) -> Vec<String> {
    let table = desired(cluster).tables;
    let table = table.get(family).clone().unwrap();
    let elements = table.elements.iter();
    let chosen = elements.filter(|element| element.set().is_optional());
    let chosen: Vec<_> = chosen
        .map(|element| format!("{} {element}", element.set().as_str()))
        .collect();
    assert_eq!(table.rules.masquerade_addresses, !chosen.is_empty());
    chosen
}

#[test]
fn each_port_of_each_address_is_an_element() {
    let source = |at: &str| format!("masquerade-addresses {at} : 192.168.30.11");
    let mut expected = [
        "10.0.0.7 . tcp . 80",
        "10.8.0.1 . tcp . 30007",
        "192.168.10.10 . tcp . 30007",
        "192.168.30.11 . tcp . 30007",
        "192.168.30.12 . tcp . 30007",
        "198.51.100.7 . tcp . 80",
        "203.0.113.7 . tcp . 80",
    ]
    .map(source);
    let cluster = choosing(NETWORKS);
    assert_eq!(chosen(&cluster, Family::V4), expected);
    // Of this family the node has none.
    assert_eq!(chosen(&cluster, Family::V6), [""; 0]);

    // The order is the annotation's, and an address on a loopback link is the node's too.
    let first = choosing("10.8.0.0/16, 192.168.30.11");
    for text in &mut expected {
        *text = text.replace(": 192.168.30.11", ": 10.8.0.1");
    }
    assert_eq!(chosen(&first, Family::V4), expected);
}

/// The mark stands for ranges, and for listed ports that are served together with them.
#[test]
fn ranges_are_an_element_for_each_mark() {
    let sets = |more: &str, spec: &str| {
        let cluster = cluster(&format!("{}, {more}", annotation(NETWORKS)), spec);
        let all = chosen(&cluster, Family::V4).into_iter();
        let of_marks = all.filter(|text| text.starts_with("range-masquerade-addresses 0x"));
        of_marks
            .filter(|text| text.ends_with(" : 192.168.30.11"))
            .count()
    };
    let ranges = "kube-proxier/ports: 1000-2000/tcp";
    for (policy, marks) in [
        ("", 1),
        ("externalTrafficPolicy: Local", 1),
        ("internalTrafficPolicy: Local", 2),
    ] {
        assert_eq!(sets(ranges, policy), marks, "{policy}");
    }
    let together = "kube-proxier/affinity: all-ports";
    assert_eq!(sets(together, "sessionAffinity: ClientIP"), 1);
}

/// None that the node has not, none of the loopback network, and none of other families.
#[test]
fn without_an_address_of_the_node_nothing_is_there() {
    let plain = desired(&cluster("", ""));
    for networks in [
        "10.9.0.0/16",
        "192.168.30.13",
        "fd00:30::/64",
        "126.0.0.0/7",
    ] {
        assert_eq!(desired(&choosing(networks)), plain, "{networks}");
    }
    let structure = plain.tables.v4.unwrap().rules.structure();
    let text = format!("{structure:?}");
    assert!(!text.contains("masquerade-address"), "{text}");
}

/// What a change of the annotation costs, in one transaction: the part of the table comes and goes, the rest stays.
#[test]
fn a_change_is_a_few_operations() {
    let (host, config) = (host(), config(Layout::Nftables));
    let mut engine = Engine::new(host.clone(), config.clone());
    let mut kernel = MemoryKernel::new();
    let first = choosing("10.9.0.0/16");
    engine.change(Change::Services(first.services.into_values().collect()));
    engine.change(Change::Slices(first.slices.into_values().collect()));
    let plan = engine.audit(&kernel.observe().unwrap());
    engine.applied(&plan, &kernel.apply(&plan));
    let part = |plan: &Plan| -> Vec<usize> {
        let mut counts = vec![0; 4];
        for (_, operation) in plan.iter() {
            let kind = match operation {
                Operation::AddTablePart(_) | Operation::DeleteTablePart(_) => 0,
                Operation::AddElement { .. } => 1,
                Operation::ChangeElement { .. } => 2,
                Operation::DeleteElement { .. } => 3,
                _ => panic!("{plan}"),
            };
            if let Some(count) = counts.get_mut(kind) {
                *count += 1;
            }
        }
        counts
    };
    for (networks, expected) in [
        (NETWORKS, [1, 7, 0, 0]),
        ("192.168.30.12", [0, 0, 7, 0]),
        ("10.9.0.0/16", [1, 0, 0, 7]),
        (NETWORKS, [1, 7, 0, 0]),
        ("fd00:30::/64", [1, 0, 0, 7]),
    ] {
        let cluster = choosing(networks);
        let web = cluster
            .services
            .values()
            .find(|service| service.name.name() == "web");
        engine.change(Change::Service(Box::new(web.unwrap().clone())));
        let plan = engine.plan();
        assert_eq!(part(&plan), expected, "{plan}");
        let full = reconcile(&translate(&cluster, &host, &config), &kernel.state());
        assert_eq!(plan.to_string(), full.to_string());
        let audited = engine.audit(&kernel.observe().unwrap());
        assert_eq!(audited.to_string(), full.to_string());
        let applied = kernel.apply(&plan);
        assert!(applied.is_ok());
        engine.applied(&plan, &applied);
        assert!(engine.plan().is_empty());
        assert!(engine.audit(&kernel.observe().unwrap()).is_empty());
    }
}

/// An address that goes from the node goes from the table, and comes back with it.
#[test]
fn the_nodes_addresses_are_followed() {
    let config = config(Layout::Nftables);
    let mut engine = Engine::new(host(), config);
    let mut kernel = MemoryKernel::new();
    let cluster = choosing(NETWORKS);
    engine.change(Change::Services(cluster.services.into_values().collect()));
    let mut sources = |host: Host| {
        engine.set_host(host);
        let plan = engine.audit(&kernel.observe().unwrap());
        let applied = kernel.apply(&plan);
        assert!(applied.is_ok(), "{applied:?}");
        engine.applied(&plan, &applied);
        let table = kernel.state().tables.v4.unwrap();
        let texts = table
            .elements
            .iter()
            .filter(|element| element.set().is_optional());
        let sources =
            texts.filter_map(|text| Some(text.to_string().split_once(" : ")?.1.to_owned()));
        sources.collect::<BTreeSet<_>>()
    };
    let one = |address: &str| BTreeSet::from([address.to_owned()]);
    assert_eq!(sources(host()), one("192.168.30.11"));
    let (mut less, eth2) = (host(), "eth2".parse().unwrap());
    less.links.remove(eth2, "192.168.30.11/24".parse().unwrap());
    assert_eq!(sources(less.clone()), one("192.168.30.12"));
    less.links.remove(eth2, "192.168.30.12/24".parse().unwrap());
    assert_eq!(sources(less), BTreeSet::new());
    assert_eq!(sources(host()), one("192.168.30.11"));
}

/// A kernel that cannot do it serves all Services as before, and is told what it lacks.
#[test]
fn a_kernel_without_it_serves_everything_else() {
    let lacks = |operation: &Operation| {
        let is_part = matches!(operation, Operation::AddTablePart(_));
        let error = || {
            let what = "it takes the modules nft_nat";
            KernelError::new(KernelPart::Nftables, KernelErrorKind::Unsupported, what)
        };
        is_part.then(error)
    };
    let mut kernel = MemoryKernel::new();
    kernel.fail_with(Some(Box::new(lacks)));
    let plain = desired(&cluster("", ""));
    assert!(kernel.apply(&reconcile(&plain, &kernel.state())).is_ok());
    let mut more = choosing(NETWORKS);
    let mut third = cluster("", "").services.into_values().next().unwrap();
    third.name = proxier::cluster::ObjectName::new("default", "third");
    third.cluster_ips = vec!["10.0.0.9".parse().unwrap()];
    (third.external_ips, third.load_balancer_ips) = (Vec::new(), Vec::new());
    third
        .ports
        .iter_mut()
        .for_each(|port| port.node_port = None);
    more.services.insert(third.name.clone(), third);
    let plan = reconcile(&desired(&more), &kernel.state());
    let applied = kernel.apply(&plan);
    for failure in &applied.failures {
        match (&failure.operation, &failure.reason) {
            (Operation::AddTablePart(_), FailureReason::Refused(error)) => {
                assert!(error.to_string().contains("nft_nat"), "{error}");
            }
            (Operation::AddElement { element, .. }, FailureReason::Skipped { .. }) => {
                assert!(element.set().is_optional(), "{element}");
            }
            _ => panic!("{failure}"),
        }
    }
    assert_eq!(applied.failures.len(), 8);
    let elements = kernel.state().tables.v4.unwrap().elements;
    let has = |text: &str| elements.iter().any(|element| element.to_string() == text);
    assert!(has("10.0.0.9 . tcp . 80") && has("10.0.0.7 . tcp . 80"));
}

fn unused(cluster: &Cluster, layout: Layout) -> Option<String> {
    let web = cluster
        .services
        .values()
        .find(|service| service.name.name() == "web");
    let unused = unused_options(web.unwrap(), &host(), &config(layout));
    assert!(unused.len() < 2);
    let unused = unused.into_iter().next()?;
    assert_eq!(unused.option, ServiceOption::MasqueradeAddress);
    Some(unused.to_string())
}

#[test]
fn where_it_has_no_effect_that_is_said() {
    let key = "kube-proxier/masquerade-address";
    let nftables = |networks: &str| unused(&choosing(networks), Layout::Nftables);
    assert_eq!(nftables("192.168.30.0/24"), None);
    let none = "this node has no IPv4 address there, and its kernel chooses one";
    let foreign = "10.9.0.0/16";
    assert_eq!(
        nftables(foreign),
        Some(format!("{key}: {foreign} has no effect: {none}"))
    );
    let none = none.replace("IPv4", "IPv6");
    assert_eq!(
        nftables(NETWORKS),
        Some(format!("{key}: {NETWORKS} has no effect: {none}"))
    );
    let mut v4 = choosing("fd00:30::/64");
    for service in v4.services.values_mut() {
        service.cluster_ips.truncate(1);
    }
    assert_eq!(
        unused(&v4, Layout::Nftables),
        Some(format!(
            "{key}: fd00:30::/64 has no effect: the Service has no address of that family"
        ))
    );
    for (layout, name) in [
        (Layout::Current, "layout current"),
        (Layout::Classic, "layout classic"),
        (Layout::Iptables, "iptables mode"),
    ] {
        let text = unused(&choosing("192.168.30.11"), layout);
        let reason = "masquerades with the address that the kernel chooses; layout nftables can choose another";
        let text_ = format!("{key}: 192.168.30.11 has no effect: {name} {reason}");
        assert_eq!(text, Some(text_));
        // Nothing else differs.
        let with = translate(&choosing("192.168.30.11"), &host(), &config(layout));
        assert_eq!(with, translate(&cluster("", ""), &host(), &config(layout)));
    }
    let reason = NoEffect::KernelsAddress(Layout::Iptables).to_string();
    assert!(reason.starts_with("iptables mode"));
}

/// The last steps of packets to an address, in a kernel that holds what it should for this cluster.
fn ends(asked: &Cluster, held: &Cluster, question: &str) -> Vec<String> {
    let (host, config) = (host(), config(Layout::Nftables));
    let mut kernel = MemoryKernel::new();
    let plan = reconcile(&desired(held), &kernel.state());
    assert!(kernel.apply(&plan).is_ok());
    let observed = kernel.state();
    let evidence = Evidence::new(asked, &host, &config, &observed);
    let text = explain(&evidence, &question.parse().unwrap()).to_string();
    let steps = text.lines().filter(|line| line.contains("its source"));
    let words = steps.filter_map(|line| Some(line.split_once(". ")?.1.to_owned()));
    words.collect()
}

#[test]
fn explain_says_which_address_it_is() {
    const KEPT: &str = "its source stays";
    let chosen = "its source becomes 192.168.30.11, as kube-proxier/masquerade-address says";
    let asked = choosing(NETWORKS);
    let of_cluster_ip = ends(&asked, &asked, "10.0.0.7:80");
    assert_eq!(of_cluster_ip, [KEPT, chosen, chosen]);
    for question in ["198.51.100.7:80", "203.0.113.7:80", "192.168.10.10:30007"] {
        assert_eq!(ends(&asked, &asked, question), [chosen; 3], "{question}");
    }
    let ranges = "kube-proxier/ports: 1000-2000/tcp";
    let ranges = cluster(&format!("{}, {ranges}", annotation(NETWORKS)), "");
    assert_eq!(ends(&ranges, &ranges, "203.0.113.7:1500"), [chosen; 3]);
}
