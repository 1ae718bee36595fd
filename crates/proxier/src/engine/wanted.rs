//! What Services want of the kernel, and which of them gets it.

mod count;
mod ports;

use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};
use std::sync::Arc;

use ipset_netlink::Entry as Member;
use ipvs_netlink::{DestinationId, VirtualServerId};

use self::count::Count;
use super::dirty::Dirty;
use super::queue::{Claimant, Queue};
use super::tracked::{Rank, Tracked, compare, granted};
use crate::cluster::{Family, ObjectName, PerFamily, Service};
use crate::conflict::Conflict;
use crate::desired::Server;
use crate::hash::HashMap;
use crate::health::NoLocalEndpoints;
use crate::layout::nftables::{Element, NodePort};
use crate::layout::{Layout, RangeRule, SetId, SetIds, SourceRangeDrop};

/// All that Services want, each with the number of Services that want it.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    services: HashMap<ObjectName, Tracked>,
    /// The Services that claim a virtual server, the senior first.
    claimants: HashMap<VirtualServerId, Queue>,
    /// Virtual servers that several Services or ports claim, of which one gets it.
    contested: BTreeSet<VirtualServerId>,
    /// Claims refused whoever else claims the same, by Service.
    refused: BTreeMap<ObjectName, Box<[Conflict]>>,
    members: PerFamily<BTreeMap<SetId, BTreeMap<Member, u32>>>,
    /// Elements of tables of nf_tables. Of several of one key, the first is in the table.
    elements: PerFamily<BTreeMap<Element, u32>>,
    /// Those that depend on no Service, sorted.
    node_elements: PerFamily<Vec<Element>>,
    addresses: BTreeMap<IpAddr, u32>,
    drops: PerFamily<BTreeMap<SourceRangeDrop, u32>>,
    ranges: PerFamily<BTreeMap<RangeRule, u32>>,
    counting: PerFamily<usize>,
    no_local: PerFamily<NoLocalEndpoints>,
    /// Virtual servers that no Service wants any more.
    abandoned: Vec<VirtualServerId>,
    /// Whether claims are rules of iptables mode, and not virtual servers.
    of_rules: bool,
}

impl Wanted {
    /// Makes room for so many Services, should they all be new.
    pub(super) fn expect(&mut self, services: usize) {
        let more = services.saturating_sub(self.services.len());
        self.services.reserve(more);
        self.claimants.reserve(more);
    }

    /// Whether Services are virtual servers of IPVS, or rules.
    pub(super) const fn set_layout(&mut self, layout: Layout) {
        self.of_rules = !layout.uses_ipvs();
    }

    /// The rank of a Service: the one it has, where that holds still.
    pub(super) fn rank(&self, service: &Service) -> Arc<Rank> {
        match self.services.get(&service.name) {
            Some(known) if known.rank.holds(service) => Arc::clone(&known.rank),
            _ => Arc::new(Rank::of(service)),
        }
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
        match new.as_mut().map(|new| mem::take(&mut new.refused)) {
            Some(refused) if !refused.is_empty() => {
                self.refused.insert(name.clone(), refused);
            }
            _ if self.refused.is_empty() => {}
            _ => drop(self.refused.remove(name)),
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
            dirty.note_server(*id);
        }
    }

    /// Puts a Service in its place among those that claim a virtual server.
    fn queue(&mut self, id: &VirtualServerId, name: &ObjectName, old: Option<&Tracked>) {
        let new = self.services.get(name).and_then(|new| {
            let first = new.claims_of(id).first()?;
            Some(Claimant {
                precedence: first.precedence(),
                rank: Arc::clone(&new.rank),
            })
        });
        let queue = match self.claimants.remove(id) {
            Some(queue) => queue.with(old.map(|old| &old.rank), new),
            None => new.map(Queue::One),
        };
        let contested = match &queue {
            None => false,
            Some(Queue::One(only)) => self.among_itself(&only.rank, id),
            Some(Queue::Many(_)) => true,
        };
        if contested {
            self.contested.insert(*id);
        } else {
            self.contested.remove(id);
        }
        match queue {
            Some(queue) => drop(self.claimants.insert(*id, queue)),
            None if self.of_rules => {}
            None => self.abandoned.push(*id),
        }
    }

    /// Virtual servers that no Service wanted at some time since the last call.
    pub(super) fn take_abandoned(&mut self) -> Vec<VirtualServerId> {
        mem::take(&mut self.abandoned)
    }

    /// Whether a Service that is alone in claiming a virtual server claims it for several ports.
    fn among_itself(&self, only: &Rank, id: &VirtualServerId) -> bool {
        let claims = self
            .services
            .get(&only.name)
            .map_or(&[][..], |t| t.claims_of(id));
        claims
            .windows(2)
            .any(|two| matches!(two, [a, b] if a.port != b.port))
    }

    /// Counts what comes with a virtual server for the Service that has it.
    fn contribute(&mut self, id: &VirtualServerId, count: Count, dirty: &mut Dirty) {
        let VirtualServerId::Address { address, .. } = *id else {
            return;
        };
        let family = Family::of(address);
        let first = self
            .claimants
            .get(id)
            .and_then(|queue| queue.claimants().first());
        let Some(holder) = first.and_then(|first| self.services.get(&first.rank.name)) else {
            return;
        };
        let members = self.members.get_mut(family);
        for claim in granted(holder.claims_of(id)) {
            for (set, entry) in &claim.entries {
                if count.key(members.entry(*set).or_default(), entry) {
                    dirty.note_entry(family, *set, entry);
                }
            }
            if claim.rules().is_some() {
                dirty.note_service(family, &holder.rank.name);
            }
            for element in claim.elements() {
                if count.key(self.elements.get_mut(family), element) {
                    dirty.note_element(family, element);
                }
            }
            if let Some(range) = claim.marked() {
                let rule = RangeRule::Marked(range.clone());
                if count.key(self.ranges.get_mut(family), &rule) {
                    *dirty.rules.get_mut(family) = true;
                }
            }
            if claim
                .drop()
                .is_some_and(|drop| count.key(self.drops.get_mut(family), &drop))
            {
                *dirty.rules.get_mut(family) = true;
            }
            if claim.bind && count.key(&mut self.addresses, &address) {
                dirty.note_address(address);
                let entry = Member::ip(address);
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
        for (family, element) in &service.elements {
            if count.key(self.elements.get_mut(*family), element) {
                dirty.note_element(*family, element);
            }
        }
        for (family, rule) in &service.ranges {
            if count.key(self.ranges.get_mut(*family), rule) {
                *dirty.rules.get_mut(*family) = true;
            }
        }
        for family in Family::ALL {
            count.number(self.counting.get_mut(family), *service.counts.get(family));
            let counted = self.no_local.get_mut(family);
            let no_local = service.no_local.get(family);
            count.number(&mut counted.internal, no_local.internal);
            count.number(&mut counted.external, no_local.external);
        }
    }

    /// Sets the elements of a family that depend on no Service, sorted.
    pub(super) fn set_node_elements(
        &mut self,
        family: Family,
        elements: Vec<Element>,
        dirty: &mut Dirty,
    ) {
        let before = mem::replace(self.node_elements.get_mut(family), elements);
        let all = self.elements.get_mut(family);
        for (elements, count) in [
            (self.node_elements.get(family), Count::Up),
            (&before, Count::Down),
        ] {
            for element in elements {
                if count.key(all, element) {
                    dirty.note_element(family, element);
                }
            }
        }
    }

    /// The element of a key that is in the table, if any is.
    pub(super) fn element(&self, family: Family, key: &Element) -> Option<Element> {
        let mut from = self.elements.get(family).range(key..);
        let (first, _) = from.next()?;
        (first.key() == *key).then_some(*first)
    }

    /// The endpoints of a node port at loopback addresses, by slot.
    pub(super) fn loopback_endpoints(&self, port: NodePort) -> impl Iterator<Item = DestinationId> {
        let nowhere = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0);
        let first = Element::LoopbackEndpoint(port, 0, nowhere);
        let elements = self.elements.get(Family::V4).range(first..);
        elements.map_while(move |(element, _)| match element {
            Element::LoopbackEndpoint(of, _, to) if *of == port => Some(DestinationId {
                address: (*to.ip()).into(),
                port: to.port(),
            }),
            _ => None,
        })
    }

    /// Whether any Service of a family chooses the address that it is masqueraded with.
    pub(super) fn chooses_masquerade_addresses(&self, family: Family) -> bool {
        let all = self.elements.get(family);
        let first = all.range(Element::FIRST_OPTIONAL..).next();
        first.is_some_and(|(element, _)| element.set().is_optional())
    }

    /// All elements that are in a table, sorted.
    pub(super) fn elements(&self, family: Family) -> Vec<Element> {
        let mut all: Vec<_> = self.elements.get(family).keys().copied().collect();
        all.dedup_by_key(|element| element.key());
        all
    }

    /// What a Service wants.
    pub(super) fn service(&self, name: &ObjectName) -> Option<&Tracked> {
        self.services.get(name)
    }

    /// What the Service wants that has a virtual server.
    pub(super) fn holder(&self, id: &VirtualServerId) -> Option<&Tracked> {
        let first = self.claimants.get(id)?.claimants().first()?;
        self.services.get(&first.rank.name)
    }

    /// How a virtual server should be.
    pub(super) fn server(&self, id: &VirtualServerId) -> Option<Server> {
        if self.of_rules {
            return None;
        }
        let claim = self.holder(id)?.claims_of(id).first()?;
        Some(Server {
            id: *id,
            config: claim.config,
            destinations: Arc::clone(&claim.destinations),
            drain: claim.drain.clone(),
        })
    }

    pub(super) fn has(&self, id: &VirtualServerId) -> bool {
        !self.of_rules && self.claimants.contains_key(id)
    }

    /// All virtual servers, in no order.
    pub(super) fn servers(&self) -> impl ExactSizeIterator<Item = &VirtualServerId> {
        let count = if self.of_rules { 0 } else { usize::MAX };
        self.claimants.keys().take(count)
    }

    /// The members of a set, sorted, each with how many want it.
    pub(super) fn members(&self, family: Family, set: SetId) -> &BTreeMap<Member, u32> {
        static NONE: BTreeMap<Member, u32> = BTreeMap::new();
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

    /// Ranges of ports, in layouts with ipset.
    pub(super) fn ranges(&self, family: Family) -> BTreeSet<RangeRule> {
        self.ranges.get(family).keys().cloned().collect()
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

    pub(super) const fn no_local(&self) -> PerFamily<NoLocalEndpoints> {
        self.no_local
    }

    /// Claims not granted: by virtual server those that another Service has, then those refused whoever else claims
    /// the same.
    pub(super) fn conflicts(&self) -> impl Iterator<Item = Conflict> {
        let contested = self.contested.iter().flat_map(|id| {
            let queue = self.claimants.get(id).map_or(&[][..], Queue::claimants);
            let claims = queue.iter().flat_map(|claimant| {
                let service = self.services.get(&claimant.rank.name);
                let claims = service.map_or(&[][..], |service| service.claims_of(id));
                claims.iter().map(move |claim| (&claimant.rank.name, claim))
            });
            let holder = claims.clone().next();
            claims.filter_map(move |(service, claim)| claim.refused_by(service, holder?))
        });
        contested.chain(self.refused.values().flatten().cloned())
    }
}
