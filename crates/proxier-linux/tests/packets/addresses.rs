//! Every kind of address a Service has, asked from every side.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use kernel_test::{Netns, cmd, iptables_flavour};
use proxier::cluster::Family;
use proxier::{Config, Layout};

use crate::proxy::{BALANCER, CLUSTER_IP, EXTERNAL_IP, Endpoint, NODE_PORT, Node, PORT, Web};
use scenarios::client::{Answer, Protocol, answer, answers, assert_dropped, assert_refused};
use scenarios::servers::serve;
use scenarios::topology::{CLIENT, NODE, NODE_TO_ELSEWHERE, NODE_TO_POD, POD, Topology};

/// Asks four times by each protocol: each pod answers twice, and sees this address of its asker.
#[track_caller]
pub(crate) fn spreads(from: &Netns, to: SocketAddr, pod_sees: IpAddr, elsewhere_sees: IpAddr) {
    let by = |by: &str, seen| {
        let by = by.to_owned();
        (Answer { by, seen }, 2)
    };
    let expected = BTreeMap::from([by("pod", pod_sees), by("elsewhere", elsewhere_sees)]);
    for protocol in Protocol::BOTH {
        let got = answers(from, protocol, to, 4);
        // One that was asked for twice has had the other's turn: which one, and why, shows in what the kernel still knows.
        assert_eq!(
            got,
            expected,
            "{protocol:?} to {to}; connections of IPVS:\n{}",
            cmd("ipvsadm --list --numeric --connection")
        );
    }
}

/// The same, and both pods see the node for the asker.
#[track_caller]
pub(crate) fn spreads_masqueraded(from: &Netns, to: SocketAddr) {
    let family = Family::of(to.ip());
    spreads(
        from,
        to,
        NODE_TO_POD.of(family),
        NODE_TO_ELSEWHERE.of(family),
    );
}

/// A pod reaches itself as the node, and the other one under its own address.
#[track_caller]
pub(crate) fn spreads_to_the_pod(net: &Topology, to: SocketAddr) {
    let family = Family::of(to.ip());
    spreads(&net.pod, to, NODE_TO_POD.of(family), POD.of(family));
}

/// Only the pod on this node answers, and it sees the client itself.
#[track_caller]
pub(crate) fn keeps_client(from: &Netns, to: SocketAddr) {
    let family = Family::of(to.ip());
    for protocol in Protocol::BOTH {
        for answer in answers(from, protocol, to, 3).into_keys() {
            assert_eq!(answer.by, "pod", "{protocol:?} to {to}");
            assert_eq!(answer.seen, CLIENT.of(family), "{protocol:?} to {to}");
        }
    }
}

pub(crate) fn cluster_ip_from_the_node(layout: Layout, family: Family) {
    let (net, _node) = Node::serving(layout, &Web::new());
    spreads_masqueraded(&net.node, CLUSTER_IP.port(family, PORT));
}

/// It goes to the pod elsewhere under its own address; to itself it cannot.
pub(crate) fn cluster_ip_from_a_pod(layout: Layout, family: Family) {
    let (net, _node) = Node::serving(layout, &Web::new());
    let to = CLUSTER_IP.port(family, PORT);
    spreads(&net.pod, to, NODE_TO_POD.of(family), POD.of(family));
}

/// The pod elsewhere could not answer the client but for masquerading.
pub(crate) fn cluster_ip_from_a_client(layout: Layout, family: Family) {
    let (net, _node) = Node::serving(layout, &Web::new());
    spreads_masqueraded(&net.client, CLUSTER_IP.port(family, PORT));
}

/// A pod, too, is then masqueraded.
pub(crate) fn cluster_ip_with_masquerade_all(layout: Layout, family: Family) {
    let mut config = Config::with_layout(layout);
    config.masquerade_all = true;
    let (net, _node) = Node::configured(config, &Web::new());
    let to = CLUSTER_IP.port(family, PORT);
    spreads_masqueraded(&net.client, to);
    spreads_masqueraded(&net.pod, to);
    spreads_masqueraded(&net.node, to);
}

/// KUBE-LOOP-BACK: a pod whose question came back to it under its own address would answer itself, past
/// the node.
pub(crate) fn hairpin(layout: Layout, family: Family) {
    let (net, _node) = Node::serving(layout, &Web::on(&[Endpoint::Here]));
    for protocol in Protocol::BOTH {
        let answer = answer(&net.pod, protocol, CLUSTER_IP.port(family, PORT));
        assert_eq!(answer.by, "pod");
        assert_eq!(answer.seen, NODE_TO_POD.of(family));
    }
}

pub(crate) fn node_port_is_masqueraded(layout: Layout, family: Family) {
    let (net, _node) = Node::serving(layout, &Web::new());
    spreads_masqueraded(&net.client, NODE.port(family, NODE_PORT));
    // On every address of the node, whichever way it is reached.
    spreads_masqueraded(&net.client, NODE_TO_ELSEWHERE.port(family, NODE_PORT));
}

pub(crate) fn external_ip(layout: Layout, family: Family) {
    let (net, _node) = Node::serving(layout, &Web::new());
    spreads_masqueraded(&net.client, EXTERNAL_IP.port(family, PORT));
}

pub(crate) fn load_balancer(layout: Layout, family: Family) {
    let (net, _node) = Node::serving(layout, &Web::new());
    let to = BALANCER.port(family, PORT);
    spreads_masqueraded(&net.client, to);
    spreads_masqueraded(&net.stranger, to);
    spreads_masqueraded(&net.node, to);
}

fn local() -> Web {
    Web::new().with("externalTrafficPolicy: Local")
}

pub(crate) fn local_node_port_keeps_the_client(layout: Layout, family: Family) {
    let (net, _node) = Node::serving(layout, &local());
    keeps_client(&net.client, NODE.port(family, NODE_PORT));
}

pub(crate) fn local_load_balancer_keeps_the_client(layout: Layout, family: Family) {
    let (net, _node) = Node::serving(layout, &local());
    keeps_client(&net.client, BALANCER.port(family, PORT));
}

pub(crate) fn local_external_ip_keeps_the_client(layout: Layout, family: Family) {
    let (net, _node) = Node::serving(layout, &local());
    keeps_client(&net.client, EXTERNAL_IP.port(family, PORT));
}

/// What listens on all of the node's addresses does not do so on those of Services.
pub(crate) fn a_port_of_no_service_is_refused(layout: Layout, family: Family) {
    const OWN: u16 = 9999;
    let (net, _node) = Node::serving(layout, &Web::new());
    serve(&net.node, "node", OWN);
    for protocol in Protocol::BOTH {
        // UDP answers come from the address of the link they leave by, so each asks that one.
        let froms = [
            (&net.client, NODE),
            (&net.pod, NODE_TO_POD),
            (&net.node, NODE),
        ];
        for (from, node) in froms {
            assert_eq!(answer(from, protocol, node.port(family, OWN)).by, "node");
            for address in [CLUSTER_IP, EXTERNAL_IP, BALANCER] {
                assert_refused(from, protocol, address.port(family, OWN));
            }
        }
    }
}

/// Twenty of one client land on one pod, unlike those of a Service without affinity.
pub(crate) fn session_affinity(layout: Layout, family: Family) {
    let (net, mut node) = Node::serving(layout, &Web::new());
    let to = CLUSTER_IP.port(family, PORT);
    for protocol in Protocol::BOTH {
        let spread = answers(&net.client, protocol, to, 20);
        assert_eq!(spread.into_values().collect::<Vec<_>>(), [10, 10]);
    }
    let sticky = "sessionAffinity: ClientIP";
    node.set(&Web::new().with(sticky));
    for protocol in Protocol::BOTH {
        let stuck = answers(&net.client, protocol, to, 20);
        assert_eq!(
            stuck.into_values().collect::<Vec<_>>(),
            [20],
            "{protocol:?}"
        );
    }
}

/// A policy of DROP, and a last rule that rejects, refuse what is the node's own, and no Service. Rules before it that
/// refuse somebody still do.
pub(crate) fn input_that_drops_lets_services_pass(layout: Layout, family: Family) {
    const OWN: u16 = 9999;
    let (net, mut node) = Node::serving(layout, &Web::new());
    serve(&net.node, "node", OWN);
    let iptables = match family {
        Family::V4 => "iptables",
        Family::V6 => "ip6tables",
    };
    let iptables = format!("{iptables}-{}", iptables_flavour());
    let rules = |lines: &[&str]| {
        for line in lines {
            net.node.run(|| cmd(&format!("{iptables} {line}")));
        }
    };
    // What a firewall lets in: answers, and what the family needs to find its neighbours.
    rules(&[
        "-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
        match family {
            Family::V4 => "-A INPUT -p icmp -j ACCEPT",
            Family::V6 => "-A INPUT -p ipv6-icmp -j ACCEPT",
        },
    ]);
    let served = || {
        for to in [
            CLUSTER_IP.port(family, PORT),
            EXTERNAL_IP.port(family, PORT),
            BALANCER.port(family, PORT),
            NODE.port(family, NODE_PORT),
        ] {
            for from in [&net.client, &net.pod, &net.node] {
                for protocol in Protocol::BOTH {
                    let by: BTreeSet<_> = answers(from, protocol, to, 2).into_keys().collect();
                    assert_eq!(by.len(), 2, "{protocol:?} {to}: {by:?}");
                }
            }
        }
        assert_dropped(&net.client, Protocol::Tcp, NODE.port(family, OWN));
    };
    rules(&["-P INPUT DROP"]);
    served();
    // Whether the last rule is there before the proxy's or after it.
    rules(&["-A INPUT -j DROP"]);
    served();
    rules(&["-D INPUT -m comment --comment 'kubernetes service traffic' -j KUBE-IPVS-ACCEPT"]);
    assert_dropped(&net.client, Protocol::Tcp, CLUSTER_IP.port(family, PORT));
    node.set(&Web::new());
    served();
    // An explicit refusal comes before it.
    let client = CLIENT.of(family);
    rules(&[&format!("-I INPUT 1 -s {client} -j DROP")]);
    assert_dropped(&net.client, Protocol::Tcp, CLUSTER_IP.port(family, PORT));
    assert_dropped(&net.client, Protocol::Tcp, NODE.port(family, NODE_PORT));
    assert_eq!(
        answers(&net.pod, Protocol::Tcp, CLUSTER_IP.port(family, PORT), 2).len(),
        2
    );
}
