//! The address of the node that is the source of what is masqueraded, where a Service chooses it.
//!
//! These chains are a part of the table of their own, which comes and goes while the rest stays. What they find no address for
//! goes on to the chain `postrouting`, and gets the address that the kernel chooses.

use nftables_netlink::build::Body;
use nftables_netlink::expression::{NatFlags, NatKind};
use nftables_netlink::{Hook, HookNumber, priority};

use super::TableRules;
use super::chains::{FilledChain, PROTOCOLS, goto};
use crate::layout::nftables::{SetId, Structure, name};

/// Before the rule of a node's own that docs/services.md has, which is for all Services.
const BEFORE_OTHERS: i32 = priority::SRCNAT - 2;

const CHOSEN_ADDRESS: &str = "chosen-address";

impl TableRules {
    /// The sets and chains that are there as long as a Service chooses an address.
    #[must_use]
    pub fn masquerade_address_part(&self) -> Structure {
        let sets = SetId::ALL.into_iter().filter(|id| id.is_optional());
        let (chains, rules): (Vec<_>, Vec<_>) =
            self.masquerade_address_chains().into_iter().unzip();
        Structure::new(
            sets.map(|id| id.spec(self.family)),
            chains,
            rules.into_iter().flatten(),
        )
    }

    pub(super) fn masquerade_address_chains(&self) -> [FilledChain; 2] {
        let hook = Hook::new(HookNumber::POSTROUTING, BEFORE_OTHERS);
        let masqueraded = self.masqueraded().map(|body| goto(body, CHOSEN_ADDRESS));
        // A rule of each, since `nft` reads no port of a connection (`ct original proto-dst`) before it knows its protocol
        // (`ct_expr_update_type` in its `src/ct.c`): what it lists is to load again.
        let of_ports = PROTOCOLS.map(|protocol| {
            let packet = Body::new().protocol(protocol);
            self.to_address_of(packet, SetId::MasqueradeAddresses)
        });
        let of_range = self.to_address_of(Body::new(), SetId::RangeMasqueradeAddresses);
        let chosen = of_ports.into_iter().chain([of_range]).collect();
        [
            self.chain(CHOSEN_ADDRESS, None, chosen),
            self.chain(
                "masquerade-address",
                Some(("nat", hook)),
                masqueraded.into(),
            ),
        ]
    }

    /// The source becomes the address that a map has.
    fn to_address_of(&self, packet: Body, map: SetId) -> Body {
        let (keys, map) = (self.key(map), name(map.as_str()));
        let flags = NatFlags::FULLY_RANDOM;
        packet.nat_by_map(NatKind::SNAT, self.family, &keys, &map, false, flags)
    }
}
