//! The chains and rules of both layouts.
//!
//! Their number depends on the configuration and on which sets have members, not on how many Services
//! there are; only load balancer addresses that the node itself may not reach have a rule each.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnetwork::{IpNetwork, Ipv4Network, Ipv6Network};
use iptables_restore::{
    AddressTypes, AddrtypeMatch, ChainName, ConntrackMatch, CtStates, IpvsMatch, Mark, MarkMatch,
    Masquerade, Match, PhysdevMatch, Rule, SetMatch, TableName, Target,
};
use ipvs_netlink::Protocol;

use super::{Layout, SetId, SetIds};
use crate::cluster::Family;

/// The mark by which the classic layout has packets dropped.
pub(crate) const DROP_MARK: u32 = 0x8000;

/// All that the rules of a family depend on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FamilyRules {
    /// Which chains.
    pub layout: Layout,
    /// For which addresses.
    pub family: Family,
    /// The bit of the packet mark that asks for masquerading.
    pub mark: u32,
    /// Whether all traffic to cluster IPs is masqueraded.
    pub masquerade_all: bool,
    /// How traffic of this node's pods is told, where it can be.
    pub local_source: Option<LocalSource>,
    /// Whether `MASQUERADE` takes `--random-fully`.
    pub random_fully: bool,
    /// The sets that have members: most rules are there only for these.
    pub filled: SetIds,
    /// What is dropped when it comes from the node itself. Current layout only.
    pub drops: BTreeSet<SourceRangeDrop>,
}

/// What tells traffic of this node's pods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LocalSource {
    /// Its source address.
    Network(IpNetwork),
    /// The interface it comes in on; a trailing `+` stands for any ending.
    Interface(Box<str>),
}

/// A load balancer address and port whose source ranges leave out the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SourceRangeDrop {
    /// The load balancer's address.
    pub address: IpAddr,
    /// The protocol.
    pub protocol: Protocol,
    /// The Service's port.
    pub port: u16,
}

/// A table's part of the rules.
#[derive(Clone, Debug)]
pub(crate) struct TableRules {
    pub(crate) name: TableName,
    pub(crate) chains: Vec<OwnChain>,
    /// Rules at the top of built-in chains, in this order there.
    pub(crate) jumps: Vec<(ChainName, Rule)>,
}

/// A chain and what is wanted in it.
#[derive(Clone, Debug)]
pub(crate) struct OwnChain {
    pub(crate) name: ChainName,
    /// Whether others (kubelet) write it too: then these rules are seen to be in it, and nothing more.
    pub(crate) shared: bool,
    /// Whether its rules do not depend on their order: then they are added and deleted one by one.
    pub(crate) unordered: bool,
    pub(crate) rules: Vec<Rule>,
}

impl TableRules {
    fn new(name: TableName) -> Self {
        Self {
            name,
            chains: Vec::new(),
            jumps: Vec::new(),
        }
    }

    fn declare(&mut self, chain: &str) {
        self.chain(chain, false);
    }

    fn declare_shared(&mut self, chain: &str) {
        self.chain(chain, true);
    }

    fn chain(&mut self, name: &str, shared: bool) -> &mut OwnChain {
        let name = chain_name(name);
        let at = self.chains.iter().position(|chain| chain.name == name);
        let at = at.unwrap_or_else(|| {
            self.chains.push(OwnChain {
                name,
                shared,
                unordered: false,
                rules: Vec::new(),
            });
            self.chains.len() - 1
        });
        // It was just found there, or put there.
        #[allow(clippy::indexing_slicing, reason = "the index is of this vector")]
        &mut self.chains[at]
    }

    fn append(&mut self, chain: &str, rule: Rule) {
        self.chain(chain, false).rules.push(rule);
    }

    fn jump_from(&mut self, builtin: &str, rule: Rule) {
        self.jumps.push((chain_name(builtin), rule));
    }
}

impl FamilyRules {
    /// The tables, their chains and rules.
    pub(crate) fn tables(&self) -> [TableRules; 2] {
        [self.nat(), self.filter()]
    }

    fn set(&self, id: SetId) -> Match {
        self.set_by(id, id.directions())
    }

    fn set_by(&self, id: SetId, directions: &str) -> Match {
        let name = id.name(self.family).as_str().to_owned();
        Match::Set(SetMatch {
            name,
            directions: directions.to_owned(),
            negated: false,
        })
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

    fn nat(&self) -> TableRules {
        let mut nat = TableRules::new(TableName::Nat);
        let classic = self.layout == Layout::Classic;
        for chain in [
            "KUBE-SERVICES",
            "KUBE-POSTROUTING",
            "KUBE-NODE-PORT",
            "KUBE-LOAD-BALANCER",
        ] {
            nat.declare(chain);
        }
        nat.append("KUBE-MARK-MASQ", Rule::new().jump(Mark::set(self.mark)));
        if classic {
            nat.declare("KUBE-FIREWALL");
            // Its one rule is kubelet's to write.
            nat.declare_shared("KUBE-MARK-DROP");
        }
        let portals = || {
            Rule::new()
                .comment("kubernetes service portals")
                .jump("KUBE-SERVICES")
        };
        nat.jump_from("PREROUTING", portals());
        nat.jump_from("OUTPUT", portals());
        nat.jump_from(
            "POSTROUTING",
            Rule::new()
                .comment("kubernetes postrouting rules")
                .jump("KUBE-POSTROUTING"),
        );
        self.services(&mut nat);
        self.load_balancer(&mut nat);
        self.node_port(&mut nat);
        self.postrouting(&mut nat);
        nat
    }

    fn services(&self, nat: &mut TableRules) {
        const CHAIN: &str = "KUBE-SERVICES";
        if self.layout == Layout::Current {
            let loopback = match self.family {
                Family::V4 => Ipv4Network::new(Ipv4Addr::new(127, 0, 0, 0), 8).map(IpNetwork::V4),
                Family::V6 => Ipv6Network::new(Ipv6Addr::LOCALHOST, 128).map(IpNetwork::V6),
            };
            if let Ok(loopback) = loopback {
                nat.append(CHAIN, Rule::new().source(loopback).jump(Target::Return));
            }
        }
        self.while_filled(
            nat,
            CHAIN,
            SetId::LoadBalancer,
            Target::from("KUBE-LOAD-BALANCER"),
        );
        if self.filled.contains(SetId::ClusterIp) {
            nat.append(CHAIN, self.masquerade_cluster_ips());
        }
        if self.filled.contains(SetId::ExternalIp) {
            nat.append(CHAIN, self.of_set(SetId::ExternalIp).jump("KUBE-MARK-MASQ"));
        }
        for id in [SetId::ExternalIp, SetId::ExternalIpLocal] {
            if self.filled.contains(id) {
                // Not from a bridge and not from this machine: from elsewhere.
                let outside = self
                    .of_set(id)
                    .matching(PhysdevMatch::is_in(false))
                    .matching(AddrtypeMatch::not_source(AddressTypes::LOCAL));
                nat.append(CHAIN, outside.jump(Target::Accept));
                let to_here = self
                    .of_set(id)
                    .matching(AddrtypeMatch::destination(AddressTypes::LOCAL));
                nat.append(CHAIN, to_here.jump(Target::Accept));
            }
        }
        nat.append(
            CHAIN,
            Rule::new()
                .matching(AddrtypeMatch::destination(AddressTypes::LOCAL))
                .jump("KUBE-NODE-PORT"),
        );
        // Last, so that no other rule keeps traffic from IPVS.
        for id in [SetId::ClusterIp, SetId::LoadBalancer] {
            if self.filled.contains(id) {
                nat.append(
                    CHAIN,
                    Rule::new().matching(self.set(id)).jump(Target::Accept),
                );
            }
        }
    }

    /// What reaches a cluster IP from elsewhere must come back through this node.
    fn masquerade_cluster_ips(&self) -> Rule {
        let rule = Rule::new().comment(SetId::ClusterIp.comment());
        let rule = match &self.local_source {
            _ if self.masquerade_all => rule.matching(self.set(SetId::ClusterIp)),
            Some(LocalSource::Network(network)) => rule
                .not_source(*network)
                .matching(self.set(SetId::ClusterIp)),
            Some(LocalSource::Interface(name)) => rule
                .not_in_interface(&**name)
                .matching(self.set(SetId::ClusterIp)),
            // What comes from a service address is the node's own: the kernel picks one as the source
            // since they are all on a link of the node.
            None => rule.matching(self.set_by(SetId::ClusterIp, "src,dst")),
        };
        rule.jump("KUBE-MARK-MASQ")
    }

    fn load_balancer(&self, nat: &mut TableRules) {
        const CHAIN: &str = "KUBE-LOAD-BALANCER";
        if self.layout == Layout::Classic {
            const FIREWALL: &str = "KUBE-FIREWALL";
            self.while_filled(nat, CHAIN, SetId::LoadBalancerFw, Target::from(FIREWALL));
            self.allowed_sources(nat, FIREWALL);
            nat.append(FIREWALL, Rule::new().jump("KUBE-MARK-DROP"));
        }
        self.while_filled(nat, CHAIN, SetId::LoadBalancerLocal, Target::Return);
        nat.append(CHAIN, Rule::new().jump("KUBE-MARK-MASQ"));
    }

    fn allowed_sources(&self, table: &mut TableRules, chain: &str) {
        self.while_filled(table, chain, SetId::LoadBalancerSourceCidr, Target::Return);
        self.while_filled(table, chain, SetId::LoadBalancerSourceIp, Target::Return);
    }

    fn node_port(&self, nat: &mut TableRules) {
        for protocol in ["tcp", "udp", "sctp"] {
            let Some((all, local)) = protocol.parse().ok().and_then(SetId::node_ports) else {
                continue;
            };
            for (id, target) in [
                (local, Target::Return),
                (all, Target::from("KUBE-MARK-MASQ")),
            ] {
                if self.filled.contains(id) {
                    let rule = self.of_set(id).protocol(protocol).jump(target);
                    nat.append("KUBE-NODE-PORT", rule);
                }
            }
        }
    }

    fn postrouting(&self, nat: &mut TableRules) {
        const CHAIN: &str = "KUBE-POSTROUTING";
        let masquerade = Target::from(Masquerade::default());
        self.while_filled(nat, CHAIN, SetId::LoopBack, masquerade);
        let unmarked = mark(self.mark, true);
        nat.append(CHAIN, Rule::new().matching(unmarked).jump(Target::Return));
        // Unmarked again, lest it be masqueraded once more where it passes the stack twice.
        nat.append(CHAIN, Rule::new().jump(Mark::flip(self.mark)));
        nat.append(
            CHAIN,
            Rule::new()
                .comment("kubernetes service traffic requiring SNAT")
                .jump(Masquerade {
                    random_fully: self.random_fully,
                    ..Masquerade::default()
                }),
        );
    }

    fn filter(&self) -> TableRules {
        let mut filter = TableRules::new(TableName::Filter);
        match self.layout {
            Layout::Current => self.current_filter(&mut filter),
            Layout::Classic => self.classic_filter(&mut filter),
        }
        filter
    }

    /// What was masqueraded may be forwarded, and so may what belongs to a connection.
    fn forward(&self, filter: &mut TableRules, connections: &[&str]) {
        const CHAIN: &str = "KUBE-FORWARD";
        let marked = mark(self.mark, false);
        let rule = Rule::new().comment("kubernetes forwarding rules");
        filter.append(CHAIN, rule.clone().matching(marked).jump(Target::Accept));
        for comment in connections {
            let known = state(CtStates::RELATED | CtStates::ESTABLISHED);
            let rule = Rule::new().comment(*comment).matching(known);
            filter.append(CHAIN, rule.jump(Target::Accept));
        }
        filter.jump_from("FORWARD", rule.jump(CHAIN));
    }

    fn current_filter(&self, filter: &mut TableRules) {
        for chain in [
            "KUBE-NODE-PORT",
            "KUBE-PROXY-FIREWALL",
            "KUBE-SOURCE-RANGES-FIREWALL",
            "KUBE-IPVS-FILTER",
            "KUBE-IPVS-OUT-FILTER",
        ] {
            filter.declare(chain);
        }
        let access = || Rule::new().comment("kubernetes ipvs access filter");
        let firewall = || {
            Rule::new()
                .comment("kube-proxy firewall rules")
                .jump("KUBE-PROXY-FIREWALL")
        };
        filter.jump_from("INPUT", access().jump("KUBE-IPVS-FILTER"));
        filter.jump_from("INPUT", firewall());
        let health = Rule::new().comment("kubernetes health check rules");
        filter.jump_from("INPUT", health.jump("KUBE-NODE-PORT"));
        filter.jump_from("FORWARD", firewall());
        filter.jump_from("OUTPUT", access().jump("KUBE-IPVS-OUT-FILTER"));
        self.forward(filter, &["kubernetes forwarding conntrack rule"]);

        let health = self.of_set(SetId::HealthCheckNodePort);
        filter.append("KUBE-NODE-PORT", health.jump(Target::Accept));

        const RANGES: &str = "KUBE-SOURCE-RANGES-FIREWALL";
        let ranges = Target::from(RANGES);
        self.while_filled(filter, "KUBE-PROXY-FIREWALL", SetId::LoadBalancerFw, ranges);
        self.allowed_sources(filter, RANGES);
        filter.append(RANGES, Rule::new().jump(Target::Drop));

        self.ipvs_filter(filter);
        const OUT: &str = "KUBE-IPVS-OUT-FILTER";
        filter.chain(OUT, false).unordered = true;
        for drop in &self.drops {
            // Traffic of the node to one of its own addresses has that address as its source.
            let rule = Rule::new()
                .source(drop.address)
                .matching(IpvsMatch::virtual_server(
                    drop.protocol.0,
                    drop.address,
                    drop.port,
                ));
            filter.append(OUT, rule.jump(Target::Drop));
        }
    }

    /// Ports of the node that no Service has are refused on service addresses.
    fn ipvs_filter(&self, filter: &mut TableRules) {
        const CHAIN: &str = "KUBE-IPVS-FILTER";
        for id in [
            SetId::LoadBalancer,
            SetId::ClusterIp,
            SetId::ExternalIp,
            SetId::ExternalIpLocal,
            SetId::HealthCheckNodePort,
        ] {
            filter.append(
                CHAIN,
                Rule::new().matching(self.set(id)).jump(Target::Return),
            );
        }
        let reject = Target::reject(match self.family {
            Family::V4 => "icmp-port-unreachable",
            Family::V6 => "icmp6-port-unreachable",
        });
        let rule = Rule::new()
            .matching(state(CtStates::NEW))
            .matching(self.set(SetId::IpvsIps));
        filter.append(CHAIN, rule.jump(reject));
    }

    fn classic_filter(&self, filter: &mut TableRules) {
        self.forward(
            filter,
            &[
                "kubernetes forwarding conntrack pod source rule",
                "kubernetes forwarding conntrack pod destination rule",
            ],
        );
        // Kubelets of that time dropped marked packets; today's do not.
        const FIREWALL: &str = "KUBE-FIREWALL";
        filter.declare_shared(FIREWALL);
        let rule = Rule::new()
            .comment("kubernetes firewall for dropping marked packets")
            .matching(mark(DROP_MARK, false));
        filter.append(FIREWALL, rule.jump(Target::Drop));
        filter.jump_from("INPUT", Rule::new().jump(FIREWALL));
        filter.jump_from("OUTPUT", Rule::new().jump(FIREWALL));
    }
}

fn mark(bits: u32, negated: bool) -> Match {
    Match::Mark(MarkMatch {
        value: bits,
        mask: bits,
        negated,
    })
}

fn state(states: CtStates) -> Match {
    Match::Conntrack(ConntrackMatch {
        states,
        negated: false,
    })
}

#[allow(
    clippy::expect_used,
    reason = "the names are this file's own; a test makes each of them"
)]
fn chain_name(name: &str) -> ChainName {
    ChainName::new(name).expect("a valid chain name")
}

/// The chains and jumps that any layout could have left in a family's tables, their rules left out.
pub(crate) fn owned_tables(family: Family) -> Vec<TableRules> {
    let of = |layout| {
        let rules = FamilyRules {
            layout,
            family,
            mark: 0x4000,
            masquerade_all: false,
            local_source: None,
            random_fully: false,
            filled: SetIds::NONE,
            drops: BTreeSet::new(),
        };
        rules.tables()
    };
    Layout::ALL.into_iter().flat_map(of).collect()
}
