//! Tests of what the scenarios do not show.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::sync::Arc;

use iptables_restore::TableName;
use ipvs_netlink::{Destination, DestinationConfig, DestinationId, Protocol};

use super::*;
use crate::cluster::ObjectName;
use crate::layout::{Layout, LocalSource};

fn endpoints(last: &[u8]) -> Arc<[Destination]> {
    let endpoint = |last: &u8| Destination {
        id: DestinationId {
            address: IpAddr::from([10, 244, 1, *last]),
            port: 8080,
        },
        config: DestinationConfig::masquerade(1),
    };
    last.iter().map(endpoint).collect()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// A Service of every address, with endpoints on both nodes.
fn port(change: impl FnOnce(&mut PortSpec)) -> PortRules {
    let name = ObjectName::new("default", "web");
    let mut spec = PortSpec::new(name, "http", Protocol::TCP, 80);
    spec.node_port = Some(30080);
    spec.load_balancer_ips = vec![ip("198.51.100.7")];
    spec.has_endpoints = true;
    spec.cluster = endpoints(&[5, 6]);
    change(&mut spec);
    let mut port = PortRules::new(Arc::new(spec));
    port.cluster_ip = Some(ip("10.0.0.1"));
    port.external_ips = vec![ip("203.0.113.9")];
    port.load_balancer_ips = port.spec.load_balancer_ips.clone();
    port.node_port = true;
    port
}

fn rules(ports: Vec<PortRules>) -> FamilyRules {
    let mut rules = FamilyRules::new(Layout::Iptables, Family::V4);
    rules.iptables.ports = ports;
    rules
}

/// The rules of a chain, without the quotes and comments of `KUBE-SERVICES` and the like.
fn chain(rules: &FamilyRules, table: &TableName, name: &str) -> Vec<String> {
    let tables = rules.tables();
    let table = tables.iter().find(|found| found.name == *table).unwrap();
    let chain = table.chains.iter().find(|own| own.name == name);
    let rules = chain.map(|own| own.rules.iter().map(ToString::to_string).collect());
    rules.unwrap_or_default()
}

const PORT: &str = "CDGGSHYLG3RE2FKL";

fn named(prefix: &str) -> String {
    format!("KUBE-{prefix}-{PORT}")
}

#[test]
fn without_endpoints_every_address_is_refused_and_there_is_no_chain() {
    let none = port(|spec| {
        spec.has_endpoints = false;
        spec.cluster = endpoints(&[]);
    });
    let rules = rules(vec![none]);
    let why = "-m comment --comment \"default/web:http has no endpoints\"";
    let reject = "-j REJECT --reject-with icmp-port-unreachable";
    assert_eq!(
        chain(&rules, &TableName::Filter, "KUBE-SERVICES"),
        [format!(
            "-d 10.0.0.1/32 -p tcp {why} -m tcp --dport 80 {reject}"
        )]
    );
    assert_eq!(
        chain(&rules, &TableName::Filter, "KUBE-EXTERNAL-SERVICES"),
        [
            format!("-d 203.0.113.9/32 -p tcp {why} -m tcp --dport 80 {reject}"),
            format!("-d 198.51.100.7/32 -p tcp {why} -m tcp --dport 80 {reject}"),
            format!("-p tcp {why} -m addrtype --dst-type LOCAL -m tcp --dport 30080 {reject}"),
        ]
    );
    // The rule for node ports alone.
    assert_eq!(chain(&rules, &TableName::Nat, "KUBE-SERVICES").len(), 1);
    assert!(chain(&rules, &TableName::Nat, "KUBE-NODEPORTS").is_empty());
    let [nat, ..] = rules.tables();
    assert!(!nat.chains.iter().any(|own| is_service_chain(&own.name)));
}

#[test]
fn with_endpoints_elsewhere_only_local_policies_drop() {
    let elsewhere = port(|spec| {
        spec.internal_local = true;
        spec.external_local = true;
    });
    let mut rules = rules(vec![elsewhere]);
    rules.local_source = Some(LocalSource::Network("10.244.0.0/16".parse().unwrap()));
    let why = "-m comment --comment \"default/web:http has no local endpoints\"";
    assert_eq!(
        chain(&rules, &TableName::Filter, "KUBE-SERVICES"),
        [format!(
            "-d 10.0.0.1/32 -p tcp {why} -m tcp --dport 80 -j DROP"
        )]
    );
    let outside = chain(&rules, &TableName::Filter, "KUBE-EXTERNAL-SERVICES");
    assert_eq!(outside.len(), 3);
    assert!(outside.iter().all(|rule| rule.ends_with("-j DROP")));
    // Pods of this node and the node itself still get through.
    let external = " default/web:http external destinations\"";
    assert_eq!(
        chain(&rules, &TableName::Nat, &named("EXT")),
        [
            format!(
                "-s 10.244.0.0/16 -m comment --comment \"pod traffic for{external} -j {}",
                named("SVC")
            ),
            format!(
                "-m comment --comment \"masquerade LOCAL traffic for{external} -m addrtype --src-type LOCAL -j KUBE-MARK-MASQ"
            ),
            format!(
                "-m comment --comment \"route LOCAL traffic for{external} -m addrtype --src-type LOCAL -j {}",
                named("SVC")
            ),
        ]
    );
    assert!(chain(&rules, &TableName::Nat, &named("SVL")).is_empty());
    let services = chain(&rules, &TableName::Nat, "KUBE-SERVICES");
    assert!(!services.iter().any(|rule| rule.contains("cluster IP")));
}

#[test]
fn sources_that_are_closed_let_nobody_in() {
    let closed = port(|spec| spec.sources = Some(Sources::new(Vec::new(), false)));
    let rules = rules(vec![closed]);
    let fw = named("FW");
    assert_eq!(
        chain(&rules, &TableName::Nat, &fw),
        [
            "-m comment --comment \"other traffic to default/web:http will be dropped by KUBE-PROXY-FIREWALL\""
        ]
    );
    let services = chain(&rules, &TableName::Nat, "KUBE-SERVICES");
    let balanced: Vec<_> = services.iter().filter(|rule| rule.ends_with(&fw)).collect();
    assert_eq!(balanced.len(), 1, "{services:#?}");
    assert_eq!(
        chain(&rules, &TableName::Filter, "KUBE-PROXY-FIREWALL").len(),
        1
    );
}

#[test]
fn a_port_without_a_name_and_its_namesakes_have_chains_of_their_own() {
    let mut names = Vec::new();
    for namesakes in 0..3 {
        let port = port(|spec| {
            spec.name = "".into();
            spec.namesakes = namesakes;
        });
        assert_eq!(port.spec.label(), "default/web");
        let rules = rules(vec![port]);
        let [nat, ..] = rules.tables();
        let own = nat.chains.into_iter().map(|own| own.name);
        names.extend(own.filter(is_service_chain));
    }
    let count = names.len();
    names.sort();
    names.dedup();
    assert_eq!((names.len(), count), (12, 12));
}

#[test]
fn endpoints_are_in_the_order_of_their_text() {
    let port = port(|spec| spec.cluster = endpoints(&[5, 10, 200]));
    let chosen = chain(&rules(vec![port]), &TableName::Nat, &named("SVC"));
    let at = |rule: &String| {
        rule.split([' ', ':', '"'])
            .find(|word| word.starts_with("10.244"))
            .map(str::to_owned)
    };
    let order: Vec<_> = chosen.iter().filter_map(at).collect();
    assert_eq!(order, ["10.244.1.10", "10.244.1.200", "10.244.1.5"]);
    let odds: Vec<_> = chosen
        .iter()
        .map(|rule| rule.contains("probability"))
        .collect();
    assert_eq!(odds, [true, true, false]);
}

#[test]
fn node_ports_at_loopback_addresses_are_guarded_or_left_out() {
    let mut rules = rules(Vec::new());
    let guard = |rules: &FamilyRules| chain(rules, &TableName::Filter, LOCALNET_CHAIN).len();
    assert_eq!(guard(&rules), 1);
    rules.iptables.localhost_node_ports = false;
    assert_eq!(guard(&rules), 0);
    let [last] = &chain(&rules, &TableName::Nat, "KUBE-SERVICES")[..] else {
        unreachable!("one rule");
    };
    assert!(last.starts_with("! -d 127.0.0.0/8 "), "{last}");
    rules.iptables.node_port_addresses = Some(Vec::new());
    assert!(chain(&rules, &TableName::Nat, "KUBE-SERVICES").is_empty());
}

#[test]
fn long_or_odd_names_make_comments_that_a_line_can_carry() {
    let long = "x".repeat(300);
    let mut odd = port(|_| {});
    let mut spec = (*odd.spec).clone();
    spec.service = ObjectName::new("a\nb", long);
    odd.spec = Arc::new(spec);
    let rules = rules(vec![odd]);
    for rule in rules
        .tables()
        .iter()
        .flat_map(|table| &table.chains)
        .flat_map(|own| &own.rules)
    {
        assert!(rule.validate().is_ok(), "{rule}");
    }
}
