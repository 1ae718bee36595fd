//! From a cluster to what the kernel of one of its nodes should hold.

mod claims;
mod endpoints;
mod node_ports;

pub(crate) use claims::{Claim, Context, Wish};
pub(crate) use node_ports::node_port_addresses;

use std::cmp::Ordering;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use ipset_netlink::Entry;
use ipvs_netlink::VirtualServerId;

use crate::cluster::{Cluster, EndpointSlice, Family, Host, ObjectName, PerFamily, Service};
use crate::config::Config;
use crate::desired::{Conflict, Desired, DesiredSet, FamilyState, Ownership, Server};
use crate::layout::{SetId, SetIds, SourceRangeDrop};
use crate::settings;

/// Translates a cluster, seen from one of its nodes, into the kernel state that serves it there.
///
/// Pure and deterministic: the order in which objects were added to `cluster` does not matter. A Service
/// that claims what an older one has goes without it and is named in [`Desired::conflicts`].
#[must_use]
pub fn translate(cluster: &Cluster, host: &Host, config: &Config) -> Desired {
    let services = by_seniority(cluster);
    let slices = by_service(cluster);
    let mut all = Gathered::default();
    let families = PerFamily::from_fn(|family| {
        let used = services.iter().any(|service| service.counts(family));
        let unused = family == Family::V6 && !used && !config.layout.writes_unused_ipv6();
        if unused || !host.serves(family) {
            return None;
        }
        let context = Context::new(cluster, host, config, family);
        let mut gathered = FamilyGathered::default();
        for (order, service) in services
            .iter()
            .enumerate()
            .filter(|(_, s)| s.counts(family))
        {
            let key = (service.name.namespace(), service.name.name());
            let slices = slices.get(&key).map_or(&[][..], Vec::as_slice);
            gathered.add(order, context.wish(service, slices));
        }
        Some(gathered.settle(&services, &context, &mut all))
    });
    all.conflicts.sort_unstable();
    Desired {
        layout: config.layout,
        servers: all.servers,
        families,
        addresses: all.addresses,
        sysctls: settings::sysctls(config, host.kernel),
        timeouts: config.timeouts,
        link: true,
        ownership: Ownership::AllBut(config.exclude_cidrs.clone()),
        conflicts: all.conflicts,
    }
}

/// Who claims first gets it.
fn by_seniority(cluster: &Cluster) -> Vec<&Service> {
    let mut services: Vec<_> = cluster.services.values().collect();
    services.sort_by(|a, b| a.seniority().cmp(&b.seniority()));
    services
}

/// The slices of each Service, by namespace and name, in the order of their own names.
pub(crate) fn by_service(cluster: &Cluster) -> HashMap<(&str, &str), Vec<&EndpointSlice>> {
    let mut slices: HashMap<_, Vec<_>> = HashMap::new();
    for slice in cluster.slices.values() {
        slices
            .entry((slice.name.namespace(), &*slice.service))
            .or_default()
            .push(slice);
    }
    slices
}

/// What both families share.
#[derive(Default)]
struct Gathered {
    servers: Vec<Server>,
    addresses: BTreeSet<std::net::IpAddr>,
    conflicts: Vec<Conflict>,
}

/// What the Services of a family want, before it is settled who gets what.
#[derive(Default)]
struct FamilyGathered {
    /// With the position of the Service by seniority.
    claims: Vec<(usize, Claim)>,
    entries: Vec<(SetId, Entry)>,
}

impl FamilyGathered {
    fn add(&mut self, order: usize, wish: Wish) {
        self.claims
            .extend(wish.claims.into_iter().map(|claim| (order, claim)));
        self.entries.extend(wish.entries);
    }

    fn settle(
        mut self,
        services: &[&Service],
        context: &Context<'_>,
        all: &mut Gathered,
    ) -> FamilyState {
        // Stable: of equal ids the senior claim stays first.
        self.claims.sort_by_key(|(_, claim)| claim.id);
        let mut addresses = BTreeSet::new();
        let mut drops = BTreeSet::new();
        let mut holder: Option<(usize, Arc<str>)> = None;
        for (order, claim) in self.claims {
            let same = all
                .servers
                .last()
                .is_some_and(|server| server.id == claim.id);
            match &holder {
                Some((first, port)) if same && (*first, port) != (order, &claim.port) => {
                    let names = services.get(order).zip(services.get(*first));
                    all.conflicts.extend(names.map(|(service, holder)| {
                        Conflict::of(service.name.clone(), &claim, holder.name.clone())
                    }));
                    continue;
                }
                _ => {}
            }
            if let (true, VirtualServerId::Address { address, .. }) = (claim.bind, claim.id) {
                addresses.insert(address);
            }
            drops.extend(claim.drop);
            self.entries.extend(claim.entries);
            if !same {
                holder = Some((order, claim.port));
                all.servers.push(Server {
                    id: claim.id,
                    config: claim.config,
                    destinations: claim.destinations,
                });
            }
        }
        self.entries
            .extend(addresses.iter().map(|ip| (SetId::IpvsIps, Entry::ip(*ip))));
        all.addresses.append(&mut addresses);
        family_state(context, self.entries, drops)
    }
}

impl Conflict {
    /// Of a claim not granted.
    pub(crate) fn of(service: ObjectName, claim: &Claim, holder: ObjectName) -> Self {
        Self {
            service,
            port: Arc::clone(&claim.port),
            family: claim.id.family(),
            server: claim.id,
            holder,
        }
    }
}

fn family_state(
    context: &Context<'_>,
    mut entries: Vec<(SetId, Entry)>,
    drops: BTreeSet<SourceRangeDrop>,
) -> FamilyState {
    entries.sort_unstable();
    entries.dedup();
    let mut entries = entries.into_iter().peekable();
    let mut filled = SetIds::NONE;
    let mut sets = Vec::new();
    for id in SetId::of(context.config.layout) {
        while entries
            .peek()
            .is_some_and(|(of, _)| of.cmp(&id) == Ordering::Less)
        {
            entries.next();
        }
        let mut members = Vec::new();
        while let Some((_, entry)) = entries.next_if(|(of, _)| *of == id) {
            members.push(entry);
        }
        members.shrink_to_fit();
        if !members.is_empty() {
            filled.insert(id);
        }
        sets.push(DesiredSet {
            id,
            spec: id.spec(context.family, members.len()),
            entries: members,
        });
    }
    let rules = context.rules(filled, drops);
    FamilyState { sets, rules }
}
