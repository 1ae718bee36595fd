//! Ranges of ports, and listed ports that are served together with them.
//!
//! A packet to one of these gets the mark of its virtual server, and no other bits, because IPVS compares the whole mark.
//! What else becomes of the packet depends on that mark. The bit that asks for masquerading is in the connection's mark
//! (`ct mark`) instead, until the packet leaves.

use nftables_netlink::Data;
use nftables_netlink::Register;
use nftables_netlink::build::{Body, key};
use nftables_netlink::expression::{Bitwise, Ct, CtKey};

use super::TableRules;
use super::chains::{
    CT_NEW, MAKE_LOCAL, RANGE_CLUSTER_IP, RANGE_LOCAL, RANGE_POLICY, came_in, goto,
};
use super::own_mark::is_open;
use crate::layout::nftables::SetId;

impl TableRules {
    /// A port of its own comes before ranges. Ports in no range go their way.
    pub(super) fn ranges(&self) -> Vec<Body> {
        let marks = [SetId::PortMarks, SetId::RangeMarks].into_iter();
        let marked = marks.map(|map| self.set_mark(Body::new(), map));
        marked.map(|body| goto(body, RANGE_POLICY)).collect()
    }

    pub(super) fn range_policy(&self) -> Vec<Body> {
        let others = self.of(SetId::RangeFirewalled);
        let dropped = || self.of(SetId::RangeDropped);
        let refused = self
            .of(SetId::RangeRefused)
            .any_bit(key::ct_state(), CT_NEW);
        vec![
            self.outside(others, SetId::RangeSources).drop(),
            goto(is_open(dropped()), MAKE_LOCAL),
            dropped().drop(),
            self.reject(refused),
            goto(self.of(SetId::ClusterIps), RANGE_CLUSTER_IP),
            goto(self.of(SetId::RangeLocal), RANGE_LOCAL),
            self.keep(SetId::RangeSourceKept),
            self.masquerade_later(),
            goto(Body::new(), MAKE_LOCAL),
        ]
    }

    pub(super) fn range_cluster_ip(&self) -> Vec<Body> {
        let mut bodies = Vec::new();
        if !self.masquerade_all {
            bodies.push(self.spare(SetId::RangeMasqueraded));
        }
        bodies.extend([
            self.keep(SetId::RangeSourceKept),
            self.masquerade_later(),
            goto(Body::new(), MAKE_LOCAL),
        ]);
        bodies
    }

    /// What comes from outside gets the mark of this node's endpoints, and is dropped where there is none. Pods and the node
    /// itself go on to all endpoints.
    pub(super) fn range_local(&self) -> Vec<Body> {
        let mut bodies = Vec::new();
        bodies.extend(self.of_pods().map(|pods| goto(pods, MAKE_LOCAL)));
        bodies.extend([
            goto(self.set_mark(came_in(), SetId::RangeLocalMarks), MAKE_LOCAL),
            goto(is_open(came_in()), MAKE_LOCAL),
            came_in().drop(),
            self.masquerade_later(),
            goto(Body::new(), MAKE_LOCAL),
        ]);
        bodies
    }

    /// `ct mark set ct mark | masquerade_mark`.
    fn masquerade_later(&self) -> Body {
        let register = Register::at(0);
        let bit = self.masquerade_mark;
        Body::new()
            .push(Ct {
                key: CtKey::MARK,
                destination: Some(register),
                ..Ct::default()
            })
            .push(Bitwise {
                source: register,
                destination: register,
                length: 4,
                mask: Some(Data::Value((!bit).to_ne_bytes().to_vec())),
                xor: Some(Data::Value(bit.to_ne_bytes().to_vec())),
                ..Bitwise::default()
            })
            .push(Ct {
                key: CtKey::MARK,
                source: Some(register),
                ..Ct::default()
            })
    }

    /// What leaves for an endpoint of a range, and is to be masqueraded.
    pub(super) fn of_range(&self) -> Body {
        Body::new()
            .any_bit(key::mark(), self.service_marks)
            .any_bit(key::ct(CtKey::MARK), self.masquerade_mark)
    }
}
