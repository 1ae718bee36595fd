//! Since when destinations drain whose Services set them a time. Only here there is a clock.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use ipvs_netlink::{Connections, DestinationId, VirtualServerId};
use proxier::{Drain, Engine, ObservedDestination};

/// When which destinations have to go, whatever connections they have. Nothing of it outlives the process: after a restart
/// the time of those that still drain begins anew.
#[derive(Debug, Default)]
pub(super) struct Drains(BTreeMap<(VirtualServerId, DestinationId), Until>);

#[derive(Clone, Copy, Debug)]
struct Until {
    since: Instant,
    end: Instant,
}

impl Drains {
    /// Follows what drains now: from `now` on if it did not before. How many destinations that are, with a limit or without.
    pub(super) fn follow(&mut self, engine: &Engine, now: Instant) -> usize {
        let before = std::mem::take(&mut self.0);
        let mut count = 0;
        let all = engine.draining_destinations().inspect(|_| count += 1);
        let limited = all.filter_map(|draining| {
            let Drain::Seconds(seconds) = draining.drain else {
                return None;
            };
            let key = (draining.server, draining.destination);
            let since = before.get(&key).map_or(now, |until| until.since);
            let end = since + Duration::from_secs(seconds.into());
            Some((key, Until { since, end }))
        });
        self.0 = limited.collect();
        count
    }

    /// When the first one has to go.
    pub(super) fn next(&self) -> Option<Instant> {
        self.0.values().map(|until| until.end).min()
    }

    /// Destinations of a virtual server whose time is over count as without connections: the engine lets them go.
    pub(super) fn end(
        &self,
        server: VirtualServerId,
        counted: &mut [ObservedDestination],
        now: Instant,
    ) {
        for found in counted {
            let key = (server, found.destination.id);
            let is_over = self.0.get(&key).is_some_and(|until| until.end <= now);
            let Connections {
                active, inactive, ..
            } = found.connections;
            if is_over && active.saturating_add(inactive) > 0 {
                tracing::info!(
                    %server,
                    destination = %found.destination.id,
                    active,
                    inactive,
                    "the time for connections to an endpoint that is gone is over; they are cut"
                );
                found.connections = Connections::default();
            }
        }
    }
}
