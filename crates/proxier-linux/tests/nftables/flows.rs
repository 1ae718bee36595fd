//! UDP flows of virtual servers by mark: they leave an endpoint that goes, and those that began before it are found.

use std::net::SocketAddr;

use proxier::cluster::Family;
use proxier::nftables::Element;
use proxier::{Layout, Operation};
use proxier_linux::untranslated_flows;
use scenarios::client::{Asker, Protocol, assert_dropped};
use scenarios::servers::serve;
use scenarios::topology::{NODE, Topology};

use crate::proxy::{BALANCER, CLUSTER_IP, EXTERNAL_IP, Endpoint, NODE_PORT, Node, PORT, Web};

/// Asks until an answer comes: the first datagram ends the connection to what is gone (expire_nodest_conn).
#[track_caller]
fn answered_by(asker: &Asker, from: &str, to: SocketAddr) -> String {
    let answer = asker.ask_up_to(3);
    answer
        .unwrap_or_else(|| panic!("{from} to {to}: no answer"))
        .by
}

fn askers<'a>(net: &Topology, to: &'a [SocketAddr]) -> Vec<(&'static str, &'a SocketAddr, Asker)> {
    let from = [
        ("client", &net.client),
        ("pod", &net.pod),
        ("node", &net.node),
    ];
    let all = from.iter().flat_map(|(name, from)| {
        to.iter().flat_map(move |to| {
            // One to each endpoint.
            [(); 2].map(|()| (*name, to, Asker::new(from, *to).unwrap()))
        })
    });
    all.collect()
}

pub(crate) fn of_ranges(layout: Layout, family: Family) {
    const RANGE: u16 = 10_000;
    let ranges = |web: Web| web.ranges("10000-10100/udp");
    let (net, mut node) = Node::serving(layout, &ranges(Web::new()));
    serve(&net.pod, "pod", RANGE);
    serve(&net.elsewhere, "elsewhere", RANGE);
    let to = [CLUSTER_IP, EXTERNAL_IP, BALANCER].map(|address| address.port(family, RANGE));
    let askers = askers(&net, &to);
    for (from, to, asker) in &askers {
        answered_by(asker, from, **to);
    }
    for (endpoint, name) in [(Endpoint::Elsewhere, "elsewhere"), (Endpoint::Here, "pod")] {
        node.set(&ranges(Web::on(&[endpoint])));
        for (from, to, asker) in &askers {
            assert_eq!(answered_by(asker, from, **to), name, "{from} to {to}");
        }
    }
}

/// `externalTrafficPolicy: Local`: without an endpoint here packets are dropped, and with policy `Cluster` they go elsewhere.
pub(crate) fn of_policy_local(layout: Layout, family: Family) {
    let local = |web: Web| web.with("externalTrafficPolicy: Local");
    let (net, mut node) = Node::serving(layout, &local(Web::new()));
    let to = [
        EXTERNAL_IP.port(family, PORT),
        BALANCER.port(family, PORT),
        NODE.port(family, NODE_PORT),
    ];
    let askers = to.map(|to| (to, Asker::new(&net.client, to).unwrap()));
    for (to, asker) in &askers {
        assert_eq!(answered_by(asker, "client", *to), "pod");
    }
    node.set(&local(Web::on(&[Endpoint::Elsewhere])));
    for (to, asker) in &askers {
        assert_eq!(asker.ask_up_to(3).map(|answer| answer.by), None, "{to}");
        assert_dropped(&net.client, Protocol::Udp, *to);
    }
    for (endpoint, name) in [(Endpoint::Elsewhere, "elsewhere"), (Endpoint::Here, "pod")] {
        node.set(&Web::on(&[endpoint]));
        for (to, asker) in &askers {
            assert_eq!(answered_by(asker, "client", *to), name);
        }
    }
    node.set(&local(Web::new()));
    for (to, asker) in &askers {
        assert_eq!(answered_by(asker, "client", *to), "pod");
    }
}

/// They began when nothing served the ranges: answers come once they are forgotten.
pub(crate) fn that_began_before(layout: Layout, family: Family) {
    const RANGE: u16 = 10_000;
    let (net, mut node) = Node::serving(layout, &Web::new());
    serve(&net.pod, "pod", RANGE);
    serve(&net.elsewhere, "elsewhere", RANGE);
    let to = [CLUSTER_IP, EXTERNAL_IP, BALANCER].map(|address| address.port(family, RANGE));
    let askers = askers(&net, &to);
    let answers = |(_, _, asker): &(_, _, Asker)| asker.ask_up_to(2).is_some();
    assert!(!askers.iter().any(answers));
    let plan = node.set(&Web::new().ranges("10000-10100/udp"));
    assert!(!askers.iter().all(answers), "nothing is to be done");
    let ranges = plan.iter().filter_map(|(_, operation)| match operation {
        Operation::AddElement {
            element: Element::RangeMark(range, _),
            ..
        } => Some(*range),
        _ => None,
    });
    let ranges: Vec<_> = ranges.collect();
    let mut conntrack = conntrack_netlink::Client::open().unwrap();
    let forgotten = untranslated_flows(&mut conntrack, &ranges).unwrap();
    assert!(forgotten > 0);
    for (from, to, asker) in &askers {
        answered_by(asker, from, **to);
    }
}
