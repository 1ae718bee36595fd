//! Rules of others that refuse packets to a Service before IPVS has them.
//!
//! IPVS takes packets at the end of the INPUT hook. What refuses some of them only, by their source or in ways that are not
//! known here, is passed over: a rule counts if it refuses every packet that opens a connection to the address.

use std::net::IpAddr;

use iptables_restore::{
    CtStates, Match, Negatable, Policy, PortRange, Rule, Table, TableName, Target,
};
use ipvs_netlink::{Protocol, VirtualServerId};

use super::view::View;
use crate::cluster::Family;
use crate::layout::ACCEPT_CHAIN;

/// How deep chains lead into chains, as far as is followed.
const DEPTH: usize = 8;

/// A packet that opens a connection.
#[derive(Clone, Copy)]
struct Packet {
    address: IpAddr,
    protocol: Protocol,
    port: u16,
    client: Option<IpAddr>,
}

/// What a chain does to the packet.
enum Verdict {
    /// It passes the chain, and may meet the rules behind.
    Returned,
    Accepted,
    /// By this rule.
    Refused(String),
}

/// The rule, or policy, of the filter table that refuses what is sent to a virtual server, as `iptables-save` prints it.
pub(super) fn refusal(view: &View<'_>, server: VirtualServerId) -> Option<String> {
    let VirtualServerId::Address {
        protocol,
        address,
        port,
    } = server
    else {
        return None;
    };
    if !view.desired.layout.uses_ipvs() {
        return None;
    }
    let packet = Packet {
        address,
        protocol,
        port,
        client: view.client,
    };
    let rules = view.evidence.observed.rules.get(Family::of(address));
    let table = rules.table(&TableName::Filter)?;
    let input = table.chain("INPUT")?;
    match walk(table, "INPUT", packet, DEPTH) {
        Verdict::Refused(rule) => Some(rule),
        Verdict::Returned if input.policy == Some(Policy::Drop) => Some("-P INPUT DROP".to_owned()),
        Verdict::Returned | Verdict::Accepted => None,
    }
}

fn walk(table: &Table, name: &str, packet: Packet, depth: usize) -> Verdict {
    let Some(chain) = table.chain(name).filter(|_| depth > 0) else {
        return Verdict::Returned;
    };
    for rule in chain.rules.iter().filter(|rule| packet.surely_meets(rule)) {
        match &rule.target {
            Some(Target::Accept) => return Verdict::Accepted,
            Some(Target::Drop | Target::Reject { .. }) => {
                return Verdict::Refused(rule.display_in(name).to_string());
            }
            Some(Target::Return) => return Verdict::Returned,
            // What gets there is for a Service, and accepted.
            Some(Target::Jump(to)) if to == ACCEPT_CHAIN => return Verdict::Accepted,
            // The proxy's own.
            Some(target) if target.chain().is_some_and(|to| to.starts_with("KUBE-")) => {}
            Some(Target::Jump(to)) => match walk(table, to, packet, depth - 1) {
                Verdict::Returned => {}
                decided => return decided,
            },
            Some(Target::Goto(to)) => return walk(table, to, packet, depth - 1),
            _ => {}
        }
    }
    Verdict::Returned
}

impl Packet {
    /// Whether the packet meets all conditions of a rule, whatever else is known of it.
    fn surely_meets(self, rule: &Rule) -> bool {
        let in_network = |condition: &Negatable<iptables_restore::Address>, ip: IpAddr| {
            let network = condition.value.network();
            network.is_some_and(|network| network.contains(ip) != condition.negated)
        };
        let source = rule.source.as_ref().is_none_or(|source| {
            let client = self.client;
            client.is_some_and(|client| in_network(source, client))
        });
        let destination = rule.destination.as_ref();
        let protocol = rule.protocol.as_ref().is_none_or(|wanted| {
            (wanted.value.number() == Some(self.protocol.0)) != wanted.negated
        });
        source
            && protocol
            && destination.is_none_or(|destination| in_network(destination, self.address))
            && rule.in_interface.is_none()
            && rule.out_interface.is_none()
            && rule.fragment.is_none()
            && rule.matches.iter().all(|one| self.surely_matches(one))
    }

    fn surely_matches(self, one: &Match) -> bool {
        let here = |ports: &Negatable<PortRange>| {
            let range = ports.value;
            (range.first <= self.port && self.port <= range.last) != ports.negated
        };
        match one {
            Match::Comment(_) => true,
            Match::Conntrack(states) => states.states.contains(CtStates::NEW) != states.negated,
            Match::Tcp(ports) | Match::Udp(ports) | Match::Sctp(ports) => {
                let any_source = ports.source.is_none();
                any_source && ports.destination.as_ref().is_none_or(here)
            }
            _ => false,
        }
    }
}
