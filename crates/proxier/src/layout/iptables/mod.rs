//! The chains and rules of iptables mode: the whole of what kube-proxy writes in that mode into the nat and filter
//! tables.
//!
//! Some chains are there always and shared by all Service ports ([`base`]); each port has rules in them ([`entries`]) and
//! chains of its own ([`chains`]), which are named by a hash ([`names`]).

mod base;
mod chains;
mod entries;
mod names;
mod port;
mod probability;
mod shared;

use std::collections::BTreeMap;
use std::net::IpAddr;

use iptables_restore::{ChainName, Rule, TableName};

pub(crate) use base::{FORWARD_CHAIN, LOCALNET_CHAIN, is_localnet_rule};
pub(crate) use names::{is_service_chain, is_service_chain_name};
pub use port::{PortRules, PortSpec, Sources};
pub(crate) use shared::{SharedChain, is_plain};

use self::chains::{Common, Named};
use super::rules::{FamilyRules, OwnChain, TableRules};
use crate::cluster::{Family, ObjectName};

/// The chain that marks packets to be masqueraded.
const MARK_MASQ: &str = "KUBE-MARK-MASQ";

/// What the rules of iptables mode depend on beyond what ipvs mode's do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct IptablesRules {
    /// The addresses that serve node ports, sorted; `None` for all of the node's.
    pub node_port_addresses: Option<Vec<IpAddr>>,
    /// Whether node ports are served at IPv4 loopback addresses too.
    pub localhost_node_ports: bool,
    /// Whether packets that belong to no connection are dropped (not with `conntrack.tcpBeLiberal`).
    pub drop_invalid: bool,
    /// The Service ports with the addresses that they have, sorted by Service, name and protocol.
    pub ports: Vec<PortRules>,
}

impl IptablesRules {
    /// Those of the default configuration, without Services.
    pub const NONE: Self = Self {
        node_port_addresses: None,
        localhost_node_ports: true,
        drop_invalid: true,
        ports: Vec::new(),
    };
}

impl Default for IptablesRules {
    fn default() -> Self {
        Self::NONE
    }
}

/// What a Service, or one of its ports, adds to the tables.
#[derive(Debug, Default)]
pub(crate) struct ServiceTables {
    /// Rules of shared chains, by [`SharedChain::index`].
    pub(crate) shared: [Vec<Rule>; SharedChain::COUNT],
    /// Chains of its own, in the nat table.
    pub(crate) chains: BTreeMap<ChainName, Vec<Rule>>,
}

impl FamilyRules {
    /// The nat and the filter table.
    pub(super) fn iptables_mode(&self) -> [TableRules; 2] {
        let [mut nat, mut filter] = self.base_tables();
        let tail = nat.take_last(base::SERVICES);
        let mut own = BTreeMap::new();
        for port in &self.iptables.ports {
            let ServiceTables { shared, chains } = self.port_tables(port);
            for (chain, rules) in SharedChain::ALL.into_iter().zip(shared) {
                let table = match chain.table() {
                    TableName::Nat => &mut nat,
                    _ => &mut filter,
                };
                table.extend(chain.name(), rules);
            }
            own.extend(chains);
        }
        nat.append_last(base::SERVICES, tail);
        nat.chains
            .extend(own.into_iter().map(|(name, rules)| OwnChain {
                name,
                shared: false,
                unordered: false,
                tail: 0,
                rules,
            }));
        [nat, filter]
    }

    /// The two tables as they are without Services.
    pub(crate) fn base_tables(&self) -> [TableRules; 2] {
        let (mut nat, filter) = (self.base_nat(), self.base_filter());
        nat.append_last(base::SERVICES, self.node_port_jumps());
        [nat, filter]
    }

    /// The Services that have ports, each with the chains that it adds, sorted.
    pub(crate) fn service_chains(&self) -> BTreeMap<ObjectName, Vec<ChainName>> {
        let mut services: BTreeMap<ObjectName, Vec<ChainName>> = BTreeMap::new();
        for port in &self.iptables.ports {
            let all = services.entry(port.spec.service.clone()).or_default();
            all.extend(self.port_tables(port).chains.into_keys());
        }
        services
    }

    /// What a Service adds: nothing, if it has no ports.
    pub(crate) fn service_tables(&self, name: &ObjectName) -> ServiceTables {
        let ports = &self.iptables.ports;
        let first = ports.partition_point(|port| port.spec.service < *name);
        let ports = ports.iter().skip(first);
        let mut all = ServiceTables::default();
        for port in ports.take_while(|port| port.spec.service == *name) {
            let ServiceTables { shared, chains } = self.port_tables(port);
            for (all, rules) in all.shared.iter_mut().zip(shared) {
                all.extend(rules);
            }
            all.chains.extend(chains);
        }
        all
    }

    /// What one port adds.
    pub(crate) fn port_tables(&self, port: &PortRules) -> ServiceTables {
        let named = Named::new(port);
        let common = Common {
            masquerade_all: self.masquerade_all,
            local_source: self.local_source.as_ref(),
        };
        ServiceTables {
            shared: named.entries(self.family).by_chain(),
            chains: named.chains(common),
        }
    }
}

/// Adds a comment, cut to what the kernel keeps of one and without characters that no line can carry.
fn comment(rule: Rule, text: &str) -> Rule {
    const KEPT: usize = 255;
    let mut kept = String::with_capacity(text.len());
    for character in text.chars() {
        let character = if character.is_control() {
            '?'
        } else {
            character
        };
        if kept.len() + character.len_utf8() > KEPT {
            break;
        }
        kept.push(character);
    }
    rule.comment(kept)
}

/// The loopback network of a family.
pub(crate) fn loopback(family: Family) -> Option<ipnetwork::IpNetwork> {
    let address: IpAddr = match family {
        Family::V4 => [127, 0, 0, 0].into(),
        Family::V6 => std::net::Ipv6Addr::LOCALHOST.into(),
    };
    let prefix = match family {
        Family::V4 => 8,
        Family::V6 => 128,
    };
    ipnetwork::IpNetwork::new(address, prefix).ok()
}

#[cfg(test)]
mod tests;
