//! Path MTU: errors that come back to Services, and segments that need none.

use std::slice;

use nftables_netlink::build::{Body, Key, key};
use nftables_netlink::expression::{CmpOp, CtDirection, CtKey, MetaKey};

use super::TableRules;
use super::chains::{CLAMP, MAKE_LOCAL, SEGMENTS, goto, icmp, return_};
use crate::cluster::Family;
use crate::layout::nftables::{SetId, name};

/// `IPPROTO_TCP`, and the flag that opens a connection.
const TCP: u8 = 6;
const TCP_SYN: u8 = 2;

/// The sets of ports of addresses that are served.
const OF_ADDRESSES: [SetId; 3] = [SetId::Services, SetId::External, SetId::ExternalLocal];

/// The protocol and port to which the packet's connection was made.
fn original_port() -> [Key; 2] {
    let protocol = Key {
        length: 1,
        ..key::ct(CtKey::PROTOCOL)
    };
    let port = key::ct_side(CtKey::PROTO_DST, CtDirection::ORIGINAL, 2);
    [protocol, port]
}

/// The first packet of TCP in either direction.
pub(super) fn opens_connection() -> Vec<Body> {
    let syn = Body::new()
        .protocol(TCP)
        .masked(key::tcp_flags(), TCP_SYN, CmpOp::NEQ, 0_u8);
    vec![goto(syn, SEGMENTS)]
}

impl TableRules {
    /// An ICMP error about what a Service sent, for path MTU discovery: it goes to the Service's address, and its
    /// connection was made to the Service's port.
    pub(super) fn errors(&self) -> Vec<Body> {
        let [protocol, port] = original_port();
        let original = [self.destination(), protocol, port];
        // Without the protocol `nft` does not know what the port is.
        let error = || Body::new().protocol(icmp(self.family).0);
        let of_sets = OF_ADDRESSES.map(|set| error().in_set(&original, &name(set.as_str())));
        let of_maps = [SetId::PortMarks, SetId::RangeMarks].map(|map| {
            let marks = name(map.as_str());
            error().set_meta_by_map(MetaKey::MARK, &original, &marks)
        });
        let all = of_sets.into_iter().chain(of_maps);
        all.map(|about| goto(about, MAKE_LOCAL)).collect()
    }

    /// IPVS cannot report for an IPv4 address that is not the node's that a packet is too large for the way to an
    /// endpoint, and no error about what an endpoint sends to a masqueraded client finds its way. So connections of
    /// Services agree on segments that fit into the routes of this node in both directions. For answers this is before
    /// IPVS, and for requests before masquerading, so that the other side's address is still its own.
    pub(super) fn segments(&self) -> Vec<Body> {
        let address = match self.family {
            Family::V4 => key::ct_side(CtKey::DST_IP, CtDirection::ORIGINAL, 4),
            Family::V6 => key::ct_side(CtKey::DST_IP6, CtDirection::ORIGINAL, 16),
        };
        let [protocol, port] = original_port();
        let of = |keys: &[Key], set: SetId| {
            let body = Body::new().protocol(TCP);
            body.in_set(keys, &name(set.as_str()))
        };
        let at_address = [address.clone(), protocol.clone(), port.clone()];
        let mut bodies: Vec<_> = OF_ADDRESSES
            .map(|set| goto(of(&at_address, set), CLAMP))
            .into();
        let in_ranges = of(slice::from_ref(&address), SetId::RangeAddresses);
        bodies.push(goto(in_ranges, CLAMP));
        let elsewhere = Body::new().not_in_set(&[address], &name(SetId::NodeAddresses.as_str()));
        bodies.push(return_(elsewhere));
        bodies.extend([SetId::NodePorts, SetId::NodePortsLocal].map(|set| {
            let at_node = [protocol.clone(), port.clone()];
            goto(of(&at_node, set), CLAMP)
        }));
        bodies
    }
}
