//! Node ports at loopback addresses.

use std::net::SocketAddrV4;

use proxier::nftables::Element;
use proxier::{Layout, NodePortAddresses, Sysctl};

use super::{TestNode, first_line};

const AT: &str = "127.0.0.1:30080";

/// A node that serves them.
fn node() -> TestNode {
    let mut node = TestNode::new(Layout::Nftables);
    node.config.localhost_node_ports = Some(true);
    node.program();
    node
}

fn change(node: &mut TestNode, change: impl Fn(&mut Vec<Element>)) {
    let table = node.observed.tables.v4.as_mut().unwrap();
    change(&mut table.elements);
}

#[test]
fn served() {
    let node = node();
    for question in [AT, "127.0.0.77:30080/tcp", "default/web:http"] {
        let explanation = node.ask(question);
        let text = explanation.to_string();
        assert!(explanation.is_served(), "{text}");
        let slots = "61 of 61 slots of tcp . 30080 in loopback-endpoints: 30 to 10.244.1.5:8080, 31 to 10.244.2.6:8080";
        assert_eq!(text.matches(slots).count(), 1, "{text}");
    }
    let text = node.ask(AT).to_string();
    for step in [
        "sends it to one of 10.244.1.5:8080, 10.244.2.6:8080",
        "its source becomes an address of this node",
    ] {
        assert!(text.contains(step), "{text}");
    }
    // Those of the node's own addresses are not theirs.
    let text = node.ask("192.168.10.10:30080").to_string();
    assert!(!text.contains("loopback"), "{text}");
    // A policy is not for the node itself.
    assert!(node.ask("127.0.0.1:30443").is_served());
}

#[test]
fn slots_that_differ_and_are_missing() {
    let nobody = SocketAddrV4::new([10, 9, 9, 9].into(), 9);
    let mut node = node();
    change(&mut node, |elements| {
        for element in elements.iter_mut() {
            if let Element::LoopbackEndpoint(_, 7, to) = element {
                *to = nobody;
            }
        }
        elements.retain(|element| !matches!(element, Element::LoopbackEndpoint(_, 9, _)));
    });
    let explanation = node.ask(AT);
    let text = explanation.to_string();
    let cause = first_line(&explanation);
    assert!(
        cause.contains("loopback-endpoints { tcp . 30080 . 7 : "),
        "{cause}"
    );
    assert!(
        text.contains("59 of 61 slots") && text.contains("10.9.9.9:9"),
        "{text}"
    );

    let mut node = self::node();
    node.observed.sysctls.insert(Sysctl::RouteLocalnet, 0);
    let cause = node.cause(AT);
    assert!(cause.contains("route_localnet"), "{cause}");
}

#[test]
fn why_it_does_not_answer() {
    let loopback = "127.0.0.0/8".parse().unwrap();
    let elsewhere = NodePortAddresses::Within(vec!["192.168.0.0/16".parse().unwrap()]);
    let part = NodePortAddresses::Within(vec!["127.0.0.9/32".parse().unwrap()]);
    let option = "iptables.localhostNodePorts is not true";
    let addresses = "nodePortAddresses leaves the address out";
    for (layout, asked, allowed, why) in [
        (Layout::Nftables, None, NodePortAddresses::All, option),
        (
            Layout::Nftables,
            Some(false),
            NodePortAddresses::All,
            option,
        ),
        (Layout::Nftables, Some(true), elsewhere.clone(), addresses),
        (Layout::Nftables, Some(true), part, addresses),
        (
            Layout::Nftables,
            Some(true),
            NodePortAddresses::Primary,
            addresses,
        ),
        (
            Layout::Iptables,
            Some(false),
            NodePortAddresses::All,
            option,
        ),
        (Layout::Iptables, None, elsewhere, addresses),
        (
            Layout::Current,
            Some(true),
            NodePortAddresses::All,
            "this layout cannot",
        ),
    ] {
        let mut node = TestNode::new(layout);
        node.config.localhost_node_ports = asked;
        node.config.node_port_addresses = allowed;
        node.program();
        let cause = node.cause(AT);
        let start = "127.0.0.1:30080/tcp is the node port of default/web, and node ports are not served there: ";
        assert!(
            cause.starts_with(start) && cause.contains(why),
            "{layout:?}: {cause}"
        );
    }
    let mut node = node();
    let cause = node.cause("127.0.0.1:30081");
    assert!(
        cause.starts_with("no Service has 127.0.0.1:30081"),
        "{cause}"
    );
    // Without an address of the node's own.
    node.config.node_port_addresses = NodePortAddresses::Within(vec![loopback]);
    node.program();
    assert!(node.ask(AT).is_served());
}
