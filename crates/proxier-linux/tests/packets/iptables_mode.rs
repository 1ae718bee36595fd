//! Packets in iptables mode: every kind of address a Service has, asked from every side. Endpoints are chosen at random,
//! so that each is asked often enough to have all of them answer.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use kernel_test::{Netns, cmd, set_sysctl, sysctl};
use proxier::cluster::Family;
use proxier::{Config, Layout};

use crate::proxy::{BALANCER, CLUSTER_IP, EXTERNAL_IP, Endpoint, NODE_PORT, Node, PORT, Web};
use scenarios::client::{
    Answer, Conversation, Protocol, answer, answers, assert_dropped, assert_refused,
};
use scenarios::topology::{CLIENT, NODE, NODE_TO_ELSEWHERE, NODE_TO_POD, POD, Topology};

/// With two endpoints one of them is missed once in 2^23 times.
const OFTEN: usize = 24;

const ALL: [fn(Family) -> SocketAddr; 4] = [
    |family| CLUSTER_IP.port(family, PORT),
    |family| EXTERNAL_IP.port(family, PORT),
    |family| BALANCER.port(family, PORT),
    |family| NODE.port(family, NODE_PORT),
];
/// Those that come from outside the cluster.
const EXTERNAL: [fn(Family) -> SocketAddr; 3] = [ALL[1], ALL[2], ALL[3]];

/// In this mode the proxy leaves forwarding to whoever set up the node, and the node needs a way to addresses that it
/// does not have itself.
fn serving(layout: Layout, web: &Web) -> (Topology, Node) {
    let (net, node) = Node::serving(layout, web);
    route(&net);
    (net, node)
}

fn route(net: &Topology) {
    set_sysctl("net.ipv4.ip_forward", "1");
    // Every refusal counts here.
    set_sysctl("net.ipv4.icmp_ratelimit", "0");
    set_sysctl("net.ipv6.icmp.ratelimit", "0");
    for family in Family::ALL {
        let via = CLIENT.of(family);
        net.node
            .run(|| cmd(&format!("ip route add default via {via}")));
    }
}

/// Both pods answer, and each sees this address of its asker.
#[track_caller]
fn spreads(from: &Netns, to: SocketAddr, pod_sees: IpAddr, elsewhere_sees: IpAddr) {
    let by = |by: &str, seen| Answer {
        by: by.to_owned(),
        seen,
    };
    let expected = BTreeSet::from([by("pod", pod_sees), by("elsewhere", elsewhere_sees)]);
    for protocol in Protocol::BOTH {
        let got: BTreeSet<_> = answers(from, protocol, to, OFTEN).into_keys().collect();
        assert_eq!(got, expected, "{protocol:?} to {to}");
    }
}

#[track_caller]
fn spreads_masqueraded(from: &Netns, to: SocketAddr) {
    let family = Family::of(to.ip());
    spreads(
        from,
        to,
        NODE_TO_POD.of(family),
        NODE_TO_ELSEWHERE.of(family),
    );
}

pub(crate) fn every_address_is_served(layout: Layout, family: Family) {
    let (net, _node) = serving(layout, &Web::new());
    for to in ALL.map(|to| to(family)) {
        spreads_masqueraded(&net.client, to);
        spreads_masqueraded(&net.stranger, to);
        spreads_masqueraded(&net.node, to);
    }
    // On every address of the node.
    spreads_masqueraded(&net.client, NODE_TO_ELSEWHERE.port(family, NODE_PORT));
    // A pod keeps its address, but to itself.
    let to = CLUSTER_IP.port(family, PORT);
    spreads(&net.pod, to, NODE_TO_POD.of(family), POD.of(family));
    for to in EXTERNAL.map(|to| to(family)) {
        spreads_masqueraded(&net.pod, to);
    }
}

pub(crate) fn masquerade_all(layout: Layout, family: Family) {
    let mut config = Config::with_layout(layout);
    config.masquerade_all = true;
    let (net, _node) = Node::configured(config, &Web::new());
    route(&net);
    let to = CLUSTER_IP.port(family, PORT);
    for from in [&net.client, &net.pod, &net.node] {
        spreads_masqueraded(from, to);
    }
}

/// What the node asks at a loopback address; IPv6 has no way to route it.
pub(crate) fn node_ports_at_localhost(layout: Layout, family: Family) {
    let (net, mut node) = serving(layout, &Web::new());
    let localhost = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), NODE_PORT);
    if family == Family::V6 {
        let localhost = SocketAddr::new(std::net::Ipv6Addr::LOCALHOST.into(), NODE_PORT);
        assert_refused(&net.node, Protocol::Tcp, localhost);
        return;
    }
    spreads_masqueraded(&net.node, localhost);
    let route_localnet = || sysctl("net/ipv4/conf/all/route_localnet");
    assert_eq!(route_localnet(), "1");
    node.config.localhost_node_ports = Some(false);
    node.set(&Web::new());
    assert_refused(&net.node, Protocol::Tcp, localhost);
    assert_eq!(route_localnet(), "0");
    spreads_masqueraded(&net.node, NODE.port(family, NODE_PORT));
}

/// From outside only the pod on this node answers, and it sees the client itself; pods of this node and the node itself
/// get through to both.
pub(crate) fn a_local_policy_keeps_the_client(layout: Layout, family: Family) {
    let local = Web::new().with("externalTrafficPolicy: Local");
    let (net, mut node) = serving(layout, &local);
    for to in EXTERNAL.map(|to| to(family)) {
        for protocol in Protocol::BOTH {
            for answer in answers(&net.client, protocol, to, 6).into_keys() {
                assert_eq!(answer.by, "pod", "{protocol:?} to {to}");
                assert_eq!(answer.seen, CLIENT.of(family), "{protocol:?} to {to}");
            }
        }
        spreads_masqueraded(&net.node, to);
        spreads(&net.pod, to, NODE_TO_POD.of(family), POD.of(family));
    }
    // Without an endpoint on this node, what comes from outside is dropped.
    let elsewhere = Web::on(&[Endpoint::Elsewhere]).with("externalTrafficPolicy: Local");
    node.set(&elsewhere);
    for to in EXTERNAL.map(|to| to(family)) {
        for protocol in Protocol::BOTH {
            assert_dropped(&net.client, protocol, to);
            assert_eq!(answer(&net.pod, protocol, to).by, "elsewhere");
            assert_eq!(answer(&net.node, protocol, to).by, "elsewhere");
        }
    }
}

pub(crate) fn an_internal_local_policy(layout: Layout, family: Family) {
    let local = "internalTrafficPolicy: Local";
    let (net, mut node) = serving(layout, &Web::new().with(local));
    let to = CLUSTER_IP.port(family, PORT);
    for protocol in Protocol::BOTH {
        let by: BTreeSet<_> = answers(&net.client, protocol, to, 6).into_keys().collect();
        assert!(by.iter().all(|answer| answer.by == "pod"), "{by:?}");
    }
    node.set(&Web::on(&[Endpoint::Elsewhere]).with(local));
    for protocol in Protocol::BOTH {
        assert_dropped(&net.client, protocol, to);
        assert_dropped(&net.node, protocol, to);
        answer(&net.client, protocol, EXTERNAL_IP.port(family, PORT));
    }
}

pub(crate) fn without_endpoints_all_is_refused(layout: Layout, family: Family) {
    let (net, mut node) = serving(layout, &Web::new());
    node.set(&Web::on(&[]));
    for to in ALL.map(|to| to(family)) {
        for from in [&net.client, &net.pod] {
            for protocol in Protocol::BOTH {
                assert_refused(from, protocol, to);
            }
        }
    }
    // What the node sends to other external addresses is not refused: it goes where they are.
    let (cluster_ip, node_port) = (CLUSTER_IP.port(family, PORT), NODE.port(family, NODE_PORT));
    for protocol in Protocol::BOTH {
        assert_refused(&net.node, protocol, node_port);
    }
    assert_refused(&net.node, Protocol::Tcp, cluster_ip);
    // The kernel reports this to the sender as an error of its own.
    assert_dropped(&net.node, Protocol::Udp, cluster_ip);
    node.set(&Web::new());
    spreads_masqueraded(&net.client, CLUSTER_IP.port(family, PORT));
}

pub(crate) fn source_ranges(layout: Layout, family: Family) {
    let client_alone = "loadBalancerSourceRanges: [192.168.10.2/32, '2001:db8:10::2/128']";
    let network = "loadBalancerSourceRanges: [192.168.10.0/24, '2001:db8:10::/64']";
    let (net, mut node) = serving(layout, &Web::new().with(client_alone));
    let to = BALANCER.port(family, PORT);
    for protocol in Protocol::BOTH {
        answer(&net.client, protocol, to);
        assert_dropped(&net.stranger, protocol, to);
        assert_dropped(&net.node, protocol, to);
        // Other addresses of the Service know of no ranges.
        answer(&net.stranger, protocol, CLUSTER_IP.port(family, PORT));
        answer(&net.stranger, protocol, NODE.port(family, NODE_PORT));
    }
    node.set(&Web::new().with(network));
    for protocol in Protocol::BOTH {
        answer(&net.client, protocol, to);
        answer(&net.node, protocol, to);
        assert_dropped(&net.stranger, protocol, to);
    }
}

pub(crate) fn session_affinity(layout: Layout, family: Family) {
    let sticky = Web::new().with("sessionAffinity: ClientIP");
    let (net, _node) = serving(layout, &sticky);
    for to in [CLUSTER_IP, EXTERNAL_IP].map(|ip| ip.port(family, PORT)) {
        let of = |protocol| answers(&net.client, protocol, to, OFTEN);
        for protocol in Protocol::BOTH {
            let stuck: Vec<_> = of(protocol).into_values().collect();
            assert_eq!(stuck, [OFTEN], "{protocol:?}");
        }
    }
}

/// A connection lives on in the kernel's connection tracking, whatever becomes of its endpoint and of other Services,
/// and where ipvs mode takes over.
pub(crate) fn tcp_survives_changes(layout: Layout, family: Family) {
    let (net, mut node) = serving(layout, &Web::new());
    let to = CLUSTER_IP.port(family, PORT);
    let (mut open, first) = Conversation::with(&net.client, to);
    open.say("before");
    let (other, name) = match first.by.as_str() {
        "pod" => (Endpoint::Elsewhere, "elsewhere"),
        _ => (Endpoint::Here, "pod"),
    };
    node.set(&Web::on(&[other]));
    open.say("its endpoint went");
    for answer in answers(&net.client, Protocol::Tcp, to, 6).into_keys() {
        assert_eq!(answer.by, name);
    }
    node.set(&Web::new());
    // As the daemon changes its layout: with what the next one needs of the kernel, sets among it.
    node.config.layout = Layout::Current;
    node.reopen();
    node.set(&Web::new());
    open.say("in ipvs mode");
    let by: BTreeSet<_> = answers(&net.client, Protocol::Tcp, to, 4)
        .into_keys()
        .collect();
    assert_eq!(by.len(), 2);
    node.config.layout = layout;
    node.reopen();
    node.set(&Web::new());
    open.say("in iptables mode again");
    spreads_masqueraded(&net.client, to);
}
