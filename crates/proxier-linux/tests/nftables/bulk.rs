//! Whole files, over ways of any MTU.

use std::io::{Read as _, Write as _};
use std::net::{Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use kernel_test::{Netns, set_sysctl};
use proxier::Layout;
use proxier::cluster::Family;

use crate::proxy::{CLUSTER_IP, EXTERNAL_IP, Node, Web};
use scenarios::topology::{Both, ELSEWHERE, NODE, NODE_TO_ELSEWHERE, Topology};

/// Answers with what it was sent.
pub(crate) fn echo(netns: &Netns) {
    let all = SocketAddr::from((Ipv6Addr::UNSPECIFIED, TARGET_OF_BULK));
    let tcp = netns.run(|| TcpListener::bind(all).unwrap());
    thread::spawn(move || {
        for mut stream in tcp.incoming().flatten() {
            thread::spawn(move || {
                let mut bytes = vec![0; BULK];
                stream.read_exact(&mut bytes)?;
                stream.write_all(&bytes)
            });
        }
    });
}

/// Several times what is sent before the first acknowledgement.
const BULK: usize = 100_000;
const BULK_PORT: u16 = 81;
pub(crate) const BULK_NODE_PORT: u16 = 30081;
const TARGET_OF_BULK: u16 = 8081;

/// Sends so much, and has them come back.
#[track_caller]
pub(crate) fn transfers(who: &str, from: &Netns, to: SocketAddr) {
    let patience = Duration::from_secs(60);
    let stream = from.run(|| TcpStream::connect_timeout(&to, patience));
    let mut stream = stream.unwrap_or_else(|error| panic!("{who} to {to}: {error}"));
    stream.set_read_timeout(Some(patience)).unwrap();
    let sent: Vec<u8> = (0..251).cycle().take(BULK).collect();
    let mut writer = stream.try_clone().unwrap();
    let out = sent.clone();
    let writing = thread::spawn(move || writer.write_all(&out));
    let mut back = vec![0; BULK];
    stream
        .read_exact(&mut back)
        .unwrap_or_else(|error| panic!("{who} to {to}: {error}"));
    assert!(
        back == sent,
        "what came back from {to} is not what was sent"
    );
    writing.join().unwrap().unwrap();
}

/// Networks that path MTU discovery has to find its way through, besides those of the topology.
struct Ways {
    net: Topology,
    node: Node,
    /// Behind the client, which routes to it.
    far: Netns,
}

impl Ways {
    /// All links have an MTU of 1500.
    fn new(layout: Layout) -> Self {
        Self::serving(layout, &Web::new().bulk())
    }

    fn serving(layout: Layout, web: &Web) -> Self {
        let (net, node) = Node::serving(layout, web);
        let (far, behind) = (Netns::new().unwrap(), Netns::new().unwrap());
        echo(&net.pod);
        echo(&behind);
        for (router, link, host) in [
            (&net.client, "far0", &far),
            (&net.elsewhere, "pod0", &behind),
        ] {
            for netns in [router, host] {
                netns.run(|| {
                    set_sysctl("net.ipv4.ip_forward", "1");
                    set_sysctl("net.ipv6.conf.all.forwarding", "1");
                    set_sysctl("net.ipv6.conf.default.accept_dad", "0");
                });
            }
            router.veth(link, host, "eth0");
        }
        ip(
            &net.client,
            "address add 192.168.40.1/24 dev far0\n address add 2001:db8:40::1/64 dev far0 nodad",
        );
        ip(
            &far,
            "address add 192.168.40.2/24 dev eth0\n address add 2001:db8:40::2/64 dev eth0 nodad
            route add default via 192.168.40.1\n route add default via 2001:db8:40::1",
        );
        let (Both(pod4, pod6), Both(node4, node6)) = (ELSEWHERE, NODE_TO_ELSEWHERE);
        ip(
            &net.elsewhere,
            &format!(
                "address delete {pod4}/32 dev eth0\n address delete {pod6}/128 dev eth0
                address add 192.168.30.20/24 dev eth0\n address add 2001:db8:30::20/64 dev eth0 nodad
                address add 192.168.50.1/24 dev pod0\n address add 2001:db8:50::1/64 dev pod0 nodad
                route add {pod4} dev pod0\n route add {pod6} dev pod0
                route add default via {node4}\n route add default via {node6}"
            ),
        );
        ip(
            &behind,
            &format!(
                "address add {pod4}/32 dev eth0\n address add {pod6}/128 dev eth0 nodad
                route add 192.168.50.1 dev eth0\n route add 2001:db8:50::1 dev eth0
                route add default via 192.168.50.1 src {pod4}\n route add default via 2001:db8:50::1 src {pod6}"
            ),
        );
        ip(
            &net.node,
            "route replace 10.244.2.0/24 via 192.168.30.20\n route replace fd00:10:244:2::/64 via 2001:db8:30::20",
        );
        Self { net, node, far }
    }

    /// The way from the client to what is behind it.
    fn narrow(&self) {
        ip(
            &self.net.client,
            "route replace 192.168.40.0/24 dev far0 mtu lock 1300\n route replace 2001:db8:40::/64 dev far0 metric 256 mtu lock 1300",
        );
    }

    /// From everywhere, to both endpoints. The node has no address that a pod elsewhere cannot answer.
    fn all_transfer(&self, family: Family) {
        let to = CLUSTER_IP.port(family, BULK_PORT);
        for (who, from) in [
            ("the node", &self.net.node),
            ("the pod", &self.net.pod),
            ("the client", &self.net.client),
            ("far", &self.far),
        ] {
            transfers(who, from, to);
            transfers(who, from, to);
        }
    }
}

fn ip(netns: &Netns, lines: &str) {
    netns.run(|| kernel_test::cmd_input("ip -batch -", lines));
}

/// The error comes from a router on the way to a client, and is for the Service's address.
pub(crate) fn path_mtu_to_clients(layout: Layout, family: Family) {
    let mut ways = Ways::new(layout);
    ways.narrow();
    ways.all_transfer(family);
    let external = EXTERNAL_IP.port(family, BULK_PORT);
    let node_port = NODE.port(family, BULK_NODE_PORT);
    for policy in ["Cluster", "Local"] {
        let web = Web::new()
            .bulk()
            .with(&format!("externalTrafficPolicy: {policy}"));
        ways.node.set(&web);
        for to in [external, node_port] {
            // Another endpoint, and another path, each time.
            ways.far
                .cmd("ip route flush cache; ip -6 route flush cache");
            transfers("far", &ways.far, to);
            transfers("far", &ways.far, to);
        }
    }
}

/// The same of a port that chooses its endpoint together with others, so that the error needs their mark.
pub(crate) fn path_mtu_of_ports_together(layout: Layout, family: Family) {
    let web = Web::new()
        .port("bulk", TARGET_OF_BULK, TARGET_OF_BULK, "TCP", "")
        .with("sessionAffinity: ClientIP")
        .annotated("kube-proxier/affinity: all-ports");
    let mut ways = Ways::serving(layout, &web);
    ways.narrow();
    for policy in ["Cluster", "Local"] {
        let policy = format!("externalTrafficPolicy: {policy}");
        ways.node.set(&web.clone().with(&policy));
        for address in [CLUSTER_IP, EXTERNAL_IP] {
            ways.far
                .cmd("ip route flush cache; ip -6 route flush cache");
            transfers("far", &ways.far, address.port(family, TARGET_OF_BULK));
        }
    }
}

/// The error comes from a router on the way to an endpoint, and is for the client or for the node that masquerades.
pub(crate) fn path_mtu_to_endpoints(layout: Layout, family: Family) {
    let ways = Ways::new(layout);
    ip(
        &ways.net.elsewhere,
        "route replace 10.244.2.6 dev pod0 mtu lock 1300\n route replace fd00:10:244:2::6 dev pod0 mtu lock 1300",
    );
    ways.all_transfer(family);
}

/// The node's own links have a smaller MTU, to another node or to clients.
pub(crate) fn path_mtu_of_the_node(layout: Layout, family: Family) {
    let ways = Ways::new(layout);
    ip(
        &ways.net.node,
        "route replace 10.244.2.0/24 via 192.168.30.20 mtu lock 1300
        route replace fd00:10:244:2::/64 via 2001:db8:30::20 mtu lock 1300",
    );
    ways.all_transfer(family);
    ip(
        &ways.net.node,
        "route replace 10.244.2.0/24 via 192.168.30.20
        route replace fd00:10:244:2::/64 via 2001:db8:30::20
        route replace 192.168.10.0/24 dev eth0 mtu lock 1300
        route replace 2001:db8:10::/64 dev eth0 metric 256 mtu lock 1300
        route replace default via 192.168.10.2 mtu lock 1300
        route replace default via 2001:db8:10::2 mtu lock 1300",
    );
    ways.all_transfer(family);
}
