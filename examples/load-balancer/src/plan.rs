//! What the kernel should hold, and the steps there from what it holds.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use dummy_link::host_address;
use ipnetwork::IpNetwork;
use ipvs_netlink::{
    Destination, DestinationId, DestinationStatus, Protocol, Request, Result, Table, TableEntry,
    VirtualServerId, diff,
};

use crate::check::{State, Target};
use crate::config::Config;

/// What the kernel holds: all virtual servers, and the addresses of our link.
#[derive(Debug, Clone, Default)]
pub(crate) struct Observed {
    pub(crate) entries: Vec<TableEntry>,
    pub(crate) addresses: BTreeSet<IpNetwork>,
}

impl Observed {
    /// Whether a virtual server is ours, of this run or an earlier one: its address is on our link.
    pub(crate) fn owns(&self, id: &VirtualServerId) -> bool {
        address(id).is_some_and(|address| self.addresses.contains(&address))
    }
}

/// Destinations that go when their connections have ended, and since when.
pub(crate) type Drains = BTreeMap<(VirtualServerId, DestinationId), Instant>;

/// The steps, in their order: while a virtual server of ours is there, so is its address.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) new_addresses: Vec<IpNetwork>,
    pub(crate) requests: Vec<Request>,
    pub(crate) old_addresses: Vec<IpNetwork>,
}

/// The steps to what the configuration and the states of its backends ask for. `drains` is what is
/// draining, from one call to the next.
pub(crate) fn plan(
    config: &Config,
    state: impl Fn(&Target) -> State,
    found: &Observed,
    drains: &mut Drains,
    now: Instant,
) -> Result<Plan> {
    let table: Table = found.entries.iter().cloned().collect();
    let mut wanted = configured(config, state, &table)?;
    *drains = keep_draining(&mut wanted, config, found, drains, now)?;
    let addresses = wanted.services().filter_map(|(id, _)| address(&id));
    let addresses: BTreeSet<_> = addresses.collect();
    Ok(Plan {
        new_addresses: addresses.difference(&found.addresses).copied().collect(),
        requests: diff(&wanted, &table, |id| found.owns(id)),
        old_addresses: found.addresses.difference(&addresses).copied().collect(),
    })
}

/// A backend comes in when it is up. One that is down takes nothing new. Until its first check it stays
/// as it is found.
fn configured(config: &Config, state: impl Fn(&Target) -> State, found: &Table) -> Result<Table> {
    let mut wanted = Table::new();
    for (id, server) in &config.servers {
        wanted.set_service(*id, *server);
    }
    for (&(service, id), backend) in &config.backends {
        let there = found.destinations(&service).find(|there| there.id == id);
        let config = match (state(&backend.target), there) {
            (State::Up, _) => backend.config,
            (State::Unknown, Some(there)) => backend.config.with_weight(there.config.weight),
            (State::Down, Some(_)) if can_drain(&service) => backend.config.with_weight(0),
            (State::Unknown | State::Down, _) => continue,
        };
        wanted.set_destination(service, Destination { id, config })?;
    }
    Ok(wanted)
}

/// Adds to `wanted` what is ours and not configured any more but still has connections.
fn keep_draining(
    wanted: &mut Table,
    config: &Config,
    found: &Observed,
    before: &Drains,
    now: Instant,
) -> Result<Drains> {
    let mut draining = Drains::new();
    let ours = |id: &VirtualServerId| config.servers.contains_key(id) || found.owns(id);
    let entries = found.entries.iter();
    for entry in entries.filter(|entry| ours(&entry.server.id) && can_drain(&entry.server.id)) {
        let service = entry.server.id;
        for status in &entry.destinations {
            let Destination { id, config: was } = status.destination;
            let since = *before.get(&(service, id)).unwrap_or(&now);
            let over = is_idle(status) || now.duration_since(since) >= config.drain;
            if over || config.backends.contains_key(&(service, id)) {
                continue;
            }
            if wanted.service(&service).is_none() {
                wanted.set_service(service, entry.server.config);
            }
            let config = was.with_weight(0);
            wanted.set_destination(service, Destination { id, config })?;
            draining.insert((service, id), since);
        }
    }
    Ok(draining)
}

/// With another weight than 0, a connection may come between this reading and the deletion.
fn is_idle(status: &DestinationStatus) -> bool {
    let connections = status.connections;
    status.destination.config.weight == 0 && (connections.active, connections.inactive) == (0, 0)
}

/// Flows of UDP have no end: they leave a destination only when it is deleted.
fn can_drain(id: &VirtualServerId) -> bool {
    !matches!(
        id,
        VirtualServerId::Address {
            protocol: Protocol::UDP,
            ..
        }
    )
}

fn address(id: &VirtualServerId) -> Option<IpNetwork> {
    match id {
        VirtualServerId::Address { address, .. } => Some(host_address(*address)),
        VirtualServerId::FirewallMark { .. } => None,
    }
}

#[cfg(test)]
pub(crate) mod tests;
