//! What is unsafe to do once something else has failed.

use std::collections::HashMap;
use std::net::IpAddr;

use ipset_netlink::SetName;
use ipvs_netlink::VirtualServerId;

use super::guard_tables::TableGuard;
use crate::cluster::{Family, ObjectName, PerFamily};
use crate::layout::{Reach, SetId};
use crate::plan::{Dependents, Operation, Phase, Plan};
use crate::settings::Sysctl;

/// Watches a plan being carried out: finds the operations that must be left for the next plan, since one that they
/// depend on failed.
///
/// - Without its set members or the rules that it needs no virtual server is added, and without a virtual server
///   neither its destinations nor its address. Nor is an address bound for virtual servers that are there already.
///   Rules that match a set are needed by its members, all others by all virtual servers of the family: while
///   a change of the former is not made, virtual servers that have their rules already come and go.
/// - While an address cannot be unbound, or gets no new virtual server, its old one stays; while a
///   virtual server cannot be deleted, its set members and rules stay, and so do the sets; while a set member
///   stays, so do the rules; and without new rules old ones and their members stay.
/// - In iptables mode a change of what all Services share comes before those of the Services and before new ways to their
///   rules, and each change of a Service before its next one; no Service waits for another.
/// - No packet gets a mark whose virtual server could not be added, or keeps destinations that it was to lose, perhaps those of
///   another Service; and while an address keeps a mark that it was to lose, no virtual server by mark is added, changed or
///   deleted.
/// - No element of nf_tables comes before its virtual server, and no virtual server goes before its elements.
#[derive(Debug, Default)]
pub struct Guard {
    /// Whether anything failed: until then nothing is unsafe.
    any_failed: bool,
    link: Option<usize>,
    sets: HashMap<SetName, usize>,
    reaches: HashMap<Reach, usize>,
    /// Addresses that members of sets, or rules for them, are missing for.
    bare: HashMap<IpAddr, usize>,
    /// Changes of rules.
    rules: PerFamily<Option<usize>>,
    /// Those of them that all virtual servers need.
    foundations: PerFamily<Option<usize>>,
    trims: PerFamily<Option<usize>>,
    /// Changes that take marks away.
    marked: PerFamily<Option<usize>>,
    /// Services whose rules could not be changed.
    services: PerFamily<HashMap<ObjectName, usize>>,
    servers: HashMap<VirtualServerId, usize>,
    addresses: HashMap<IpAddr, usize>,
    /// How many virtual servers are being added at an address, where any is.
    adding: HashMap<IpAddr, usize>,
    /// What members come in with a set that is made to be swapped.
    swapped_in: HashMap<SetName, Vec<Reach>>,
    unbinding: HashMap<IpAddr, usize>,
    retiring: PerFamily<Option<usize>>,
    tables: TableGuard,
}

impl Guard {
    /// A guard for a plan.
    #[must_use]
    pub fn new(plan: &Plan) -> Self {
        let mut guard = Self::default();
        for (_, operation) in plan.iter() {
            match operation {
                Operation::AddServer {
                    id: VirtualServerId::Address { address, .. },
                    ..
                } => {
                    *guard.adding.entry(*address).or_default() += 1;
                }
                Operation::AddEntry { set, entry } => {
                    let swapped = SetId::owner(set).filter(|(of, id)| id.swap_name(*of) == *set);
                    if let Some(reach) = swapped.and_then(|(_, id)| Reach::of_entry(id, entry)) {
                        guard.swapped_in.entry(*set).or_default().push(reach);
                    }
                }
                _ => {}
            }
        }
        guard
    }

    /// The position of the failed operation that this one must not follow, if there is one.
    #[must_use]
    pub fn blocked(&self, phase: Phase, operation: &Operation) -> Option<usize> {
        if !self.any_failed {
            return None;
        }
        let of_tables = || self.tables.blocked(phase, operation, &self.servers);
        self.blocked_without_tables(phase, operation)
            .or_else(of_tables)
    }

    fn blocked_without_tables(&self, phase: Phase, operation: &Operation) -> Option<usize> {
        match operation {
            Operation::AddEntry { set, entry } => self
                .sets
                .get(set)
                .copied()
                .or_else(|| self.reached(phase, *set, entry)),
            Operation::DeleteEntry { set, entry } => self
                .sets
                .get(set)
                .copied()
                .or_else(|| self.reached(phase, *set, entry))
                .or_else(|| {
                    // Until the rules are there that take its place.
                    let (family, _) = SetId::owner(set).filter(|_| phase == Phase::Settle)?;
                    *self.rules.get(family)
                }),
            Operation::SwapSets { set, with } => {
                self.sets.get(with).or_else(|| self.sets.get(set)).copied()
            }
            Operation::DestroySet(set) => {
                let trimmed = SetId::owner(set).and_then(|(family, _)| *self.trims.get(family));
                self.sets.get(set).copied().or(trimmed)
            }
            Operation::RestoreRules(change) if !change.services.is_empty() => {
                let failed = self.services.get(change.family);
                let mut services = change.services.iter();
                let own = services.find_map(|name| failed.get(name).copied());
                own.or(*self.rules.get(change.family))
            }
            Operation::RestoreRules(change)
                if change.dependents == Dependents::Marks && phase != Phase::Fill =>
            {
                self.tables
                    .unready_mark(change.family)
                    .or(*self.marked.get(change.family))
            }
            // The Services were left as they were: a new way must not lead to their old rules.
            Operation::RestoreRules(change) if change.dependents == Dependents::Ways => {
                *self.rules.get(change.family)
            }
            Operation::RestoreRules(change) if phase == Phase::Trim => {
                let rules = *self.rules.get(change.family);
                rules.or(*self.retiring.get(change.family))
            }
            // Loopback addresses must not be reachable from elsewhere before a rule keeps others away.
            Operation::SetSysctl {
                sysctl: Sysctl::RouteLocalnet,
                value: 1,
                ..
            } => self.rules.v4,
            Operation::AddServer { id, .. } => {
                let rules = *self.foundations.get(id.family());
                let marked = || self.still_marked(id);
                rules
                    .or_else(marked)
                    .or_else(|| Reach::of_server(id).find_map(|r| self.reaches.get(&r).copied()))
            }
            Operation::AddDestination { server, .. } | Operation::SetDestination { server, .. } => {
                let marked = || self.still_marked(server).filter(|_| phase == Phase::Serve);
                self.servers.get(server).copied().or_else(marked)
            }
            Operation::BindAddress(address) => {
                // Virtual servers that were there before are reached by it as well.
                let bare = || self.bare.get(address).copied();
                let rules = *self.foundations.get(Family::of(*address));
                self.link.or(rules).or_else(bare).or_else(|| {
                    let none_added = self.adding.get(address) == Some(&0);
                    self.addresses.get(address).copied().filter(|_| none_added)
                })
            }
            Operation::DeleteServer(VirtualServerId::Address { address, .. }) => {
                // Nor may the last virtual server of an address go whose successor could not be added.
                self.unbinding
                    .get(address)
                    .or_else(|| self.addresses.get(address))
                    .copied()
            }
            Operation::DeleteServer(id) => self.still_marked(id),
            _ => None,
        }
    }

    /// Packets of a range that is to go may still get the mark.
    fn still_marked(&self, id: &VirtualServerId) -> Option<usize> {
        match id {
            VirtualServerId::FirewallMark { family, .. } => *self.marked.get(*family),
            VirtualServerId::Address { .. } => None,
        }
    }

    /// Notes that an operation was not carried out.
    pub fn failed(&mut self, index: usize, phase: Phase, operation: &Operation) {
        self.any_failed = true;
        self.tables.failed(index, phase, operation);
        match operation {
            // That rule stays while they are.
            Operation::SetSysctl {
                sysctl: Sysctl::RouteLocalnet,
                value: 0,
                ..
            } => self.retiring.v4 = Some(index),
            Operation::CreateLink => self.link = Some(index),
            Operation::CreateSet(spec) => {
                self.sets.insert(spec.name, index);
            }
            Operation::AddEntry { set, entry } if phase == Phase::Fill => {
                // A set made for swapping must not be swapped in incomplete.
                if let Some((family, id)) = SetId::owner(set) {
                    if id.swap_name(family) == *set {
                        self.sets.insert(*set, index);
                    }
                    self.missing(index, Reach::of_entry(id, entry));
                }
            }
            Operation::DeleteEntry { set, .. } if phase == Phase::Settle => {
                // What it is there for still needs the rule that goes with it.
                if let Some((family, _)) = SetId::owner(set) {
                    *self.retiring.get_mut(family) = Some(index);
                }
            }
            Operation::SwapSets { set, with } => {
                self.sets.insert(*set, index);
                let missing = self.swapped_in.remove(with).unwrap_or_default();
                self.missing(index, missing);
            }
            Operation::RestoreRules(change) if !change.services.is_empty() => {
                let services = change.services.iter().cloned();
                let failed = self.services.get_mut(change.family);
                failed.extend(services.map(|name| (name, index)));
            }
            Operation::RestoreRules(change) => match phase {
                Phase::Fill if change.dependents == Dependents::Marks => {
                    *self.marked.get_mut(change.family) = Some(index);
                }
                _ if change.dependents == Dependents::Marks => {}
                Phase::Trim => *self.trims.get_mut(change.family) = Some(index),
                _ => {
                    *self.rules.get_mut(change.family) = Some(index);
                    match &change.dependents {
                        Dependents::All => *self.foundations.get_mut(change.family) = Some(index),
                        Dependents::At(reaches) => self.missing(index, reaches.iter().copied()),
                        Dependents::Marks | Dependents::Ways => {}
                    }
                }
            },
            Operation::AddServer { id, .. } => {
                self.servers.insert(*id, index);
                if let VirtualServerId::Address { address, .. } = id {
                    self.addresses.insert(*address, index);
                    if let Some(adding) = self.adding.get_mut(address) {
                        *adding -= 1;
                    }
                }
            }
            Operation::UnbindAddress(address) => {
                self.unbinding.insert(address.ip(), index);
            }
            Operation::DeleteDestination { server: id, .. }
            | Operation::SetDestination { server: id, .. }
                if phase == Phase::Retire =>
            {
                self.reaches
                    .extend(Reach::of_server(id).map(|reach| (reach, index)));
            }
            Operation::DeleteServer(id) => {
                *self.retiring.get_mut(id.family()) = Some(index);
                self.reaches
                    .extend(Reach::of_server(id).map(|reach| (reach, index)));
            }
            _ => {}
        }
    }

    /// Notes that members of sets, or rules for them, are missing.
    fn missing(&mut self, index: usize, members: impl IntoIterator<Item = Reach>) {
        for reach in members {
            self.reaches.insert(reach, index);
            if let Reach::Address(_, address, _) = reach {
                self.bare.insert(address, index);
            }
        }
    }

    /// Whether the virtual server of a member could not be deleted (then the member stays), or could not
    /// lose its destinations elsewhere (then it is not exempted).
    fn reached(&self, phase: Phase, set: SetName, entry: &ipset_netlink::Entry) -> Option<usize> {
        let (_, id) = SetId::owner(&set).filter(|_| phase == Phase::Settle)?;
        Reach::of_entry(id, entry).and_then(|reach| self.reaches.get(&reach).copied())
    }
}
