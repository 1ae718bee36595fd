//! Who sends to whom.
//!
//! ```text
//!  client ── 192.168.10.0/24 ── eth0 ┐        ┌ pod0 ── 10.244.1.0/24 ── pod
//!                                    ├─ node ─┤
//! stranger ── 192.168.20.0/24 ─ eth1 ┘        └ eth2 ── 192.168.30.10 ── elsewhere (10.244.2.6)
//! ```
//!
//! Each is a network namespace; the node is the test's own. Clients and the pod send everything to the
//! node. `elsewhere`, a pod on another node, has no way back to the clients: what the node does not
//! masquerade is lost there. IPv6 is laid out alike.

use std::net::{IpAddr, SocketAddr};
use std::thread;

use kernel_test::{Netns, cmd_input, set_sysctl};
use proxier::cluster::Family;

/// An address of each family.
#[derive(Clone, Copy)]
pub struct Both(pub &'static str, pub &'static str);

impl Both {
    pub fn of(self, family: Family) -> IpAddr {
        match family {
            Family::V4 => self.0.parse().unwrap(),
            Family::V6 => self.1.parse().unwrap(),
        }
    }

    pub fn port(self, family: Family, port: u16) -> SocketAddr {
        SocketAddr::new(self.of(family), port)
    }
}

/// The node, as clients see it; the address of its Node, too.
pub const NODE: Both = Both("192.168.10.10", "2001:db8:10::10");
/// The node, as the pod sees it.
pub const NODE_TO_POD: Both = Both("10.244.1.1", "fd00:10:244:1::1");
/// The node, as the pod elsewhere sees it.
pub const NODE_TO_ELSEWHERE: Both = Both("192.168.30.10", "2001:db8:30::10");
pub const CLIENT: Both = Both("192.168.10.2", "2001:db8:10::2");
pub const POD: Both = Both("10.244.1.5", "fd00:10:244:1::5");
pub const ELSEWHERE: Both = Both("10.244.2.6", "fd00:10:244:2::6");

pub struct Topology {
    pub node: Netns,
    pub client: Netns,
    pub stranger: Netns,
    pub pod: Netns,
    pub elsewhere: Netns,
}

impl Topology {
    /// Makes the namespaces and joins them. The calling thread's namespace is the node.
    #[allow(clippy::new_without_default, reason = "it makes namespaces and links")]
    pub fn new() -> Self {
        let node = Netns::current().unwrap();
        without_dad();
        // Else IPv6 is not forwarded; of IPv4 the proxy takes care itself.
        set_sysctl("net.ipv6.conf.all.forwarding", "1");
        let alone = || {
            let netns = Netns::new().unwrap();
            netns.run(without_dad);
            netns
        };
        let [client, stranger, pod, elsewhere] = thread::scope(|scope| {
            let made = [(); 4].map(|()| scope.spawn(alone));
            made.map(|made| made.join().unwrap())
        });
        let topology = Self {
            client,
            stranger,
            pod,
            elsewhere,
            node: node.clone(),
        };
        let peers = [
            ("eth0", &topology.client),
            ("eth1", &topology.stranger),
            ("eth2", &topology.elsewhere),
            ("pod0", &topology.pod),
        ];
        let links = peers.map(|(link, peer)| {
            let there = peer.path();
            let there = there.display();
            format!("link add {link} up type veth peer name eth0 netns {there}\n")
        });
        ip(&node, &(links.concat() + AT_NODE));
        let leaves = [
            (
                &topology.client,
                leaf(
                    ["192.168.10.2/24", "192.168.10.10"],
                    ["2001:db8:10::2/64", "2001:db8:10::10"],
                ),
            ),
            (
                &topology.stranger,
                leaf(
                    ["192.168.20.2/24", "192.168.20.10"],
                    ["2001:db8:20::2/64", "2001:db8:20::10"],
                ),
            ),
            (
                &topology.pod,
                leaf(
                    ["10.244.1.5/24", "10.244.1.1"],
                    ["fd00:10:244:1::5/64", "fd00:10:244:1::1"],
                ),
            ),
            (&topology.elsewhere, AT_ELSEWHERE.to_owned()),
        ];
        // At once: starting a program is what takes long on an emulated machine, and that has two processors.
        thread::scope(|scope| {
            for (netns, lines) in &leaves {
                scope.spawn(|| ip(netns, lines));
            }
        });
        topology
    }
}

const AT_NODE: &str = "
address add 192.168.10.10/24 dev eth0
address add 192.168.20.10/24 dev eth1
address add 192.168.30.10/24 dev eth2
address add 10.244.1.1/24 dev pod0
address add 2001:db8:10::10/64 dev eth0 nodad
address add 2001:db8:20::10/64 dev eth1 nodad
address add 2001:db8:30::10/64 dev eth2 nodad
address add fd00:10:244:1::1/64 dev pod0 nodad
route add 10.244.2.0/24 dev eth2
route add fd00:10:244:2::/64 dev eth2
";

const AT_ELSEWHERE: &str = "
link set eth0 up
address add 10.244.2.6/32 dev eth0
address add fd00:10:244:2::6/128 dev eth0 nodad
route add 192.168.30.10 dev eth0
route add 10.244.1.0/24 via 192.168.30.10
route add 2001:db8:30::10 dev eth0
route add fd00:10:244:1::/64 via 2001:db8:30::10
";

/// A host with one address of each family, and the node as its gateway.
fn leaf([address4, gateway4]: [&str; 2], [address6, gateway6]: [&str; 2]) -> String {
    format!(
        "link set eth0 up
        address add {address4} dev eth0
        address add {address6} dev eth0 nodad
        route add default via {gateway4}
        route add default via {gateway6}
        "
    )
}

/// One process for all of it: they are dear in the guest.
fn ip(netns: &Netns, lines: &str) {
    netns.run(|| cmd_input("ip -batch -", lines));
}

/// Lets links have working IPv6 addresses, link-local ones too, at once: duplicate address detection
/// takes more than a second.
fn without_dad() {
    set_sysctl("net.ipv6.conf.default.accept_dad", "0");
}
