//! Ranges of ports: one virtual server by mark, rules of the mangle table that set the mark, and packets that keep their port.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use kernel_test::{Netns, cmd, iptables_flavour};
use proxier::cluster::Family;
use proxier::{Config, Desired, Holder, Kernel, Layout, reconcile};

use crate::addresses::{keeps_client, spreads_masqueraded, spreads_to_the_pod};
use crate::masquerading::{as_asked, asking};
use crate::proxy::{BALANCER, CLUSTER_IP, EXTERNAL_IP, Endpoint, NODE_PORT, Node, PORT, Web, open};
use scenarios::client::{Conversation, Protocol, answer, answers, assert_dropped, assert_refused};
use scenarios::servers::serve;
use scenarios::topology::{Both, CLIENT, NODE, NODE_TO_ELSEWHERE, NODE_TO_POD, POD, Topology};

const RANGES: &str = "10000-20000/tcp, 10000-20000/udp";
/// The first, one within, and the last.
const PORTS: [u16; 3] = [10_000, 15_000, 20_000];
const OUTSIDE: [Both; 2] = [EXTERNAL_IP, BALANCER];
const ADDRESSES: [Both; 3] = [CLUSTER_IP, EXTERNAL_IP, BALANCER];

impl Node {
    /// As another process would find it.
    pub(crate) fn reopen(&mut self) {
        self.kernel = open(self.config.layout);
    }
}

/// Pods that serve ports of the range too.
fn serve_ranges(net: &Topology) {
    for port in PORTS {
        serve(&net.pod, "pod", port);
        serve(&net.elsewhere, "elsewhere", port);
    }
}

fn serving(layout: Layout, web: &Web) -> (Topology, Node) {
    let (net, node) = Node::serving(layout, web);
    serve_ranges(&net);
    (net, node)
}

fn iptables(family: Family, line: &str) -> String {
    let tool = match family {
        Family::V4 => "iptables",
        Family::V6 => "ip6tables",
    };
    cmd(&format!("{tool}-{} {line}", iptables_flavour()))
}

/// The rules of the mangle table that are the proxy's.
fn marking(family: Family) -> Vec<String> {
    let all = iptables(family, "-t mangle -S");
    let own = all.lines().filter(|line| line.contains("KUBE-"));
    own.map(str::to_owned).collect()
}

fn by_mark(family: Family) -> Vec<String> {
    let all = cmd("ipvsadm -Sn");
    let marks = all.lines().filter(|line| line.starts_with("-A -f "));
    let of_family = marks.filter(|line| line.contains(" -6 ") == (family == Family::V6));
    of_family.map(str::to_owned).collect()
}

#[track_caller]
fn assert_settled(node: &mut Node, web: &Web) {
    let plan = node.set(web);
    assert!(plan.is_empty(), "{plan}");
}

/// No mark leaves the node but the bit that asks for masquerading.
pub(crate) fn from_everywhere(layout: Layout, family: Family) {
    let web = Web::new().ranges(RANGES);
    let (net, mut node) = serving(layout, &web);
    assert_eq!(by_mark(family).len(), 1, "{:?}", by_mark(family));
    let unmarked = "POSTROUTING -m mark ! --mark 0x0/0xffffbfff -j DROP";
    net.node
        .run(|| iptables(family, &format!("-t mangle -A {unmarked}")));
    for port in PORTS {
        for address in ADDRESSES {
            let to = address.port(family, port);
            for from in [&net.client, &net.node] {
                spreads_masqueraded(from, to);
            }
            let (mut open, _) = Conversation::with(&net.client, to);
            open.say("a second packet");
        }
        spreads_to_the_pod(&net, CLUSTER_IP.port(family, port));
        for address in OUTSIDE {
            spreads_masqueraded(&net.pod, address.port(family, port));
        }
    }
    assert_settled(&mut node, &web);

    // It goes, and nothing of it stays.
    node.set(&Web::new());
    assert_eq!(by_mark(family), [""; 0]);
    assert_eq!(marking(family), [""; 0]);
    assert_settled(&mut node, &Web::new());
    spreads_masqueraded(&net.client, CLUSTER_IP.port(family, PORT));
}

/// What listens on all of the node's addresses is not reached by them at those of the Service.
pub(crate) fn ports_beside_are_refused(layout: Layout, family: Family) {
    let (net, mut node) = serving(layout, &Web::new().ranges(RANGES));
    for port in [9_999, 20_001, PORTS[1]] {
        serve(&net.node, "node", port);
    }
    for from in [&net.client, &net.node, &net.pod] {
        for beside in [9_999, 20_001] {
            for protocol in Protocol::BOTH {
                assert_refused(from, protocol, CLUSTER_IP.port(family, beside));
            }
        }
    }
    node.set(&Web::new());
    for from in [&net.client, &net.node, &net.pod] {
        for protocol in Protocol::BOTH {
            assert_refused(from, protocol, CLUSTER_IP.port(family, PORTS[1]));
        }
    }
}

/// A listed port has its own virtual server and its target port.
pub(crate) fn all_ports_but_those_listed(layout: Layout, family: Family) {
    let (net, mut node) = serving(layout, &Web::new().ranges("all"));
    assert_eq!(by_mark(family).len(), 1);
    for from in [&net.client, &net.node] {
        for address in ADDRESSES {
            for port in [PORT, PORTS[0], 8080, NODE_PORT - 22_000] {
                spreads_masqueraded(from, address.port(family, port));
            }
            assert_refused(from, Protocol::Tcp, address.port(family, 9));
        }
        spreads_masqueraded(from, NODE.port(family, NODE_PORT));
    }
    let exact = node.server(Protocol::Tcp, CLUSTER_IP.port(family, PORT));
    let mut found = exact.destinations.iter();
    assert!(found.all(|found| found.destination.id.port == 8080));
    assert_refused(&net.client, Protocol::Tcp, NODE.port(family, PORTS[0]));
}

/// With session affinity, whatever the port and the protocol.
pub(crate) fn one_endpoint_for_a_client(layout: Layout, family: Family) {
    let web = Web::new().ranges(RANGES).with("sessionAffinity: ClientIP");
    let (net, _node) = serving(layout, &web);
    for from in [&net.client, &net.node, &net.stranger] {
        for address in [CLUSTER_IP, EXTERNAL_IP] {
            let mut by: BTreeMap<String, usize> = BTreeMap::new();
            for port in PORTS {
                for protocol in Protocol::BOTH {
                    for (answer, count) in answers(from, protocol, address.port(family, port), 4) {
                        *by.entry(answer.by).or_default() += count;
                    }
                }
            }
            assert_eq!(by.into_values().collect::<Vec<_>>(), [24]);
        }
    }
}

#[track_caller]
fn assert_by(from: &Netns, to: SocketAddr, by: &str) {
    for protocol in Protocol::BOTH {
        for answer in answers(from, protocol, to, 3).into_keys() {
            assert_eq!(answer.by, by, "{protocol:?} to {to}");
        }
    }
}

/// The same for all clients, as it is for listed ports.
pub(crate) fn policies(layout: Layout, family: Family) {
    let web = |field: &str| Web::new().ranges(RANGES).with(field);
    let (net, mut node) = serving(layout, &web("externalTrafficPolicy: Local"));
    assert_eq!(by_mark(family).len(), 2, "{:?}", by_mark(family));
    let inside = CLUSTER_IP.port(family, PORTS[0]);
    for to in OUTSIDE.map(|address| address.port(family, PORTS[1])) {
        keeps_client(&net.client, to);
        assert_by(&net.node, to, "pod");
    }
    spreads_masqueraded(&net.client, inside);
    node.set(&web("internalTrafficPolicy: Local"));
    for from in [&net.client, &net.node, &net.pod] {
        assert_by(from, inside, "pod");
        spreads_masqueraded(from, EXTERNAL_IP.port(family, PORTS[1]));
    }
    let elsewhere = Web::on(&[Endpoint::Elsewhere]).ranges(RANGES);
    node.set(&elsewhere.with("internalTrafficPolicy: Local"));
    for from in [&net.client, &net.node] {
        // As to listed ports: without an endpoint here there are those elsewhere.
        assert_by(from, CLUSTER_IP.port(family, PORT), "elsewhere");
        assert_by(from, inside, "elsewhere");
        assert_by(from, BALANCER.port(family, PORTS[2]), "elsewhere");
    }
}

pub(crate) fn source_ranges(layout: Layout, family: Family) {
    let allowing = |clients: &str| {
        let field = format!("loadBalancerSourceRanges: [{clients}]");
        Web::new().ranges(RANGES).with(&field)
    };
    let client = "192.168.10.2/32, '2001:db8:10::2/128'";
    let (net, mut node) = serving(layout, &allowing(client));
    let to = BALANCER.port(family, PORTS[2]);
    for protocol in Protocol::BOTH {
        answer(&net.client, protocol, to);
        assert_dropped(&net.stranger, protocol, to);
        assert_dropped(&net.node, protocol, to);
        for address in [CLUSTER_IP, EXTERNAL_IP] {
            answer(&net.stranger, protocol, address.port(family, PORTS[2]));
        }
    }
    node.set(&allowing("192.168.10.0/24, '2001:db8:10::/64'"));
    for protocol in Protocol::BOTH {
        answer(&net.node, protocol, to);
        answer(&net.client, protocol, to);
        assert_dropped(&net.stranger, protocol, to);
    }
}

pub(crate) fn without_endpoints(layout: Layout, family: Family) {
    let (net, mut node) = serving(layout, &Web::on(&[]).ranges(RANGES));
    serve(&net.node, "node", PORTS[0]);
    for from in [&net.node, &net.pod, &net.client] {
        for address in ADDRESSES {
            assert_refused(from, Protocol::Tcp, address.port(family, PORTS[0]));
        }
    }
    // Endpoints come and go.
    for (endpoint, by) in [(Endpoint::Here, "pod"), (Endpoint::Elsewhere, "elsewhere")] {
        node.set(&Web::on(&[endpoint]).ranges(RANGES));
        assert_by(&net.client, CLUSTER_IP.port(family, PORTS[1]), by);
    }
}

/// What the node itself listens on stays reachable.
pub(crate) fn of_the_nodes_own_address(layout: Layout, family: Family) {
    const SSH: u16 = 22;
    let Both(v4, v6) = NODE;
    let external = format!("externalIPs: ['{v4}', '{v6}']");
    let (net, node) = serving(layout, &Web::new().ranges("all").instead(&external));
    serve(&net.node, "node", SSH);
    assert_eq!(
        answer(&net.client, Protocol::Tcp, NODE.port(family, SSH)).by,
        "node"
    );
    spreads_masqueraded(&net.client, CLUSTER_IP.port(family, SSH + 8058));
    let holders: BTreeSet<_> = node.conflicts.iter().map(|one| &one.holder).collect();
    assert_eq!(holders, BTreeSet::from([&Holder::Node("node-a".into())]));
}

/// What answers is not taken for what goes to a range: a socket of the node may have the Service's address.
pub(crate) fn the_nodes_own_connections(layout: Layout, family: Family) {
    let (net, _node) = serving(layout, &Web::new().ranges("all"));
    serve(&net.client, "client", 7000);
    let from = CLUSTER_IP.port(family, 0);
    let socket = net.node.run(|| UdpSocket::bind(from)).unwrap();
    socket.connect(CLIENT.port(family, 7000)).unwrap();
    let patience = Duration::from_secs(5);
    socket.set_read_timeout(Some(patience)).unwrap();
    socket.send(b"who?").unwrap();
    let mut answer = [0; 64];
    let length = socket.recv(&mut answer).unwrap();
    let expected = format!("client {}", CLUSTER_IP.of(family));
    assert_eq!(String::from_utf8_lossy(&answer[..length]), expected);
}

/// An open connection survives another range, and a restart.
pub(crate) fn a_connection_lives_through_changes(layout: Layout, family: Family) {
    let (net, mut node) = serving(layout, &Web::new().ranges(RANGES));
    let to = EXTERNAL_IP.port(family, PORTS[1]);
    let (mut open_one, _) = Conversation::with(&net.client, to);
    for ranges in ["15000/tcp", "all", "14000-15001/tcp, 1-13/udp"] {
        let web = Web::new().ranges(ranges);
        node.set(&web);
        open_one.say(ranges);
        node.reopen();
        assert_settled(&mut node, &web);
        open_one.say("after a restart");
        answer(&net.client, Protocol::Tcp, to);
    }
    let other = CLUSTER_IP.port(family, PORTS[2]);
    assert_refused(&net.client, Protocol::Tcp, other);
    node.set(&Web::new());
    open_one.say("the annotation went");
    assert_refused(&net.client, Protocol::Tcp, to);
}

/// Rules that somebody flushed come back, and what somebody added goes.
pub(crate) fn what_others_do_is_mended(layout: Layout, family: Family) {
    let web = Web::new().ranges(RANGES);
    let (net, mut node) = serving(layout, &web);
    let before = marking(family);
    let rule = "KUBE-RANGE-MARKS -p tcp -j MARK --set-mark 7";
    for change in [
        "-t mangle -F".to_owned(),
        format!("-t mangle -A {rule}"),
        "-t mangle -D OUTPUT 1".to_owned(),
    ] {
        net.node.run(|| iptables(family, &change));
        assert_ne!(marking(family), before, "{change}");
        node.set(&web);
        assert_eq!(marking(family), before, "{change}");
        assert_settled(&mut node, &web);
        spreads_masqueraded(&net.client, CLUSTER_IP.port(family, PORTS[0]));
    }
}

/// By another mode, or by cleaning up.
pub(crate) fn nothing_is_left(layout: Layout, family: Family) {
    let web = Web::new().ranges("all");
    let (_net, mut node) = serving(layout, &web);
    assert_ne!(marking(family), [""; 0]);
    node.config = Config::with_layout(Layout::Iptables);
    node.set(&web);
    assert_eq!(marking(family), [""; 0]);
    node.config = Config::with_layout(layout);
    node.set(&web);
    assert_ne!(marking(family), [""; 0]);
    let observed = node.kernel.observe().unwrap();
    let host = node.kernel.host("node-a").unwrap();
    let nothing = Desired::nothing(&observed, &host);
    let applied = node.kernel.apply(&reconcile(&nothing, &observed));
    assert!(applied.is_ok(), "{:?}", applied.failures);
    assert_eq!(marking(family), [""; 0]);
    assert_eq!(cmd("ipvsadm -Sn"), "");
}

/// A policy of INPUT that drops does not refuse ranges.
pub(crate) fn input_that_drops(layout: Layout, family: Family) {
    let (net, _node) = serving(layout, &Web::new().ranges(RANGES));
    let icmp = match family {
        Family::V4 => "icmp",
        Family::V6 => "ipv6-icmp",
    };
    for line in [
        "-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
        &format!("-A INPUT -p {icmp} -j ACCEPT"),
        "-P INPUT DROP",
    ] {
        net.node.run(|| iptables(family, line));
    }
    for address in ADDRESSES {
        spreads_masqueraded(&net.client, address.port(family, PORTS[1]));
    }
    assert_dropped(&net.client, Protocol::Tcp, NODE.port(family, 9_999));
}

/// As their Service asks: what comes in keeps its source, or all to the cluster IP is masqueraded.
pub(crate) fn masquerading(layout: Layout, family: Family) {
    let asking = |masquerade| asking(masquerade).ranges(RANGES);
    let (net, mut node) = serving(layout, &asking("never"));
    let to = ADDRESSES.map(|address| address.port(family, PORTS[1]));
    as_asked(&net, &mut node, to, asking);
}

/// Listed ports that are served together are masqueraded as ever, and keep their source where they did.
pub(crate) fn of_listed_ports(layout: Layout, family: Family) {
    let web = || {
        let web = Web::new().on_its_port().with("sessionAffinity: ClientIP");
        web.annotated("kube-proxier/affinity: all-ports")
    };
    let (net, mut node) = Node::serving(layout, &web());
    for (pod, by) in [(&net.pod, "pod"), (&net.elsewhere, "elsewhere")] {
        serve(pod, by, PORT);
    }
    for address in ADDRESSES {
        let to = address.port(family, PORT);
        // Of pods the cluster IP keeps the source.
        let kept = address.of(family) == CLUSTER_IP.of(family);
        for (from, kept) in [(&net.client, false), (&net.node, false), (&net.pod, kept)] {
            for protocol in Protocol::BOTH {
                let answer = answer(from, protocol, to);
                let seen = match (&*answer.by, kept) {
                    ("pod", _) => NODE_TO_POD,
                    (_, true) => POD,
                    (_, false) => NODE_TO_ELSEWHERE,
                };
                assert_eq!(answer.seen, seen.of(family), "{protocol:?} to {to}");
            }
        }
    }
    node.set(&web().with("externalTrafficPolicy: Local"));
    for to in OUTSIDE.map(|address| address.port(family, PORT)) {
        keeps_client(&net.client, to);
    }
    assert_settled(&mut node, &web().with("externalTrafficPolicy: Local"));
}
