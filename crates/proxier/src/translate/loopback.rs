//! Node ports at loopback addresses in the `nftables` layout: the endpoints of a port share slots, of which each connection
//! draws one.

use std::cmp::Reverse;
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};

use ipnetwork::IpNetwork;
use ipvs_netlink::Destination;

use super::claim::ServiceClaims;
use super::claims::Context;
use super::nftables::Port;
use crate::cluster::Family;
use crate::conflict::Holder;
use crate::layout::nftables::{AddressPort, Element, LOOPBACK_SLOTS, NodePort};

impl Context<'_> {
    /// The loopback networks of the family at which node ports are served.
    pub(super) fn loopback_networks(&self) -> Vec<IpNetwork> {
        match self.family {
            Family::V4 => self.config.localhost_node_ports_at(),
            Family::V6 => Vec::new(),
        }
    }

    /// What comes with a node port for loopback addresses, where it is served there. It comes with the virtual servers at the node's
    /// own addresses, so that one Service has both; without such an address it comes alone.
    pub(super) fn loopback_elements(
        &self,
        port: &Port<'_>,
        at: NodePort,
        all: &mut ServiceClaims,
    ) -> Vec<Element> {
        if self.loopback_networks().is_empty() {
            return Vec::new();
        }
        let server = localhost(at).server();
        if self.is_api_server(&server) {
            let claim = port.claim(server, port.outside_endpoints(), Vec::new());
            let conflict = claim.conflict(&port.service.name, Holder::ApiServer);
            all.refused.push(conflict);
            return Vec::new();
        }
        let endpoints = port.outside_endpoints();
        // Every client there is the node itself.
        let slots = match port.service.affinity_seconds {
            Some(_) => favourite(endpoints).map(|one| vec![one; usize::from(LOOPBACK_SLOTS)]),
            None => Some(share(endpoints)),
        };
        let slots = (0..LOOPBACK_SLOTS).zip(slots.unwrap_or_default());
        let endpoints = slots.map(|(slot, to)| Element::LoopbackEndpoint(at, slot, to));
        let elements = endpoints.chain([Element::LoopbackPort(at)]);
        if self.node_ports.is_empty() {
            all.elements.extend(elements);
            return Vec::new();
        }
        elements.collect()
    }
}

/// A node port at `127.0.0.1`.
const fn localhost(at: NodePort) -> AddressPort {
    AddressPort {
        address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        protocol: at.protocol,
        port: at.port,
    }
}

/// An endpoint that gets connections.
struct Candidate {
    at: SocketAddrV4,
    weight: u64,
    /// Where it begins in the slots, and how far it goes from one to the next.
    start: u64,
    step: u64,
    /// How many slots are its share.
    quota: u64,
}

/// The slots, each with its endpoint: none where no endpoint has a weight.
///
/// Each endpoint has its share of them by its weight, rounded up or down. As the scheduler `mh` does, it takes them in an order of
/// its own, which two hashes of its address give, and the endpoints take turns, so that few slots change hands when an endpoint
/// comes or goes (Maglev, <https://research.google/pubs/pub44824/>, section 3.4). Of more endpoints than slots, some have none.
fn share(endpoints: &[Destination]) -> Vec<SocketAddrV4> {
    let mut candidates = candidates(endpoints);
    set_quotas(&mut candidates);
    let slots = usize::from(LOOPBACK_SLOTS);
    let mut taken: Vec<Option<SocketAddrV4>> = vec![None; slots];
    let mut left = if candidates.is_empty() { 0 } else { slots };
    while left > 0 {
        let before = left;
        for candidate in candidates.iter_mut().filter(|one| one.quota > 0) {
            // A step through a prime number of slots comes to all of them.
            while let Some(slot) = taken.get_mut(candidate.next()) {
                if slot.is_none() {
                    *slot = Some(candidate.at);
                    candidate.quota -= 1;
                    left -= 1;
                    break;
                }
            }
        }
        if left == before {
            break;
        }
    }
    taken.into_iter().flatten().collect()
}

/// The endpoint that has all connections: the one with the least hash, whichever others there are.
fn favourite(endpoints: &[Destination]) -> Option<SocketAddrV4> {
    let candidates = candidates(endpoints).into_iter();
    let first = candidates.min_by_key(|one| (hash(one.at, 0), one.at));
    first.map(|one| one.at)
}

/// Those with a weight, in the order in which they take turns.
fn candidates(endpoints: &[Destination]) -> Vec<Candidate> {
    let slots = u64::from(LOOPBACK_SLOTS);
    let candidate = |endpoint: &Destination| {
        let IpAddr::V4(address) = endpoint.id.address else {
            return None;
        };
        let at = SocketAddrV4::new(address, endpoint.id.port);
        let weight = u64::from(endpoint.config.weight);
        (weight > 0).then(|| Candidate {
            at,
            weight,
            start: hash(at, 1) % slots,
            step: hash(at, 2) % (slots - 1) + 1,
            quota: 0,
        })
    };
    let mut candidates: Vec<_> = endpoints.iter().filter_map(candidate).collect();
    candidates.sort_by_cached_key(|one| (hash(one.at, 0), one.at));
    candidates.dedup_by_key(|one| one.at);
    candidates
}

/// Shares out all slots. Those that are left when shares are rounded down go to the largest rests.
fn set_quotas(candidates: &mut [Candidate]) {
    let slots = u64::from(LOOPBACK_SLOTS);
    let all: u64 = candidates.iter().map(|one| one.weight).sum();
    if all == 0 {
        return;
    }
    let mut left = slots;
    let mut by_rest = Vec::with_capacity(candidates.len());
    for candidate in candidates {
        let share = candidate.weight * slots;
        candidate.quota = share / all;
        left -= candidate.quota;
        by_rest.push((share % all, candidate));
    }
    // Stable: of equal rests, those that take turns first.
    by_rest.sort_by_key(|(rest, _)| Reverse(*rest));
    for ((_, candidate), _) in by_rest.into_iter().zip(0..left) {
        candidate.quota += 1;
    }
}

impl Candidate {
    /// The next slot in its order.
    fn next(&mut self) -> usize {
        let slot = self.start;
        self.start = (slot + self.step) % u64::from(LOOPBACK_SLOTS);
        usize::try_from(slot).unwrap_or_default()
    }
}

/// One of several hashes, which must be the same in every version of this crate: the address and port, mixed as splitmix64 mixes its
/// state (<https://prng.di.unimi.it/splitmix64.c>).
fn hash(at: SocketAddrV4, number: u64) -> u64 {
    const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
    let state = u64::from(at.ip().to_bits()) << 16 | u64::from(at.port());
    let mut mixed = state.wrapping_add(GOLDEN.wrapping_mul(number + 1));
    for (shift, factor) in [(30, 0xbf58_476d_1ce4_e5b9), (27, 0x94d0_49bb_1331_11eb_u64)] {
        mixed = (mixed ^ mixed >> shift).wrapping_mul(factor);
    }
    mixed ^ mixed >> 31
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use std::collections::BTreeMap;

    use ipvs_netlink::{DestinationConfig, DestinationId};
    use proptest::prelude::*;

    use super::*;

    fn endpoint(number: u8, weight: u32) -> Destination {
        Destination {
            id: DestinationId {
                address: IpAddr::V4([10, 244, number / 10, number].into()),
                port: 8080,
            },
            config: DestinationConfig::masquerade(weight),
        }
    }

    fn counts(slots: &[SocketAddrV4]) -> BTreeMap<SocketAddrV4, u64> {
        let mut counts = BTreeMap::new();
        for at in slots {
            *counts.entry(*at).or_default() += 1;
        }
        counts
    }

    /// How many slots differ.
    fn moved(before: &[SocketAddrV4], after: &[SocketAddrV4]) -> usize {
        let both = before.iter().zip(after);
        both.filter(|(before, after)| before != after).count()
    }

    proptest! {
        #[test]
        fn shares_are_in_proportion_to_weights(
            weights in proptest::collection::vec(0..200_u32, 0..90),
            turned in any::<prop::sample::Index>(),
        ) {
            let mut endpoints: Vec<_> = (0..).zip(&weights).map(|(n, weight)| endpoint(n, *weight)).collect();
            let slots = share(&endpoints);
            let all: u64 = weights.iter().map(|weight| u64::from(*weight)).sum();
            if all == 0 {
                prop_assert!(slots.is_empty() && favourite(&endpoints).is_none());
                return Ok(());
            }
            prop_assert_eq!(slots.len(), usize::from(LOOPBACK_SLOTS));
            let counts = counts(&slots);
            for endpoint in candidates(&endpoints) {
                let count = counts.get(&endpoint.at).copied().unwrap_or_default();
                let share = endpoint.weight * u64::from(LOOPBACK_SLOTS);
                prop_assert!(count >= share / all && count <= share.div_ceil(all), "{} {count}", endpoint.at);
            }
            prop_assert_eq!(counts.values().sum::<u64>(), u64::from(LOOPBACK_SLOTS));
            // In whatever order they are listed.
            let middle = turned.index(endpoints.len());
            endpoints.rotate_left(middle);
            prop_assert_eq!(share(&endpoints), slots);
        }

        /// Besides the slots of the one that goes, no more than a third change hands.
        #[test]
        fn few_slots_change_hands(count in 2..61_u8, gone in any::<prop::sample::Index>()) {
            let mut endpoints: Vec<_> = (0..count).map(|n| endpoint(n, 1)).collect();
            let before = share(&endpoints);
            let gone = endpoints.remove(gone.index(endpoints.len()));
            let after = share(&endpoints);
            let its = before.iter().filter(|at| IpAddr::V4(*at.ip()) == gone.id.address).count();
            let moved = moved(&before, &after);
            prop_assert!(moved - its <= usize::from(LOOPBACK_SLOTS) / 3, "{moved} moved, {its} were its own");
        }
    }

    #[test]
    fn endpoints_of_equal_weight_have_equal_shares() {
        for count in 1..=61 {
            let endpoints: Vec<_> = (0..count).map(|n| endpoint(n, 7)).collect();
            let counts = counts(&share(&endpoints));
            let (least, most) = (counts.values().min(), counts.values().max());
            assert_eq!(counts.len(), usize::from(count));
            assert!(most.unwrap() - least.unwrap() <= 1, "{count}");
        }
    }

    #[test]
    fn of_more_endpoints_than_slots_some_have_none() {
        let endpoints: Vec<_> = (0..100).map(|n| endpoint(n, 1)).collect();
        let counts = counts(&share(&endpoints));
        assert_eq!(counts.len(), 61);
    }

    /// With affinity the endpoint stays as long as it is there and no other comes before it.
    #[test]
    fn the_favourite_stays_whichever_other_goes() {
        let endpoints: Vec<_> = (0..20).map(|n| endpoint(n, 1)).collect();
        let favourite_of_all = favourite(&endpoints).unwrap();
        for gone in &endpoints {
            let rest: Vec<_> = endpoints
                .iter()
                .filter(|one| *one != gone)
                .copied()
                .collect();
            let is_gone = IpAddr::V4(*favourite_of_all.ip()) == gone.id.address;
            assert_eq!(favourite(&rest) == Some(favourite_of_all), !is_gone);
        }
    }

    /// Another version of the proxy finds its own slots.
    #[test]
    fn slots_depend_on_addresses_alone() {
        let slots = share(&[endpoint(1, 1), endpoint(2, 1)]);
        let first: String = slots
            .iter()
            .map(|at| at.ip().octets()[3].to_string())
            .collect();
        assert_eq!(
            first,
            "2122121212112112212112121211112221211122121112222121122222111"
        );
    }
}
