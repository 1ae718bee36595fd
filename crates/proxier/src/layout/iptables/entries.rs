//! The rules of one Service port in the chains that all ports share.

use std::net::IpAddr;

use iptables_restore::{AddressTypes, AddrtypeMatch, Rule, Target};
use ipvs_netlink::Protocol;

use super::SharedChain;
use super::chains::{Named, port_match};
use super::comment;
use super::names::ChainKind;
use crate::cluster::Family;

/// The rules of a port, by the chain that they are in.
#[derive(Debug, Default)]
pub(super) struct Entries {
    /// nat, `KUBE-SERVICES`: where each address leads.
    pub(super) services: Vec<Rule>,
    /// nat, `KUBE-NODEPORTS`: where the node port leads.
    pub(super) node_ports: Vec<Rule>,
    /// filter, `KUBE-SERVICES`: the cluster IP without endpoints.
    pub(super) refused: Vec<Rule>,
    /// filter, `KUBE-EXTERNAL-SERVICES`: other addresses, and the node port, without endpoints.
    pub(super) refused_outside: Vec<Rule>,
    /// filter, `KUBE-NODEPORTS`: the health check is let through.
    pub(super) health_checks: Vec<Rule>,
    /// filter, `KUBE-PROXY-FIREWALL`: what no source range let pass.
    pub(super) firewall: Vec<Rule>,
}

impl Entries {
    /// In the order of [`SharedChain::ALL`](super::SharedChain::ALL).
    pub(super) fn by_chain(self) -> [Vec<Rule>; SharedChain::COUNT] {
        [
            self.services,
            self.node_ports,
            self.refused,
            self.refused_outside,
            self.health_checks,
            self.firewall,
        ]
    }
}

impl Named<'_> {
    pub(super) fn entries(&self, family: Family) -> Entries {
        let mut entries = Entries::default();
        let spec = self.spec();
        let external = self.chain(ChainKind::External);
        if let Some(ip) = self.port.cluster_ip {
            if self.serves_cluster_ip() {
                let rule = self.to_address(ip, "cluster IP");
                let chain = self.internal_chain();
                entries.services.push(rule.jump(chain.as_str()));
            } else {
                entries.refused.push(self.refused(self.to(ip), family));
            }
        }
        let mut served = |ip: IpAddr, what: &str, chain: &str| {
            if spec.has_endpoints {
                entries.services.push(self.to_address(ip, what).jump(chain));
            }
            if !self.serves_outside() {
                let refused = self.refused(self.to(ip), family);
                entries.refused_outside.push(refused);
            }
        };
        for &ip in &self.port.external_ips {
            served(ip, "external IP", external.as_str());
        }
        let firewall = self.sources().map(|_| self.chain(ChainKind::Firewall));
        let balanced = firewall.as_ref().unwrap_or(&external);
        for &ip in &self.port.load_balancer_ips {
            served(ip, "loadbalancer IP", balanced.as_str());
        }
        if let Some(firewall) = &firewall {
            for &ip in &self.port.load_balancer_ips {
                let rest = self.to_address(ip, &format!("traffic not accepted by {firewall}"));
                entries.firewall.push(rest.jump(Target::Drop));
            }
        }
        if let Some(number) = self.port.served_node_port() {
            let to_port = port_match(spec.protocol, Some(number));
            if spec.has_endpoints {
                let rule = comment(Rule::new().protocol(spec.protocol), &self.label);
                let rule = rule.matching(to_port.clone());
                entries.node_ports.push(rule.jump(external.as_str()));
            }
            if !self.serves_outside() {
                let rule = Rule::new().protocol(spec.protocol);
                let rule = self.why_refused(rule);
                let here = AddrtypeMatch::destination(AddressTypes::LOCAL);
                let rule = rule.matching(here).matching(to_port);
                let refused = rule.jump(self.refusal(family));
                entries.refused_outside.push(refused);
            }
        }
        if let Some(number) = spec.health_check_node_port {
            let text = format!("{} health check node port", self.label);
            let rule = comment(Rule::new().protocol(Protocol::TCP), &text);
            let rule = rule.matching(port_match(Protocol::TCP, Some(number)));
            entries.health_checks.push(rule.jump(Target::Accept));
        }
        entries
    }

    /// A rule for the Service's port of an address.
    fn to_address(&self, ip: IpAddr, what: &str) -> Rule {
        let rule = comment(self.to(ip), &format!("{} {what}", self.label));
        rule.matching(port_match(self.spec().protocol, Some(self.spec().number)))
    }

    /// Refuses what comes to the Service's port.
    fn refused(&self, rule: Rule, family: Family) -> Rule {
        let rule = self.why_refused(rule);
        let port = port_match(self.spec().protocol, Some(self.spec().number));
        rule.matching(port).jump(self.refusal(family))
    }

    fn why_refused(&self, rule: Rule) -> Rule {
        let why = match self.spec().has_endpoints {
            true => "has no local endpoints",
            false => "has no endpoints",
        };
        comment(rule, &format!("{} {why}", self.label))
    }

    /// Without any endpoint clients are told so; where others have some, a load balancer is to try another node.
    fn refusal(&self, family: Family) -> Target {
        match (self.spec().has_endpoints, family) {
            (true, _) => Target::Drop,
            (false, Family::V4) => Target::reject("icmp-port-unreachable"),
            (false, Family::V6) => Target::reject("icmp6-port-unreachable"),
        }
    }
}
