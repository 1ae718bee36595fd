//! Which Services have to be looked at again, and what they want then.

use std::collections::{HashMap, HashSet};
use std::mem;
use std::net::IpAddr;

use ipnetwork::IpNetwork;

use super::Engine;
use super::wanted::Tracked;
use crate::cluster::{Change, EndpointSlice, Family, ObjectName, PerFamily};
use crate::health;
use crate::translate::{Context, node_ports};

impl Engine {
    /// Notes which Services a change concerns. Says whether it changes anything.
    pub(super) fn note(&mut self, change: &Change) -> bool {
        match change {
            Change::Service(service) => {
                let same = self.cluster.services.get(&service.name) == Some(service);
                if !same {
                    self.stale.insert(service.name.clone());
                }
                !same
            }
            Change::ServiceGone(name) => {
                let known = self.cluster.services.contains_key(name);
                if known {
                    self.stale.insert(name.clone());
                }
                known
            }
            Change::Slice(slice) => match self.cluster.slices.get(&slice.name) {
                Some(before) if before == &**slice => false,
                Some(before) if before.service == slice.service => {
                    self.stale.insert(service_of(slice));
                    true
                }
                _ => {
                    self.drop_slice(&slice.name);
                    self.keep_slice(slice);
                    true
                }
            },
            Change::SliceGone(name) => self.drop_slice(name),
            Change::Node(node) => {
                let before = self.cluster.nodes.get(&node.name);
                self.all_stale |= node.name == self.host.node_name && before != Some(node);
                true
            }
            Change::NodeGone(name) => {
                self.all_stale |= *name == self.host.node_name;
                true
            }
            Change::Services(all) => {
                for service in all {
                    if self.cluster.services.get(&service.name) != Some(service) {
                        self.stale.insert(service.name.clone());
                    }
                }
                let all: HashSet<_> = all.iter().map(|service| &service.name).collect();
                let gone = self
                    .cluster
                    .services
                    .keys()
                    .filter(|name| !all.contains(name));
                self.stale.extend(gone.cloned());
                true
            }
            Change::Slices(all) => {
                self.note_slices(all);
                true
            }
            Change::Nodes(all) => {
                let name = &self.host.node_name;
                let now = all.iter().rfind(|node| node.name == *name);
                self.all_stale |= now != self.cluster.nodes.get(name);
                true
            }
        }
    }

    /// All slices anew.
    fn note_slices(&mut self, all: &[EndpointSlice]) {
        // Of slices of one name the last one counts.
        let by_name: HashMap<_, _> = all.iter().map(|slice| (&slice.name, slice)).collect();
        let known = &self.cluster.slices;
        let gone = known
            .values()
            .filter(|old| by_name.get(&old.name) != Some(old));
        let stale: Vec<_> = gone.map(service_of).collect();
        self.stale.extend(stale);
        self.slices.clear();
        for slice in by_name.into_values() {
            if self.cluster.slices.get(&slice.name) == Some(slice) {
                let names = self.slices.entry(service_of(slice)).or_default();
                names.insert(slice.name.clone());
            } else {
                self.keep_slice(slice);
            }
        }
    }

    fn keep_slice(&mut self, slice: &EndpointSlice) {
        let service = service_of(slice);
        let names = self.slices.entry(service.clone()).or_default();
        names.insert(slice.name.clone());
        self.stale.insert(service);
    }

    fn drop_slice(&mut self, name: &ObjectName) -> bool {
        let Some(slice) = self.cluster.slices.get(name) else {
            return false;
        };
        let service = service_of(slice);
        if let Some(names) = self.slices.get_mut(&service) {
            names.remove(name);
            if names.is_empty() {
                self.slices.remove(&service);
            }
        }
        self.stale.insert(service);
        true
    }

    /// Has Services that are stale say again what they want.
    pub(super) fn refresh(&mut self) {
        let all_stale = mem::take(&mut self.all_stale);
        if all_stale {
            let Self {
                cluster,
                host,
                config,
                ..
            } = &*self;
            self.node_ports = PerFamily::from_fn(|f| node_ports(cluster, host, config, f));
            self.stale.extend(self.wanted.names().cloned());
            self.stale.extend(self.cluster.services.keys().cloned());
        }
        for name in mem::take(&mut self.stale) {
            self.look_at(&name);
        }
        if all_stale {
            self.compare();
        }
    }

    fn look_at(&mut self, name: &ObjectName) {
        let slices = self.slices.get(name).into_iter().flatten();
        let slices: Vec<_> = slices
            .filter_map(|slice| self.cluster.slices.get(slice))
            .collect();
        let service = self.cluster.services.get(name);
        let health = service.and_then(|s| health::of_service(s, &slices, &self.host.node_name));
        match health {
            Some(health) => self.health.insert(name.clone(), health),
            None => self.health.remove(name),
        };
        let tracked = service.map(|service| {
            let wishes = PerFamily::from_fn(|family| {
                let context = Context::with_node_ports(
                    &self.cluster,
                    &self.host,
                    &self.config,
                    family,
                    &**self.node_ports.get(family),
                );
                let wants = service.counts(family) && self.host.serves(family);
                wants.then(|| context.wish(service, &slices))
            });
            Tracked::new(self.wanted.rank(service), wishes)
        });
        self.wanted.put(name, tracked, &mut self.dirty);
    }

    /// Compares all that is wanted with all that is believed.
    pub(super) fn compare(&mut self) {
        let Some(believed) = &self.believed else {
            return;
        };
        for family in Family::ALL {
            self.dirty.note_structure(family);
        }
        for id in self.wanted.servers() {
            let as_wanted = believed.servers.get(id).zip(self.wanted.server(id));
            let as_wanted = as_wanted.is_some_and(|(believed, wanted)| {
                believed.config == wanted.config && believed.destinations == wanted.destinations
            });
            if !as_wanted {
                self.dirty.servers.insert(*id);
            }
        }
        let unwanted = believed.servers.keys().filter(|id| !self.wanted.has(id));
        self.dirty.servers.extend(unwanted);
        let bound = |address: &&IpAddr| believed.bound(**address).next().is_some();
        let unbound = self.wanted.addresses().filter(|address| !bound(address));
        self.dirty.addresses.extend(unbound);
        let bound = believed.addresses.iter().flatten().map(IpNetwork::ip);
        let unwanted = bound.filter(|address| !self.wanted.binds(*address));
        self.dirty.addresses.extend(unwanted);
    }
}

fn service_of(slice: &EndpointSlice) -> ObjectName {
    ObjectName::new(slice.name.namespace(), &slice.service)
}
