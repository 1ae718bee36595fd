//! The filter table: what is let through, refused and dropped.

use iptables_restore::{CtStates, IpvsMatch, Rule, TableName, Target};

use super::mangle::with_mark;
use super::{DROP_MARK, FamilyRules, NODE_PORT_PROTOCOLS, TableRules, mark, state};
use crate::cluster::Family;
use crate::layout::{Layout, SetId};

/// The chain that accepts what the proxy serves.
pub(crate) const ACCEPT_CHAIN: &str = "KUBE-IPVS-ACCEPT";

impl FamilyRules {
    pub(super) fn filter(&self) -> TableRules {
        let mut filter = TableRules::new(TableName::Filter);
        match self.layout {
            Layout::Current => self.current_filter(&mut filter),
            Layout::Classic => self.classic_filter(&mut filter),
            // It has no rules of iptables; iptables mode has tables of its own.
            Layout::Nftables | Layout::Iptables => {}
        }
        self.accept_services(&mut filter);
        filter
    }

    /// Service traffic passes INPUT where nothing else is left to decide it but a policy, or a last rule, that refuses.
    ///
    /// IPVS takes packets after the filter table, so that such a policy would refuse them. At the end of INPUT all
    /// refusals are done, the proxy's own and those of others.
    fn accept_services(&self, filter: &mut TableRules) {
        const CHAIN: &str = ACCEPT_CHAIN;
        filter.declare(CHAIN);
        for id in [
            SetId::ClusterIp,
            SetId::ExternalIp,
            SetId::ExternalIpLocal,
            SetId::LoadBalancer,
        ] {
            if self.filled.contains(id) {
                let rule = Rule::new().matching(self.set(id));
                filter.append(CHAIN, rule.jump(Target::Accept));
            }
        }
        for protocol in NODE_PORT_PROTOCOLS {
            // Those with a Local policy are in both sets.
            let Some((id, _)) = protocol.parse().ok().and_then(SetId::node_ports) else {
                continue;
            };
            if !self.filled.contains(id) {
                continue;
            }
            let rule = || {
                let rule = Rule::new().protocol(protocol).matching(self.set(id));
                rule.jump(Target::Accept)
            };
            match &self.node_port_networks {
                None => filter.append(CHAIN, rule()),
                Some(networks) => {
                    for network in networks {
                        filter.append(CHAIN, rule().destination(*network));
                    }
                }
            }
        }
        for mark in self.range_marks() {
            let rule = Rule::new().matching(with_mark(mark));
            filter.append(CHAIN, rule.jump(Target::Accept));
        }
        let services = Rule::new().comment("kubernetes service traffic");
        filter.jump_last_from("INPUT", services.jump(CHAIN));
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
        for mark in self.range_marks() {
            let rule = Rule::new().matching(with_mark(mark));
            filter.append(CHAIN, rule.jump(Target::Return));
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
