//! The last-applied state: the kernel as it was last observed, and as plans have changed it since.

mod edits;
mod seen;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use dummy_link::host_address;
use ipnetwork::IpNetwork;
use ipset_netlink::{Entry, SetName, SetSpec};
use ipvs_netlink::{
    Connections, Destination, DestinationId, Timeouts, VirtualServerConfig, VirtualServerId,
};

use self::edits::Edits;
use super::rules::{AppliedRules, Taken};
use super::tables::AppliedTable;
use crate::cluster::PerFamily;
use crate::desired::Server;
use crate::hash::HashMap;
use crate::layout::nftables::Routing;
use crate::observed::Observed;
use crate::plan::Operation;
use crate::settings::{Sysctl, timeouts_after};

#[derive(Debug)]
pub(super) struct LastApplied {
    pub(super) servers: HashMap<VirtualServerId, AppliedServer>,
    pub(super) sets: BTreeMap<SetName, AppliedSet>,
    pub(super) rules: PerFamily<AppliedRules>,
    pub(super) tables: PerFamily<Option<AppliedTable>>,
    pub(super) routing: Routing,
    /// Of the proxy's link; `None` while there is no such link.
    pub(super) addresses: Option<BTreeSet<IpNetwork>>,
    pub(super) sysctls: BTreeMap<Sysctl, i64>,
    pub(super) timeouts: Timeouts,
    /// Of destinations in doubt, each in its server's order, until something is done.
    connections: HashMap<VirtualServerId, Vec<Connections>>,
    /// Destinations of weight 0 that were seen without connections, and so get none any more: if deleting one fails, it
    /// can be tried again without another look.
    idle: HashMap<VirtualServerId, Vec<DestinationId>>,
}

#[derive(Debug)]
pub(super) struct AppliedServer {
    pub(super) config: VirtualServerConfig,
    /// Sorted. Where they are as wanted it is the very list that is wanted.
    pub(super) destinations: Arc<[Destination]>,
}

#[derive(Debug)]
pub(super) struct AppliedSet {
    pub(super) spec: SetSpec,
    pub(super) entries: BTreeSet<Entry>,
}

impl LastApplied {
    /// Takes over an observation, except for virtual servers (there will be so many of them) and others' sets.
    pub(super) fn new(observed: &Observed, servers: usize, own: impl Fn(&SetName) -> bool) -> Self {
        let sets = observed.sets.iter().filter(|(name, _)| own(name));
        let sets = sets.map(|(name, set)| {
            let (spec, entries) = (set.spec.clone(), set.entries.iter().cloned().collect());
            (*name, AppliedSet { spec, entries })
        });
        let mut kept = HashMap::default();
        kept.reserve(servers.max(observed.servers.len()));
        Self {
            servers: kept,
            sets: sets.collect(),
            rules: PerFamily::from_fn(|family| {
                AppliedRules::new(observed.rules.get(family).clone())
            }),
            tables: PerFamily::from_fn(|family| {
                let table = observed.tables.get(family).as_ref();
                table.map(AppliedTable::of)
            }),
            routing: observed.routing.clone(),
            addresses: observed
                .addresses
                .as_ref()
                .map(|bound| bound.iter().copied().collect()),
            sysctls: observed.sysctls.clone(),
            timeouts: observed.timeouts,
            connections: HashMap::default(),
            idle: HashMap::default(),
        }
    }

    /// What of an address is bound, with whatever prefix length.
    pub(super) fn bound(&self, address: IpAddr) -> impl Iterator<Item = IpNetwork> {
        // Networks are ordered by address first.
        let from = IpNetwork::new(address, 0).unwrap_or(host_address(address));
        let bound = self.addresses.iter().flat_map(move |all| all.range(from..));
        bound
            .copied()
            .take_while(move |bound| bound.ip() == address)
    }

    /// Applies operations that were carried out. `wanted` gives how a virtual server should be, and `changed` is given it with the
    /// destinations that it has from then on.
    ///
    /// Each has the effect that [`MemoryKernel::perform`](crate::MemoryKernel::perform) has, which keeps its state in
    /// another form; the test `operations_have_one_effect_in_both` holds the two together.
    pub(super) fn take<'a>(
        &mut self,
        done: impl Iterator<Item = &'a Operation>,
        wanted: impl Fn(&VirtualServerId) -> Option<Server>,
        mut changed: impl FnMut(&VirtualServerId, &[Destination], Option<&Server>),
    ) {
        self.forget_connections();
        let mut edits = Vec::new();
        let mut rules = Taken::default();
        let mut added: Option<(&SetName, Vec<&Entry>)> = None;
        for operation in done {
            if let Operation::AddEntry { set, entry } = operation {
                match &mut added {
                    Some((of, entries)) if *of == set => entries.push(entry),
                    _ => self.entries(added.replace((set, vec![entry]))),
                }
                continue;
            }
            self.entries(added.take());
            match operation {
                Operation::AddDestination { server, .. }
                | Operation::SetDestination { server, .. }
                | Operation::DeleteDestination { server, .. } => edits.push((server, operation)),
                Operation::RestoreRules(change) => rules.note(change),
                Operation::AddServer { .. } | Operation::DeleteServer(_) => {
                    self.edit(&mut edits, &wanted, &mut changed);
                    self.take_one(operation);
                }
                other => self.take_one(other),
            }
        }
        rules.apply(&mut self.rules);
        self.entries(added);
        self.edit(&mut edits, &wanted, &mut changed);
    }

    /// Takes in what was done to destinations: all of one virtual server at once, though an endpoint that takes another's place is
    /// added in one phase of a plan, and the other one deleted in a later one.
    fn edit<'a>(
        &mut self,
        edits: &mut Vec<(&'a VirtualServerId, &'a Operation)>,
        wanted: impl Fn(&VirtualServerId) -> Option<Server>,
        mut changed: impl FnMut(&VirtualServerId, &[Destination], Option<&Server>),
    ) {
        // What was done first stays first.
        edits.sort_by_key(|(server, _)| *server);
        for of_server in edits.chunk_by(|(one, _), (next, _)| one == next) {
            self.destinations(of_server, &wanted, &mut changed);
        }
        edits.clear();
    }

    /// Adds entries to a set.
    fn entries(&mut self, added: Option<(&SetName, Vec<&Entry>)>) {
        let Some((set, entries)) = added else { return };
        let Some(set) = self.sets.get_mut(set) else {
            return;
        };
        let few = entries.len() < set.entries.len() / 16;
        let entries = entries.into_iter().cloned();
        if few {
            set.entries.extend(entries);
        } else {
            // All at once is much faster, and leaves no node of the tree half empty.
            set.entries.append(&mut entries.collect());
        }
    }

    /// Changes the destinations of one virtual server, which all of the operations concern.
    fn destinations(
        &mut self,
        operations: &[(&VirtualServerId, &Operation)],
        wanted: impl FnOnce(&VirtualServerId) -> Option<Server>,
        changed: impl FnOnce(&VirtualServerId, &[Destination], Option<&Server>),
    ) {
        let Some((id, _)) = operations.first() else {
            return;
        };
        let edits = Edits::of(operations.iter().map(|(_, operation)| *operation));
        if let Some(server) = self.servers.get_mut(id) {
            let wanted = wanted(id);
            let as_wanted = wanted.as_ref().map(|wanted| &wanted.destinations);
            let as_wanted = as_wanted.filter(|wanted| {
                let wanted = wanted.iter().copied();
                edits.apply(&server.destinations).eq(wanted)
            });
            server.destinations = match as_wanted {
                Some(wanted) => Arc::clone(wanted),
                None => edits.applied(&server.destinations),
            };
            changed(id, &server.destinations, wanted.as_ref());
        }
        if let Some(idle) = self.idle.get_mut(id) {
            idle.retain(|id| !edits.concern(id));
            if idle.is_empty() {
                self.idle.remove(id);
            }
        }
    }

    fn take_one(&mut self, operation: &Operation) {
        match operation {
            Operation::SetSysctl { sysctl, value, .. } => {
                self.sysctls.insert(*sysctl, *value);
            }
            Operation::SetTimeouts(request) => {
                self.timeouts = timeouts_after(self.timeouts, *request);
            }
            Operation::CreateLink => self.addresses = Some(BTreeSet::new()),
            Operation::DeleteLink => self.addresses = None,
            Operation::CreateSet(spec) => {
                let set = AppliedSet {
                    spec: (**spec).clone(),
                    entries: BTreeSet::new(),
                };
                self.sets.insert(spec.name, set);
            }
            Operation::DeleteEntry { set, entry } => {
                if let Some(set) = self.sets.get_mut(set) {
                    set.entries.remove(entry);
                }
            }
            Operation::SwapSets { set, with } => {
                let (one, other) = (self.sets.remove(set), self.sets.remove(with));
                self.sets
                    .extend(other.map(|held| (*set, held.renamed(*set))));
                self.sets
                    .extend(one.map(|held| (*with, held.renamed(*with))));
            }
            Operation::DestroySet(set) => {
                self.sets.remove(set);
            }
            Operation::AddServer { id, config } => {
                let server = AppliedServer {
                    config: *config,
                    destinations: Arc::default(),
                };
                self.servers.insert(*id, server);
            }
            Operation::SetServer { id, config, .. } => {
                if let Some(server) = self.servers.get_mut(id) {
                    server.config = *config;
                }
            }
            Operation::DeleteServer(id) => {
                self.servers.remove(id);
                self.idle.remove(id);
            }
            Operation::BindAddress(address) => {
                if let Some(bound) = &mut self.addresses {
                    bound.insert(host_address(*address));
                }
            }
            Operation::UnbindAddress(address) => {
                if let Some(bound) = &mut self.addresses {
                    bound.remove(address);
                }
            }
            Operation::WriteTable(_)
            | Operation::DeleteTable(_)
            | Operation::AddTablePart(_)
            | Operation::DeleteTablePart(_)
            | Operation::AddElement { .. }
            | Operation::ChangeElement { .. }
            | Operation::DeleteElement { .. } => self.take_of_table(operation),
            Operation::AddRoutingRule(rule) => insert(&mut self.routing.rules, *rule),
            Operation::DeleteRoutingRule(rule) => self.routing.rules.retain(|of| of != rule),
            Operation::AddRoute(route) => insert(&mut self.routing.routes, *route),
            Operation::DeleteRoute(route) => self.routing.routes.retain(|of| of != route),
            // Taken many at a time.
            Operation::RestoreRules(_)
            | Operation::AddEntry { .. }
            | Operation::AddDestination { .. }
            | Operation::SetDestination { .. }
            | Operation::DeleteDestination { .. } => {}
        }
    }
}

/// Puts something in its place among few.
fn insert<T: Ord>(all: &mut Vec<T>, new: T) {
    if let Err(at) = all.binary_search(&new) {
        all.insert(at, new);
    }
}

impl AppliedSet {
    fn renamed(mut self, name: SetName) -> Self {
        self.spec.name = name;
        self
    }
}

#[cfg(test)]
mod tests;
