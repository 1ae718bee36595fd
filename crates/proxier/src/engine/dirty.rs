//! What may differ between the wanted and the last-applied state.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::net::IpAddr;

use ipset_netlink::{Entry, SetName};
use ipvs_netlink::VirtualServerId;

use crate::cluster::{Family, ObjectName, PerFamily};
use crate::layout::nftables::Element;
use crate::layout::{SetId, SetIds};
use crate::plan::{Operation, Plan};

/// The names of what has to be compared. All that differs is among them; what is among them need not differ.
#[derive(Debug, Default)]
pub(super) struct Dirty {
    /// Whether all will be compared anyway, so that nothing of it need be noted.
    pub(super) all: bool,
    pub(super) servers: BTreeSet<VirtualServerId>,
    /// Members of sets.
    pub(super) entries: PerFamily<BTreeMap<SetId, BTreeSet<Entry>>>,
    /// Sets to be compared whole, with those made for swapping and those of another layout.
    pub(super) sets: PerFamily<SetIds>,
    /// Keys of elements of nf_tables.
    pub(super) elements: PerFamily<BTreeSet<Element>>,
    /// Tables of nf_tables to be compared whole.
    pub(super) tables: PerFamily<bool>,
    pub(super) addresses: BTreeSet<IpAddr>,
    pub(super) rules: PerFamily<bool>,
    /// Services whose rules have to be compared, in iptables mode.
    pub(super) services: PerFamily<BTreeSet<ObjectName>>,
}

impl Dirty {
    /// What a plan is about.
    pub(super) fn of(plan: &Plan) -> Self {
        let mut dirty = Self::default();
        let mut servers: Vec<VirtualServerId> = Vec::new();
        let mut last_set: Option<(&SetName, Option<(Family, SetId)>)> = None;
        for (_, operation) in plan.iter() {
            // Those of one virtual server come one after the other, and so do those of one set.
            match (operation.server(), operation) {
                (Some(id), _) if servers.last() == Some(id) => {}
                (Some(id), _) => servers.push(*id),
                (
                    None,
                    Operation::AddEntry { set, entry } | Operation::DeleteEntry { set, entry },
                ) => {
                    let (_, owner) = match last_set {
                        Some(known) if known.0 == set => known,
                        _ => *last_set.insert((set, SetId::owner(set))),
                    };
                    if let Some((family, id)) = owner {
                        dirty.note_entry(family, id, entry);
                    }
                }
                (None, _) => dirty.note(operation),
            }
        }
        dirty.servers = servers.into_iter().collect();
        dirty
    }

    /// Takes in what else may differ.
    pub(super) fn append(&mut self, mut other: Self) {
        self.all |= other.all;
        self.servers.append(&mut other.servers);
        self.addresses.append(&mut other.addresses);
        for family in Family::ALL {
            let sets = self.sets.get_mut(family);
            *sets = *sets | *other.sets.get(family);
            *self.tables.get_mut(family) |= *other.tables.get(family);
            *self.rules.get_mut(family) |= *other.rules.get(family);
            let entries = self.entries.get_mut(family);
            for (set, mut members) in mem::take(other.entries.get_mut(family)) {
                entries.entry(set).or_default().append(&mut members);
            }
            let elements = self.elements.get_mut(family);
            elements.append(other.elements.get_mut(family));
            let services = self.services.get_mut(family);
            services.append(other.services.get_mut(family));
        }
    }

    /// Whether an address or a set's member is among it: by these the proxy's virtual servers are recognized.
    pub(super) fn may_change_ownership(&self) -> bool {
        let members = |family| {
            let (entries, sets) = (self.entries.get(family), self.sets.get(family));
            !entries.is_empty() || !sets.is_empty()
        };
        !self.addresses.is_empty() || Family::ALL.into_iter().any(members)
    }

    /// All sets and rules of a family, as a whole.
    pub(super) fn note_structure(&mut self, family: Family) {
        *self.sets.get_mut(family) = SetId::ALL.into_iter().collect();
        *self.rules.get_mut(family) = true;
        *self.tables.get_mut(family) = true;
    }

    /// That of both families.
    pub(super) fn note_all_structure(&mut self) {
        Family::ALL
            .into_iter()
            .for_each(|family| self.note_structure(family));
    }

    pub(super) fn note_server(&mut self, id: VirtualServerId) {
        if !self.all {
            self.servers.insert(id);
        }
    }

    pub(super) fn note_address(&mut self, address: IpAddr) {
        if !self.all {
            self.addresses.insert(address);
        }
    }

    /// What an operation is about.
    pub(super) fn note(&mut self, operation: &Operation) {
        match operation {
            Operation::CreateSet(spec) => self.note_set(&spec.name),
            Operation::SwapSets { set, .. } | Operation::DestroySet(set) => self.note_set(set),
            Operation::AddEntry { set, entry } | Operation::DeleteEntry { set, entry } => {
                self.note_member(set, entry);
            }
            Operation::RestoreRules(change) if change.services.is_empty() => {
                *self.rules.get_mut(change.family) = true;
            }
            Operation::RestoreRules(change) => {
                let services = self.services.get_mut(change.family);
                services.extend(change.services.iter().cloned());
            }
            Operation::BindAddress(address) => self.note_address(*address),
            Operation::UnbindAddress(bound) => self.note_address(bound.ip()),
            Operation::AddServer { .. }
            | Operation::SetServer { .. }
            | Operation::DeleteServer(_)
            | Operation::AddDestination { .. }
            | Operation::SetDestination { .. }
            | Operation::DeleteDestination { .. } => {
                operation
                    .server()
                    .into_iter()
                    .for_each(|id| self.note_server(*id));
            }
            Operation::WriteTable(write) => {
                let family = write.rules.family;
                *self.rules.get_mut(family) = true;
                *self.tables.get_mut(family) = true;
            }
            Operation::AddTablePart(part) | Operation::DeleteTablePart(part) => {
                *self.rules.get_mut(part.family) = true;
            }
            Operation::AddElement { family, element }
            | Operation::ChangeElement {
                family, element, ..
            }
            | Operation::DeleteElement { family, element } => self.note_element(*family, element),
            // Looked at each time.
            Operation::DeleteTable(_)
            | Operation::AddRoutingRule(_)
            | Operation::DeleteRoutingRule(_)
            | Operation::AddRoute(_)
            | Operation::DeleteRoute(_)
            | Operation::SetSysctl { .. }
            | Operation::SetTimeouts(_)
            | Operation::CreateLink
            | Operation::DeleteLink => {}
        }
    }

    pub(super) fn note_entry(&mut self, family: Family, set: SetId, entry: &Entry) {
        // Those of a set to be compared whole are found there.
        if !self.all && !self.sets.get(family).contains(set) {
            let sets = self.entries.get_mut(family);
            sets.entry(set).or_default().insert(entry.clone());
        }
    }

    pub(super) fn note_element(&mut self, family: Family, element: &Element) {
        if !self.all && !*self.tables.get(family) {
            self.elements.get_mut(family).insert(element.key());
            // With the first and the last of them the table changes too.
            *self.rules.get_mut(family) |= element.set().is_optional();
        }
    }

    /// The rules of a Service, in iptables mode.
    pub(super) fn note_service(&mut self, family: Family, name: &ObjectName) {
        let services = self.services.get_mut(family);
        if !self.all && !services.contains(name) {
            services.insert(name.clone());
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
