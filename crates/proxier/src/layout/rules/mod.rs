//! The chains and rules of both layouts.
//!
//! Their number depends on the configuration and on which sets have members, not on how many Services
//! there are; only load balancer addresses that the node itself may not reach, and ranges of ports, have rules each.

mod filter;
mod mangle;
mod nat;

pub(crate) use filter::ACCEPT_CHAIN;
pub use mangle::{MarkedRange, Masqueraded, PORT_RANGES, RangeRule};

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::LazyLock;

use ipnetwork::IpNetwork;
use iptables_restore::{
    ChainName, ConntrackMatch, CtStates, MarkMatch, Match, Rule, SetMatch, TableName, Target,
};
use ipvs_netlink::Protocol;

use super::iptables::IptablesRules;
use super::{Layout, SetId, SetIds};
use crate::cluster::{Family, PerFamily};

/// The mark by which the classic layout has packets dropped.
pub(crate) const DROP_MARK: u32 = 0x8000;

/// The protocols that node ports can have, in the order of their rules.
const NODE_PORT_PROTOCOLS: [&str; 3] = ["tcp", "udp", "sctp"];

/// All that the rules of a family depend on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FamilyRules {
    /// Which chains.
    pub layout: Layout,
    /// For which addresses.
    pub family: Family,
    /// The bit of the packet mark that asks for masquerading.
    pub mark: u32,
    /// Whether all traffic to cluster IPs is masqueraded.
    pub masquerade_all: bool,
    /// How traffic of this node's pods is recognized, where it can be.
    pub local_source: Option<LocalSource>,
    /// Whether `MASQUERADE` takes `--random-fully`.
    pub random_fully: bool,
    /// The sets that have members: most rules are there only for these.
    pub filled: SetIds,
    /// What is dropped when it comes from the node itself. Current layout only.
    pub drops: BTreeSet<SourceRangeDrop>,
    /// Ranges of ports, and what they have masqueraded.
    pub ranges: BTreeSet<RangeRule>,
    /// The networks in which node ports are served; `None` does not restrict them.
    pub node_port_networks: Option<Vec<IpNetwork>>,
    /// The Services and options of iptables mode, whose rules are made for each Service port.
    pub iptables: IptablesRules,
}

/// How traffic of this node's pods is recognized.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LocalSource {
    /// Its source address.
    Network(IpNetwork),
    /// The interface it comes in on; a trailing `+` stands for any ending.
    Interface(Box<str>),
}

/// A load balancer address and port whose source ranges leave out the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct SourceRangeDrop {
    /// The load balancer's address.
    pub address: IpAddr,
    /// The protocol.
    pub protocol: Protocol,
    /// The Service's port.
    pub port: u16,
}

impl SourceRangeDrop {
    /// What is dropped of the node's own traffic to a port of an address.
    #[must_use]
    pub const fn new(address: IpAddr, protocol: Protocol, port: u16) -> Self {
        Self {
            address,
            protocol,
            port,
        }
    }
}

/// A table's part of the rules.
#[derive(Clone, Debug)]
pub(crate) struct TableRules {
    pub(crate) name: TableName,
    pub(crate) chains: Vec<OwnChain>,
    /// Rules at the top of built-in chains, in this order there.
    pub(crate) jumps: Vec<(ChainName, Rule)>,
    /// Rules at the end of built-in chains, before a rule there that refuses whatever comes to it.
    pub(crate) last_jumps: Vec<(ChainName, Rule)>,
}

/// A chain and what is wanted in it.
#[derive(Clone, Debug)]
pub(crate) struct OwnChain {
    pub(crate) name: ChainName,
    /// Whether others (kubelet) write it too: then these rules are seen to be in it, and nothing more.
    pub(crate) shared: bool,
    /// Whether its rules do not depend on their order: then they are added and deleted one by one.
    pub(crate) unordered: bool,
    /// How many of its last rules have to be behind all others, where the order does not matter otherwise.
    pub(crate) tail: usize,
    pub(crate) rules: Vec<Rule>,
}

impl TableRules {
    pub(super) fn new(name: TableName) -> Self {
        Self {
            name,
            chains: Vec::new(),
            jumps: Vec::new(),
            last_jumps: Vec::new(),
        }
    }

    /// All rules of built-in chains.
    pub(crate) fn all_jumps(&self) -> impl Iterator<Item = &(ChainName, Rule)> {
        self.jumps.iter().chain(&self.last_jumps)
    }

    fn declare(&mut self, chain: &str) {
        self.chain(chain, false);
    }

    pub(super) fn declare_shared(&mut self, chain: &str) {
        self.chain(chain, true);
    }

    pub(super) fn declare_unordered(&mut self, chain: &str) {
        self.chain(chain, false).unordered = true;
    }

    fn chain(&mut self, name: &str, shared: bool) -> &mut OwnChain {
        let name = chain_name(name);
        let at = self.chains.iter().position(|chain| chain.name == name);
        let at = at.unwrap_or_else(|| {
            self.chains.push(OwnChain {
                name,
                shared,
                unordered: false,
                tail: 0,
                rules: Vec::new(),
            });
            self.chains.len() - 1
        });
        // It was just found there, or put there.
        #[allow(clippy::indexing_slicing, reason = "the index is of this vector")]
        &mut self.chains[at]
    }

    pub(super) fn append(&mut self, chain: &str, rule: Rule) {
        self.chain(chain, false).rules.push(rule);
    }

    pub(super) fn extend(&mut self, chain: &str, rules: impl IntoIterator<Item = Rule>) {
        self.chain(chain, false).rules.extend(rules);
    }

    /// Adds rules that are to be behind all others of a chain.
    pub(super) fn append_last(&mut self, chain: &str, rules: Vec<Rule>) {
        let chain = self.chain(chain, false);
        chain.tail += rules.len();
        chain.rules.extend(rules);
    }

    /// Takes out the rules that are to be behind all others of a chain.
    pub(super) fn take_last(&mut self, chain: &str) -> Vec<Rule> {
        let chain = self.chain(chain, false);
        let body = chain.rules.len().saturating_sub(chain.tail);
        chain.tail = 0;
        chain.rules.split_off(body)
    }

    pub(super) fn jump_from(&mut self, builtin: &str, rule: Rule) {
        self.jumps.push((chain_name(builtin), rule));
    }

    fn jump_last_from(&mut self, builtin: &str, rule: Rule) {
        self.last_jumps.push((chain_name(builtin), rule));
    }
}

impl FamilyRules {
    /// The rules of a family as the default configuration has them, while no set has members.
    #[must_use]
    pub const fn new(layout: Layout, family: Family) -> Self {
        Self {
            layout,
            family,
            mark: 1 << 14,
            masquerade_all: false,
            local_source: None,
            random_fully: true,
            filled: SetIds::NONE,
            drops: BTreeSet::new(),
            ranges: BTreeSet::new(),
            node_port_networks: None,
            iptables: IptablesRules::NONE,
        }
    }

    /// The tables, their chains and rules.
    pub(crate) fn tables(&self) -> [TableRules; 3] {
        let mangle = self.mangle();
        match self.layout {
            Layout::Iptables => {
                let [nat, filter] = self.iptables_mode();
                [nat, filter, mangle]
            }
            _ => [self.nat(), self.filter(), mangle],
        }
    }

    fn set(&self, id: SetId) -> Match {
        self.set_by(id, id.directions())
    }

    fn set_by(&self, id: SetId, directions: &str) -> Match {
        SetMatch::new(id.name(self.family).as_str(), directions).into()
    }

    /// A rule with the comment of a set that it matches.
    fn of_set(&self, id: SetId) -> Rule {
        Rule::new().comment(id.comment()).matching(self.set(id))
    }

    /// Adds a rule that is needed only while the set has members.
    fn while_filled(&self, table: &mut TableRules, chain: &str, id: SetId, target: Target) {
        if self.filled.contains(id) {
            table.append(chain, self.of_set(id).jump(target));
        }
    }

    fn allowed_sources(&self, table: &mut TableRules, chain: &str) {
        self.while_filled(table, chain, SetId::LoadBalancerSourceCidr, Target::Return);
        self.while_filled(table, chain, SetId::LoadBalancerSourceIp, Target::Return);
    }
}

pub(super) fn mark(bits: u32, negated: bool) -> Match {
    match negated {
        true => MarkMatch::not_bits(bits).into(),
        false => MarkMatch::bits(bits).into(),
    }
}

pub(super) fn state(states: CtStates) -> Match {
    ConntrackMatch::states(states).into()
}

#[allow(
    clippy::expect_used,
    reason = "the names are this file's own; a test makes each of them"
)]
fn chain_name(name: &str) -> ChainName {
    ChainName::new(name).expect("a valid chain name")
}

/// The chain by which kube-proxy notices that its rules were flushed. Nothing jumps to it.
const CANARY: &str = "KUBE-PROXY-CANARY";

/// The chains and jumps that any layout could have left in a table of a family, with the rules of chains that others
/// write too. Chains of Services and endpoints are recognized by [`is_service_chain`](super::is_service_chain).
pub(crate) fn owned_table(family: Family, name: &TableName) -> Option<&'static TableRules> {
    static OWNED: LazyLock<PerFamily<Vec<TableRules>>> =
        LazyLock::new(|| PerFamily::from_fn(bare_tables));
    OWNED.get(family).iter().find(|table| table.name == *name)
}

fn bare_tables(family: Family) -> Vec<TableRules> {
    let mut owned = [TableName::Nat, TableName::Filter].map(TableRules::new);
    for layout in [Layout::Current, Layout::Classic, Layout::Iptables] {
        let tables = FamilyRules::new(layout, family).tables();
        for (all, table) in owned.iter_mut().zip(tables) {
            for OwnChain {
                name,
                shared,
                rules,
                ..
            } in table.chains
            {
                let own = all.chain(name.as_str(), shared);
                if shared {
                    own.rules.extend(rules);
                }
            }
            for jump in table.jumps.into_iter().chain(table.last_jumps) {
                if !all.jumps.contains(&jump) {
                    all.jumps.push(jump);
                }
            }
        }
    }
    for table in &mut owned {
        table.declare(CANARY);
    }
    let mut owned = Vec::from(owned);
    owned.push(mangle::frame());
    owned
}
