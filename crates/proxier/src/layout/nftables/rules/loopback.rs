//! Node ports at loopback addresses, which the node itself alone can reach.
//!
//! IPVS sends nothing from a loopback address to another machine (`crosses_local_route_boundary` in
//! `net/netfilter/ipvs/ip_vs_xmit.c`), and nothing can change the source before IPVS sees the packet. So these rules choose an
//! endpoint without it. The packet is masqueraded as others are, and can be routed with `route_localnet=1`.

use ipnetwork::IpNetwork;
use nftables_netlink::build::{Body, key};
use nftables_netlink::expression::{CmpOp, NatFlags, NatKind};
use nftables_netlink::{Hook, HookNumber, priority};

use super::TableRules;
use super::chains::{CT_ESTABLISHED, CT_NEW, CT_RELATED, FilledChain, PROTOCOLS, goto};
use crate::layout::loopback;
use crate::layout::nftables::{SetId, Structure, name};

/// Keeps others from loopback addresses, and refuses node ports without endpoints.
const GUARD: &str = "loopback-guard";
const ENDPOINT: &str = "loopback-endpoint";

/// `IPS_DST_NAT`.
const CT_STATUS_DNAT: u32 = 1 << 5;

impl TableRules {
    pub(super) fn loopback_chains(&self) -> [FilledChain; 3] {
        let hook = |kind, number, priority| Some((kind, Hook::new(number, priority)));
        let to_endpoint = self.served_ports().map(|port| goto(port, ENDPOINT));
        [
            self.chain(ENDPOINT, None, self.to_endpoint()),
            self.chain(
                "loopback",
                hook("nat", HookNumber::OUTPUT, priority::DSTNAT),
                to_endpoint.collect(),
            ),
            self.chain(
                GUARD,
                hook("filter", HookNumber::INPUT, priority::FILTER),
                self.guard(),
            ),
        ]
    }

    fn served_ports(&self) -> impl Iterator<Item = Body> {
        let networks = self.loopback.iter();
        networks.map(|network| self.in_set(self.to(*network), SetId::LoopbackPorts))
    }

    /// What finds no endpoint loses the mark again.
    ///
    /// A rule of each protocol, since `nft` takes no port to translate to before it knows the protocol: what it lists is to load
    /// again.
    fn to_endpoint(&self) -> Vec<Body> {
        let (keys, map) = (
            self.key(SetId::LoopbackEndpoints),
            name(SetId::LoopbackEndpoints.as_str()),
        );
        let translate = PROTOCOLS.map(|protocol| {
            let packet = Body::new().protocol(protocol);
            let flags = NatFlags::empty();
            packet.nat_by_map(NatKind::DNAT, self.family, &keys, &map, true, flags)
        });
        let (marked, left) = (
            Body::new().mark_or(self.masquerade_mark),
            Body::new().mark_and(!self.masquerade_mark),
        );
        let marked = [marked].into_iter().chain(translate);
        marked.chain([left]).collect()
    }

    fn to(&self, network: IpNetwork) -> Body {
        let (mask, network) = (network.mask(), network.network());
        Body::new().masked(self.destination(), mask, CmpOp::EQ, network)
    }

    /// With `route_localnet` packets from elsewhere reach what listens on loopback addresses only (CVE-2020-8558). Those of the
    /// node itself come in by `lo`, whatever their source is, and answers to them belong to their connection.
    ///
    /// What has an endpoint has gone to its address, so a node port that still comes in has none. To refuse it on its way out would
    /// tell a sender of UDP that it may not send (`EPERM`).
    fn guard(&self) -> Vec<Body> {
        let Some(network) = loopback(self.family) else {
            return Vec::new();
        };
        let known = CT_ESTABLISHED | CT_RELATED;
        let from_elsewhere = self.to(network).is_not(key::iifname(), "lo");
        let unknown = from_elsewhere.masked(key::ct_state(), known, CmpOp::EQ, 0_u32);
        let dnat = CT_STATUS_DNAT;
        let foreign = unknown
            .masked(key::ct_status(), dnat, CmpOp::EQ, 0_u32)
            .drop();
        let ports = self.served_ports();
        let refused = ports.map(|port| self.reject(port.any_bit(key::ct_state(), CT_NEW)));
        [foreign].into_iter().chain(refused).collect()
    }
}

/// Whether a table has the guard of loopback addresses.
pub(crate) fn guards_loopback(table: &Structure) -> bool {
    let mut chains = table.chains.iter();
    chains.any(|chain| chain.name.as_ref().is_some_and(|name| *name == *GUARD))
}
