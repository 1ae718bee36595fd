//! Which UDP flows a plan may have left with endpoints that are gone.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Instant;

use iptables_restore::{Edit, Match, Rule, TableEdits, TableName};
use ipvs_netlink::{DestinationId, Protocol, VirtualServerId};
use proxier::cluster::Family;
use proxier::nftables::{AddressRange, Element, NodePort};
use proxier::{Drain, Engine, Operation, Plan, RulesChange, Sysctl};

use super::{Report, Syncer};
use crate::machine::Machine;

impl<M: Machine> Syncer<M> {
    /// Packets of a UDP flow go where the first one went, wanted there or not.
    pub(super) fn forget_flows(&mut self, plan: &Plan, report: &mut Report) {
        let servers = touched(plan, &self.engine);
        let ranges = new_ranges(plan);
        for family in Family::ALL {
            let servers: Vec<_> = servers
                .iter()
                .filter(|(id, _)| id.family() == family)
                .cloned()
                .collect();
            let ranges: Vec<_> = ranges
                .iter()
                .copied()
                .filter(|range| Family::of(range.address) == family)
                .collect();
            if servers.is_empty() && ranges.is_empty() {
                continue;
            }
            let began = Instant::now();
            let forgotten = self.machine.forget_flows(&servers);
            let forgotten =
                forgotten.and_then(|count| Ok(count + self.machine.forget_untranslated(&ranges)?));
            match forgotten {
                Ok(forgotten) => {
                    report.flows += forgotten;
                    report
                        .flows_by_family
                        .push((family, forgotten, began.elapsed()));
                }
                Err(error) => tracing::warn!(
                    %error,
                    "UDP clients may keep sending to endpoints that are gone until their entries in the \
                     connection-tracking table time out"
                ),
            }
        }
    }
}

/// The addresses and ports of UDP that a plan changed, each with the endpoints that packets to it may go to now.
fn touched(plan: &Plan, engine: &Engine) -> Vec<(VirtualServerId, Vec<DestinationId>)> {
    let mut touched: BTreeMap<VirtualServerId, Vec<DestinationId>> = BTreeMap::new();
    let mut gone: BTreeSet<VirtualServerId> = BTreeSet::new();
    for (_, operation) in plan.iter() {
        match operation {
            Operation::AddServer { id, .. }
            | Operation::DeleteServer(id)
            | Operation::DeleteDestination { server: id, .. }
                if is_udp(id) && !touched.contains_key(id) =>
            {
                let wanted = engine.server(id);
                let wanted = wanted.as_ref();
                let ids = wanted.map_or(&[][..], |server| &server.destinations);
                let ids = ids.iter().map(|destination| destination.id);
                // Flows go on to those that drain.
                let draining = match wanted.map(|server| &server.drain) {
                    Some(Drain::Of(these)) => these.as_slice(),
                    _ => &[],
                };
                touched.insert(*id, ids.chain(draining.iter().copied()).collect());
            }
            Operation::AddElement { element, .. }
            | Operation::ChangeElement { element, .. }
            | Operation::DeleteElement { element, .. } => {
                if let Some(port) = udp_at_loopback(element) {
                    let id = at_loopback(port);
                    touched
                        .entry(id)
                        .or_insert_with(|| loopback_endpoints(engine, port));
                }
            }
            // Node ports are no longer served at loopback addresses.
            Operation::SetSysctl {
                sysctl: Sysctl::RouteLocalnet,
                value: 0,
                ..
            } => {
                let udp = engine.node_ports();
                let udp = udp.filter(|port| port.protocol == Protocol::UDP);
                gone.extend(udp.map(at_loopback));
            }
            Operation::RestoreRules(change) => {
                for name in &change.services {
                    let targets = engine.rule_targets(name).into_iter();
                    touched.extend(
                        targets.filter(|(id, _)| is_udp(id) && id.family() == change.family),
                    );
                }
                gone.extend(lost(change, engine));
            }
            _ => {}
        }
    }
    for id in gone {
        touched.entry(id).or_default();
    }
    touched.into_iter().collect()
}

/// The UDP node port whose endpoints at loopback addresses an element is about.
const fn udp_at_loopback(element: &Element) -> Option<NodePort> {
    match *element {
        Element::LoopbackEndpoint(port, ..) | Element::LoopbackPort(port)
            if matches!(port.protocol, Protocol::UDP) =>
        {
            Some(port)
        }
        _ => None,
    }
}

/// By this address flows to any loopback address are meant ([`Machine::forget_flows`]).
const fn at_loopback(port: NodePort) -> VirtualServerId {
    VirtualServerId::Address {
        protocol: port.protocol,
        address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        port: port.port,
    }
}

/// Where packets to a node port at loopback addresses may go: flows go on to those that drain at the node's own addresses.
fn loopback_endpoints(engine: &Engine, port: NodePort) -> Vec<DestinationId> {
    let mut endpoints = engine.loopback_endpoints(port);
    let mut addresses = engine.node_port_addresses();
    let server = addresses.find_map(|address| {
        engine.server(&VirtualServerId::Address {
            protocol: port.protocol,
            address,
            port: port.port,
        })
    });
    if let Some(Drain::Of(these)) = server.map(|server| server.drain) {
        endpoints.extend(these.iter().copied());
    }
    endpoints.into_iter().collect()
}

/// The UDP ports that a plan begins to serve by mark. Where they are served already, virtual servers by mark end the flows
/// to endpoints that go.
fn new_ranges(plan: &Plan) -> Vec<AddressRange> {
    let ranges = plan.iter().map(|(_, operation)| match operation {
        Operation::AddElement { element, .. } => {
            let range = match *element {
                Element::RangeMark(range, _) => Some(range),
                Element::PortMark(at, _) => AddressRange::of_port(at),
                _ => None,
            };
            range.into_iter().collect()
        }
        Operation::RestoreRules(change) => change.marked_ranges(),
        _ => BTreeSet::new(),
    });
    ranges
        .flatten()
        .filter(|range| range.ports.protocol() == Protocol::UDP)
        .collect()
}

fn is_udp(id: &VirtualServerId) -> bool {
    matches!(id, VirtualServerId::Address { protocol, .. } if *protocol == Protocol::UDP)
}

/// What rules of iptables mode led from that are deleted.
fn lost(change: &RulesChange, engine: &Engine) -> Vec<VirtualServerId> {
    let tables = change.input.tables().iter();
    let nat = tables.filter(|table| *table.name() == TableName::Nat && !change.services.is_empty());
    let deleted = nat
        .flat_map(TableEdits::edits)
        .filter_map(|edit| match edit {
            Edit::Delete { rule, .. } => Some(rule),
            _ => None,
        });
    let ids = deleted.filter_map(|rule| Some((udp_port(rule)?, rule)));
    let ids = ids.flat_map(|(port, rule)| {
        let to = rule.destination.as_ref().filter(|to| !to.negated);
        let to = to
            .and_then(|to| to.value.network())
            .map(|network| network.ip());
        let addresses: Vec<IpAddr> = match to {
            Some(address) => vec![address],
            // That of a node port.
            None => {
                let all = engine.node_port_addresses();
                all.filter(|ip| Family::of(*ip) == change.family).collect()
            }
        };
        addresses
            .into_iter()
            .map(move |address| VirtualServerId::Address {
                protocol: Protocol::UDP,
                address,
                port,
            })
    });
    ids.collect()
}

fn udp_port(rule: &Rule) -> Option<u16> {
    rule.matches.iter().find_map(|part| match part {
        Match::Udp(ports) => Some(ports.destination?.value.first),
        _ => None,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]
mod tests;
