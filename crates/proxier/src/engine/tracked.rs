//! What one Service wants.

use std::sync::Arc;

use ipset_netlink::Entry;
use ipvs_netlink::VirtualServerId;

use super::dirty::Dirty;
use crate::cluster::{Family, ObjectName, PerFamily, Service};
use crate::conflict::Conflict;
use crate::health::NoLocalEndpoints;
use crate::layout::nftables::Element;
use crate::layout::{RangeRule, SetId};
use crate::reconcile::merge;
use crate::translate::{Claim, ServiceClaims};

/// By what Services get what they claim: [`Service::seniority`], kept.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    unknown: bool,
    created: i64,
    pub(super) name: ObjectName,
}

impl Rank {
    pub(super) fn of(service: &Service) -> Self {
        let (unknown, created, name) = service.seniority();
        Self {
            unknown,
            created,
            name: name.clone(),
        }
    }

    /// Whether it is still that of a Service.
    pub(super) fn holds(&self, service: &Service) -> bool {
        (self.unknown, self.created, &self.name) == service.seniority()
    }
}

/// What one Service wants.
#[derive(Debug)]
pub(super) struct Tracked {
    pub(super) rank: Arc<Rank>,
    /// By id; those of one id in the order of the Service's ports.
    claims: Vec<Claim>,
    /// Set members that come with no virtual server.
    pub(super) entries: Box<[(Family, SetId, Entry)]>,
    /// Elements of nf_tables that come with no virtual server.
    pub(super) elements: Box<[(Family, Element)]>,
    /// Ranges of ports in layouts with ipset. Few Services have any.
    pub(super) ranges: Box<[(Family, RangeRule)]>,
    pub(super) counts: PerFamily<bool>,
    pub(super) no_local: PerFamily<NoLocalEndpoints<bool>>,
    /// Claims refused whoever else claims the same.
    pub(super) refused: Box<[Conflict]>,
}

impl Tracked {
    /// From its families in the families that it counts in.
    pub(super) fn new(rank: Arc<Rank>, families: PerFamily<Option<ServiceClaims>>) -> Self {
        let mut tracked = Self {
            rank,
            claims: Vec::new(),
            entries: Box::default(),
            elements: Box::default(),
            ranges: Box::default(),
            counts: PerFamily::default(),
            no_local: PerFamily::default(),
            refused: Box::default(),
        };
        let (mut entries, mut elements) = (Vec::new(), Vec::new());
        let (mut ranges, mut refused) = (Vec::new(), Vec::new());
        for (family, all) in [(Family::V4, families.v4), (Family::V6, families.v6)] {
            let Some(all) = all else { continue };
            *tracked.counts.get_mut(family) = true;
            if tracked.claims.is_empty() {
                tracked.claims = all.claims;
            } else {
                tracked.claims.extend(all.claims);
            }
            let of_sets = all.entries.into_iter();
            entries.extend(of_sets.map(|(set, entry)| (family, set, entry)));
            let of_table = all.elements.into_iter();
            elements.extend(of_table.map(|element| (family, element)));
            let rules = all.ranges.into_iter();
            ranges.extend(rules.map(|rule| (family, rule)));
            refused.extend(all.refused);
            *tracked.no_local.get_mut(family) = all.no_local;
        }
        (tracked.entries, tracked.elements) = (entries.into(), elements.into());
        (tracked.ranges, tracked.refused) = (ranges.into(), refused.into());
        tracked
            .claims
            .sort_by_key(|claim| (claim.id, claim.precedence()));
        tracked.claims.shrink_to_fit();
        tracked
    }

    pub(super) fn claims_of(&self, id: &VirtualServerId) -> &[Claim] {
        let from = self.claims.partition_point(|claim| claim.id < *id);
        let rest = self.claims.get(from..).unwrap_or_default();
        let count = rest.partition_point(|claim| claim.id == *id);
        rest.get(..count).unwrap_or_default()
    }

    /// Keeps the lists that are as they were, which others have too.
    pub(super) fn share(&mut self, old: &Self) {
        for claim in &mut self.claims {
            let mut before = old
                .claims_of(&claim.id)
                .iter()
                .map(|before| &before.destinations);
            if let Some(same) = before.find(|before| ***before == *claim.destinations) {
                claim.destinations = Arc::clone(same);
            }
        }
    }

    /// Whether the same is counted of both, whatever they claim.
    pub(super) fn counts_like(&self, other: &Self) -> bool {
        self.entries == other.entries
            && self.elements == other.elements
            && self.ranges == other.ranges
            && self.counts == other.counts
            && self.no_local == other.no_local
    }

    /// The claims of each virtual server.
    pub(super) fn by_id(&self) -> impl Iterator<Item = &[Claim]> {
        self.claims.chunk_by(|one, next| one.id == next.id)
    }
}

/// The virtual servers that change hands, or come with other things than before, between what a Service wanted
/// and what it wants. Those that only change themselves are noted.
pub(super) fn compare(
    old: Option<&Tracked>,
    new: Option<&Tracked>,
    dirty: &mut Dirty,
) -> Vec<VirtualServerId> {
    let same_rank = match (old, new) {
        (Some(old), Some(new)) => Arc::ptr_eq(&old.rank, &new.rank),
        _ => false,
    };
    let mut affected = Vec::new();
    let before = old.into_iter().flat_map(Tracked::by_id);
    let after = new.into_iter().flat_map(Tracked::by_id);
    let id = |claims: &&[Claim]| claims.first().map(|claim| claim.id);
    merge(before, after, id, id, |before, after| {
        match (before, after) {
            (Some(before), Some(after)) if same_rank && alike(before, after) => {
                if before != after {
                    id(&after).into_iter().for_each(|id| dirty.note_server(id));
                }
            }
            (Some(either), _) | (None, Some(either)) => affected.extend(id(&either)),
            (None, None) => {}
        }
    });
    affected
}

/// Whether the same things come with the same virtual server.
fn alike(before: &[Claim], after: &[Claim]) -> bool {
    let with = |claim: &Claim| (claim.bind, claim.cluster_ip);
    before.len() == after.len()
        && before.iter().zip(after).all(|(one, other)| {
            with(one) == with(other)
                && one.port == other.port
                && one.entries == other.entries
                && one.extra == other.extra
        })
}

/// Of claims of one Service to one virtual server, those of the port that has it.
pub(super) fn granted(claims: &[Claim]) -> impl Iterator<Item = &Claim> {
    let port = claims.first().map(|claim| &claim.port);
    claims.iter().filter(move |claim| Some(&claim.port) == port)
}
