//! The nat table: what is masqueraded.

use ipnetwork::{IpNetwork, Ipv4Network, Ipv6Network};
use std::net::{Ipv4Addr, Ipv6Addr};

use iptables_restore::{
    AddressTypes, AddrtypeMatch, Mark, Masquerade, PhysdevMatch, Rule, TableName, Target,
};

use super::mangle::with_mark;
use super::{FamilyRules, LocalSource, NODE_PORT_PROTOCOLS, TableRules, mark};
use crate::cluster::Family;
use crate::layout::{Layout, SetId};

impl FamilyRules {
    pub(super) fn nat(&self) -> TableRules {
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
        self.mark_masquerade(&mut nat);
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

    /// The node's own traffic is masqueraded whatever a Service asks for: it may come from a service address.
    fn mark_masquerade(&self, nat: &mut TableRules) {
        const CHAIN: &str = "KUBE-MARK-MASQ";
        if self.filled.contains(SetId::SourceKept) {
            let came_in = self
                .of_set(SetId::SourceKept)
                .matching(AddrtypeMatch::not_source(AddressTypes::LOCAL));
            nat.append(CHAIN, came_in.jump(Target::Return));
        }
        nat.append(CHAIN, Rule::new().jump(Mark::set(self.mark)));
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
        // First, since IPVS would not find the mark with the masquerading bit.
        for mark in self.range_marks() {
            let rule = Rule::new().matching(with_mark(mark));
            nat.append(CHAIN, rule.jump(Target::Accept));
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
        let masquerade = Target::from("KUBE-MARK-MASQ");
        self.while_filled(nat, CHAIN, SetId::Masqueraded, masquerade);
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

    fn node_port(&self, nat: &mut TableRules) {
        const CHAIN: &str = "KUBE-NODE-PORT";
        let of = |protocol: &&str| protocol.parse().ok().and_then(SetId::node_ports);
        let any = NODE_PORT_PROTOCOLS
            .iter()
            .filter_map(of)
            .any(|(all, local)| self.filled.contains(all) || self.filled.contains(local));
        if any && self.layout.spares_service_addresses() {
            // Where a Service's port is the number of a node port, traffic to its address is not for the node port.
            self.while_filled(nat, CHAIN, SetId::IpvsIps, Target::Return);
        }
        for protocol in NODE_PORT_PROTOCOLS {
            let Some((all, local)) = of(&protocol) else {
                continue;
            };
            let mut steps = [
                (local, Target::Return),
                (all, Target::from("KUBE-MARK-MASQ")),
            ];
            if protocol == "sctp" && !self.layout.spares_local_sctp_node_ports() {
                steps.reverse();
            }
            for (id, target) in steps {
                if self.filled.contains(id) {
                    let rule = self.of_set(id).protocol(protocol).jump(target);
                    nat.append(CHAIN, rule);
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
                .jump(match self.random_fully {
                    true => Masquerade::new().random_fully(),
                    false => Masquerade::new(),
                }),
        );
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use super::*;

    /// Of v1.20 the order for SCTP was the other way round, which loses clients' addresses; the classic layout keeps it.
    #[test]
    fn local_node_ports_return_before_all_are_masqueraded() {
        let targets = |layout, protocol: &str| {
            let (all, local) = SetId::node_ports(protocol.parse().unwrap()).unwrap();
            let mut rules = FamilyRules::new(layout, Family::V4);
            rules.filled = [all, local].into_iter().collect();
            let chains = rules.nat().chains;
            let chain = chains
                .iter()
                .find(|chain| chain.name == "KUBE-NODE-PORT")
                .unwrap();
            let targets = chain.rules.iter().map(|rule| rule.target.clone().unwrap());
            targets.collect::<Vec<_>>()
        };
        let masquerade = Target::from("KUBE-MARK-MASQ");
        for protocol in NODE_PORT_PROTOCOLS {
            let spared = [Target::Return, masquerade.clone()];
            assert_eq!(targets(Layout::Current, protocol), spared, "{protocol}");
            let mut classic = spared;
            if protocol == "sctp" {
                classic.reverse();
            }
            assert_eq!(targets(Layout::Classic, protocol), classic, "{protocol}");
        }
    }
}
