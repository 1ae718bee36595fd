//! Which of the addresses that Services would bind belong to a Node, an endpoint or the API server.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::mem;
use std::net::IpAddr;

use crate::cluster::{Endpoint, EndpointSlice, Host, Node, ObjectName, Service};
use crate::conflict::Holder;
use crate::translate::{Reserved, bindable, node_addresses};

/// External IPs and load balancer addresses, and what else than a Service has them.
///
/// Endpoints are looked up among these addresses only: there are few of them, and none in most clusters. The first
/// Service of an address costs a search of all endpoints.
#[derive(Debug, Default)]
pub(super) struct ReservedAddresses {
    wanted: HashMap<IpAddr, Wanted>,
    /// Those among them for which the endpoints have not been searched yet.
    fresh: HashSet<IpAddr>,
    by_service: HashMap<ObjectName, Vec<IpAddr>>,
    nodes: HashMap<IpAddr, Box<str>>,
}

/// An address that Services would bind.
#[derive(Debug, Default)]
struct Wanted {
    services: BTreeSet<ObjectName>,
    /// EndpointSlices with an endpoint of this address.
    slices: BTreeSet<ObjectName>,
}

impl ReservedAddresses {
    /// Notes what a Service would bind. The endpoints are yet to be searched for addresses that no Service would have
    /// bound before ([`find`](Self::find)).
    pub(super) fn want(&mut self, name: &ObjectName, service: Option<&Service>) {
        let mut now = service.into_iter().flat_map(bindable).peekable();
        if now.peek().is_none() && self.by_service.is_empty() {
            return;
        }
        let now: Vec<_> = now.collect();
        if self.by_service.get(name).map_or(&[][..], Vec::as_slice) == now {
            return;
        }
        for address in self.by_service.remove(name).into_iter().flatten() {
            if let Some(wanted) = self.wanted.get_mut(&address) {
                wanted.services.remove(name);
                if wanted.services.is_empty() && !now.contains(&address) {
                    self.wanted.remove(&address);
                }
            }
        }
        for address in &now {
            let wanted = self.wanted.entry(*address).or_insert_with(|| {
                self.fresh.insert(*address);
                Wanted::default()
            });
            wanted.services.insert(name.clone());
        }
        if !now.is_empty() {
            self.by_service.insert(name.clone(), now);
        }
    }

    /// Searches slices, which are to be all, for endpoints of addresses that Services would bind since the last call.
    pub(super) fn find<'a>(&mut self, slices: impl Iterator<Item = &'a EndpointSlice>) {
        let fresh = mem::take(&mut self.fresh);
        if fresh.is_empty() {
            return;
        }
        for slice in slices {
            let addresses = slice.endpoints.iter().map(|endpoint| endpoint.address);
            for address in addresses.filter(|address| fresh.contains(address)) {
                if let Some(wanted) = self.wanted.get_mut(&address) {
                    wanted.slices.insert(slice.name.clone());
                }
            }
        }
    }

    /// A slice has other endpoints than before. Adds the Services that this concerns to `stale`.
    pub(super) fn slice_changed(
        &mut self,
        slice: &ObjectName,
        before: &[Endpoint],
        after: &[Endpoint],
        stale: &mut BTreeSet<ObjectName>,
    ) {
        if self.wanted.is_empty() {
            return;
        }
        let mut note = |address: &IpAddr, comes: bool| {
            let Some(wanted) = self.wanted.get_mut(address) else {
                return;
            };
            let changed = if comes {
                wanted.slices.insert(slice.clone())
            } else {
                wanted.slices.remove(slice)
            };
            if changed {
                stale.extend(wanted.services.iter().cloned());
            }
        };
        before
            .iter()
            .for_each(|endpoint| note(&endpoint.address, false));
        after
            .iter()
            .for_each(|endpoint| note(&endpoint.address, true));
    }

    /// The Nodes are these. Gives the Services that this concerns.
    pub(super) fn set_nodes(
        &mut self,
        nodes: &BTreeMap<Box<str>, Node>,
        own: &str,
    ) -> BTreeSet<ObjectName> {
        let now = node_addresses(nodes, own);
        let now: HashMap<_, Box<str>> = now
            .into_iter()
            .map(|(at, name)| (at, name.into()))
            .collect();
        let differs = |address: &&IpAddr| now.get(*address) != self.nodes.get(*address);
        let differing = now.keys().chain(self.nodes.keys()).filter(differs);
        let concerned = differing.filter_map(|address| self.wanted.get(address));
        let stale = concerned
            .flat_map(|wanted| wanted.services.iter().cloned())
            .collect();
        self.nodes = now;
        stale
    }

    /// What is known, on this machine.
    pub(super) const fn on<'a>(&'a self, host: &'a Host) -> ReservedOn<'a> {
        ReservedOn { all: self, host }
    }
}

/// What else than a Service has an address, on one machine.
pub(super) struct ReservedOn<'a> {
    all: &'a ReservedAddresses,
    host: &'a Host,
}

impl Reserved for ReservedOn<'_> {
    fn holder(&self, address: IpAddr) -> Option<Holder> {
        if self.host.is_api_server(address) {
            return Some(Holder::ApiServer);
        }
        if let Some(node) = self.all.nodes.get(&address) {
            return Some(Holder::Node(node.clone()));
        }
        let slice = self.all.wanted.get(&address)?.slices.first()?;
        Some(Holder::Endpoint(slice.clone()))
    }
}
