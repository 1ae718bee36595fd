//! What the kernel should hold, beside what it holds.

use std::net::IpAddr;

use ipset_netlink::Entry;
use iptables_restore::{Ruleset, TableName};
use ipvs_netlink::{Destination, DestinationId, VirtualServerConfig, VirtualServerId};

use super::answer::{Part, PartState};
use super::loopback;
use super::view::{PortView, View};
use crate::cluster::{Family, PerFamily};
use crate::layout::nftables::{Element, Kind, NodePort, TABLE};
use crate::layout::{Layout, SetId, SharedChain, TableRules};
use crate::plan::Operation;
use crate::translate::Claim;

/// What is for all Services together.
#[derive(Default)]
pub(super) struct Shared {
    pub(super) sysctls: Vec<Part>,
    pub(super) rules: PerFamily<Vec<Part>>,
    pub(super) tables: PerFamily<Option<Part>>,
    pub(super) routing: PerFamily<Vec<Part>>,
}

impl Shared {
    /// Whether all that a family's packets pass is there.
    pub(super) fn works(&self, family: Family) -> bool {
        let table = self.tables.get(family).iter();
        let routing = self.routing.get(family).iter();
        let mut parts = self.rules.get(family).iter().chain(table).chain(routing);
        parts.all(Part::is_present)
    }

    pub(super) fn into_parts(self) -> Vec<Part> {
        let PerFamily { v4, v6 } = self.rules;
        let tables = [self.tables.v4, self.tables.v6].into_iter().flatten();
        let routing = [self.routing.v4, self.routing.v6].into_iter().flatten();
        let rules = [v4, v6].into_iter().flatten();
        let sysctls = self.sysctls.into_iter();
        sysctls.chain(rules).chain(tables).chain(routing).collect()
    }
}

/// A part that is there, or not.
fn part(operation: &Operation, found: bool) -> Part {
    let state = if found {
        PartState::Present
    } else {
        PartState::Missing
    };
    in_state(operation, state)
}

pub(super) fn in_state(operation: &Operation, state: PartState) -> Part {
    let line = operation.lines().into_iter().next();
    Part {
        subject: line.as_ref().map_or("", |line| line.subject),
        text: line.map(|line| line.text).unwrap_or_default(),
        state,
        connections: None,
    }
}

/// What the families of these ports share.
pub(super) fn shared(view: &View<'_>, ports: &[PortView<'_>]) -> Shared {
    let mut shared = Shared::default();
    if ports.is_empty() {
        return shared;
    }
    let observed = view.evidence.observed;
    for &(sysctl, value) in &view.desired.sysctls {
        let found = observed.sysctls.get(&sysctl).copied();
        let state = match found {
            Some(found) if found == value => PartState::Present,
            Some(found) => PartState::Differs(found.to_string()),
            None => PartState::Missing,
        };
        let was = None;
        let operation = Operation::SetSysctl { sysctl, value, was };
        shared.sysctls.push(in_state(&operation, state));
    }
    for family in Family::ALL {
        if !ports.iter().any(|port| port.family == family) {
            continue;
        }
        *shared.rules.get_mut(family) = shared_rules(view, family);
        *shared.tables.get_mut(family) = table(view, family);
        *shared.routing.get_mut(family) = routing(view, family);
    }
    shared
}

fn shared_rules(view: &View<'_>, family: Family) -> Vec<Part> {
    let Some(state) = view.desired.families.get(family) else {
        return Vec::new();
    };
    let tables = match state.rules.layout {
        Layout::Iptables => state.rules.base_tables().to_vec(),
        _ => state.rules.tables().to_vec(),
    };
    let found = view.evidence.observed.rules.get(family);
    let each = tables.iter().map(|table| table_rules(family, table, found));
    each.flatten().collect()
}

/// Jumps from built-in chains, then chains, then their rules.
fn table_rules(family: Family, wanted: &TableRules, found: &Ruleset) -> Vec<Part> {
    let rules = Found {
        family,
        table: &wanted.name,
        rules: found,
    };
    let jumps = wanted.all_jumps();
    let mut parts: Vec<_> = jumps
        .map(|(chain, rule)| rules.rule(chain.as_str(), rule))
        .collect();
    for chain in &wanted.chains {
        parts.extend(rules.chain(chain.name.as_str(), &chain.rules));
    }
    parts
}

/// The rules that were found in a table.
struct Found<'a> {
    family: Family,
    table: &'a TableName,
    rules: &'a Ruleset,
}

impl Found<'_> {
    fn part(&self, text: &str, found: bool) -> Part {
        let subject = match self.family {
            Family::V4 => "iptables",
            Family::V6 => "ip6tables",
        };
        Part {
            subject,
            text: format!("-t {} {text}", self.table),
            state: if found {
                PartState::Present
            } else {
                PartState::Missing
            },
            connections: None,
        }
    }

    fn rule(&self, chain: &str, rule: &iptables_restore::Rule) -> Part {
        let table = self.rules.table(self.table);
        let found = table.and_then(|table| table.chain(chain));
        let found = found.is_some_and(|found| found.rules.contains(rule));
        self.part(&rule.display_in(chain).to_string(), found)
    }

    /// A chain and its rules; the chain alone where it is missing.
    fn chain(&self, chain: &str, rules: &[iptables_restore::Rule]) -> Vec<Part> {
        let table = self.rules.table(self.table);
        if table.and_then(|table| table.chain(chain)).is_none() {
            return vec![self.part(&format!("-N {chain}"), false)];
        }
        rules.iter().map(|rule| self.rule(chain, rule)).collect()
    }
}

fn table(view: &View<'_>, family: Family) -> Option<Part> {
    let wanted = view.desired.tables.get(family).as_ref()?;
    let state = match view.evidence.observed.tables.get(family) {
        None => PartState::Missing,
        Some(found) if found.structure == wanted.rules.structure() => PartState::Present,
        Some(_) => PartState::Differs("other chains, rules or sets".to_owned()),
    };
    let name = match family {
        Family::V4 => "ip",
        Family::V6 => "ip6",
    };
    Some(Part {
        subject: "nft",
        text: format!("table {name} {TABLE}"),
        state,
        connections: None,
    })
}

fn routing(view: &View<'_>, family: Family) -> Vec<Part> {
    let (wanted, found) = (&view.desired.routing, &view.evidence.observed.routing);
    let rules = wanted.rules.iter().filter(|rule| rule.family == family);
    let rules = rules.map(|rule| {
        let operation = Operation::AddRoutingRule(*rule);
        part(&operation, found.rules.contains(rule))
    });
    let of_family = |address: IpAddr| Family::of(address) == family;
    let routes = wanted.routes.iter();
    let routes = routes.filter(|route| of_family(route.destination.ip()));
    let routes = routes.map(|route| {
        let operation = Operation::AddRoute(*route);
        part(&operation, found.routes.contains(route))
    });
    rules.chain(routes).collect()
}

/// What comes with a port, at whatever address.
pub(super) fn port(view: &View<'_>, port: &PortView<'_>) -> Vec<Part> {
    let mut parts = Vec::new();
    for claim in &port.by_mark {
        parts.extend(server(view, claim.id, claim.config, &claim.destinations));
    }
    let entries = port.entries.iter();
    parts.extend(entries.map(|(set, entry)| member(view, port.family, *set, entry)));
    let elements = port.elements.iter();
    parts.extend(elements.filter_map(|one| element(view, port.family, *one)));
    parts.extend(port_rules(view, port, None));
    parts
}

/// What comes with one address of a port.
pub(super) fn frontend(view: &View<'_>, port: &PortView<'_>, claim: &Claim) -> Vec<Part> {
    let VirtualServerId::Address {
        protocol,
        address,
        port: number,
    } = claim.id
    else {
        return Vec::new();
    };
    if !view.desired.layout.uses_ipvs() {
        return port_rules(view, port, Some(address));
    }
    let mut parts = match port.is_range || claim.is_at_loopback() {
        true => Vec::new(),
        false => server(view, claim.id, claim.config, &claim.destinations),
    };
    if claim.bind {
        let operation = Operation::BindAddress(address);
        parts.push(part(&operation, view.evidence.observed.binds(address)));
        let state = view.desired.families.get(port.family).as_ref();
        if state.is_some_and(|state| state.set(SetId::IpvsIps).is_some()) {
            let entry = Entry::ip(address);
            parts.push(member(view, port.family, SetId::IpvsIps, &entry));
        }
    }
    let entries = claim.entries.iter();
    parts.extend(entries.map(|(set, entry)| member(view, port.family, *set, entry)));
    let node_port = Element::NodePort(
        NodePort {
            protocol,
            port: number,
        },
        Kind::ClusterIp,
    );
    let mut elements = claim.elements().iter();
    let of_node = elements.any(|one| one.key() == node_port);
    let node_address = of_node.then_some(Element::NodeAddress(address));
    let elements = claim.elements().iter().copied().chain(node_address);
    let (slots, elements): (Vec<_>, Vec<_>) =
        elements.partition(|one| matches!(one, Element::LoopbackEndpoint(..)));
    parts.extend(loopback::slots(view, port.family, &slots));
    let elements = elements.into_iter();
    parts.extend(elements.filter_map(|one| element(view, port.family, one)));
    parts
}

pub(super) fn member(view: &View<'_>, family: Family, id: SetId, entry: &Entry) -> Part {
    let set = id.name(family);
    let found = view.evidence.observed.sets.get(&set);
    let found = found.is_some_and(|found| found.entries.binary_search(entry).is_ok());
    let entry = entry.clone();
    part(&Operation::AddEntry { set, entry }, found)
}

/// An element, unless another of its key is in the table.
pub(super) fn element(view: &View<'_>, family: Family, element: Element) -> Option<Part> {
    let wanted = view.desired.tables.get(family).as_ref()?;
    wanted.elements.binary_search(&element).ok()?;
    let found = view.evidence.observed.tables.get(family).as_ref();
    let found = found.is_some_and(|found| found.elements.binary_search(&element).is_ok());
    Some(part(&Operation::AddElement { family, element }, found))
}

pub(super) fn server(
    view: &View<'_>,
    id: VirtualServerId,
    config: VirtualServerConfig,
    destinations: &[Destination],
) -> Vec<Part> {
    let found = view.evidence.observed.server(&id);
    let shown = |config| in_state(&Operation::AddServer { id, config }, PartState::Present).text;
    let state = match found {
        None => PartState::Missing,
        Some(found) if found.config == config => PartState::Present,
        Some(found) => PartState::Differs(shown(found.config)),
    };
    let mut parts = vec![in_state(&Operation::AddServer { id, config }, state)];
    let found = found
        .map(|found| found.destinations.as_slice())
        .unwrap_or_default();
    for &destination in destinations {
        let known = found
            .iter()
            .find(|found| found.destination.id == destination.id);
        let state = match known.map(|known| known.destination.config) {
            None => PartState::Missing,
            Some(config) if config == destination.config => PartState::Present,
            Some(config) => PartState::Differs(format!("weight {}", config.weight)),
        };
        let server = id;
        let operation = Operation::AddDestination {
            server,
            destination,
        };
        let mut part = in_state(&operation, state);
        part.connections = known.map(|known| known.connections);
        parts.push(part);
    }
    let is_wanted = |id: DestinationId| destinations.iter().any(|wanted| wanted.id == id);
    for extra in found.iter().filter(|one| !is_wanted(one.destination.id)) {
        let (server, destination) = (id, extra.destination);
        let operation = Operation::AddDestination {
            server,
            destination,
        };
        let drains = destination.config.weight == 0;
        let state = if drains {
            PartState::Draining
        } else {
            PartState::Unwanted
        };
        let mut part = in_state(&operation, state);
        part.connections = Some(extra.connections);
        parts.push(part);
    }
    parts
}

/// The rules that a port has in iptables mode: those for one address, or all others.
fn port_rules(view: &View<'_>, port: &PortView<'_>, only: Option<IpAddr>) -> Vec<Part> {
    let Some(state) = view.desired.families.get(port.family) else {
        return Vec::new();
    };
    let rules = &state.rules;
    let wanted = rules.iptables.ports.iter().find(|wanted| {
        let spec = &wanted.spec;
        let (service, own) = (&port.service.name, &*port.port);
        (&spec.service, &spec.name, spec.protocol) == (service, &own.name, own.protocol)
    });
    let Some(wanted) = wanted else {
        return Vec::new();
    };
    let tables = rules.port_tables(wanted);
    let found = view.evidence.observed.rules.get(port.family);
    let mut parts = Vec::new();
    for (chain, rules) in SharedChain::ALL.into_iter().zip(&tables.shared) {
        let name = chain.table();
        let table = Found {
            family: port.family,
            table: &name,
            rules: found,
        };
        for rule in rules {
            let to = rule.destination.as_ref().map(|to| to.value);
            if to == only.map(iptables_restore::Address::from) {
                parts.push(table.rule(chain.name(), rule));
            }
        }
    }
    if only.is_none() {
        let table = Found {
            family: port.family,
            table: &TableName::Nat,
            rules: found,
        };
        for (chain, rules) in &tables.chains {
            parts.extend(table.chain(chain.as_str(), rules));
        }
    }
    parts
}
