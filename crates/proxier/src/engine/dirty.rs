//! What may differ between what is wanted of the kernel and what is believed of it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipset_netlink::{Entry, SetName};
use ipvs_netlink::VirtualServerId;

use crate::cluster::{Family, PerFamily};
use crate::layout::{SetId, SetIds};
use crate::plan::{Operation, Plan};

/// The names of what has to be looked at. All that differs is among them; what is among them need not differ.
#[derive(Debug, Default)]
pub(super) struct Dirty {
    pub(super) servers: BTreeSet<VirtualServerId>,
    /// Members of sets.
    pub(super) entries: PerFamily<BTreeMap<SetId, BTreeSet<Entry>>>,
    /// Sets to be looked at whole, with those made for swapping and those of another layout.
    pub(super) sets: PerFamily<SetIds>,
    pub(super) addresses: BTreeSet<IpAddr>,
    pub(super) rules: PerFamily<bool>,
}

impl Dirty {
    /// What a plan is about.
    pub(super) fn of(plan: &Plan) -> Self {
        let mut dirty = Self::default();
        for (_, operation) in plan.iter() {
            dirty.note(operation);
        }
        dirty
    }

    /// All sets and rules, which say more by themselves than by their members.
    pub(super) fn note_structure(&mut self, family: Family) {
        *self.sets.get_mut(family) = SetId::ALL.into_iter().collect();
        *self.rules.get_mut(family) = true;
    }

    /// That of both families.
    pub(super) fn note_all_structure(&mut self) {
        Family::ALL
            .into_iter()
            .for_each(|family| self.note_structure(family));
    }

    /// What an operation is about.
    pub(super) fn note(&mut self, operation: &Operation) {
        match operation {
            Operation::CreateSet(spec) => self.note_set(&spec.name),
            Operation::SwapSets { set, .. } | Operation::DestroySet(set) => self.note_set(set),
            Operation::AddEntry { set, entry } | Operation::DeleteEntry { set, entry } => {
                self.note_member(set, entry);
            }
            Operation::RestoreRules(change) => *self.rules.get_mut(change.family) = true,
            Operation::AddServer { id, .. }
            | Operation::SetServer { id, .. }
            | Operation::DeleteServer(id)
            | Operation::AddDestination { server: id, .. }
            | Operation::SetDestination { server: id, .. }
            | Operation::DeleteDestination { server: id, .. } => {
                // Those of one virtual server come one after the other.
                if self.servers.last() != Some(id) {
                    self.servers.insert(*id);
                }
            }
            Operation::BindAddress(address) => {
                self.addresses.insert(*address);
            }
            Operation::UnbindAddress(bound) => {
                self.addresses.insert(bound.ip());
            }
            // Looked at each time.
            Operation::SetSysctl { .. }
            | Operation::SetTimeouts(_)
            | Operation::CreateLink
            | Operation::DeleteLink => {}
        }
    }

    pub(super) fn note_entry(&mut self, family: Family, set: SetId, entry: &Entry) {
        // Those of a set to be looked at whole are found there.
        if !self.sets.get(family).contains(set) {
            let sets = self.entries.get_mut(family);
            sets.entry(set).or_default().insert(entry.clone());
        }
    }

    fn note_set(&mut self, name: &SetName) {
        if let Some((family, id)) = SetId::owner(name) {
            self.sets.get_mut(family).insert(id);
        }
    }

    fn note_member(&mut self, name: &SetName, entry: &Entry) {
        if let Some((family, id)) = SetId::owner(name) {
            self.note_entry(family, id, entry);
        }
    }
}
