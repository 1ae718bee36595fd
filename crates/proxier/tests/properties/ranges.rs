//! What must hold, at every moment, of the rules that mark packets to ranges of ports.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;

use iptables_restore::{Address, Rule, TableName, Target};
use ipvs_netlink::{DestinationId, VirtualServerId};
use proxier::cluster::{Cluster, Family};
use proxier::{Desired, Observed, RangeRule};

/// An address whose packets get a mark, and the virtual server of that.
type Marked = (Address, VirtualServerId);

/// Looks at states on the way from one that was found to the one desired.
pub(crate) struct Watch<'a> {
    desired: &'a Desired,
    wanted: BTreeSet<Marked>,
    /// The destinations that packets could get when found.
    found: BTreeMap<Marked, BTreeSet<DestinationId>>,
    /// What was wrong when it was found.
    before: BTreeSet<String>,
}

impl<'a> Watch<'a> {
    pub(crate) fn new(desired: &'a Desired, found: &Observed) -> Self {
        let wanted = Family::ALL.into_iter().flat_map(|family| {
            let state = desired.families.get(family).iter();
            let rules = state.flat_map(|state| &state.rules.ranges);
            rules.filter_map(move |rule| match rule {
                RangeRule::Marked(range) => {
                    Some((range.at.address.into(), by_mark(family, range.mark)))
                }
                _ => None,
            })
        });
        let before = marked(found).into_iter();
        let mut watch = Self {
            desired,
            wanted: wanted.collect(),
            found: before.map(|one| (one, active(found, one.1))).collect(),
            before: BTreeSet::new(),
        };
        watch.before = watch.all(found).collect();
        watch
    }

    /// What is wrong with a state and was not wrong with the one found.
    pub(crate) fn problems(&self, state: &Observed) -> Vec<String> {
        let all = self.all(state);
        all.filter(|problem| !self.before.contains(problem))
            .collect()
    }

    fn all(&self, state: &Observed) -> impl Iterator<Item = String> {
        let all = marked(state).into_iter();
        all.filter_map(move |(address, id)| {
            if state.server(&id).is_none() {
                return Some(format!("{address} gets the mark of {id}, which is missing"));
            }
            let one = (address, id);
            let before = self.found.get(&one).cloned().unwrap_or_default();
            let server = self
                .desired
                .server(&id)
                .filter(|_| self.wanted.contains(&one));
            let wanted = server.iter().flat_map(|server| server.destinations.iter());
            let mut rightful = before;
            rightful.extend(wanted.map(|destination| destination.id));
            let others: Vec<_> = active(state, id).difference(&rightful).copied().collect();
            (!others.is_empty())
                .then(|| format!("{address} gets the mark of {id}, which sends to {others:?}"))
        })
    }
}

fn by_mark(family: Family, mark: NonZeroU32) -> VirtualServerId {
    VirtualServerId::FirewallMark { family, mark }
}

/// Destinations that get new connections.
fn active(state: &Observed, id: VirtualServerId) -> BTreeSet<DestinationId> {
    let server = state.server(&id);
    let destinations = server.iter().flat_map(|server| &server.destinations);
    let active = destinations.filter(|found| found.destination.config.weight > 0);
    active.map(|found| found.destination.id).collect()
}

/// The marks that packets get which pass the mangle table.
fn marked(state: &Observed) -> BTreeSet<Marked> {
    let of_family = |family: Family| {
        let table = state.rules.get(family).table(&TableName::Mangle);
        let chain = table.and_then(|table| table.chain("KUBE-RANGE-MARKS"));
        let rules = chain.map_or(&[][..], |chain| &chain.rules).iter();
        rules.filter_map(move |rule: &Rule| match rule.target {
            Some(Target::Mark(mark)) => {
                let address = rule.destination.as_ref()?.value;
                Some((address, by_mark(family, NonZeroU32::new(mark.value)?)))
            }
            _ => None,
        })
    };
    Family::ALL.into_iter().flat_map(of_family).collect()
}

/// The cluster, of which no Service asks for ranges, or for listed ports that are served together.
pub(crate) fn without(cluster: &Cluster) -> Cluster {
    let mut cluster = cluster.clone();
    for service in cluster.services.values_mut() {
        if let Some(options) = &mut service.options {
            options.ports = Vec::new();
            options.affinity = None;
        }
    }
    cluster
}
