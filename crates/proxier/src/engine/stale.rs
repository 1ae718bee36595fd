//! Which Services have to be translated again, and what they want then.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::net::IpAddr;

use ipnetwork::IpNetwork;
use ipvs_netlink::VirtualServerId;

use super::Engine;
use super::marks::MarkRegistry;
use super::tracked::Tracked;
use crate::cluster::{Change, Family, ObjectName, PerFamily};
use crate::health;
use crate::layout::Layout;
use crate::layout::nftables::Element;
use crate::translate::{Context, node_port_addresses};

impl Engine {
    /// Applies a change to the store and notes which Services it concerns.
    pub(super) fn apply_change(&mut self, change: Change) {
        match change {
            Change::Service(service) => self.store.put_service(service),
            Change::ServiceGone(name) => self.store.remove_service(&name),
            Change::Services(all) => self.store.put_services(all),
            Change::Slice(slice) => self.store.put_slice(*slice),
            Change::SliceGone(name) => self.store.remove_slice(&name),
            Change::Slices(all) => self.store.put_slices(all),
            Change::Node(node) => {
                let own = node.name == self.host.node_name;
                let known = self.nodes.get(&node.name);
                self.all_stale |= own && known != Some(&*node);
                let moved = known.is_none_or(|known| known.addresses != node.addresses);
                self.nodes.insert(node.name.clone(), *node);
                if moved && !own {
                    self.store.set_nodes(&self.nodes, &self.host.node_name);
                }
            }
            Change::NodeGone(name) => {
                let known = self.nodes.remove(&name).is_some();
                self.all_stale |= known && name == self.host.node_name;
                if known {
                    self.store.set_nodes(&self.nodes, &self.host.node_name);
                }
            }
            Change::Nodes(all) => {
                let all: BTreeMap<_, _> = all.into_iter().map(|n| (n.name.clone(), n)).collect();
                let own = &self.host.node_name;
                self.all_stale |= all.get(own) != self.nodes.get(own);
                self.nodes = all;
                self.store.set_nodes(&self.nodes, &self.host.node_name);
            }
        }
    }

    /// Translates the Services that are stale; where all that changed are slices, only so many of them.
    pub(super) fn refresh(&mut self, most: usize) {
        let all_stale = mem::take(&mut self.all_stale);
        if all_stale {
            if !self.config.layout.uses_ipvs() {
                // Those that were wanted up to now are the proxy's, whatever else shows it.
                self.abandoned.extend(self.wanted.servers().copied());
            }
            self.wanted.set_layout(self.config.layout);
            let node = self.nodes.get(&self.host.node_name);
            let (host, config) = (&self.host, &self.config);
            self.node_ports =
                PerFamily::from_fn(|family| node_port_addresses(host, node, config, family));
            // Which of them is this machine's own may have changed.
            self.store.set_nodes(&self.nodes, &self.host.node_name);
            self.store.all_are_stale();
            self.dirty.all = true;
            self.marks = MarkRegistry::default();
            for family in Family::ALL {
                let addresses = self.node_ports.get(family).iter();
                let elements = addresses.map(|address| Element::NodeAddress(*address));
                let elements = match self.config.layout {
                    Layout::Nftables => elements.collect(),
                    _ => Vec::new(),
                };
                let dirty = &mut self.dirty;
                self.wanted.set_node_elements(family, elements, dirty);
            }
        }
        let changed = self.store.take_changed();
        // What Services have in common, marks above all, moves with those that change themselves: that is one plan. So is what a tool
        // carries out, each of whose runs costs what all rules cost.
        let in_parts = !all_stale && changed.is_empty() && self.config.layout.uses_ipvs();
        let most = if in_parts { most } else { usize::MAX };
        let mut stale = self.store.take_stale(most);
        if self.config.layout.uses_ipvs() {
            self.give_marks(&mut stale, &changed, all_stale);
        }
        self.wanted.expect(stale.len());
        self.store.find_reserved();
        for name in stale {
            self.translate_service(&name);
        }
        self.pieces.changes_wait = self.store.has_stale();
        if all_stale {
            self.compare();
        }
    }

    /// Gives marks to the Services that changed, or to all of them anew, and adds those to the stale whose marks move thereby.
    fn give_marks(&mut self, stale: &mut Vec<ObjectName>, changed: &[ObjectName], all: bool) {
        let mut anew = PerFamily { v4: all, v6: all };
        let layout = self.config.layout;
        for name in if all { &**stale } else { changed } {
            let PerFamily { v4, v6 } = self.marks.update(layout, name, self.store.service(name));
            anew.v4 |= v4;
            anew.v6 |= v6;
        }
        for family in Family::ALL {
            if *anew.get(family) {
                let moved = self.marks.give(family, &self.config.marks());
                self.store.touch(&moved);
            }
        }
        if anew.v4 || anew.v6 {
            stale.append(&mut self.store.take_stale(usize::MAX));
        }
    }

    fn translate_service(&mut self, name: &ObjectName) {
        let (service, slices, reserved) = self.store.take(name);
        let reserved = reserved.on(&self.host);
        let slices: Vec<_> = slices.iter().collect();
        let health = service.and_then(|s| health::of_service(s, &slices, &self.host.node_name));
        match health {
            Some(health) => self.health.insert(name.clone(), health),
            None => self.health.remove(name),
        };
        let tracked = service.map(|service| {
            let families = PerFamily::from_fn(|family| {
                let wants = service.counts(family) && self.host.serves(family);
                wants.then(|| {
                    let context = Context::with_node_ports(
                        self.nodes.get(&self.host.node_name),
                        &self.host,
                        &self.config,
                        family,
                        &**self.node_ports.get(family),
                        &reserved,
                        self.marks.of(family),
                    );
                    context.service_claims(service, &slices)
                })
            });
            Tracked::new(self.wanted.rank(service), families)
        });
        self.wanted.put(name, tracked, &mut self.dirty);
    }

    /// Compares all that is wanted with all that is last_applied.
    pub(super) fn compare(&mut self) {
        let Some(last_applied) = &self.last_applied else {
            return;
        };
        self.dirty.all = false;
        self.dirty.note_all_structure();
        let differs = |id: &&VirtualServerId| {
            let as_wanted = last_applied.servers.get(id).is_some_and(|last_applied| {
                self.wanted.server(id).is_some_and(|wanted| {
                    last_applied.config == wanted.config
                        && last_applied.destinations == wanted.destinations
                })
            });
            !as_wanted
        };
        let differing = self.wanted.servers().filter(differs);
        let unwanted = last_applied
            .servers
            .keys()
            .filter(|id| !self.wanted.has(id));
        // Many are made into a set much faster than they are added to one.
        let mut servers: BTreeSet<_> = differing.chain(unwanted).copied().collect();
        self.dirty.servers.append(&mut servers);
        let bound = |address: &&IpAddr| last_applied.bound(**address).next().is_some();
        let unbound = self.wanted.addresses().filter(|address| !bound(address));
        self.dirty.addresses.extend(unbound);
        let bound = last_applied.addresses.iter().flatten().map(IpNetwork::ip);
        let unwanted = bound.filter(|address| !self.wanted.binds(*address));
        self.dirty.addresses.extend(unwanted);
    }
}
