//! Direct return: endpoints that have the Service's addresses answer clients themselves.

use std::collections::BTreeMap;
use std::net::IpAddr;

use kernel_test::{Netns, modprobe};
use proxier::Layout;
use proxier::cluster::Family;

use crate::proxy::{BALANCER, CLUSTER_IP, EXTERNAL_IP, NODE_PORT, Node, PORT, Web};
use scenarios::client::{Answer, Protocol, answer, answers};
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
