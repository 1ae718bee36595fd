//! Whose address endpoints see, where this layout has its own way.

use std::collections::BTreeSet;

use kernel_test::cmd;
use proxier::Layout;
use proxier::cluster::Family;
use scenarios::client::{Protocol, answer};
use scenarios::servers::serve;
use scenarios::topology::{Both, CLIENT, NODE_TO_ELSEWHERE, NODE_TO_POD};

use crate::masquerading::{asking, way_back};
use crate::proxy::{BALANCER, CLUSTER_IP, EXTERNAL_IP, Endpoint, Node, PORT, Web};

/// Listed ports that a Service has choose endpoints together are known by the mark of ranges.
pub(crate) fn ports_that_choose_together(layout: Layout, family: Family) {
    let web = |masquerade| {
        let web = asking(masquerade).annotated("kube-proxier/affinity: all-ports");
        web.on_its_port().with("sessionAffinity: ClientIP")
    };
    let (net, mut node) = Node::serving(layout, &web("never"));
    way_back(&net, family);
    serve(&net.pod, "pod", PORT);
    serve(&net.elsewhere, "elsewhere", PORT);
    let table = match family {
        Family::V4 => "ip",
        Family::V6 => "ip6",
    };
    let marks = cmd(&format!("nft list map {table} kube-proxier port-marks"));
    assert!(
        marks.contains(&CLUSTER_IP.of(family).to_string()),
        "{marks}"
    );
    for to in [CLUSTER_IP, EXTERNAL_IP, BALANCER].map(|address| address.port(family, PORT)) {
        for protocol in Protocol::BOTH {
            let seen = answer(&net.client, protocol, to).seen;
            assert_eq!(seen, CLIENT.of(family), "{protocol:?} to {to}");
        }
    }
    node.set(&web("always"));
    let own = [NODE_TO_POD, NODE_TO_ELSEWHERE].map(|node| node.of(family));
    for from in [&net.client, &net.pod] {
        let seen = answer(from, Protocol::Tcp, CLUSTER_IP.port(family, PORT)).seen;
        assert!(BTreeSet::from(own).contains(&seen), "{seen}");
    }
}

/// As docs/services.md has it: what is to be masqueraded has a mark, by which a rule before the proxy's knows it.
pub(crate) fn a_rule_of_ones_own_chooses_the_address(layout: Layout, family: Family) {
    const OTHER: Both = Both("192.168.30.11", "2001:db8:30::11");
    let (net, _node) = Node::serving(layout, &Web::on(&[Endpoint::Elsewhere]));
    let other = OTHER.of(family);
    let (table, length, nodad) = match family {
        Family::V4 => ("ip", 24, ""),
        Family::V6 => ("ip6", 64, "nodad"),
    };
    cmd(&format!("ip address add {other}/{length} dev eth2 {nodad}"));
    net.elsewhere.cmd(&format!("ip route add {other} dev eth0"));
    cmd(&format!(
        "nft -f - <<'END'
table {table} own-source {{
    chain postrouting {{
        type nat hook postrouting priority 99
        oifname eth2 meta mark & 0x4000 == 0x4000 snat to {other}
    }}
}}
END"
    ));
    for from in [&net.client, &net.node] {
        for protocol in Protocol::BOTH {
            let seen = answer(from, protocol, CLUSTER_IP.port(family, PORT)).seen;
            assert_eq!(seen, other, "{protocol:?}");
        }
    }
}
