//! What other tests count on when they count answers: a question is one connection to IPVS, and takes one turn.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};

use kernel_test::{cmd, iptables_flavour};
use proxier::Layout;
use proxier::cluster::Family;

use crate::proxy::{CLUSTER_IP, Endpoint, Node, PORT, Web};
use scenarios::client::{Protocol, answers};

/// The connections that IPVS knows to this address.
fn connections(to: SocketAddr) -> usize {
    let to = to.to_string();
    // Protocol, expiry, state, source, virtual, destination.
    let listed = cmd("ipvsadm --list --numeric --connection");
    let of = |line: &&str| line.split_whitespace().nth(4) == Some(&to);
    listed.lines().filter(of).count()
}

/// The kernel would choose among 28,232 ports: of 1,500 it has chosen, none twice in one run out of 10^17.
pub(crate) fn each_from_a_port_of_its_own(layout: Layout, family: Family) {
    const TIMES: usize = 1500;
    let (net, _node) = Node::serving(layout, &Web::new());
    let to = CLUSTER_IP.port(family, PORT);
    let answers = answers(&net.client, Protocol::Udp, to, TIMES);
    assert_eq!(connections(to), TIMES);
    let by: BTreeMap<_, _> = answers
        .iter()
        .map(|(answer, count)| (&*answer.by, *count))
        .collect();
    assert_eq!(by, [("elsewhere", TIMES / 2), ("pod", TIMES / 2)].into());
}

/// A counted question is asked once even if TCP reports that there is no route. Other questions are asked again then.
pub(crate) fn once(layout: Layout, family: Family) {
    let (net, _node) = Node::serving(layout, &Web::on(&[Endpoint::Here]));
    let to = CLUSTER_IP.port(family, PORT);
    answers(&net.client, Protocol::Tcp, to, 1);
    assert_eq!(connections(to), 1);
    let (iptables, with) = match family {
        Family::V4 => ("iptables", "icmp-net-unreachable"),
        Family::V6 => ("ip6tables", "icmp6-no-route"),
    };
    let flavour = iptables_flavour();
    let rule = format!("-A INPUT -p tcp -j REJECT --reject-with {with}");
    net.pod.cmd(&format!("{iptables}-{flavour} {rule}"));
    let asking = AssertUnwindSafe(|| answers(&net.client, Protocol::Tcp, to, 2));
    let panic = catch_unwind(asking).unwrap_err();
    let text = panic.downcast_ref::<String>().unwrap();
    assert!(text.contains("Network is unreachable"), "{text}");
    assert_eq!(connections(to), 2);
}
