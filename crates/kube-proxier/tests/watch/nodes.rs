//! Whose addresses are followed besides this node's own.

use std::net::IpAddr;

use proxier::cluster::Change;
use serde_json::{Value, json};

use crate::each::{Api, on_each};
use crate::objects::{NODE, NODES, SERVICES, node, service};
use crate::watched::{Watched, timing};

fn node_at(name: &str, address: &str) -> Value {
    let mut node = node(name);
    node["metadata"]["labels"] = json!({"topology.kubernetes.io/zone": "z"});
    node["spec"] = json!({"podCIDRs": ["10.244.7.0/24"]});
    node["status"] = json!({"addresses": [{"type": "InternalIP", "address": address}]});
    node
}

fn with_external_ip(name: &str) -> Value {
    let mut service = service(name, 80);
    service["spec"]["externalIPs"] = json!(["192.168.10.11"]);
    service
}

fn addresses(watched: &Watched, name: &str) -> Option<Vec<IpAddr>> {
    let node = watched.cluster.nodes.get(name);
    node.map(|node| node.addresses.clone())
}

/// Where no Service can take a Node's address, no other Node is asked for.
fn other_nodes_are_followed_only_while_a_service_may_take_their_addresses(api: Api) {
    let server = api.start();
    server.put(node_at(NODE, "192.168.10.10"));
    server.put(node_at("node-b", "192.168.10.11"));
    server.put(service("web", 80));
    let mut watched = Watched::settled(&server, timing());
    let asked = server.requests();
    let of_nodes = asked.iter().filter(|asked| asked.path == NODES);
    let selectors: Vec<_> = of_nodes.map(|asked| asked.get("fieldSelector")).collect();
    assert!(!selectors.is_empty());
    for selector in selectors {
        assert_eq!(selector, Some("metadata.name=node-a"));
    }
    assert_eq!(addresses(&watched, "node-b"), None);
    assert_eq!(watched.api_servers, [server.address()].into());

    // The Service that may take it is known after the Node.
    server.put(with_external_ip("taker"));
    watched.until("the Service", |watched| watched.services().len() == 2);
    let expected = Some(vec!["192.168.10.11".parse().unwrap()]);
    assert_eq!(addresses(&watched, "node-b"), expected);
    let other = &watched.cluster.nodes["node-b"];
    assert!(
        other.zone.is_none() && other.pod_cidrs.is_empty(),
        "{other:?}"
    );
    let own = &watched.cluster.nodes[NODE];
    assert!(own.zone.is_some() && !own.pod_cidrs.is_empty(), "{own:?}");

    // Of what kubelets write every few seconds nothing is sent.
    let before = watched.events.len();
    let mut beating = node_at("node-b", "192.168.10.11");
    beating["status"]["conditions"] = json!([{"type": "Ready", "lastHeartbeatTime": "now"}]);
    server.put(beating);
    server.put(node_at("node-c", "192.168.10.12"));
    watched.until("another Node", |watched| {
        addresses(watched, "node-c").is_some()
    });
    let since = &watched.events[before..];
    assert_eq!(since.len(), 1, "{since:#?}");
    server.put(node_at("node-b", "192.168.10.99"));
    watched.until("another address", |watched| {
        addresses(watched, "node-b") == Some(vec!["192.168.10.99".parse().unwrap()])
    });
    server.delete(&node_at("node-b", ""));
    watched.until("a Node to go", |watched| {
        addresses(watched, "node-b").is_none()
    });
    assert!(addresses(&watched, NODE).is_some());
    watched.stop(&server);
}

/// At a start the Nodes are known before anything is programmed: before their first list nothing is.
fn the_first_list_of_nodes_has_all_that_services_may_take(api: Api) {
    let server = api.start();
    server.put(node_at(NODE, "192.168.10.10"));
    server.put(node_at("node-b", "192.168.10.11"));
    server.put(with_external_ip("taker"));
    // Nodes wait for Services, which say which of them are wanted.
    server.hold_lists(SERVICES);
    let mut watched = Watched::start(&server, timing());
    server.wait_until_held();
    server.release();
    watched.settle(&server);
    let lists: Vec<_> = watched
        .changes()
        .filter_map(|change| match change {
            Change::Nodes(all) => Some(all.len()),
            _ => None,
        })
        .collect();
    assert_eq!(lists, [2]);
    // Listed anew, with one more and one less.
    server.put(node_at("node-c", "192.168.10.12"));
    watched.until("another Node", |watched| {
        addresses(watched, "node-c").is_some()
    });
    server.stop();
    server.compact();
    server.delete(&node_at("node-b", ""));
    server.come_back();
    watched.until("a Node to go", |watched| {
        addresses(watched, "node-b").is_none()
    });
    assert!(addresses(&watched, "node-c").is_some());
    watched.stop(&server);
}

/// Who may not list all Nodes is served as before, and told.
fn without_the_right_to_list_all_nodes_services_are_followed_all_the_same(api: Api) {
    let server = api.start();
    server.put(node_at(NODE, "192.168.10.10"));
    server.put(node_at("node-b", "192.168.10.11"));
    server.deny("list all nodes");
    server.put(with_external_ip("taker"));
    let mut watched = Watched::settled(&server, timing());
    assert_eq!(watched.services().len(), 1);
    assert!(addresses(&watched, NODE).is_some());
    assert_eq!(addresses(&watched, "node-b"), None);
    server.put(with_external_ip("another"));
    watched.until("another Service", |watched| watched.services().len() == 2);
    watched.stop(&server);
}

on_each!(
    other_nodes_are_followed_only_while_a_service_may_take_their_addresses,
    the_first_list_of_nodes_has_all_that_services_may_take,
    without_the_right_to_list_all_nodes_services_are_followed_all_the_same,
);
