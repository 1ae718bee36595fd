//! What of a packet is looked up in sets and maps.

use nftables_netlink::build::{Body, Key, key};
use nftables_netlink::expression::{CtDirection, CtKey};

use super::TableRules;
use crate::cluster::Family;
use crate::layout::nftables::{LOOPBACK_SLOTS, SetId, name};

impl TableRules {
    pub(super) fn source(&self) -> Key {
        match self.family {
            Family::V4 => key::ip_saddr(),
            Family::V6 => key::ip6_saddr(),
        }
    }

    pub(super) fn destination(&self) -> Key {
        match self.family {
            Family::V4 => key::ip_daddr(),
            Family::V6 => key::ip6_daddr(),
        }
    }

    /// What an element of a set is made of.
    pub(super) fn key(&self, set: SetId) -> Vec<Key> {
        let [address, protocol, port] = [self.destination(), key::l4proto(), key::th_dport()];
        match set {
            SetId::SourceRanges => vec![address, protocol, port, self.source()],
            SetId::Hairpin => vec![self.source(), address],
            SetId::ClusterIps | SetId::NodeAddresses | SetId::RangeAddresses => vec![address],
            SetId::RangeSources => vec![address, key::mark(), self.source()],
            SetId::RangeFirewalled => vec![address, key::mark()],
            SetId::RangeRefused
            | SetId::RangeDropped
            | SetId::RangeLocal
            | SetId::RangeSourceKept
            | SetId::RangeMasqueraded
            | SetId::RangeMasqueradeAddresses
            | SetId::RangeLocalMarks => vec![key::mark()],
            SetId::MasqueradeAddresses => self.connected_to(),
            SetId::NodePorts
            | SetId::NodePortsLocal
            | SetId::NodePortsSourceKept
            | SetId::NodePortMarks
            | SetId::LoopbackPorts => vec![protocol, port],
            SetId::LoopbackEndpoints => vec![protocol, port, key::random(LOOPBACK_SLOTS.into())],
            SetId::Firewalled
            | SetId::Refused
            | SetId::SourceKept
            | SetId::Masqueraded
            | SetId::ServiceMarks
            | SetId::PortMarks
            | SetId::RangeMarks
            | SetId::Dropped
            | SetId::Services
            | SetId::External
            | SetId::ExternalLocal => vec![address, protocol, port],
        }
    }

    /// The address, protocol and port that the packet's connection was made to, whatever the packet's own are now.
    fn connected_to(&self) -> Vec<Key> {
        let (address, length) = match self.family {
            Family::V4 => (CtKey::DST_IP, 4),
            Family::V6 => (CtKey::DST_IP6, 16),
        };
        let side = |key, length| key::ct_side(key, CtDirection::ORIGINAL, length);
        vec![
            side(address, length),
            key::l4proto(),
            side(CtKey::PROTO_DST, 2),
        ]
    }

    pub(super) fn in_set(&self, body: Body, set: SetId) -> Body {
        body.in_set(&self.key(set), &name(set.as_str()))
    }

    pub(super) fn of(&self, set: SetId) -> Body {
        self.in_set(Body::new(), set)
    }

    pub(super) fn outside(&self, body: Body, set: SetId) -> Body {
        body.not_in_set(&self.key(set), &name(set.as_str()))
    }
}
