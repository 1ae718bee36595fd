//! Masquerading as one Service asks for it: whose address endpoints see.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use kernel_test::{Netns, set_sysctl};
use proxier::cluster::Family;
use proxier::{Config, Layout};

use crate::addresses::{self, spreads_masqueraded, spreads_to_the_pod};
use crate::proxy::{BALANCER, CLUSTER_IP, EXTERNAL_IP, Endpoint, NODE_PORT, Node, PORT, Web};
use scenarios::client::{Answer, Asker, Conversation, Protocol, answer, answers};
use scenarios::topology::{Both, CLIENT, NODE, NODE_TO_ELSEWHERE, NODE_TO_POD, POD, Topology};

/// The node, as each of the pods sees it.
const MASQUERADED: [Both; 2] = [NODE_TO_POD, NODE_TO_ELSEWHERE];

pub(crate) fn asking(masquerade: &str) -> Web {
    Web::new().annotated(&format!("kube-proxier/masquerade: {masquerade}"))
}

/// The pod elsewhere has its way to the client through the node.
pub(crate) fn way_back(net: &Topology, family: Family) {
    let (client, node) = (CLIENT.of(family), NODE_TO_ELSEWHERE.of(family));
    let route = format!("ip route add {client} via {node}");
    net.elsewhere.cmd(&route);
}

/// Both pods serve these addresses of the Service, the cluster IP first, which asks for `never` now. What comes in keeps its
/// source, then all is masqueraded, and then it is as without the annotation.
pub(crate) fn as_asked(
    net: &Topology,
    node: &mut Node,
    to: [SocketAddr; 3],
    asking: impl Fn(&'static str) -> Web,
) {
    let family = Family::of(to[0].ip());
    way_back(net, family);
    let client = CLIENT.of(family);
    for to in to {
        addresses::spreads(&net.client, to, client, client);
        spreads_to_the_pod(net, to);
        spreads_masqueraded(&net.node, to);
    }
    node.set(&asking("always"));
    for to in to {
        for from in [&net.client, &net.pod, &net.node] {
            spreads_masqueraded(from, to);
        }
    }
    node.set(&asking("default"));
    let [cluster_ip, external_ip, _] = to;
    spreads_masqueraded(&net.client, external_ip);
    spreads_to_the_pod(net, cluster_ip);
}

/// What iptables mode leaves to whoever sets up the node: forwarding, and a way to addresses that the node has not.
fn set_up(net: &Topology, layout: Layout, family: Family) {
    way_back(net, family);
    if layout == Layout::Iptables {
        set_sysctl("net.ipv4.ip_forward", "1");
        let via = CLIENT.of(family);
        net.node.cmd(&format!("ip route add default via {via}"));
    }
}

fn serving(layout: Layout, web: &Web, family: Family) -> (Topology, Node) {
    let (net, node) = Node::serving(layout, web);
    set_up(&net, layout, family);
    (net, node)
}

/// Both pods answer, the one on the node and the one elsewhere, and see these addresses of their asker.
#[track_caller]
fn spreads(layout: Layout, from: &Netns, to: SocketAddr, seen: [Both; 2]) {
    // Iptables mode chooses at random: one of them is missed once in 2^23 times.
    let times = match layout {
        Layout::Iptables => 24,
        _ => 2,
    };
    let [pod, elsewhere] = seen.map(|seen| seen.of(Family::of(to.ip())));
    let expected = [("pod", pod), ("elsewhere", elsewhere)].map(|(by, seen)| {
        let by = by.to_owned();
        Answer { by, seen }
    });
    for protocol in Protocol::BOTH {
        let got: BTreeSet<_> = answers(from, protocol, to, times).into_keys().collect();
        assert_eq!(
            got,
            BTreeSet::from(expected.clone()),
            "{protocol:?} to {to}"
        );
    }
}

pub(crate) fn addresses(family: Family) -> [SocketAddr; 4] {
    [
        CLUSTER_IP.port(family, PORT),
        EXTERNAL_IP.port(family, PORT),
        BALANCER.port(family, PORT),
        NODE.port(family, NODE_PORT),
    ]
}

/// Both pods see the client and a pod itself. The node is masqueraded, and so is a pod that reaches itself.
#[track_caller]
fn keeps_sources(net: &Topology, layout: Layout, family: Family) {
    for to in addresses(family) {
        spreads(layout, &net.client, to, [CLIENT, CLIENT]);
        spreads(layout, &net.pod, to, [NODE_TO_POD, POD]);
        spreads(layout, &net.node, to, MASQUERADED);
    }
}

pub(crate) fn never(layout: Layout, family: Family) {
    let (net, mut node) = serving(layout, &asking("never"), family);
    keeps_sources(&net, layout, family);
    let plan = node.set(&asking("never"));
    assert!(plan.is_empty(), "{plan}");

    // Nothing of it stays.
    node.set(&Web::new());
    for to in addresses(family) {
        spreads(layout, &net.client, to, MASQUERADED);
    }
    let plan = node.set(&Web::new());
    assert!(plan.is_empty(), "{plan}");
}

pub(crate) fn never_where_all_is_masqueraded(layout: Layout, family: Family) {
    let mut config = Config::with_layout(layout);
    config.masquerade_all = true;
    let (net, mut node) = Node::configured(config, &asking("never"));
    set_up(&net, layout, family);
    keeps_sources(&net, layout, family);
    node.set(&asking("default"));
    for from in [&net.client, &net.pod] {
        spreads(layout, from, CLUSTER_IP.port(family, PORT), MASQUERADED);
    }
}

/// The policy chooses the endpoint, and with it a packet's source stays anyway. The cluster IP is not of the policy.
pub(crate) fn never_with_policy_local(layout: Layout, family: Family) {
    let web = asking("never").with("externalTrafficPolicy: Local");
    let (net, _node) = serving(layout, &web, family);
    let [cluster_ip, outside @ ..] = addresses(family);
    spreads(layout, &net.client, cluster_ip, [CLIENT, CLIENT]);
    for to in outside {
        for protocol in Protocol::BOTH {
            for answer in answers(&net.client, protocol, to, 3).into_keys() {
                let seen = CLIENT.of(family);
                assert_eq!((&*answer.by, answer.seen), ("pod", seen), "{to}");
            }
        }
    }
}

/// Pods to cluster IPs too. A policy `Local` keeps clients' addresses all the same.
pub(crate) fn always(layout: Layout, family: Family) {
    let local = "externalTrafficPolicy: Local";
    let (net, mut node) = serving(layout, &asking("always").with(local), family);
    let to = CLUSTER_IP.port(family, PORT);
    for from in [&net.client, &net.pod, &net.node] {
        spreads(layout, from, to, MASQUERADED);
    }
    let answer = answer(&net.client, Protocol::Tcp, NODE.port(family, NODE_PORT));
    assert_eq!((&*answer.by, answer.seen), ("pod", CLIENT.of(family)));
    node.set(&Web::new());
    spreads(layout, &net.pod, to, [NODE_TO_POD, POD]);
    let plan = node.set(&Web::new());
    assert!(plan.is_empty(), "{plan}");
}

/// What is open stays as it was, and new connections are as is asked for now.
pub(crate) fn changes_with_open_connections(layout: Layout, family: Family) {
    let on = |masquerade| {
        let annotation = format!("kube-proxier/masquerade: {masquerade}");
        Web::on(&[Endpoint::Elsewhere]).annotated(&annotation)
    };
    let (net, mut node) = serving(layout, &on("default"), family);
    let mut open: Vec<(Conversation, Asker, Answer)> = Vec::new();
    for (masquerade, from_client, from_pod) in [
        ("default", NODE_TO_ELSEWHERE, POD),
        ("never", CLIENT, POD),
        ("always", NODE_TO_ELSEWHERE, NODE_TO_ELSEWHERE),
        ("never", CLIENT, POD),
        ("default", NODE_TO_ELSEWHERE, POD),
    ] {
        node.set(&on(masquerade));
        for (conversation, ..) in &mut open {
            conversation.say(masquerade);
        }
        for (from, seen) in [(&net.client, from_client), (&net.pod, from_pod)] {
            let to = CLUSTER_IP.port(family, PORT);
            let (conversation, answer) = Conversation::with(from, to);
            assert_eq!(answer.seen, seen.of(family), "{masquerade}");
            let asker = Asker::new(from, to).unwrap();
            let answer = asker.ask_up_to(3).unwrap();
            assert_eq!(answer.seen, seen.of(family), "{masquerade}");
            open.push((conversation, asker, answer));
        }
        for (conversation, asker, answer) in &mut open {
            conversation.say("after others");
            assert_eq!(asker.ask_up_to(3).as_ref(), Some(&*answer), "{masquerade}");
        }
    }
}
