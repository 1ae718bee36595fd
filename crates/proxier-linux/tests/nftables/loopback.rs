//! Node ports at loopback addresses, and who else comes to what listens there.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use ipvs_netlink::VirtualServerId;
use kernel_test::{Netns, cmd, cmd_input, set_sysctl, sysctl};
use proxier::Layout;
use proxier::cluster::Family;
use proxier_linux::stale_flows;
use scenarios::client::{
    Answer, Asker, Conversation, Protocol, answer, answers, assert_dropped, assert_refused,
};
use scenarios::servers::{serve, serve_at};
use scenarios::topology::{Both, ELSEWHERE, NODE, NODE_TO_ELSEWHERE, NODE_TO_POD, POD, Topology};

use crate::bulk;
use crate::proxy::{Endpoint, NODE_PORT, Node, TARGET, Web};

const LOCALNET: &str = "net/ipv4/conf/all/route_localnet";
/// So often that one of two endpoints is missed once in eight million times.
const OFTEN: usize = 24;
/// A port of the node's own.
const OWN_PORT: u16 = 9090;

fn at(last: u8, port: u16) -> SocketAddr {
    (Ipv4Addr::new(127, 0, 0, last), port).into()
}

/// A node that serves them, and its network.
fn serving(web: &Web) -> (Topology, Node) {
    let (net, mut node) = Node::serving(Layout::Nftables, web);
    turn(&mut node, web, Some(true));
    (net, node)
}

/// Turns them on or off.
fn turn(node: &mut Node, web: &Web, on: Option<bool>) {
    node.config.localhost_node_ports = on;
    node.set(web);
    let again = node.set(web);
    assert!(again.is_empty(), "{again}");
    assert_eq!(sysctl(LOCALNET), if on == Some(true) { "1" } else { "0" });
}

#[track_caller]
fn answered_by(from: &Netns, protocol: Protocol, to: SocketAddr, expected: &[(&str, Both)]) {
    let seen: BTreeSet<_> = answers(from, protocol, to, OFTEN).into_keys().collect();
    let expected = expected.iter().map(|(by, seen)| Answer {
        by: (*by).to_owned(),
        seen: seen.of(Family::V4),
    });
    assert_eq!(seen, expected.collect(), "{protocol:?} to {to}");
}

const BOTH_PODS: [(&str, Both); 2] = [("pod", NODE_TO_POD), ("elsewhere", NODE_TO_ELSEWHERE)];

/// All endpoints answer, at every loopback address. Nothing else there is touched.
pub(crate) fn every_endpoint_answers() {
    const LOOPBACK: Both = Both("127.0.0.1", "::1");
    let (net, mut node) = Node::serving(Layout::Nftables, &Web::new());
    serve_at(&net.node, "own", at(1, OWN_PORT));
    for protocol in Protocol::BOTH {
        assert_refused(&net.node, protocol, at(1, NODE_PORT));
    }
    turn(&mut node, &Web::new(), Some(true));
    for protocol in Protocol::BOTH {
        for last in [1, 7] {
            answered_by(&net.node, protocol, at(last, NODE_PORT), &BOTH_PODS);
        }
        answered_by(&net.node, protocol, at(1, OWN_PORT), &[("own", LOOPBACK)]);
        // IPv6 has no way to route it.
        let of_ipv6 = SocketAddr::new(LOOPBACK.of(Family::V6), NODE_PORT);
        assert_refused(&net.node, protocol, of_ipv6);
        // What comes from outside goes by IPVS as before.
        answer(&net.client, protocol, NODE.port(Family::V4, NODE_PORT));
    }
    // A listing loads again as it is.
    let listing = cmd("nft list table ip kube-proxier");
    for part in [
        "typeof meta l4proto . th dport . numgen random mod 61 : ip daddr . th dport",
        "ct status ! dnat drop",
    ] {
        assert!(listing.contains(part), "{listing}");
    }
    cmd_input("nft -c -f -", &format!("flush ruleset\n{listing}"));
}

/// An endpoint on the network of this node: packets go to the node's own address.
pub(crate) fn an_endpoint_of_the_node_itself_answers() {
    let (net, mut node) = serving(&Web::on(&[Endpoint::Host]));
    serve(&net.node, "node", TARGET);
    for protocol in Protocol::BOTH {
        let answer = answer(&net.node, protocol, at(1, NODE_PORT));
        assert_eq!(answer.by, "node");
        assert!(!answer.seen.is_loopback(), "{answer:?}");
    }
    node.set(&Web::on(&[Endpoint::Host, Endpoint::Elsewhere]));
    let by = answers(&net.node, Protocol::Tcp, at(1, NODE_PORT), OFTEN);
    assert_eq!(by.len(), 2);
}

/// More than one window of data, there and back.
pub(crate) fn large_answers_come_whole() {
    let (net, mut node) = Node::serving(Layout::Nftables, &Web::new().bulk());
    bulk::echo(&net.pod);
    bulk::echo(&net.elsewhere);
    turn(&mut node, &Web::new().bulk(), Some(true));
    for _ in 0..6 {
        bulk::transfers("the node", &net.node, at(1, bulk::BULK_NODE_PORT));
    }
}

/// The port is refused, though the node has a listener of its own there; without the option that one answers.
pub(crate) fn without_endpoints_the_port_is_refused() {
    let (net, mut node) = serving(&Web::on(&[]));
    serve_at(&net.node, "own", at(1, NODE_PORT));
    for protocol in Protocol::BOTH {
        assert_refused(&net.node, protocol, at(1, NODE_PORT));
    }
    let (mut open, _) = {
        node.set(&Web::on(&[Endpoint::Elsewhere]));
        Conversation::with(&net.node, at(1, NODE_PORT))
    };
    node.set(&Web::on(&[]));
    open.say("its endpoint is gone from the list");
    turn(&mut node, &Web::new(), None);
    for protocol in Protocol::BOTH {
        assert_eq!(answer(&net.node, protocol, at(1, NODE_PORT)).by, "own");
    }
}

pub(crate) fn with_affinity_one_endpoint_answers() {
    let sticky = Web::new().with("sessionAffinity: ClientIP");
    let (net, mut node) = serving(&sticky);
    let of = |protocol| answers(&net.node, protocol, at(1, NODE_PORT), OFTEN);
    let [tcp, udp] = Protocol::BOTH.map(of);
    assert_eq!((tcp.len(), udp.len()), (1, 1));
    let (first, other) = match tcp.into_keys().next().unwrap().by.as_str() {
        "pod" => (Endpoint::Here, "elsewhere"),
        _ => (Endpoint::Elsewhere, "pod"),
    };
    // It stays where others go, and another takes its place.
    let rest = [Endpoint::Here, Endpoint::Elsewhere];
    let rest: Vec<_> = rest.into_iter().filter(|one| *one != first).collect();
    node.set(&Web::on(&rest).with("sessionAffinity: ClientIP"));
    assert_eq!(answer(&net.node, Protocol::Tcp, at(1, NODE_PORT)).by, other);
}

/// A flow stays where its first packet went until it is forgotten: one to an endpoint that is gone, and one that began before
/// the port was served.
pub(crate) fn udp_flows_are_found() {
    let (net, mut node) = Node::serving(Layout::Nftables, &Web::on(&[Endpoint::Elsewhere]));
    serve_at(&net.node, "own", at(9, NODE_PORT));
    let asker = Asker::new(&net.node, at(9, NODE_PORT)).unwrap();
    let by = |asker: &Asker| asker.ask_up_to(3).map(|answer| answer.by);
    assert_eq!(by(&asker).as_deref(), Some("own"));
    turn(&mut node, &Web::on(&[Endpoint::Elsewhere]), Some(true));
    assert_eq!(by(&asker).as_deref(), Some("own"), "nothing is to be done");
    let server = VirtualServerId::Address {
        protocol: ipvs_netlink::Protocol::UDP,
        address: Ipv4Addr::LOCALHOST.into(),
        port: NODE_PORT,
    };
    let mut conntrack = conntrack_netlink::Client::open().unwrap();
    let mut forget = |endpoint: Both| {
        let endpoints = vec![(endpoint.of(Family::V4), TARGET).into()];
        stale_flows(&mut conntrack, &[(server, endpoints)]).unwrap()
    };
    assert_eq!(forget(ELSEWHERE), 1);
    assert_eq!(by(&asker).as_deref(), Some("elsewhere"));
    node.set(&Web::on(&[Endpoint::Here]));
    assert_eq!(
        by(&asker).as_deref(),
        Some("elsewhere"),
        "nothing is to be done"
    );
    assert_eq!(forget(POD), 1);
    assert_eq!(by(&asker).as_deref(), Some("pod"));
    assert_eq!(forget(POD), 0);
}

/// With `route_localnet` another host comes to what listens on a loopback address; the guard keeps it out, and lets in what the
/// node itself sends there, from whatever address.
pub(crate) fn others_are_kept_out() {
    let (net, mut node) = Node::serving(Layout::Nftables, &Web::new());
    serve_at(&net.node, "own", at(1, OWN_PORT));
    // The client takes this address of its own for one of the node's.
    net.client.cmd(
        "ip address flush dev lo && ip route add 127.0.0.1 via 192.168.10.10 src 192.168.10.2",
    );
    net.client.run(|| set_sysctl(LOCALNET, "1"));
    set_sysctl(LOCALNET, "1");
    for protocol in Protocol::BOTH {
        assert_eq!(answer(&net.client, protocol, at(1, OWN_PORT)).by, "own");
    }
    turn(&mut node, &Web::new(), Some(true));
    for protocol in Protocol::BOTH {
        for port in [OWN_PORT, NODE_PORT] {
            assert_dropped(&net.client, protocol, at(1, port));
        }
        assert_eq!(answer(&net.node, protocol, at(1, OWN_PORT)).by, "own");
    }
    let from = NODE.port(Family::V4, 0);
    let socket = net.node.run(|| UdpSocket::bind(from)).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(8)))
        .unwrap();
    socket.connect(at(1, OWN_PORT)).unwrap();
    socket.send(b"who?").unwrap();
    socket.recv(&mut [0; 64]).unwrap();
}
