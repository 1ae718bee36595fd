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

use kernel_test::{Netns, cmd, set_sysctl};
use proxier::cluster::Family;

/// An address of each family.
#[derive(Clone, Copy)]
pub(crate) struct Both(pub(crate) &'static str, pub(crate) &'static str);

impl Both {
    pub(crate) fn of(self, family: Family) -> IpAddr {
        match family {
            Family::V4 => self.0.parse().unwrap(),
            Family::V6 => self.1.parse().unwrap(),
        }
    }

    pub(crate) fn port(self, family: Family, port: u16) -> SocketAddr {
        SocketAddr::new(self.of(family), port)
    }
}

/// The node, as clients see it; the address of its Node, too.
pub(crate) const NODE: Both = Both("192.168.10.10", "2001:db8:10::10");
/// The node, as the pod sees it.
pub(crate) const NODE_TO_POD: Both = Both("10.244.1.1", "fd00:10:244:1::1");
/// The node, as the pod elsewhere sees it.
pub(crate) const NODE_TO_ELSEWHERE: Both = Both("192.168.30.10", "2001:db8:30::10");
pub(crate) const CLIENT: Both = Both("192.168.10.2", "2001:db8:10::2");
pub(crate) const POD: Both = Both("10.244.1.5", "fd00:10:244:1::5");
pub(crate) const ELSEWHERE: Both = Both("10.244.2.6", "fd00:10:244:2::6");

pub(crate) struct Topology {
    pub(crate) node: Netns,
    pub(crate) client: Netns,
    pub(crate) stranger: Netns,
    pub(crate) pod: Netns,
    pub(crate) elsewhere: Netns,
}

impl Topology {
    /// Makes the namespaces, joined, of which the calling thread's is the node.
    pub(crate) fn new() -> Self {
        let node = Netns::current().unwrap();
        without_dad();
        // Else IPv6 is not forwarded; of IPv4 the proxy takes care itself.
        set_sysctl("net.ipv6.conf.all.forwarding", "1");
        let joined = |link: &str| {
            let netns = Netns::new().unwrap();
            netns.run(without_dad);
            netns.veth("eth0", &node, link);
            netns
        };
        let topology = Self {
            client: joined("eth0"),
            stranger: joined("eth1"),
            pod: joined("pod0"),
            elsewhere: joined("eth2"),
            node: node.clone(),
        };
        cmd("set -e
            a() { ip address add $1 dev $3; ip address add $2 dev $3 nodad; }
            a 192.168.10.10/24 2001:db8:10::10/64 eth0
            a 192.168.20.10/24 2001:db8:20::10/64 eth1
            a 192.168.30.10/24 2001:db8:30::10/64 eth2
            a 10.244.1.1/24 fd00:10:244:1::1/64 pod0
            ip route add 10.244.2.0/24 dev eth2
            ip route add fd00:10:244:2::/64 dev eth2");
        leaf(
            &topology.client,
            "192.168.10.2/24 2001:db8:10::2/64 192.168.10.10 2001:db8:10::10",
        );
        leaf(
            &topology.stranger,
            "192.168.20.2/24 2001:db8:20::2/64 192.168.20.10 2001:db8:20::10",
        );
        leaf(
            &topology.pod,
            "10.244.1.5/24 fd00:10:244:1::5/64 10.244.1.1 fd00:10:244:1::1",
        );
        topology.elsewhere.cmd(
            "set -e
            ip address add 10.244.2.6/32 dev eth0
            ip address add fd00:10:244:2::6/128 dev eth0 nodad
            ip route add 192.168.30.10 dev eth0
            ip route add 10.244.1.0/24 via 192.168.30.10
            ip route add 2001:db8:30::10 dev eth0
            ip route add fd00:10:244:1::/64 via 2001:db8:30::10",
        );
        topology
    }
}

/// A host with one address of each family, and the node as its gateway:
/// `ADDRESS4 ADDRESS6 GATEWAY4 GATEWAY6`.
fn leaf(netns: &Netns, addresses: &str) {
    netns.cmd(&format!(
        "set -e; set -- {addresses}
        ip address add $1 dev eth0
        ip address add $2 dev eth0 nodad
        ip route add default via $3
        ip route add default via $4"
    ));
}

/// Lets links have working IPv6 addresses, link-local ones too, at once: duplicate address detection
/// takes more than a second.
fn without_dad() {
    set_sysctl("net.ipv6.conf.default.accept_dad", "0");
}
