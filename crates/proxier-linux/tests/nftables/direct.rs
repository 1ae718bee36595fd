//! Direct return: endpoints that have the Service's addresses answer clients themselves.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

use kernel_test::{Netns, cmd, modprobe, set_sysctl};
use proxier::Layout;
use proxier::cluster::Family;

use crate::proxy::{BALANCER, CLUSTER_IP, EXTERNAL_IP, NODE_PORT, Node, PORT, Web};
use scenarios::client::{Answer, Conversation, Protocol, answer, answers};
use scenarios::servers::serve_at;
use scenarios::topology::{
    Both, CLIENT, ELSEWHERE, NODE, NODE_TO_ELSEWHERE, NODE_TO_POD, POD, Topology,
};

/// A network between the client and the pod elsewhere, which the node is not on.
const ELSEWHERE_TO_CLIENT: Both = Both("192.168.40.6", "2001:db8:40::6");
const CLIENT_TO_ELSEWHERE: Both = Both("192.168.40.2", "2001:db8:40::2");

/// The device by which a pod takes packets out of tunnels.
fn tunnel_device(method: &str, pod: IpAddr) -> String {
    let kind = match (method, pod.is_ipv4()) {
        ("gre", true) => "gre",
        ("gre", false) => "ip6gre",
        (_, true) => "ipip",
        (_, false) => "ip6tnl mode ip6ip6",
    };
    format!("ip link add direct type {kind} local {pod}")
}

/// What a pod needs.
fn set_up(pod: &Netns, name: &'static str, method: &str, own: IpAddr) {
    let family = Family::of(own);
    let version = if own.is_ipv4() { "-4" } else { "-6" };
    let device = if method == "direct" {
        "lo"
    } else {
        if let Some(port) = method.strip_prefix("gue:") {
            pod.cmd(&format!("ip {version} fou add port {port} gue"));
        }
        pod.cmd(&tunnel_device(method, own));
        pod.cmd("ip link set direct up");
        "direct"
    };
    for vip in [BALANCER, EXTERNAL_IP].map(|vip| vip.of(family)) {
        let nodad = if vip.is_ipv4() { "" } else { "nodad" };
        pod.cmd(&format!("ip address add {vip} dev {device} {nodad}"));
        serve_at(pod, name, (vip, PORT).into());
    }
    serve_at(pod, name, (own, PORT).into());
}

/// The pod elsewhere answers clients past the node; the pod here by its only link, through the node.
fn around_the_node(net: &Topology, family: Family) {
    let [pod, client] = [ELSEWHERE_TO_CLIENT, CLIENT_TO_ELSEWHERE].map(|both| both.of(family));
    let client_path = net.client.path();
    net.elsewhere.cmd(&format!(
        "ip link add around up type veth peer name around netns {}",
        client_path.display()
    ));
    net.client.cmd("ip link set around up");
    let (length, nodad) = match family {
        Family::V4 => (24, ""),
        Family::V6 => (64, "nodad"),
    };
    net.elsewhere
        .cmd(&format!("ip address add {pod}/{length} dev around {nodad}"));
    net.client.cmd(&format!(
        "ip address add {client}/{length} dev around {nodad}"
    ));
    let to = CLIENT.of(family);
    net.elsewhere
        .cmd(&format!("ip route add {to} via {client}"));
}

fn modules(method: &str, family: Family) {
    let names: &[&str] = match (method.split(':').next(), family) {
        (Some("gre"), Family::V4) => &["ip_gre"],
        (Some("gre"), Family::V6) => &["ip6_gre"],
        (Some("gue"), Family::V4) => &["ipip", "fou"],
        (Some("gue"), Family::V6) => &["ip6_tunnel", "fou6"],
        (_, Family::V4) => &["ipip"],
        (_, Family::V6) => &["ip6_tunnel"],
    };
    for name in names {
        modprobe(name);
    }
}

/// A node that serves the Service with this forwarding, and pods that are set up for it.
fn serving(layout: Layout, method: &str, family: Family) -> (Topology, Node) {
    modules(method, family);
    let web = web(method);
    let (net, node) = Node::serving(layout, &web);
    around_the_node(&net, family);
    set_up(&net.pod, "pod", method, POD.of(family));
    set_up(&net.elsewhere, "elsewhere", method, ELSEWHERE.of(family));
    (net, node)
}

fn web(method: &str) -> Web {
    let annotation = format!("kube-proxier/forwarding: '{method}'");
    Web::new().on_its_port().annotated(&annotation)
}

/// Both pods answer, and see these addresses of their asker.
#[track_caller]
fn spreads(from: &Netns, to: Both, port: u16, family: Family, seen: [IpAddr; 2]) {
    let [pod, elsewhere] = seen;
    let expected = [("pod", pod), ("elsewhere", elsewhere)].map(|(by, seen)| {
        let by = by.to_owned();
        (Answer { by, seen }, 2)
    });
    for protocol in Protocol::BOTH {
        let got = answers(from, protocol, to.port(family, port), 4);
        assert_eq!(got, BTreeMap::from(expected.clone()), "{protocol:?}");
    }
}

fn direct_return(layout: Layout, method: &str, family: Family) {
    let (net, _node) = serving(layout, method, family);
    let client = [CLIENT.of(family); 2];
    let masqueraded = [NODE_TO_POD, NODE_TO_ELSEWHERE].map(|node| node.of(family));
    for vip in [BALANCER, EXTERNAL_IP] {
        spreads(&net.client, vip, PORT, family, client);
        spreads(&net.node, vip, PORT, family, masqueraded);
        // Its own address.
        let of_pod = answer(&net.pod, Protocol::Tcp, vip.port(family, PORT));
        assert_eq!(of_pod.by, "pod");
    }
    spreads(&net.client, CLUSTER_IP, PORT, family, masqueraded);
    spreads(&net.client, NODE, NODE_PORT, family, masqueraded);
}

pub(crate) fn by_direct_routing(layout: Layout, family: Family) {
    direct_return(layout, "direct", family);
}

pub(crate) fn by_ipip(layout: Layout, family: Family) {
    direct_return(layout, "ipip", family);
}

pub(crate) fn by_gre(layout: Layout, family: Family) {
    direct_return(layout, "gre", family);
}

pub(crate) fn by_gue(layout: Layout, family: Family) {
    direct_return(layout, "gue:6080", family);
}

/// The endpoint here alone, which sees the client at node ports too.
pub(crate) fn of_local_endpoints(layout: Layout, family: Family) {
    let (net, mut node) = serving(layout, "ipip", family);
    node.set(&web("ipip").with("externalTrafficPolicy: Local"));
    let seen = CLIENT.of(family);
    for to in [BALANCER.port(family, PORT), NODE.port(family, NODE_PORT)] {
        for protocol in Protocol::BOTH {
            let by = "pod".to_owned();
            let expected = BTreeMap::from([(Answer { by, seen }, 3)]);
            assert_eq!(answers(&net.client, protocol, to, 3), expected);
        }
    }
    let masqueraded = [NODE_TO_POD, NODE_TO_ELSEWHERE].map(|node| node.of(family));
    spreads(&net.node, BALANCER, PORT, family, masqueraded);
}

/// A tunnel device without addresses.
fn add_tunnel(pod: &Netns, method: &str, own: IpAddr) {
    let device = tunnel_device(method, own).replace(" direct ", &format!(" {method} "));
    pod.cmd(&format!("{device} && ip link set {method} up"));
}

/// From masquerading to a tunnel and back they stay what they were; from one tunnel to another they change with the
/// destination.
pub(crate) fn open_connections_go_on(layout: Layout, family: Family) {
    modules("gre", family);
    let (net, mut node) = serving(layout, "ipip", family);
    let pods = [
        (&net.pod, POD.of(family)),
        (&net.elsewhere, ELSEWHERE.of(family)),
    ];
    for (pod, own) in pods {
        add_tunnel(pod, "gre", own);
    }
    let to = BALANCER.port(family, PORT);
    let open = || {
        [(); 2].map(|()| {
            let (open, answer) = Conversation::with(&net.client, to);
            (open, answer.seen == CLIENT.of(family))
        })
    };
    let say = |open: &mut [(Conversation, bool); 2], words: &str| {
        for (open, _) in open {
            open.say(words);
            open.say("and again");
        }
    };
    node.set(&web("masquerade"));
    let mut masqueraded = open();
    node.set(&web("ipip"));
    let mut in_tunnels = open();
    assert!(masqueraded.iter().all(|(_, direct)| !direct));
    assert!(in_tunnels.iter().all(|(_, direct)| *direct));
    say(&mut masqueraded, "with ipip");
    node.set(&web("masquerade"));
    say(&mut masqueraded, "masqueraded");
    say(&mut in_tunnels, "masqueraded");
    node.set(&web("gre"));
    for (pod, _) in pods {
        // With it goes its address, which clients need still.
        let address = to.ip();
        let nodad = if address.is_ipv4() { "" } else { "nodad" };
        pod.cmd(&format!(
            "ip link delete direct && ip address add {address} dev gre {nodad}"
        ));
    }
    say(&mut masqueraded, "with gre");
    say(&mut in_tunnels, "with gre");
}

/// Connection tracking sees no answers that go past the node, and takes all but the first packet for invalid. Endpoints
/// must not check that clients could be reached by the tunnel.
pub(crate) fn what_is_in_the_way(layout: Layout, family: Family) {
    let (net, _node) = serving(layout, "ipip", family);
    let to = BALANCER.port(family, PORT);
    let all = |expected: usize| {
        let answers = (0..2).filter(|_| net.client.run(|| asks(to)));
        assert_eq!(answers.count(), expected);
    };
    all(2);
    cmd("nft -f - <<'END'
table inet others {
    chain input {
        type filter hook input priority 0
        ct state invalid drop
    }
}
END");
    // The endpoint here answers through the node.
    all(1);
    cmd("nft insert rule inet others input meta mark \\& 0x2000 == 0x2000 accept");
    all(2);
    if family == Family::V4 {
        for (value, expected) in [("1", 1), ("2", 2)] {
            let set = || set_sysctl("net.ipv4.conf.direct.rp_filter", value);
            net.elsewhere.run(set);
            all(expected);
        }
    }
}

/// Whether a server answers soon.
fn asks(to: SocketAddr) -> bool {
    let patience = Duration::from_secs(2);
    let Ok(stream) = TcpStream::connect_timeout(&to, patience) else {
        return false;
    };
    stream.set_read_timeout(Some(patience)).unwrap();
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).is_ok() && !line.is_empty()
}

/// What a client sends does not fit into the tunnel as it is: endpoints have it send less, or IPVS fragments.
pub(crate) fn large_packets(layout: Layout, family: Family) {
    let (net, _node) = serving(layout, "ipip", family);
    let to = BALANCER.port(family, PORT);
    let transferred = || {
        let all = (0..2).map(|_| net.client.run(|| comes_back(to, 100_000)));
        all.filter(|done| *done).count()
    };
    // Of IPv6 the node reports what is too large.
    if family == Family::V6 {
        assert_eq!(transferred(), 2);
        return;
    }
    assert_eq!(transferred(), 0);
    let client = CLIENT.of(family);
    let routes = [
        (&net.pod, NODE_TO_POD.of(family)),
        (&net.elsewhere, CLIENT_TO_ELSEWHERE.of(family)),
    ];
    for (pod, gateway) in routes {
        pod.cmd(&format!(
            "ip route replace {client} via {gateway} advmss 1440"
        ));
    }
    assert_eq!(transferred(), 2);
    for (pod, gateway) in routes {
        pod.cmd(&format!("ip route replace {client} via {gateway}"));
    }
    set_sysctl("net.ipv4.vs.pmtu_disc", "0");
    assert_eq!(transferred(), 2);
}

/// Whether a line of this length comes back.
fn comes_back(to: SocketAddr, length: usize) -> bool {
    let patience = Duration::from_secs(5);
    let mut stream = BufReader::new(TcpStream::connect_timeout(&to, patience).unwrap());
    stream.get_ref().set_read_timeout(Some(patience)).unwrap();
    stream.get_ref().set_write_timeout(Some(patience)).unwrap();
    let mut line = String::new();
    stream.read_line(&mut line).unwrap();
    let sent = "x".repeat(length) + "\n";
    // More than the socket's buffer holds may be left to send.
    if stream.get_mut().write_all(sent.as_bytes()).is_err() {
        return false;
    }
    line.clear();
    stream.read_line(&mut line).is_ok() && line == sent
}
