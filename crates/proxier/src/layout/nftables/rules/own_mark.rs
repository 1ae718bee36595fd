//! The marks of this node's endpoints, which what comes from outside gets with `externalTrafficPolicy: Local`.

use nftables_netlink::build::{Body, key};
use nftables_netlink::expression::MetaKey;

use super::TableRules;
use crate::layout::nftables::{SetId, name};

/// `IPPROTO_UDP`.
const UDP: u8 = 17;
/// `NF_CT_STATE_BIT(IP_CT_ESTABLISHED)`.
const CT_ESTABLISHED: u32 = 1 << 1;

/// What is open, as far as IPVS knows its endpoint: that of UDP it forgets at once.
pub(super) fn is_open(body: Body) -> Body {
    body.is_not(key::l4proto(), UDP)
        .any_bit(key::ct_state(), CT_ESTABLISHED)
}

impl TableRules {
    /// The mark that a map has for the packet.
    pub(super) fn set_mark(&self, body: Body, map: SetId) -> Body {
        body.set_meta_by_map(MetaKey::MARK, &self.key(map), &name(map.as_str()))
    }

    /// A port without a mark has no endpoint on this node that takes anything new. IPVS knows the endpoint of what is open,
    /// but that of UDP it forgets at once. An ICMP error has no port, so it is never dropped here.
    fn mark_of(&self, map: SetId) -> Vec<Body> {
        let mark = self.set_mark(Body::new(), map);
        vec![
            mark.accept(),
            is_open(Body::new()).accept(),
            Body::new().drop(),
        ]
    }

    pub(super) fn own_mark(&self) -> Vec<Body> {
        self.mark_of(SetId::ServiceMarks)
    }

    /// An external IP may be an address of the node, its port the number of another Service's node port.
    pub(super) fn own_mark_of_node_port(&self) -> Vec<Body> {
        let mut bodies = vec![
            self.of(SetId::External).accept(),
            self.outside(Body::new(), SetId::NodePortsLocal).accept(),
        ];
        bodies.extend(self.mark_of(SetId::NodePortMarks));
        bodies
    }
}
