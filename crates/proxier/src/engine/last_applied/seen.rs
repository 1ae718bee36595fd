//! What is seen in the kernel: virtual servers, their destinations and the connections of these.

use std::sync::Arc;

use ipvs_netlink::{Connections, Destination, DestinationId, VirtualServerId};

use super::{AppliedServer, LastApplied};
use crate::desired::Server;
use crate::observed::{ObservedDestination, ObservedServer, ServerConnections};
use crate::reconcile::is_idle;

/// Connections of a destination of which nothing is known: it is not to be taken for idle.
const UNKNOWN: Connections = Connections {
    active: 1,
    inactive: 0,
    persistent: 0,
};

/// None at all.
const IDLE: Connections = Connections {
    active: 0,
    inactive: 0,
    persistent: 0,
};

impl LastApplied {
    /// Takes over a virtual server. Returns whether it is as wanted; where not, its connections are remembered.
    pub(in crate::engine) fn observe(
        &mut self,
        found: &ObservedServer,
        wanted: Option<&Server>,
    ) -> bool {
        let known = self.servers.get(&found.id).map(|known| &known.destinations);
        let (destinations, same) = taken_over(&found.destinations, wanted, known);
        let config = found.config;
        let server = AppliedServer {
            config,
            destinations,
        };
        self.servers.insert(found.id, server);
        self.remember(found.id, &found.destinations, same);
        same && wanted.is_some_and(|wanted| wanted.config == config)
    }

    /// Takes over the destinations of a virtual server that is known, and where they are not as wanted remembers their
    /// connections.
    pub(in crate::engine) fn count(&mut self, found: &ServerConnections, wanted: Option<&Server>) {
        let Some(server) = self.servers.get_mut(&found.server) else {
            return;
        };
        let known = Some(&server.destinations);
        let (destinations, same) = taken_over(&found.destinations, wanted, known);
        server.destinations = destinations;
        self.remember(found.server, &found.destinations, same);
    }

    /// Remembers the connections of destinations, unless these are as wanted.
    fn remember(&mut self, id: VirtualServerId, found: &[ObservedDestination], as_wanted: bool) {
        self.idle.remove(&id);
        if as_wanted {
            self.connections.remove(&id);
            return;
        }
        let known = found.iter().map(|found| found.connections);
        self.connections.insert(id, known.collect());
        let idle = found
            .iter()
            .filter(|found| found.destination.config.weight == 0 && is_idle(found));
        let idle: Vec<_> = idle.map(|found| found.destination.id).collect();
        if !idle.is_empty() {
            self.idle.insert(id, idle);
        }
    }

    /// A virtual server as if it had just been observed.
    pub(in crate::engine) fn server(&self, id: &VirtualServerId) -> Option<ObservedServer> {
        let server = self.servers.get(id)?;
        let idle = self.idle.get(id).map_or(&[][..], Vec::as_slice);
        let unseen = |id: &DestinationId| match idle.contains(id) {
            true => IDLE,
            false => UNKNOWN,
        };
        let mut known = self.connections.get(id).into_iter().flatten();
        let destinations = server.destinations.iter().map(|destination| {
            let known = known.next().copied();
            ObservedDestination {
                destination: *destination,
                connections: known.unwrap_or_else(|| unseen(&destination.id)),
            }
        });
        Some(ObservedServer {
            id: *id,
            config: server.config,
            destinations: destinations.collect(),
        })
    }

    /// Connections come and go: what was counted no longer holds.
    pub(in crate::engine) fn forget_connections(&mut self) {
        self.connections.clear();
    }
}

/// The destinations that were found, where they are as wanted or as known the very list of these; and whether they are as wanted.
fn taken_over(
    found: &[ObservedDestination],
    wanted: Option<&Server>,
    known: Option<&Arc<[Destination]>>,
) -> (Arc<[Destination]>, bool) {
    let found = || found.iter().map(|found| &found.destination);
    let is_found = |list: &&Arc<[Destination]>| list.iter().eq(found());
    let as_wanted = wanted.map(|wanted| &wanted.destinations).filter(is_found);
    let list = as_wanted.or_else(|| known.filter(is_found)).cloned();
    let destinations = list.unwrap_or_else(|| found().copied().collect());
    (destinations, as_wanted.is_some())
}
