//! Session affinity over all listed ports: a client has one endpoint at all of them.

use std::collections::BTreeSet;

use kernel_test::{Netns, cmd};
use proxier::cluster::Family;
use proxier::{Holder, Layout, NotShared};

use crate::marked::{assert_none_marked, count_marked};
use crate::proxy::{BALANCER, CLUSTER_IP, EXTERNAL_IP, Endpoint, Node, PORT, TARGET, Web};
use scenarios::client::{Conversation, Protocol, answer, answers, assert_dropped, assert_refused};
use scenarios::servers::serve;
use scenarios::topology::{Both, CLIENT, Topology};

/// A second listed port, of TCP alone.
const SECOND: u16 = 443;
const ADDRESSES: [Both; 3] = [CLUSTER_IP, EXTERNAL_IP, BALANCER];

/// A Service with two listed ports, which its pods have too.
fn web(endpoints: &[Endpoint]) -> Web {
    let second = Web::on(endpoints).port("second", SECOND, SECOND, "TCP", "");
    second.on_its_port().with("sessionAffinity: ClientIP")
}

fn all_ports(endpoints: &[Endpoint]) -> Web {
    web(endpoints).annotated("kube-proxier/affinity: all-ports")
}

const BOTH: [Endpoint; 2] = [Endpoint::Here, Endpoint::Elsewhere];

fn serving(layout: Layout, web: &Web) -> (Topology, Node) {
    let (net, node) = Node::serving(layout, web);
    for port in [PORT, SECOND] {
        serve(&net.pod, "pod", port);
        serve(&net.elsewhere, "elsewhere", port);
    }
    (net, node)
}

/// Who answers at each port: TCP and UDP of the first one, TCP of the second.
fn by(from: &Netns, address: Both, family: Family) -> Vec<BTreeSet<String>> {
    let ports = [
        (Protocol::Tcp, PORT),
        (Protocol::Udp, PORT),
        (Protocol::Tcp, SECOND),
    ];
    let each = ports.into_iter().map(|(protocol, port)| {
        let all = answers(from, protocol, address.port(family, port), 3);
        all.into_keys().map(|answer| answer.by).collect()
    });
    each.collect()
}

#[track_caller]
fn assert_one(from: &Netns, address: Both, family: Family) {
    let by = by(from, address, family);
    let [first, others @ ..] = &by[..] else {
        panic!("nobody asked");
    };
    assert_eq!(first.len(), 1, "{}: {by:?}", address.of(family));
    assert!(
        others.iter().all(|other| other == first),
        "{}: {by:?}",
        address.of(family)
    );
}

/// Without the annotation each port takes turns by itself.
pub(crate) fn one_endpoint_at_all_ports(layout: Layout, family: Family) {
    let (net, mut node) = serving(layout, &web(&BOTH));
    let [first, second] = [PORT, SECOND].map(|port| CLUSTER_IP.port(family, port));
    let tcp = |from, to| answer(from, Protocol::Tcp, to).by;
    assert_ne!(tcp(&net.client, first), tcp(&net.node, first));
    assert_ne!(tcp(&net.node, first), tcp(&net.node, second));

    node.set(&all_ports(&BOTH));
    for from in [&net.client, &net.node, &net.stranger, &net.pod] {
        for address in ADDRESSES {
            assert_one(from, address, family);
        }
    }
    let plan = node.set(&all_ports(&BOTH));
    assert!(plan.is_empty(), "{plan}");
}

/// From outside the endpoint on this node, which sees the client.
pub(crate) fn split_policy(layout: Layout, family: Family) {
    let local = |endpoints| all_ports(endpoints).with("externalTrafficPolicy: Local");
    let (net, mut node) = serving(layout, &local(&BOTH));
    for port in [PORT, SECOND] {
        let to = EXTERNAL_IP.port(family, port);
        let got = answer(&net.client, Protocol::Tcp, to);
        assert_eq!((&*got.by, got.seen), ("pod", CLIENT.of(family)));
    }
    assert_one(&net.node, EXTERNAL_IP, family);
    assert_one(&net.client, CLUSTER_IP, family);
    node.set(&local(&[Endpoint::Elsewhere]));
    for port in [PORT, SECOND] {
        let to = EXTERNAL_IP.port(family, port);
        assert_dropped(&net.client, Protocol::Tcp, to);
        assert_eq!(answer(&net.node, Protocol::Tcp, to).by, "elsewhere");
    }
}

/// Source ranges, and a port without endpoints.
pub(crate) fn who_may_come(layout: Layout, family: Family) {
    let ranges = "loadBalancerSourceRanges: [192.168.10.2/32, '2001:db8:10::2/128']";
    let (net, mut node) = serving(layout, &all_ports(&BOTH).with(ranges));
    let to = BALANCER.port(family, SECOND);
    answer(&net.client, Protocol::Tcp, to);
    assert_dropped(&net.stranger, Protocol::Tcp, to);
    answer(
        &net.stranger,
        Protocol::Tcp,
        EXTERNAL_IP.port(family, SECOND),
    );
    node.set(&all_ports(&[]));
    for from in [&net.client, &net.node, &net.pod] {
        for address in ADDRESSES {
            assert_refused(from, Protocol::Tcp, address.port(family, SECOND));
        }
    }
}

/// Open connections go on when the annotation comes, and when it goes.
pub(crate) fn a_connection_lives_through_changes(layout: Layout, family: Family) {
    let (net, mut node) = serving(layout, &web(&BOTH));
    for address in [CLUSTER_IP, EXTERNAL_IP] {
        let to = address.port(family, SECOND);
        node.set(&web(&BOTH));
        let (mut before, _) = Conversation::with(&net.client, to);
        node.set(&all_ports(&BOTH));
        before.say("the annotation came");
        let (mut between, _) = Conversation::with(&net.client, to);
        let (mut own, _) = Conversation::with(&net.node, to);
        node.set(&web(&BOTH));
        for open in [&mut before, &mut between, &mut own] {
            open.say("the annotation went");
        }
        node.reopen();
        node.set(&web(&BOTH));
        between.say("another process came");
    }
    drop(node);
}

/// One that cannot join has its own virtual server, and its target port.
pub(crate) fn a_port_with_another_target_port(layout: Layout, family: Family) {
    let web = Web::new()
        .port("second", SECOND, TARGET, "TCP", "")
        .on_its_port()
        .with("sessionAffinity: ClientIP")
        .annotated("kube-proxier/affinity: all-ports");
    let (net, node) = serving(layout, &web);
    for from in [&net.client, &net.node] {
        for port in [PORT, SECOND] {
            answer(from, Protocol::Tcp, CLUSTER_IP.port(family, port));
        }
    }
    let holders: BTreeSet<_> = node.conflicts.iter().map(|one| &one.holder).collect();
    let expected = Holder::Affinity(NotShared::TargetPort(TARGET));
    assert_eq!(holders, BTreeSet::from([&expected]));
    let marks = cmd("nft list map ip kube-proxier port-marks");
    assert!(!marks.contains(". 443 :"), "{marks}");
}

pub(crate) fn no_mark_leaves_the_node(layout: Layout, family: Family) {
    let (net, mut node) = serving(layout, &all_ports(&BOTH));
    count_marked();
    for policy in ["Cluster", "Local"] {
        let policy = format!("externalTrafficPolicy: {policy}");
        node.set(&all_ports(&BOTH).with(&policy));
        for to in ADDRESSES.map(|address| address.port(family, PORT)) {
            for from in [&net.client, &net.pod, &net.node] {
                let (mut open, _) = Conversation::with(from, to);
                open.say("a second packet");
                answer(from, Protocol::Udp, to);
            }
        }
    }
    assert_none_marked();
}
