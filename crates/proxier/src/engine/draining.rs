//! Destinations that only wait for their connections to end.

use ipvs_netlink::{Destination, DestinationId, VirtualServerId};

use super::Engine;
use crate::desired::{Drain, Server};
use crate::observed::ServerConnections;
use crate::plan::Plan;

/// A destination that gets no new connections and only waits for those that it has to end.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DrainingDestination {
    /// Its virtual server.
    pub server: VirtualServerId,
    /// Its address and port.
    pub destination: DestinationId,
    /// How long it may stay.
    pub drain: Drain,
}

impl Engine {
    /// Virtual servers with destinations that only wait for their connections to end.
    pub fn draining(&self) -> impl Iterator<Item = VirtualServerId> {
        self.draining.iter().copied()
    }

    /// The destinations that only wait for their connections to end, each with how long it may.
    pub fn draining_destinations(&self) -> impl Iterator<Item = DrainingDestination> {
        self.draining.iter().flat_map(|id| {
            let wanted = self.wanted.server(id);
            let found = self.last_applied.as_ref();
            let found = found.and_then(|found| found.servers.get(id));
            let destinations = found.map_or(&[][..], |found| &found.destinations);
            let of_server = draining(destinations, wanted.as_ref());
            let of_server: Vec<_> = of_server.map(|found| found.id).collect();
            let drain = wanted.map_or(Drain::UntilIdle, |wanted| wanted.drain);
            let all = of_server.into_iter();
            all.map(move |destination| DrainingDestination {
                server: *id,
                destination,
                drain: drain.clone(),
            })
        })
    }

    /// The connections of virtual servers as they were just counted
    /// ([`Kernel::connections`](crate::Kernel::connections)). Gives the next plan, which deletes the destinations
    /// that are done: what [`plan`](Self::plan) would give. Virtual servers that are not part of the last-applied state, such as
    /// those of others since the last [`audit`](Self::audit), are passed over.
    pub fn drained(&mut self, counted: &[ServerConnections]) -> Plan {
        self.refresh(self.pieces.room_for_changes());
        if let Some(last_applied) = &mut self.last_applied {
            for found in counted {
                let wanted = self.wanted.server(&found.server);
                last_applied.count(found, wanted.as_ref());
                self.dirty.servers.insert(found.server);
            }
        }
        self.plan_of_dirty()
    }
}

/// Whether there are destinations that get no new connections and that a virtual server should not have. If it should not
/// be at all, they go with it, unless it is one by mark.
pub(super) fn drains<'a>(
    id: &VirtualServerId,
    found: impl IntoIterator<Item = &'a Destination>,
    wanted: Option<&Server>,
) -> bool {
    let by_mark = matches!(id, VirtualServerId::FirewallMark { .. });
    (wanted.is_some() || by_mark) && draining(found, wanted).next().is_some()
}

/// Those of the destinations that were found that get no new connections and that the virtual server should not have.
fn draining<'a>(
    found: impl IntoIterator<Item = &'a Destination>,
    wanted: Option<&Server>,
) -> impl Iterator<Item = &'a Destination> {
    let wanted = wanted.map_or(&[][..], |wanted| &wanted.destinations);
    // Both are sorted.
    let mut wanted = wanted.iter().peekable();
    let drained = |found: &&Destination| found.config.weight == 0;
    found.into_iter().filter(drained).filter(move |found| {
        while wanted.next_if(|wanted| wanted.id < found.id).is_some() {}
        wanted.peek().is_none_or(|wanted| wanted.id != found.id)
    })
}
