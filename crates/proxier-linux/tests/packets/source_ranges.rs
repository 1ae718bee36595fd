//! `loadBalancerSourceRanges`: who may pass, and whether the node itself may.

use kernel_test::{cmd, iptables_flavour};
use proxier::Layout;
use proxier::cluster::Family;

use crate::proxy::{BALANCER, CLUSTER_IP, Node, PORT, Web};
use scenarios::client::{Protocol, answer, assert_dropped};

/// Only the client.
const CLIENT_ALONE: &str = "loadBalancerSourceRanges: [192.168.10.2/32, '2001:db8:10::2/128']";
/// The client's network, which is the node's, too.
const NETWORK: &str = "loadBalancerSourceRanges: [192.168.10.0/24, '2001:db8:10::/64']";

pub(crate) fn allow_one_client_and_drop_others(layout: Layout, family: Family) {
    let web = Web::new().with(CLIENT_ALONE);
    let (net, mut node) = Node::serving(layout, &web);
    if layout == Layout::Classic {
        kubelet_marks();
        assert!(node.set(&web).is_empty(), "kubelet's rule is left alone");
    }
    for protocol in Protocol::BOTH {
        let to = BALANCER.port(family, PORT);
        answer(&net.client, protocol, to);
        assert_dropped(&net.stranger, protocol, to);
        // Other addresses of the Service know of no ranges.
        answer(&net.stranger, protocol, CLUSTER_IP.port(family, PORT));
    }
}

/// Plays the kubelet that the classic layout relies on: the rule that marks what is to be dropped is
/// kubelet's (until IPTablesOwnershipCleanup, on since v1.27); without it source ranges keep nobody out.
fn kubelet_marks() {
    for iptables in ["iptables", "ip6tables"] {
        cmd(&format!(
            "{iptables}-{} -t nat -A KUBE-MARK-DROP -j MARK --or-mark 0x8000",
            iptables_flavour()
        ));
    }
}

/// KUBE-IPVS-OUT-FILTER.
pub(crate) fn without_the_node_drop_its_own(layout: Layout, family: Family) {
    let (net, mut node) = Node::serving(layout, &Web::new());
    for protocol in Protocol::BOTH {
        answer(&net.node, protocol, BALANCER.port(family, PORT));
    }
    node.set(&Web::new().with(CLIENT_ALONE));
    for protocol in Protocol::BOTH {
        assert_dropped(&net.node, protocol, BALANCER.port(family, PORT));
        answer(&net.node, protocol, CLUSTER_IP.port(family, PORT));
    }
}

pub(crate) fn with_the_node_let_its_own_pass(layout: Layout, family: Family) {
    let (net, _node) = Node::serving(layout, &Web::new().with(NETWORK));
    for protocol in Protocol::BOTH {
        let to = BALANCER.port(family, PORT);
        answer(&net.node, protocol, to);
        answer(&net.client, protocol, to);
        assert_dropped(&net.stranger, protocol, to);
    }
}
