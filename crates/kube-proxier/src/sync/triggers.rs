//! When the causes of changes came about that the kernel does not have yet, for
//! `kubeproxy_network_programming_duration_seconds`.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::time::SystemTime;

use proxier::cluster::{Change, EndpointSlice, Family, ObjectName};
use proxier::kernel::Failure;
use proxier::{Engine, Operation};

/// How many causes are remembered of one EndpointSlice, while nothing can be synced.
const OF_ONE: usize = 1000;

/// The causes, by EndpointSlice.
#[derive(Debug, Default)]
pub(super) struct Triggers(HashMap<ObjectName, Pending>);

#[derive(Debug)]
struct Pending {
    family: Family,
    times: Vec<SystemTime>,
}

impl Triggers {
    /// A change came, caused at that time.
    pub(super) fn take(&mut self, change: &Change, triggered: Option<SystemTime>) {
        match (change, triggered) {
            (Change::Slice(slice), Some(at)) => {
                let pending = self.0.entry(slice.name.clone()).or_insert(Pending {
                    family: slice.family,
                    times: Vec::new(),
                });
                if pending.times.len() < OF_ONE {
                    pending.times.push(at);
                }
            }
            (Change::SliceGone(name), _) => {
                self.0.remove(name);
            }
            (Change::Slices(listed), _) => {
                let listed: HashSet<_> = listed.iter().map(|slice| &slice.name).collect();
                self.0.retain(|name, _| listed.contains(name));
            }
            _ => {}
        }
    }

    /// A sync was made, of which this failed: the causes of all that is in the kernel now. Of each slice with an endpoint
    /// that was refused the first cause stays.
    pub(super) fn programmed(
        &mut self,
        failures: &[Failure],
        engine: &Engine,
    ) -> Vec<(Family, SystemTime)> {
        let refused: HashSet<IpAddr> = failures
            .iter()
            .filter_map(|failure| match &failure.operation {
                Operation::AddDestination { destination, .. }
                | Operation::SetDestination { destination, .. } => Some(destination.id.address),
                _ => None,
            })
            .collect();
        let is_refused = |slice: &&EndpointSlice| {
            let mut endpoints = slice.endpoints.iter();
            endpoints.any(|endpoint| refused.contains(&endpoint.address))
        };
        // Mostly nothing is refused, and no slice need be searched.
        let slices = (!refused.is_empty()).then(|| engine.slices().filter(is_refused));
        let waiting: HashSet<_> = slices
            .into_iter()
            .flatten()
            .map(|slice| &slice.name)
            .collect();
        let mut programmed = Vec::new();
        self.0.retain(|name, pending| {
            if waiting.contains(name) {
                pending.times.truncate(1);
                return true;
            }
            let times = pending.times.drain(..);
            programmed.extend(times.map(|at| (pending.family, at)));
            false
        });
        programmed
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.values().map(|pending| pending.times.len()).sum()
    }
}
