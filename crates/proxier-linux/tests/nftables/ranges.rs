//! Ranges of ports: one virtual server by mark, and packets keep the port that they were sent to.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use kernel_test::{Netns, cmd};
use proxier::cluster::Family;
use proxier::{Holder, Kernel, Layout};

use crate::addresses::{spreads_masqueraded, spreads_to_the_pod};
use crate::marked::{assert_none_marked, count_marked};
use crate::masquerading;
use crate::proxy::{BALANCER, CLUSTER_IP, EXTERNAL_IP, Endpoint, Node, PORT, Web};
use scenarios::client::{Conversation, Protocol, answer, answers, assert_dropped, assert_refused};
use scenarios::servers::serve;
use scenarios::topology::{Both, CLIENT, NODE, POD, Topology};

const RANGES: &str = "10000-20000/tcp, 10000-20000/udp";
/// The first, one within, and the last.
const PORTS: [u16; 3] = [10_000, 15_000, 20_000];
/// The Service's, as far as the node itself has none of them.
const ADDRESSES: [Both; 3] = [CLUSTER_IP, EXTERNAL_IP, BALANCER];
const OUTSIDE: [Both; 2] = [EXTERNAL_IP, BALANCER];

/// A node with the Service, whose pods serve ports of the range too.
fn serving(layout: Layout, web: &Web) -> (Topology, Node) {
    let (net, node) = Node::serving(layout, web);
    for port in PORTS {
        serve(&net.pod, "pod", port);
        serve(&net.elsewhere, "elsewhere", port);
    }
    (net, node)
}

/// The virtual servers by mark of a family, as `ipvsadm` prints them.
fn by_mark(family: Family) -> Vec<String> {
    let all = cmd("ipvsadm -Sn");
    let marks = all.lines().filter(|line| line.starts_with("-A -f "));
    let of_family = marks.filter(|line| line.contains(" -6 ") == (family == Family::V6));
    of_family.map(str::to_owned).collect()
}

#[track_caller]
fn assert_by(from: &Netns, to: SocketAddr, by: &str, seen: Option<Both>) {
    for protocol in Protocol::BOTH {
        let got: Vec<_> = answers(from, protocol, to, 3).into_keys().collect();
        let [answer] = &got[..] else {
            panic!("{protocol:?} to {to}: {got:?}");
        };
        assert_eq!(answer.by, by, "{protocol:?} to {to}");
        if let Some(seen) = seen {
            assert_eq!(
                answer.seen,
                seen.of(Family::of(to.ip())),
                "{protocol:?} to {to}"
            );
        }
    }
}

pub(crate) fn from_everywhere(layout: Layout, family: Family) {
    let (net, mut node) = serving(layout, &Web::new().ranges(RANGES));
    assert_eq!(by_mark(family).len(), 1, "{:?}", by_mark(family));
    for port in PORTS {
        for address in ADDRESSES {
            let to = address.port(family, port);
            for from in [&net.client, &net.node] {
                spreads_masqueraded(from, to);
            }
        }
        spreads_to_the_pod(&net, CLUSTER_IP.port(family, port));
        for address in OUTSIDE {
            spreads_masqueraded(&net.pod, address.port(family, port));
        }
    }
    for from in [&net.client, &net.node, &net.pod] {
        for beside in [9_999, 20_001] {
            assert_refused(from, Protocol::Tcp, CLUSTER_IP.port(family, beside));
        }
    }
    let plan = node.set(&Web::new().ranges(RANGES));
    assert!(plan.is_empty(), "{plan}");

    // It goes, and nothing of it stays.
    node.set(&Web::new());
    assert_eq!(by_mark(family), [""; 0]);
    let observed = node.kernel.observe().unwrap();
    let table = observed.tables.get(family).as_ref().unwrap();
    let elements = table.elements.iter();
    let of_ranges = elements.filter(|element| element.set().as_str().starts_with("range-"));
    assert_eq!(of_ranges.count(), 0);
    for from in [&net.client, &net.node, &net.pod] {
        assert_refused(from, Protocol::Tcp, CLUSTER_IP.port(family, PORTS[1]));
    }
    spreads_masqueraded(&net.client, CLUSTER_IP.port(family, PORT));
}

/// A listed port has its own virtual server and its target port. Node ports take no part.
pub(crate) fn all_ports_but_those_listed(layout: Layout, family: Family) {
    let (net, mut node) = serving(layout, &Web::new().ranges("all"));
    assert_eq!(by_mark(family).len(), 1);
    for from in [&net.client, &net.node] {
        for address in ADDRESSES {
            // 8080 of the pods.
            spreads_masqueraded(from, address.port(family, PORT));
            for port in [PORTS[0], 8080] {
                spreads_masqueraded(from, address.port(family, port));
            }
            // A port that no pod listens on.
            assert_refused(from, Protocol::Tcp, address.port(family, 9));
        }
    }
    spreads_to_the_pod(&net, CLUSTER_IP.port(family, PORTS[2]));
    let exact = node.server(Protocol::Tcp, CLUSTER_IP.port(family, PORT));
    assert!(
        exact
            .destinations
            .iter()
            .all(|found| found.destination.id.port == 8080)
    );
    assert_refused(&net.client, Protocol::Tcp, NODE.port(family, PORTS[0]));
}

/// With session affinity, whatever the port and the protocol.
pub(crate) fn one_endpoint_for_a_client(layout: Layout, family: Family) {
    let web = Web::new().ranges(RANGES).with("sessionAffinity: ClientIP");
    let (net, _node) = serving(layout, &web);
    for from in [&net.client, &net.node, &net.stranger] {
        let mut by: BTreeMap<String, usize> = BTreeMap::new();
        for port in PORTS {
            for protocol in Protocol::BOTH {
                let to = CLUSTER_IP.port(family, port);
                for (answer, count) in answers(from, protocol, to, 4) {
                    *by.entry(answer.by).or_default() += count;
                }
            }
        }
        assert_eq!(by.into_values().collect::<Vec<_>>(), [24]);
    }
    let [server] = &by_mark(family)[..] else {
        panic!("{:?}", by_mark(family));
    };
    assert!(server.contains(" -p 10800"), "{server}");
}

pub(crate) fn split_policy(layout: Layout, family: Family) {
    let local = |web: Web| web.ranges(RANGES).with("externalTrafficPolicy: Local");
    let (net, mut node) = serving(layout, &local(Web::new()));
    assert_eq!(by_mark(family).len(), 4, "two of ports, two of ranges");
    for to in OUTSIDE.map(|address| address.port(family, PORTS[1])) {
        assert_by(&net.client, to, "pod", Some(CLIENT));
        spreads_masqueraded(&net.node, to);
        spreads_to_the_pod(&net, to);
    }
    spreads_masqueraded(&net.client, CLUSTER_IP.port(family, PORTS[1]));
    node.set(&local(Web::on(&[Endpoint::Elsewhere])));
    for to in OUTSIDE.map(|address| address.port(family, PORTS[1])) {
        for protocol in Protocol::BOTH {
            assert_dropped(&net.client, protocol, to);
        }
        assert_by(&net.node, to, "elsewhere", None);
        assert_by(&net.pod, to, "elsewhere", Some(POD));
    }
}

pub(crate) fn internal_policy(layout: Layout, family: Family) {
    let local = |web: Web| web.ranges(RANGES).with("internalTrafficPolicy: Local");
    let (net, mut node) = serving(layout, &local(Web::new()));
    let to = CLUSTER_IP.port(family, PORTS[0]);
    for from in [&net.client, &net.node, &net.pod] {
        assert_by(from, to, "pod", None);
        spreads_masqueraded(from, EXTERNAL_IP.port(family, PORTS[0]));
    }
    node.set(&local(Web::on(&[Endpoint::Elsewhere])));
    for from in [&net.client, &net.node, &net.pod] {
        for protocol in Protocol::BOTH {
            assert_dropped(from, protocol, to);
        }
        assert_by(from, EXTERNAL_IP.port(family, PORTS[0]), "elsewhere", None);
    }
}

pub(crate) fn source_ranges(layout: Layout, family: Family) {
    let web = Web::new()
        .ranges(RANGES)
        .with("loadBalancerSourceRanges: [192.168.10.2/32, '2001:db8:10::2/128']");
    let (net, _node) = serving(layout, &web);
    for protocol in Protocol::BOTH {
        let to = BALANCER.port(family, PORTS[2]);
        answer(&net.client, protocol, to);
        assert_dropped(&net.stranger, protocol, to);
        assert_dropped(&net.node, protocol, to);
        for address in [CLUSTER_IP, EXTERNAL_IP] {
            answer(&net.stranger, protocol, address.port(family, PORTS[2]));
        }
    }
}

pub(crate) fn without_endpoints(layout: Layout, family: Family) {
    let (net, _node) = serving(layout, &Web::on(&[]).ranges(RANGES));
    for from in [&net.node, &net.pod, &net.client] {
        for address in ADDRESSES {
            assert_refused(from, Protocol::Tcp, address.port(family, PORTS[0]));
        }
    }
}

/// What the node itself listens on stays reachable.
pub(crate) fn of_the_nodes_own_address(layout: Layout, family: Family) {
    const SSH: u16 = 22;
    let Both(v4, v6) = NODE;
    let web = Web::new()
        .ranges("all")
        .instead(&format!("externalIPs: ['{v4}', '{v6}']"));
    let (net, node) = serving(layout, &web);
    serve(&net.node, "node", SSH);
    assert_eq!(
        answer(&net.client, Protocol::Tcp, NODE.port(family, SSH)).by,
        "node"
    );
    spreads_masqueraded(&net.client, NODE.port(family, PORT));
    spreads_masqueraded(&net.client, CLUSTER_IP.port(family, SSH + 8058));
    let holders: BTreeSet<_> = node.conflicts.iter().map(|one| &one.holder).collect();
    assert_eq!(holders, BTreeSet::from([&Holder::Node("node-a".into())]));
}

/// An open connection survives another range, another policy, and a restart.
pub(crate) fn a_connection_lives_through_changes(layout: Layout, family: Family) {
    let (net, mut node) = serving(layout, &Web::new().ranges(RANGES));
    let to = EXTERNAL_IP.port(family, PORTS[1]);
    let (mut open, _) = Conversation::with(&net.client, to);
    for ranges in ["15000/tcp", "all", "14000-15001/tcp, 1-13/udp"] {
        node.set(&Web::new().ranges(ranges));
        open.say(ranges);
        node.reopen();
        let plan = node.set(&Web::new().ranges(ranges));
        assert!(plan.is_empty(), "{plan}");
        open.say("after a restart");
        answer(&net.client, Protocol::Tcp, to);
    }
    assert_refused(
        &net.client,
        Protocol::Tcp,
        CLUSTER_IP.port(family, PORTS[2]),
    );
}

pub(crate) fn no_mark_leaves_the_node(layout: Layout, family: Family) {
    let (net, mut node) = serving(layout, &Web::new().ranges(RANGES));
    count_marked();
    for policy in ["Cluster", "Local"] {
        let policy = format!("externalTrafficPolicy: {policy}");
        node.set(&Web::new().ranges(RANGES).with(&policy));
        for to in ADDRESSES.map(|address| address.port(family, PORTS[0])) {
            for from in [&net.client, &net.pod, &net.node] {
                let (mut open, _) = Conversation::with(from, to);
                open.say("a second packet");
                answer(from, Protocol::Udp, to);
            }
        }
    }
    assert_none_marked();
}

pub(crate) fn cleanup_leaves_nothing(layout: Layout, family: Family) {
    let (net, mut node) = serving(layout, &Web::new().ranges("all"));
    answer(
        &net.client,
        Protocol::Tcp,
        CLUSTER_IP.port(family, PORTS[0]),
    );
    node.clean_up();
    assert_eq!(cmd("ipvsadm -Sn"), "");
    assert!(!cmd("nft list ruleset").contains("kube"));
}

/// As their Service asks: what comes in keeps its source, or all to the cluster IP is masqueraded.
pub(crate) fn masquerading(layout: Layout, family: Family) {
    let asking = |masquerade| masquerading::asking(masquerade).ranges(RANGES);
    let (net, mut node) = serving(layout, &asking("never"));
    let to = ADDRESSES.map(|address| address.port(family, PORTS[1]));
    masquerading::as_asked(&net, &mut node, to, asking);
}
