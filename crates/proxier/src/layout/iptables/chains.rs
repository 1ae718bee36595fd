//! The chains of one Service port, all of them in the nat table.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use iptables_restore::{
    AddressTypes, AddrtypeMatch, ChainName, Match, PortsMatch, Rule, Target, Word,
};
use ipvs_netlink::{Destination, DestinationId, Protocol};

use super::names::{ChainKind, suffix};
use super::port::{PortRules, PortSpec};
use super::probability;
use super::{MARK_MASQ, comment};
use crate::cluster::{Family, Masquerading};
use crate::layout::LocalSource;

/// What the chains of all ports depend on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Common<'a> {
    pub(super) masquerade_all: bool,
    pub(super) local_source: Option<&'a LocalSource>,
}

/// A Service port with the names that its rules need.
pub(super) struct Named<'a> {
    pub(super) port: &'a PortRules,
    pub(super) label: String,
    suffix: String,
}

impl<'a> Named<'a> {
    pub(super) fn new(port: &'a PortRules) -> Self {
        let spec = &port.spec;
        let label = spec.label();
        let protocol = spec.protocol.to_string();
        let suffix = suffix(&[&label, &spec.namesake(), &protocol]);
        Self {
            port,
            label,
            suffix,
        }
    }

    pub(super) fn spec(&self) -> &'a PortSpec {
        &self.port.spec
    }

    pub(super) fn chain(&self, kind: ChainKind) -> ChainName {
        kind.chain(&self.suffix)
    }

    /// A rule for what is sent to a port of an address.
    pub(super) fn to(&self, address: IpAddr) -> Rule {
        let rule = Rule::new().destination(address);
        rule.protocol(self.spec().protocol)
    }

    /// Whether what goes to the cluster IP is sent on. Where not, the filter table refuses it.
    pub(super) fn serves_cluster_ip(&self) -> bool {
        let spec = self.spec();
        spec.has_endpoints && !(spec.internal_local && spec.local.is_empty())
    }

    /// Whether what comes from elsewhere to other addresses is sent on. Where not, the filter table refuses it.
    pub(super) fn serves_outside(&self) -> bool {
        let spec = self.spec();
        spec.has_endpoints && !(spec.external_local && spec.local.is_empty())
    }

    /// Where the cluster IP leads.
    pub(super) fn internal_chain(&self) -> ChainName {
        self.chain(policy_chain(self.spec().internal_local))
    }

    /// Who may use the load balancer addresses, where it is not everybody.
    pub(super) fn sources(&self) -> Option<&'a super::Sources> {
        let used = self.spec().has_endpoints && !self.port.load_balancer_ips.is_empty();
        self.spec().sources.as_ref().filter(|_| used)
    }

    fn uses_external_chain(&self) -> bool {
        self.spec().has_endpoints && self.port.reachable_outside()
    }

    /// The chains with their rules, by name.
    pub(super) fn chains(&self, common: Common<'_>) -> BTreeMap<ChainName, Vec<Rule>> {
        let mut chains = BTreeMap::new();
        let spec = self.spec();
        let internal = self.port.cluster_ip.filter(|_| self.serves_cluster_ip());
        let external = self.uses_external_chain();
        if external {
            chains.insert(
                self.chain(ChainKind::External),
                self.external(common.local_source),
            );
        }
        if let Some(sources) = self.sources() {
            chains.insert(self.chain(ChainKind::Firewall), self.firewall(sources));
        }
        let mut endpoints = BTreeSet::new();
        for local in [false, true] {
            let chosen = if local { &spec.local } else { &spec.cluster };
            // What is not local leads to all endpoints, whatever the policy for external traffic.
            let by_external = external && (!local || spec.external_local);
            let by_internal = internal.filter(|_| spec.internal_local == local);
            if chosen.is_empty() || !(by_external || by_internal.is_some()) {
                continue;
            }
            let mut rules = Vec::with_capacity(chosen.len() + 1);
            rules.extend(by_internal.and_then(|ip| self.masquerade(ip, common)));
            endpoints.extend(chosen.iter().map(|endpoint| endpoint.id));
            self.choice(chosen, &mut rules);
            chains.insert(self.chain(policy_chain(local)), rules);
        }
        for endpoint in endpoints {
            let (name, rules) = self.endpoint(endpoint);
            chains.insert(name, rules);
        }
        chains
    }

    /// What reaches the cluster IP from elsewhere must come back through this node.
    fn masquerade(&self, ip: IpAddr, common: Common<'_>) -> Option<Rule> {
        let asked = self.spec().masquerading;
        let rule = match common.local_source {
            _ if asked == Masquerading::Never => self.to(ip).matching(from_node()),
            _ if common.masquerade_all || asked == Masquerading::Always => self.to(ip),
            Some(LocalSource::Network(network)) => self.to(ip).not_source(*network),
            Some(LocalSource::Interface(name)) => self.to(ip).not_in_interface(&**name),
            None => return None,
        };
        let rule = comment(rule, &format!("{} cluster IP", self.label));
        let port = port_match(self.spec().protocol, Some(self.spec().number));
        Some(rule.matching(port).jump(MARK_MASQ))
    }

    /// Traffic to external addresses and node ports.
    fn external(&self, local_source: Option<&LocalSource>) -> Vec<Rule> {
        let spec = self.spec();
        let mut rules = Vec::new();
        let about = |what: &str| {
            let text = format!("{what} for {} external destinations", self.label);
            comment(Rule::new(), &text)
        };
        let of_node = || about("masquerade LOCAL traffic").matching(from_node());
        if spec.external_local {
            let cluster = || Target::from(self.chain(ChainKind::Cluster).as_str());
            // Pods of this node and the node itself are not outside, so that no policy for outside concerns them.
            if !spec.cluster.is_empty() {
                let pods = about("pod traffic");
                rules.extend(match local_source {
                    Some(LocalSource::Network(network)) => {
                        Some(pods.source(*network).jump(cluster()))
                    }
                    Some(LocalSource::Interface(name)) => {
                        Some(pods.in_interface(&**name).jump(cluster()))
                    }
                    None => None,
                });
            }
            rules.push(of_node().jump(MARK_MASQ));
            if !spec.cluster.is_empty() {
                let routed = about("route LOCAL traffic").matching(from_node());
                rules.push(routed.jump(cluster()));
            }
        } else if spec.masquerading == Masquerading::Never {
            rules.push(of_node().jump(MARK_MASQ));
        } else {
            rules.push(about("masquerade traffic").jump(MARK_MASQ));
        }
        if self.serves_outside() {
            let chain = self.chain(policy_chain(spec.external_local));
            rules.push(Rule::new().jump(chain.as_str()));
        }
        rules
    }

    /// What comes to a load balancer address from an allowed source; the filter table drops all else.
    fn firewall(&self, sources: &super::Sources) -> Vec<Rule> {
        let external = self.chain(ChainKind::External);
        let text = format!("{} loadbalancer IP", self.label);
        let allowed = |rule: Rule| comment(rule, &text).jump(external.as_str());
        let ranges = sources.ranges.iter();
        let mut rules: Vec<_> = ranges
            .map(|range| allowed(Rule::new().source(*range)))
            .collect();
        if sources.node {
            // The node's own traffic to one of its addresses has that address as its source.
            let own = self.port.load_balancer_ips.iter();
            rules.extend(own.map(|ip| allowed(Rule::new().source(*ip))));
        }
        let text = format!(
            "other traffic to {} will be dropped by KUBE-PROXY-FIREWALL",
            self.label
        );
        rules.push(comment(Rule::new(), &text));
        rules
    }

    /// The choice of an endpoint: the one that a client had before, where it is to stay; else any of them with the same
    /// probability.
    fn choice(&self, endpoints: &[Destination], rules: &mut Vec<Rule>) {
        let mut endpoints: Vec<_> = endpoints
            .iter()
            .map(|endpoint| (endpoint.id.to_string(), self.endpoint_chain(endpoint.id)))
            .collect();
        // As kube-proxy has them: by their text.
        endpoints.sort();
        let to = |endpoint: &str| {
            let text = format!("{} -> {endpoint}", self.label);
            comment(Rule::new(), &text)
        };
        if let Some(seconds) = self.spec().affinity_seconds {
            for (endpoint, chain) in &endpoints {
                let seconds = seconds.max(1).to_string();
                let asked = ["--rcheck", "--seconds", &seconds, "--reap"];
                let seen = self.recent(&asked, chain);
                rules.push(to(endpoint).matching(seen).jump(chain.as_str()));
            }
        }
        let count = endpoints.len();
        for (n, (endpoint, chain)) in endpoints.iter().enumerate() {
            let rule = to(endpoint);
            let rule = match count - n {
                1 => rule,
                choices => rule.matching(one_in(choices)),
            };
            rules.push(rule.jump(chain.as_str()));
        }
    }

    fn endpoint_chain(&self, endpoint: DestinationId) -> ChainName {
        let spec = self.spec();
        let parts = [
            &*self.label,
            &spec.namesake(),
            &spec.protocol.to_string(),
            &endpoint.to_string(),
        ];
        ChainKind::Endpoint.chain(&suffix(&parts))
    }

    /// Translates the destination. What an endpoint sends to itself must seem to come from elsewhere.
    fn endpoint(&self, endpoint: DestinationId) -> (ChainName, Vec<Rule>) {
        let protocol = self.spec().protocol;
        let chain = self.endpoint_chain(endpoint);
        let hairpin = comment(Rule::new().source(endpoint.address), &self.label);
        let mut translate = comment(Rule::new().protocol(protocol), &self.label);
        if self.spec().affinity_seconds.is_some() {
            translate = translate.matching(self.recent(&["--set"], &chain));
        }
        let to = ["--to-destination".into(), Word::new(endpoint.to_string())];
        let translate = translate
            .matching(port_match(protocol, None))
            .jump(Target::new("DNAT", to));
        (chain, vec![hairpin.jump(MARK_MASQ), translate])
    }

    /// The list of clients of an endpoint, which is named as its chain.
    fn recent(&self, options: &[&str], chain: &ChainName) -> Match {
        let mask = match self.family() {
            Family::V4 => "255.255.255.255",
            Family::V6 => "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        };
        let list = ["--name", chain.as_str(), "--mask", mask, "--rsource"];
        let words = options.iter().chain(&list).map(|word| Word::from(*word));
        Match::new("recent", words)
    }

    /// That of its endpoints, which it has where this matters.
    fn family(&self) -> Family {
        let spec = self.spec();
        let mut endpoints = spec.cluster.iter().chain(spec.local.iter());
        endpoints
            .next()
            .map_or(Family::V4, |endpoint| Family::of(endpoint.id.address))
    }
}

/// What the node itself sends.
fn from_node() -> AddrtypeMatch {
    AddrtypeMatch::source(AddressTypes::LOCAL)
}

/// The chain that chooses among the endpoints of a policy.
const fn policy_chain(local: bool) -> ChainKind {
    if local {
        ChainKind::Local
    } else {
        ChainKind::Cluster
    }
}

/// `-m tcp --dport PORT`, of the rule's protocol.
pub(super) fn port_match(protocol: Protocol, port: Option<u16>) -> Match {
    let ports = port.map_or_else(PortsMatch::default, PortsMatch::destination);
    match protocol {
        Protocol::UDP => Match::Udp(ports),
        Protocol::SCTP => Match::Sctp(ports),
        _ => Match::Tcp(ports),
    }
}

fn one_in(choices: usize) -> Match {
    let probability = probability::one_in(choices);
    let words = ["--mode", "random", "--probability", &probability];
    Match::new("statistic", words.map(Word::from))
}
