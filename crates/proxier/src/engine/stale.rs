//! Which Services have to be looked at again, and what they want then.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::net::IpAddr;

use ipnetwork::IpNetwork;
use ipvs_netlink::VirtualServerId;

use super::Engine;
use super::tracked::Tracked;
use crate::cluster::{Change, ObjectName, PerFamily};
use crate::health;
use crate::translate::{Context, node_port_addresses};

impl Engine {
    /// Takes in a change and notes which Services it concerns.
    pub(super) fn take_in(&mut self, change: Change) {
        match change {
            Change::Service(service) => self.known.put_service(service),
            Change::ServiceGone(name) => self.known.remove_service(&name),
            Change::Services(all) => self.known.put_services(all),
            Change::Slice(slice) => self.known.put_slice(*slice),
            Change::SliceGone(name) => self.known.remove_slice(&name),
            Change::Slices(all) => self.known.put_slices(all),
            Change::Node(node) => {
                let own = node.name == self.host.node_name;
                self.all_stale |= own && self.nodes.get(&node.name) != Some(&*node);
                self.nodes.insert(node.name.clone(), *node);
            }
            Change::NodeGone(name) => {
                let known = self.nodes.remove(&name).is_some();
                self.all_stale |= known && name == self.host.node_name;
            }
            Change::Nodes(all) => {
                let all: BTreeMap<_, _> = all.into_iter().map(|n| (n.name.clone(), n)).collect();
                let own = &self.host.node_name;
                self.all_stale |= all.get(own) != self.nodes.get(own);
                self.nodes = all;
            }
        }
    }

    /// Has Services that are stale say again what they want.
    pub(super) fn refresh(&mut self) {
        let all_stale = mem::take(&mut self.all_stale);
        if all_stale {
            let node = self.nodes.get(&self.host.node_name);
            let (host, config) = (&self.host, &self.config);
            self.node_ports =
                PerFamily::from_fn(|family| node_port_addresses(host, node, config, family));
            self.known.all_are_stale();
            self.dirty.all = true;
        }
        let stale = self.known.take_stale();
        self.wanted.expect(stale.len());
        for name in stale {
            self.look_at(&name);
        }
        if all_stale {
            self.compare();
        }
    }

    fn look_at(&mut self, name: &ObjectName) {
        let (service, slices) = self.known.look_at(name);
        let slices: Vec<_> = slices.iter().collect();
        let health = service.and_then(|s| health::of_service(s, &slices, &self.host.node_name));
        match health {
            Some(health) => self.health.insert(name.clone(), health),
            None => self.health.remove(name),
        };
        let tracked = service.map(|service| {
            let wishes = PerFamily::from_fn(|family| {
                let wants = service.counts(family) && self.host.serves(family);
                wants.then(|| {
                    let context = Context::with_node_ports(
                        self.nodes.get(&self.host.node_name),
                        &self.host,
                        &self.config,
                        family,
                        &**self.node_ports.get(family),
                    );
                    context.wish(service, &slices)
                })
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
        self.dirty.all = false;
        self.dirty.note_all_structure();
        let differs = |id: &&VirtualServerId| {
            let as_wanted = believed.servers.get(id).is_some_and(|believed| {
                self.wanted.server(id).is_some_and(|wanted| {
                    believed.config == wanted.config && believed.destinations == wanted.destinations
                })
            });
            !as_wanted
        };
        let differing = self.wanted.servers().filter(differs);
        let unwanted = believed.servers.keys().filter(|id| !self.wanted.has(id));
        // Many are made into a set much faster than they are added to one.
        let mut servers: BTreeSet<_> = differing.chain(unwanted).copied().collect();
        self.dirty.servers.append(&mut servers);
        let bound = |address: &&IpAddr| believed.bound(**address).next().is_some();
        let unbound = self.wanted.addresses().filter(|address| !bound(address));
        self.dirty.addresses.extend(unbound);
        let bound = believed.addresses.iter().flatten().map(IpNetwork::ip);
        let unwanted = bound.filter(|address| !self.wanted.binds(*address));
        self.dirty.addresses.extend(unwanted);
    }
}
