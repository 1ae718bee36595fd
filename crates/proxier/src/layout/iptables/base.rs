//! The chains that are there whatever Services there are.

use iptables_restore::{
    AddressTypes, AddrtypeMatch, ConntrackMatch, CtStates, Mark, Masquerade, Rule, TableName,
    Target,
};

use super::{MARK_MASQ, loopback};
use crate::cluster::Family;
use crate::layout::rules::{FamilyRules, TableRules, mark, state};

/// In nat: where service addresses lead. In filter: cluster IPs that are refused.
pub(super) const SERVICES: &str = "KUBE-SERVICES";
/// In filter: other addresses that are refused.
pub(super) const EXTERNAL_SERVICES: &str = "KUBE-EXTERNAL-SERVICES";
/// In nat: where node ports lead. In filter: health checks, which are let through.
pub(super) const NODE_PORTS: &str = "KUBE-NODEPORTS";
/// In filter: what no source range let pass.
pub(super) const FIREWALL: &str = "KUBE-PROXY-FIREWALL";
/// In filter: what is forwarded is accepted where it has the mark, or belongs to a connection.
pub(crate) const FORWARD_CHAIN: &str = "KUBE-FORWARD";
/// In filter: a chain that the kubelet writes too, with the same rule.
pub(crate) const LOCALNET_CHAIN: &str = "KUBE-FIREWALL";
const LOCALNET_COMMENT: &str = "block incoming localnet connections";

impl FamilyRules {
    pub(super) fn base_nat(&self) -> TableRules {
        const POSTROUTING: &str = "KUBE-POSTROUTING";
        let mut nat = TableRules::new(TableName::Nat);
        nat.declare_unordered(SERVICES);
        nat.declare_unordered(NODE_PORTS);
        nat.append(MARK_MASQ, Rule::new().jump(Mark::set(self.mark)));
        let unmarked = mark(self.mark, true);
        nat.append(
            POSTROUTING,
            Rule::new().matching(unmarked).jump(Target::Return),
        );
        // Unmarked again, lest it be masqueraded once more where it passes the stack twice.
        nat.append(POSTROUTING, Rule::new().jump(Mark::flip(self.mark)));
        let masquerade = match self.random_fully {
            true => Masquerade::new().random_fully(),
            false => Masquerade::new(),
        };
        let needed = Rule::new().comment("kubernetes service traffic requiring SNAT");
        nat.append(POSTROUTING, needed.jump(masquerade));
        let portals = || {
            let rule = Rule::new().comment("kubernetes service portals");
            rule.jump(SERVICES)
        };
        nat.jump_from("PREROUTING", portals());
        nat.jump_from("OUTPUT", portals());
        let rules = Rule::new().comment("kubernetes postrouting rules");
        nat.jump_from("POSTROUTING", rules.jump(POSTROUTING));
        nat
    }

    pub(super) fn base_filter(&self) -> TableRules {
        let mut filter = TableRules::new(TableName::Filter);
        for chain in [SERVICES, EXTERNAL_SERVICES, NODE_PORTS, FIREWALL] {
            filter.declare_unordered(chain);
        }
        filter.declare_shared(LOCALNET_CHAIN);
        if self.guards_localnet() {
            filter.extend(LOCALNET_CHAIN, localnet_rule());
        }
        if self.iptables.drop_invalid {
            let invalid = Rule::new().matching(state(CtStates::INVALID));
            filter.append(FORWARD_CHAIN, invalid.jump(Target::Drop));
        }
        let forwarding = Rule::new().comment("kubernetes forwarding rules");
        let marked = forwarding.clone().matching(mark(self.mark, false));
        filter.append(FORWARD_CHAIN, marked.jump(Target::Accept));
        let known = state(CtStates::RELATED | CtStates::ESTABLISHED);
        let known = Rule::new()
            .comment("kubernetes forwarding conntrack rule")
            .matching(known);
        filter.append(FORWARD_CHAIN, known.jump(Target::Accept));

        // Once a connection is established its packets pass the rules of its Service no more.
        let new = |comment: &str, chain: &str| {
            let rule = Rule::new().matching(state(CtStates::NEW));
            rule.comment(comment).jump(chain)
        };
        let balanced = || new("kubernetes load balancer firewall", FIREWALL);
        let services = || new("kubernetes service portals", SERVICES);
        let outside = || {
            new(
                "kubernetes externally-visible service portals",
                EXTERNAL_SERVICES,
            )
        };
        let localnet = || Rule::new().jump(LOCALNET_CHAIN);
        filter.jump_from("INPUT", localnet());
        filter.jump_from("INPUT", balanced());
        let health = Rule::new().comment("kubernetes health check service ports");
        filter.jump_from("INPUT", health.jump(NODE_PORTS));
        filter.jump_from("INPUT", outside());
        filter.jump_from("FORWARD", balanced());
        filter.jump_from("FORWARD", forwarding.jump(FORWARD_CHAIN));
        filter.jump_from("FORWARD", services());
        filter.jump_from("FORWARD", outside());
        filter.jump_from("OUTPUT", localnet());
        filter.jump_from("OUTPUT", balanced());
        filter.jump_from("OUTPUT", services());
        filter
    }

    fn guards_localnet(&self) -> bool {
        self.family == Family::V4 && self.iptables.localhost_node_ports
    }

    /// What may be for a node port, after the addresses of Services.
    pub(super) fn node_port_jumps(&self) -> Vec<Rule> {
        const COMMENT: &str =
            "kubernetes service nodeports; NOTE: this must be the last rule in this chain";
        let to = |rule: Rule| rule.comment(COMMENT);
        match &self.iptables.node_port_addresses {
            None => {
                // IPv6 has no way to route what comes from a loopback address; IPv4 has one that can be forbidden.
                let spared = loopback(self.family).filter(|_| !self.guards_localnet());
                let rule = match spared {
                    Some(network) => Rule::new().not_destination(network),
                    None => Rule::new(),
                };
                let here = AddrtypeMatch::destination(AddressTypes::LOCAL);
                vec![to(rule).matching(here).jump(NODE_PORTS)]
            }
            Some(addresses) => addresses
                .iter()
                .map(|ip| to(Rule::new().destination(*ip)).jump(NODE_PORTS))
                .collect(),
        }
    }
}

/// With `route_localnet` packets from elsewhere reach services of the node that listen on loopback addresses only
/// (CVE-2020-8558). This keeps them out, but for node ports.
fn localnet_rule() -> Option<Rule> {
    let network = loopback(Family::V4)?;
    let states = CtStates::RELATED | CtStates::ESTABLISHED | CtStates::DNAT;
    let rule = Rule::new()
        .not_source(network)
        .destination(network)
        .comment(LOCALNET_COMMENT);
    let rule = rule.matching(ConntrackMatch::not_states(states));
    Some(rule.jump(Target::Drop))
}

/// Whether it is the rule that keeps packets from elsewhere from loopback addresses, which the kubelet writes as well.
pub(crate) fn is_localnet_rule(rule: &Rule) -> bool {
    localnet_rule().as_ref() == Some(rule)
}
