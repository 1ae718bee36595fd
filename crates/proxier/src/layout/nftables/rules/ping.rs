//! Ping of cluster IPs.
//!
//! No link has them, so the kernel cannot answer from them: it looks for the source address of an answer among its own
//! (`__ip_dev_find` in `net/ipv4/route.c`). A request goes to an address of this node instead, and connection tracking makes
//! the answer come from the cluster IP.

use std::net::IpAddr;

use nftables_netlink::build::{Body, key};
use nftables_netlink::expression::{NatFlags, NatKind};

use super::TableRules;
use super::chains::icmp;
use crate::cluster::Family;
use crate::layout::nftables::SetId;

impl TableRules {
    /// `ICMP_ECHO`, `ICMPV6_ECHO_REQUEST`.
    pub(super) fn echo_request(&self) -> Body {
        let kind: u8 = match self.family {
            Family::V4 => 8,
            Family::V6 => 128,
        };
        Body::new()
            .protocol(icmp(self.family).0)
            .is(key::icmp_type(), kind)
    }

    /// What is sent to a cluster IP goes to this address.
    pub(super) fn ping(&self, address: IpAddr) -> Vec<Body> {
        let request = self.in_set(self.echo_request(), SetId::ClusterIps);
        vec![request.nat(NatKind::DNAT, (address, address), None, NatFlags::empty())]
    }
}
