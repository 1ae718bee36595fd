//! When the causes of changes came about that the kernel does not have yet, for
//! `kubeproxy_network_programming_duration_seconds`.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::SystemTime;

use proxier::Operation;
use proxier::cluster::{Change, Family, ObjectName};
use proxier::kernel::Failure;

/// How many causes are remembered of one EndpointSlice, while nothing can be synced.
const OF_ONE: usize = 1000;

/// The causes, by EndpointSlice.
#[derive(Debug, Default)]
pub(super) struct Triggers(BTreeMap<ObjectName, Pending>);

#[derive(Debug)]
struct Pending {
    family: Family,
    addresses: Vec<IpAddr>,
    times: Vec<SystemTime>,
}

impl Triggers {
    /// A change came, caused at that time.
    pub(super) fn take(&mut self, change: &Change, triggered: Option<SystemTime>) {
        match (change, triggered) {
            (Change::Slice(slice), Some(at)) => {
                let pending = self.0.entry(slice.name.clone()).or_insert(Pending {
                    family: slice.family,
                    addresses: Vec::new(),
                    times: Vec::new(),
                });
                let addresses = slice.endpoints.iter().map(|endpoint| endpoint.address);
                pending.addresses = addresses.collect();
                if pending.times.len() < OF_ONE {
                    pending.times.push(at);
                }
            }
            (Change::SliceGone(name), _) => {
                self.0.remove(name);
            }
            (Change::Slices(listed), _) => {
                let listed: BTreeSet<_> = listed.iter().map(|slice| &slice.name).collect();
                self.0.retain(|name, _| listed.contains(name));
            }
            _ => {}
        }
    }

    /// A sync was made, of which this failed: the causes of all that is in the kernel now. Of each slice with an endpoint
    /// that was refused the first cause stays.
    pub(super) fn programmed(&mut self, failures: &[Failure]) -> Vec<(Family, SystemTime)> {
        let refused: BTreeSet<IpAddr> = failures
            .iter()
            .filter_map(|failure| match &failure.operation {
                Operation::AddDestination { destination, .. }
                | Operation::SetDestination { destination, .. } => Some(destination.id.address),
                _ => None,
            })
            .collect();
        let mut programmed = Vec::new();
        self.0.retain(|_, pending| {
            if pending
                .addresses
                .iter()
                .any(|address| refused.contains(address))
            {
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
