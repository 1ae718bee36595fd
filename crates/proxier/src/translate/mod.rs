//! From a cluster to what the kernel of one of its nodes should hold.

mod affinity;
mod claim;
mod claims;
mod endpoints;
mod forwarding;
mod grants;
mod iptables;
mod loopback;
mod marked_ranges;
mod masquerading;
mod nftables;
mod node_ports;
mod options;
mod ranges;
mod reserved;
mod source_ranges;

pub(crate) use claim::{Claim, Extra, Precedence, ServiceClaims};
pub(crate) use claims::Context;
pub(crate) use grants::{Grants, grants, mark_keys};
pub(crate) use iptables::{AddressKind, PortClaim, Ports};
pub(crate) use node_ports::node_port_addresses;
pub use options::{NoEffect, UnusedOption, unused_options};
pub(crate) use ranges::{RangeClaim, range_claims, refused_ranges};
pub(crate) use reserved::{Reserved, ReservedIn, bindable, node_addresses};

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::ptr;
use std::sync::Arc;

use ipset_netlink::Entry;
use ipvs_netlink::VirtualServerId;

use crate::cluster::{Cluster, Family, Host, PerFamily, Service, slices_by_service};
use crate::config::Config;
use crate::conflict::Conflict;
use crate::desired::{Desired, DesiredSet, DesiredTable, FamilyState, Server};
use crate::layout::nftables::{Element, Routing, least_of_each_key};
use crate::layout::{FamilyRules, Layout, RangeRule, SetId, SetIds};
use crate::settings;

/// Translates a cluster, seen from one of its nodes, into the kernel state that serves it there.
///
/// Pure and deterministic: the order in which objects were added to `cluster` does not matter. Of several Services that
/// claim one virtual server the one whose cluster IP it is has it, then the oldest; the others go without and are named
/// in [`Desired::conflicts`].
#[must_use]
pub fn translate(cluster: &Cluster, host: &Host, config: &Config) -> Desired {
    let services = by_seniority(cluster);
    let slices = slices_by_service(cluster);
    let reserved = ReservedIn::new(cluster, host);
    let mut all = Gathered::default();
    let is_nftables = config.layout == Layout::Nftables;
    let has_marks = config.layout.uses_ipvs();
    let mut settled = PerFamily::from_fn(|family| {
        let used = services.iter().any(|service| service.counts(family));
        let unused = family == Family::V6 && !used && !config.layout.writes_unused_ipv6();
        if unused || !host.serves(family) {
            return None;
        }
        let grants = if has_marks {
            grants(config, family, services.iter().copied())
        } else {
            Grants::none()
        };
        let context = Context::new(cluster, host, config, family, &reserved, &grants);
        let mut gathered = FamilyGathered::default();
        for (order, service) in services
            .iter()
            .enumerate()
            .filter(|(_, s)| s.counts(family))
        {
            let key = (service.name.namespace(), service.name.name());
            let slices = slices.get(&key).map_or(&[][..], Vec::as_slice);
            gathered.add(order, context.service_claims(service, slices), &mut all);
        }
        Some(gathered.settle(&services, &context, &mut all))
    });
    all.conflicts.sort_unstable();
    if has_marks {
        // Those by mark come after the addresses of both families.
        all.servers.sort_unstable_by_key(|server| server.id);
    }
    let written = |family: &Family| is_nftables && settled.get(*family).is_some();
    let routing = Routing::of(&config.nftables, Family::ALL.into_iter().filter(written));
    let families = PerFamily::from_fn(|family| settled.get_mut(family).as_mut()?.sets.take());
    let tables = PerFamily::from_fn(|family| settled.get_mut(family).as_mut()?.table.take());
    Desired {
        layout: config.layout,
        servers: all.servers,
        families,
        tables,
        routing,
        addresses: all.addresses,
        sysctls: settings::sysctls(config, host.kernel),
        timeouts: settings::timeouts(config),
        link: config.layout.has_ipset(),
        ownership: config.ownership(host),
        drain_marks: config.layout.uses_ipvs(),
        conflicts: all.conflicts,
    }
}

/// The Services, the one that gets what it claims first.
fn by_seniority(cluster: &Cluster) -> Vec<&Service> {
    let mut services: Vec<_> = cluster.services.values().collect();
    services.sort_by(|a, b| a.seniority().cmp(&b.seniority()));
    services
}

/// What both families share.
#[derive(Default)]
struct Gathered {
    servers: Vec<Server>,
    addresses: BTreeSet<std::net::IpAddr>,
    conflicts: Vec<Conflict>,
}

/// What the Services of a family want, before it is settled which of them gets it.
#[derive(Default)]
struct FamilyGathered {
    /// With the position of the Service by seniority.
    claims: Vec<(usize, Claim)>,
    entries: Vec<(SetId, Entry)>,
    elements: Vec<Element>,
    ranges: BTreeSet<RangeRule>,
}

/// What a family's Services get, as its layout writes it.
#[derive(Default)]
struct Settled {
    sets: Option<FamilyState>,
    table: Option<DesiredTable>,
}

impl FamilyGathered {
    fn add(&mut self, order: usize, service: ServiceClaims, all: &mut Gathered) {
        all.conflicts.extend(service.refused);
        self.claims
            .extend(service.claims.into_iter().map(|claim| (order, claim)));
        self.entries.extend(service.entries);
        self.elements.extend(service.elements);
        self.ranges.extend(service.ranges);
    }

    fn settle(
        mut self,
        services: &[&Service],
        context: &Context<'_>,
        all: &mut Gathered,
    ) -> Settled {
        // Stable: of one Service and precedence, claims stay in the order of its ports.
        self.claims
            .sort_by_key(|(order, claim)| (claim.id, claim.precedence(), *order));
        let mut addresses = BTreeSet::new();
        let mut drops = BTreeSet::new();
        let mut ports = Ports::default();
        let ipvs = context.config.layout.uses_ipvs();
        let claims = self.claims.as_slice();
        for same in claims.chunk_by(|(_, one), (_, next)| one.id == next.id) {
            let names = |order: usize| services.get(order).map(|service| &service.name);
            let Some((order, first)) = same.first() else {
                continue;
            };
            let Some(holder) = names(*order) else {
                continue;
            };
            if ipvs {
                all.servers.push(Server {
                    id: first.id,
                    config: first.config,
                    destinations: Arc::clone(&first.destinations),
                    drain: first.drain.clone(),
                });
            }
            for (order, claim) in same {
                let another = !ptr::eq(claim, first);
                let name = names(*order).filter(|_| another);
                let refused = name.and_then(|name| claim.refused_by(name, (holder, first)));
                if let Some(conflict) = refused {
                    all.conflicts.push(conflict);
                    continue;
                }
                if let (true, VirtualServerId::Address { address, .. }) = (claim.bind, claim.id) {
                    addresses.insert(address);
                }
                self.entries.extend(claim.entries.iter().cloned());
                match claim.extra.as_deref() {
                    Some(Extra::Drop(drop)) => _ = drops.insert(*drop),
                    Some(Extra::Elements(elements)) => self.elements.extend(elements),
                    Some(Extra::Marked(range)) => {
                        _ = self.ranges.insert(RangeRule::Marked(range.clone()));
                    }
                    Some(Extra::Rules(rules)) => ports.grant(claim.id, rules),
                    None => {}
                }
            }
        }
        if context.config.layout == Layout::Nftables {
            let mut elements = self.elements;
            elements.extend(context.node_elements());
            least_of_each_key(&mut elements);
            let rules = context.table_rules(Element::any_optional(&elements));
            return Settled {
                sets: None,
                table: Some(DesiredTable::new(rules, elements)),
            };
        }
        self.entries
            .extend(addresses.iter().map(|ip| (SetId::IpvsIps, Entry::ip(*ip))));
        all.addresses.append(&mut addresses);
        Settled {
            sets: Some(family_state(context, self.entries, |rules| {
                (rules.drops, rules.ranges) = (drops, self.ranges);
                rules.iptables.ports = ports.into_sorted();
            })),
            table: None,
        }
    }
}

fn family_state(
    context: &Context<'_>,
    mut entries: Vec<(SetId, Entry)>,
    of_services: impl FnOnce(&mut FamilyRules),
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
        if members.is_empty() && id.is_optional() {
            continue;
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
    let mut rules = context.rules(filled);
    of_services(&mut rules);
    FamilyState { sets, rules }
}
