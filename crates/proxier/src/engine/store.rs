//! The cluster's Services and EndpointSlices, by Service.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;

use super::reserved::ReservedAddresses;
use super::shared::Shared;
use crate::cluster::{EndpointSlice, Node, ObjectName, Service};
use crate::hash::HashMap;

/// All Services and EndpointSlices, each Service with its slices: one search finds all that a change concerns.
#[derive(Debug, Default)]
pub(super) struct Store {
    services: HashMap<ObjectName, Parts>,
    /// The Service of each slice.
    owners: HashMap<ObjectName, Owner>,
    /// Services that changed, or whose slices did, since they were last translated.
    stale: Vec<ObjectName>,
    /// Those of them that changed themselves, came or went: mostly it is slices.
    changed: Vec<ObjectName>,
    shared: Shared,
    reserved: ReservedAddresses,
}

/// A Service and its slices, of which either may be missing.
#[derive(Debug, Default)]
struct Parts {
    service: Option<Box<Service>>,
    /// By name.
    slices: Vec<EndpointSlice>,
    /// Whether it is among the stale.
    stale: bool,
    /// Whether it is among those that changed themselves.
    changed: bool,
    /// Whether the Service is in the list that is being taken in.
    listed: bool,
}

/// To what Service a slice belongs.
#[derive(Debug)]
struct Owner {
    service: ObjectName,
    /// Whether the slice is in the list that is being taken in.
    listed: bool,
}

impl Store {
    /// A Service, its slices and the reserved addresses. The Service is not stale any more.
    pub(super) fn take(
        &mut self,
        name: &ObjectName,
    ) -> (Option<&Service>, &[EndpointSlice], &ReservedAddresses) {
        let Some(parts) = self.services.get_mut(name) else {
            return (None, &[], &self.reserved);
        };
        (parts.stale, parts.changed) = (false, false);
        (parts.service.as_deref(), &parts.slices, &self.reserved)
    }

    /// Searches the endpoints for addresses that Services would bind and none would before. Needed before any Service is
    /// translated.
    pub(super) fn find_reserved(&mut self) {
        let slices = self.services.values().flat_map(|parts| &parts.slices);
        self.reserved.find(slices);
    }

    /// The Nodes are these, and this machine's own is called `own`.
    pub(super) fn set_nodes(&mut self, nodes: &BTreeMap<Box<str>, Node>, own: &str) {
        let stale = self.reserved.set_nodes(nodes, own);
        self.touch(&stale);
    }

    /// A Service, if there is one of this name.
    pub(super) fn service(&self, name: &ObjectName) -> Option<&Service> {
        self.services.get(name)?.service.as_deref()
    }

    /// The slices of a Service, by name.
    pub(super) fn slices_of(&self, service: &ObjectName) -> &[EndpointSlice] {
        self.services
            .get(service)
            .map_or(&[], |parts| parts.slices.as_slice())
    }

    /// Marks Services as stale.
    pub(super) fn touch(&mut self, names: &BTreeSet<ObjectName>) {
        for name in names {
            if let Some(parts) = self.services.get_mut(name) {
                parts.touch(name, &mut self.stale);
            }
        }
    }

    /// The Services to be translated again, those that are gone included: so many of them, the last ones to become so first.
    pub(super) fn take_stale(&mut self, most: usize) -> Vec<ObjectName> {
        let rest = self.stale.len().saturating_sub(most);
        self.stale.split_off(rest)
    }

    /// Whether any Service is to be translated again.
    pub(super) fn has_stale(&self) -> bool {
        !self.stale.is_empty()
    }

    /// The Services that changed themselves, came or went since they were last translated.
    pub(super) fn take_changed(&mut self) -> Vec<ObjectName> {
        mem::take(&mut self.changed)
    }

    /// Marks all Services as stale.
    pub(super) fn all_are_stale(&mut self) {
        for (name, parts) in &mut self.services {
            parts.touch(name, &mut self.stale);
        }
    }

    pub(super) fn services(&self) -> impl Iterator<Item = &Service> {
        self.services
            .values()
            .filter_map(|parts| parts.service.as_deref())
    }

    pub(super) fn slices(&self) -> impl Iterator<Item = &EndpointSlice> {
        self.services.values().flat_map(|parts| &parts.slices)
    }

    /// Takes in a Service, in the place of one of the same name.
    pub(super) fn put_service(&mut self, mut service: Box<Service>) {
        let name = self.shared_name(&service.name);
        service.name = name.clone();
        let parts = self.services.entry(name.clone()).or_default();
        parts.listed = true;
        if parts.service.as_ref() != Some(&service) {
            self.shared.service_ports(&mut service.ports);
            self.reserved.want(&name, Some(&service));
            parts.service = Some(service);
            parts.touch(&name, &mut self.stale);
            parts.note_change(&name, &mut self.changed);
        }
    }

    pub(super) fn remove_service(&mut self, name: &ObjectName) {
        if let Some(parts) = self.services.get_mut(name) {
            if parts.service.take().is_some() {
                self.reserved.want(name, None);
                parts.touch(name, &mut self.stale);
                parts.note_change(name, &mut self.changed);
                self.forget(name);
            }
        }
    }

    /// Takes in a slice, in the place of one of the same name, whatever Service that belonged to.
    pub(super) fn put_slice(&mut self, mut slice: EndpointSlice) {
        let service = service_of(&slice);
        let mut concerned = BTreeSet::new();
        if let Some(parts) = self.services.get_mut(&service) {
            if let Some(known) = parts.slice_mut(&slice.name) {
                self.reserved.slice_changed(
                    &slice.name,
                    &known.endpoints,
                    &slice.endpoints,
                    &mut concerned,
                );
                if replace_contents(known, slice, &mut self.shared) {
                    parts.touch(&service, &mut self.stale);
                }
                self.touch(&concerned);
                return;
            }
        }
        let service = self.shared_name(&service);
        self.remove_slice(&slice.name);
        self.reserved
            .slice_changed(&slice.name, &[], &slice.endpoints, &mut concerned);
        self.touch(&concerned);
        self.shared.endpoint_ports(&mut slice.ports);
        self.shared.endpoints(&mut slice.endpoints, &[]);
        let owner = Owner {
            service: service.clone(),
            listed: true,
        };
        self.owners.insert(slice.name.clone(), owner);
        let parts = self.services.entry(service.clone()).or_default();
        let at = parts.place(&slice.name).unwrap_or_else(|at| at);
        // Most Services have but one.
        if parts.slices.is_empty() {
            parts.slices.reserve_exact(1);
        }
        parts.slices.insert(at, slice);
        parts.touch(&service, &mut self.stale);
    }

    pub(super) fn remove_slice(&mut self, name: &ObjectName) {
        let Some(Owner { service, .. }) = self.owners.remove(name) else {
            return;
        };
        let mut concerned = BTreeSet::new();
        if let Some(parts) = self.services.get_mut(&service) {
            if let Ok(at) = parts.place(name) {
                let gone = parts.slices.remove(at);
                self.reserved
                    .slice_changed(name, &gone.endpoints, &[], &mut concerned);
            }
            parts.touch(&service, &mut self.stale);
            self.forget(&service);
        }
        self.touch(&concerned);
    }

    /// These are all the Services there are. Of those of one name the last one counts.
    pub(super) fn put_services(&mut self, all: Vec<Service>) {
        self.services.values_mut().for_each(|p| p.listed = false);
        self.services
            .reserve(all.len().saturating_sub(self.services.len()));
        for service in all {
            self.put_service(Box::new(service));
        }
        let gone = self.services.iter().filter(|(_, parts)| !parts.listed);
        let gone: Vec<_> = gone.map(|(name, _)| name.clone()).collect();
        gone.iter().for_each(|name| self.remove_service(name));
    }

    /// These are all the slices there are. Of those of one name the last one counts.
    pub(super) fn put_slices(&mut self, all: Vec<EndpointSlice>) {
        self.owners.values_mut().for_each(|o| o.listed = false);
        self.owners
            .reserve(all.len().saturating_sub(self.owners.len()));
        for slice in all {
            if let Some(owner) = self.owners.get_mut(&slice.name) {
                owner.listed = true;
            }
            self.put_slice(slice);
        }
        let gone = self.owners.iter().filter(|(_, owner)| !owner.listed);
        let gone: Vec<_> = gone.map(|(name, _)| name.clone()).collect();
        gone.iter().for_each(|name| self.remove_slice(name));
    }

    /// The name of a Service, of which one text is kept.
    fn shared_name(&self, service: &ObjectName) -> ObjectName {
        let known = self.services.get_key_value(service);
        known.map_or(service, |(known, _)| known).clone()
    }

    /// Keeps nothing of a Service that has nothing.
    fn forget(&mut self, name: &ObjectName) {
        let empty = |parts: &Parts| parts.service.is_none() && parts.slices.is_empty();
        if self.services.get(name).is_some_and(empty) {
            self.services.remove(name);
        }
    }
}

impl Parts {
    /// Where a slice is, or where it would have its place.
    fn place(&self, name: &ObjectName) -> Result<usize, usize> {
        self.slices.binary_search_by(|slice| slice.name.cmp(name))
    }

    fn slice_mut(&mut self, name: &ObjectName) -> Option<&mut EndpointSlice> {
        let at = self.place(name).ok()?;
        self.slices.get_mut(at)
    }

    fn touch(&mut self, name: &ObjectName, stale: &mut Vec<ObjectName>) {
        if !mem::replace(&mut self.stale, true) {
            stale.push(name.clone());
        }
    }

    fn note_change(&mut self, name: &ObjectName, changed: &mut Vec<ObjectName>) {
        if !mem::replace(&mut self.changed, true) {
            changed.push(name.clone());
        }
    }
}

/// Replaces the contents of a slice by those of one of the same name and Service. Returns whether anything changed.
fn replace_contents(known: &mut EndpointSlice, slice: EndpointSlice, shared: &mut Shared) -> bool {
    let EndpointSlice {
        name: _,
        service: _,
        family,
        mut ports,
        mut endpoints,
        weight,
    } = slice;
    let (same_ports, same_endpoints) = (known.ports == ports, known.endpoints == endpoints);
    let same_kind = (known.family, known.weight) == (family, weight);
    let same = same_kind && same_ports && same_endpoints;
    (known.family, known.weight) = (family, weight);
    // What stays need not be found, and freed, elsewhere in memory.
    if !same_ports {
        shared.endpoint_ports(&mut ports);
        known.ports = ports;
    }
    if !same_endpoints {
        shared.endpoints(&mut endpoints, &known.endpoints);
        known.endpoints = endpoints;
    }
    !same
}

fn service_of(slice: &EndpointSlice) -> ObjectName {
    ObjectName::new(slice.name.namespace(), &slice.service)
}

#[cfg(test)]
mod tests;
