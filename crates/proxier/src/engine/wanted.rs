//! What Services want of the kernel, and who of them gets it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::mem;
use std::net::IpAddr;
use std::sync::Arc;

use ipset_netlink::Entry;
use ipvs_netlink::VirtualServerId;

use super::dirty::Dirty;
use crate::cluster::{Family, ObjectName, PerFamily, Service};
use crate::desired::{Conflict, Server};
use crate::health::NoLocalEndpoints;
use crate::layout::{Layout, SetId, SetIds, SourceRangeDrop};
use crate::reconcile::merge;
use crate::translate::{Claim, Wish};

/// By what Services get what they claim: [`Service::seniority`], kept.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    unknown: bool,
    created: i64,
    name: ObjectName,
}

impl Rank {
    fn of(service: &Service) -> Self {
        let (unknown, created, name) = service.seniority();
        Self {
            unknown,
            created,
            name: name.clone(),
        }
    }
}

/// What one Service wants.
#[derive(Debug)]
pub(super) struct Tracked {
    rank: Arc<Rank>,
    /// By id; those of one id in the order of the Service's ports.
    claims: Vec<Claim>,
    /// Set members that come with no virtual server.
    entries: Vec<(Family, SetId, Entry)>,
    counts: PerFamily<bool>,
    no_local: NoLocalEndpoints<bool>,
}

impl Tracked {
    /// From its wishes in the families that it counts in.
    pub(super) fn new(rank: Arc<Rank>, wishes: PerFamily<Option<Wish>>) -> Self {
        let mut tracked = Self {
            rank,
            claims: Vec::new(),
            entries: Vec::new(),
            counts: PerFamily::default(),
            no_local: NoLocalEndpoints::default(),
        };
        for (family, wish) in [(Family::V4, wishes.v4), (Family::V6, wishes.v6)] {
            let Some(wish) = wish else { continue };
            *tracked.counts.get_mut(family) = true;
            tracked.claims.extend(wish.claims);
            let entries = wish.entries.into_iter();
            tracked
                .entries
                .extend(entries.map(|(set, entry)| (family, set, entry)));
            tracked.no_local.internal |= wish.no_local.internal;
            tracked.no_local.external |= wish.no_local.external;
        }
        tracked.claims.sort_by_key(|claim| claim.id);
        tracked.claims.shrink_to_fit();
        tracked.entries.shrink_to_fit();
        tracked
    }

    fn claims_of(&self, id: &VirtualServerId) -> &[Claim] {
        let from = self.claims.partition_point(|claim| claim.id < *id);
        let rest = self.claims.get(from..).unwrap_or_default();
        let count = rest.partition_point(|claim| claim.id == *id);
        rest.get(..count).unwrap_or_default()
    }

    /// Keeps the lists that are as they were, which others have too.
    fn share(&mut self, old: &Self) {
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
    fn counts_like(&self, other: &Self) -> bool {
        self.entries == other.entries
            && self.counts == other.counts
            && self.no_local == other.no_local
    }

    fn by_id(&self) -> Vec<&[Claim]> {
        self.claims
            .chunk_by(|one, next| one.id == next.id)
            .collect()
    }
}

/// All that Services want, each thing counted by those who want it.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    services: HashMap<ObjectName, Tracked>,
    /// Who claims a virtual server, the senior first.
    claimants: HashMap<VirtualServerId, Vec<Arc<Rank>>>,
    /// Virtual servers that not all get that claim them.
    contested: BTreeSet<VirtualServerId>,
    members: PerFamily<BTreeMap<SetId, BTreeMap<Entry, u32>>>,
    addresses: BTreeMap<IpAddr, u32>,
    drops: PerFamily<BTreeMap<SourceRangeDrop, u32>>,
    counting: PerFamily<usize>,
    no_local: NoLocalEndpoints,
}

impl Wanted {
    /// The rank of a Service: the one it has, where that holds still.
    pub(super) fn rank(&self, service: &Service) -> Arc<Rank> {
        let known = self.services.get(&service.name).map(|known| &known.rank);
        let holds =
            |rank: &&Arc<Rank>| (rank.unknown, rank.created, &rank.name) == service.seniority();
        known
            .filter(holds)
            .map_or_else(|| Arc::new(Rank::of(service)), Arc::clone)
    }

    /// Puts what a Service wants in the place of what it wanted.
    pub(super) fn put(&mut self, name: &ObjectName, mut new: Option<Tracked>, dirty: &mut Dirty) {
        let old = self.services.get(name);
        if let (Some(old), Some(new)) = (old, &mut new) {
            new.share(old);
        }
        let affected = compare(old, new.as_ref(), dirty);
        // What is counted alike need not be counted again: among all there is, it takes a search for each thing.
        let alike = matches!((old, &new), (Some(old), Some(new)) if old.counts_like(new));
        for id in &affected {
            self.contribute(id, Count::Down, dirty);
        }
        if let Some(new) = new.as_ref().filter(|_| !alike) {
            self.count_service(new, Count::Up, dirty);
        }
        let old = match (new, self.services.get_mut(name)) {
            (Some(new), Some(known)) => Some(mem::replace(known, new)),
            (Some(new), None) => self.services.insert(name.clone(), new),
            (None, _) => self.services.remove(name),
        };
        if let Some(old) = old.as_ref().filter(|_| !alike) {
            self.count_service(old, Count::Down, dirty);
        }
        for id in &affected {
            self.queue(id, name, old.as_ref());
            self.contribute(id, Count::Up, dirty);
            dirty.servers.insert(*id);
        }
    }

    /// Puts a Service in its place among those that claim a virtual server.
    fn queue(&mut self, id: &VirtualServerId, name: &ObjectName, old: Option<&Tracked>) {
        let new = self.services.get(name);
        let mut queue = self.claimants.remove(id).unwrap_or_default();
        if let Some(old) = old {
            queue.retain(|rank| !Arc::ptr_eq(rank, &old.rank));
        }
        if let Some(new) = new.filter(|new| !new.claims_of(id).is_empty()) {
            let at = queue.partition_point(|rank| *rank < new.rank);
            queue.insert(at, Arc::clone(&new.rank));
        }
        if queue.len() > 1 || self.among_itself(&queue, id) {
            self.contested.insert(*id);
        } else {
            self.contested.remove(id);
        }
        if !queue.is_empty() {
            queue.shrink_to_fit();
            self.claimants.insert(*id, queue);
        }
    }

    /// Whether a Service that is alone in claiming a virtual server claims it for several ports.
    fn among_itself(&self, queue: &[Arc<Rank>], id: &VirtualServerId) -> bool {
        let [only] = queue else { return false };
        let claims = self
            .services
            .get(&only.name)
            .map_or(&[][..], |t| t.claims_of(id));
        claims
            .windows(2)
            .any(|two| matches!(two, [a, b] if a.port != b.port))
    }

    /// Counts what comes with a virtual server to those who have it.
    fn contribute(&mut self, id: &VirtualServerId, count: Count, dirty: &mut Dirty) {
        let VirtualServerId::Address { address, .. } = *id else {
            return;
        };
        let family = Family::of(address);
        let Some(holder) = self.claimants.get(id).and_then(|queue| queue.first()) else {
            return;
        };
        let Some(holder) = self.services.get(&holder.name) else {
            return;
        };
        let members = self.members.get_mut(family);
        for claim in granted(holder.claims_of(id)) {
            for (set, entry) in &claim.entries {
                if count.key(members.entry(*set).or_default(), entry) {
                    dirty.note_entry(family, *set, entry);
                }
            }
            if claim
                .drop
                .is_some_and(|drop| count.key(self.drops.get_mut(family), &drop))
            {
                *dirty.rules.get_mut(family) = true;
            }
            if claim.bind && count.key(&mut self.addresses, &address) {
                dirty.addresses.insert(address);
                let entry = Entry::ip(address);
                count.key(members.entry(SetId::IpvsIps).or_default(), &entry);
                dirty.note_entry(family, SetId::IpvsIps, &entry);
            }
        }
    }

    /// Counts what a Service wants whatever else it gets.
    fn count_service(&mut self, service: &Tracked, count: Count, dirty: &mut Dirty) {
        for (family, set, entry) in &service.entries {
            let members = self.members.get_mut(*family).entry(*set).or_default();
            if count.key(members, entry) {
                dirty.note_entry(*family, *set, entry);
            }
        }
        for family in Family::ALL {
            count.number(self.counting.get_mut(family), *service.counts.get(family));
        }
        count.number(&mut self.no_local.internal, service.no_local.internal);
        count.number(&mut self.no_local.external, service.no_local.external);
    }

    /// How a virtual server should be.
    pub(super) fn server(&self, id: &VirtualServerId) -> Option<Server> {
        let holder = self.claimants.get(id)?.first()?;
        let claim = self.services.get(&holder.name)?.claims_of(id).first()?;
        Some(Server {
            id: *id,
            config: claim.config,
            destinations: Arc::clone(&claim.destinations),
        })
    }

    pub(super) fn has(&self, id: &VirtualServerId) -> bool {
        self.claimants.contains_key(id)
    }

    /// All virtual servers, in no order.
    pub(super) fn servers(&self) -> impl ExactSizeIterator<Item = &VirtualServerId> {
        self.claimants.keys()
    }

    /// The members of a set, sorted, each with how many want it.
    pub(super) fn members(&self, family: Family, set: SetId) -> &BTreeMap<Entry, u32> {
        static NONE: BTreeMap<Entry, u32> = BTreeMap::new();
        self.members.get(family).get(&set).unwrap_or(&NONE)
    }

    pub(super) fn filled(&self, family: Family, layout: Layout) -> SetIds {
        SetId::of(layout)
            .filter(|set| !self.members(family, *set).is_empty())
            .collect()
    }

    pub(super) fn drops(&self, family: Family) -> BTreeSet<SourceRangeDrop> {
        self.drops.get(family).keys().copied().collect()
    }

    pub(super) fn binds(&self, address: IpAddr) -> bool {
        self.addresses.contains_key(&address)
    }

    /// All addresses.
    pub(super) fn addresses(&self) -> impl Iterator<Item = &IpAddr> {
        self.addresses.keys()
    }

    /// Whether any Service is of a family.
    pub(super) const fn uses(&self, family: Family) -> bool {
        *self.counting.get(family) > 0
    }

    pub(super) const fn no_local(&self) -> NoLocalEndpoints {
        self.no_local
    }

    /// Claims not granted, by virtual server.
    pub(super) fn conflicts(&self) -> impl Iterator<Item = Conflict> {
        self.contested.iter().flat_map(|id| {
            let queue = self.claimants.get(id).map_or(&[][..], Vec::as_slice);
            let claims = queue.iter().flat_map(|rank| {
                let service = self.services.get(&rank.name);
                let claims = service.map_or(&[][..], |service| service.claims_of(id));
                claims.iter().map(move |claim| (&rank.name, claim))
            });
            let holder = claims.clone().next();
            claims.filter_map(move |(service, claim)| {
                let (holder, first) = holder?;
                let refused = (service, &claim.port) != (holder, &first.port);
                refused.then(|| Conflict::of(service.clone(), claim, holder.clone()))
            })
        })
    }
}

/// The virtual servers that change hands, or come with other things than before, between what a Service wanted
/// and what it wants. Those that only change themselves are noted.
fn compare(
    old: Option<&Tracked>,
    new: Option<&Tracked>,
    dirty: &mut Dirty,
) -> Vec<VirtualServerId> {
    let same_rank = match (old, new) {
        (Some(old), Some(new)) => Arc::ptr_eq(&old.rank, &new.rank),
        _ => false,
    };
    let mut affected = Vec::new();
    let before = old.map(Tracked::by_id).unwrap_or_default();
    let after = new.map(Tracked::by_id).unwrap_or_default();
    let id = |claims: &&[Claim]| claims.first().map(|claim| claim.id);
    merge(&before, &after, id, id, |before, after| {
        match (before, after) {
            (Some(before), Some(after)) if same_rank && alike(before, after) => {
                if before != after {
                    dirty.servers.extend(id(after));
                }
            }
            (Some(either), _) | (None, Some(either)) => affected.extend(id(either)),
            (None, None) => {}
        }
    });
    affected
}

/// Whether the same things come with the same virtual server.
fn alike(before: &[Claim], after: &[Claim]) -> bool {
    let with = |claim: &Claim| (claim.bind, claim.drop);
    before.len() == after.len()
        && before.iter().zip(after).all(|(one, other)| {
            with(one) == with(other) && one.port == other.port && one.entries == other.entries
        })
}

/// Of claims of one Service to one virtual server, those of the port that has it.
fn granted(claims: &[Claim]) -> impl Iterator<Item = &Claim> {
    let port = claims.first().map(|claim| &claim.port);
    claims.iter().filter(move |claim| Some(&claim.port) == port)
}

/// One more, or one less.
#[derive(Clone, Copy)]
enum Count {
    Up,
    Down,
}

impl Count {
    fn number(self, number: &mut usize, counts: bool) {
        match self {
            Self::Up => *number += usize::from(counts),
            Self::Down => *number -= usize::from(counts),
        }
    }

    /// Whether it came, or went.
    fn key<K: Ord + Clone>(self, counts: &mut BTreeMap<K, u32>, key: &K) -> bool {
        match (self, counts.get_mut(key)) {
            (Self::Up, None) => counts.insert(key.clone(), 1).is_none(),
            (Self::Up, Some(count)) => {
                *count += 1;
                false
            }
            (Self::Down, Some(count)) if *count > 1 => {
                *count -= 1;
                false
            }
            (Self::Down, _) => counts.remove(key).is_some(),
        }
    }
}
