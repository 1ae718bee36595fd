//! Iptables mode by the iptables of nft, where it differs from the legacy one.

use proxier::cluster::Family;
use proxier::{Config, Layout, NodePortAddresses};

use crate::proxy::{Node, Web};
use scenarios::topology::NODE;

/// A Service loses its last endpoint in the sync that writes anew the chain that leads to it. This back end cannot delete a
/// rule that was written since the last commit.
pub(crate) fn a_rule_goes_from_a_chain_that_is_written_anew() {
    let mut node = Node::unconnected(Config::with_layout(Layout::Iptables));
    node.set(&Web::new());
    let own = NODE.of(Family::V4).into();
    node.config.node_port_addresses = NodePortAddresses::Within(vec![own]);
    let plan = node.set(&Web::on(&[]));
    assert!(!plan.is_empty());
    assert!(node.set(&Web::on(&[])).is_empty());
}
