//! Iptables mode: what becomes of packets at every step of a plan.
//!
//! Packets go through rules here as they do in the kernel, as far as the rules of that mode go. Where a rule chooses at
//! random or by memory, a packet goes both ways.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use iptables_restore::{
    AddressTypes, CtStates, Match, RecentAction, Rule, Ruleset, Table, TableName, Target,
};
use proptest::prelude::*;
use proxier::cluster::{Cluster, Family, Host};
use proxier::{Config, Layout, MemoryKernel, Observed, reconcile, translate};

use crate::strategies;

/// The first packet of a connection from elsewhere.
#[derive(Clone, Debug)]
struct Packet {
    source: IpAddr,
    to: SocketAddr,
    protocol: u8,
    /// Whether its destination was translated.
    translated: bool,
}

/// Where a packet ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fate {
    At(SocketAddr),
    Refused,
    /// No rule of a Service concerns it.
    Untouched,
}

/// What a chain does with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    Accept,
    Refuse,
    Translate(SocketAddr),
    /// Back to the rule that jumped there.
    Through,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Matches {
    Yes,
    No,
    Perhaps,
}

struct Node<'a> {
    host: &'a Host,
    rules: &'a Ruleset,
}

impl Node<'_> {
    fn fates(&self, packet: &Packet) -> BTreeSet<Fate> {
        let nat = self.rules.table(&TableName::Nat);
        let verdicts = nat.map_or_else(
            || BTreeSet::from([Verdict::Through]),
            |nat| self.chain(nat, "PREROUTING", packet),
        );
        let mut fates = BTreeSet::new();
        for verdict in verdicts {
            let mut packet = packet.clone();
            if let Verdict::Translate(to) = verdict {
                packet.to = to;
                packet.translated = true;
            }
            let chain = match self.is_local(packet.to.ip()) {
                true => "INPUT",
                false => "FORWARD",
            };
            let filter = self.rules.table(&TableName::Filter);
            let verdicts = filter.map_or_else(
                || BTreeSet::from([Verdict::Through]),
                |filter| self.chain(filter, chain, &packet),
            );
            fates.extend(verdicts.into_iter().map(|verdict| match verdict {
                Verdict::Refuse => Fate::Refused,
                _ if packet.translated => Fate::At(packet.to),
                _ => Fate::Untouched,
            }));
        }
        fates
    }

    fn is_local(&self, address: IpAddr) -> bool {
        address.is_loopback() || self.host.addresses().any(|own| own == address)
    }

    fn chain(&self, table: &Table, name: &str, packet: &Packet) -> BTreeSet<Verdict> {
        let mut verdicts = BTreeSet::new();
        let rules = table.chain(name).map_or(&[][..], |chain| &chain.rules);
        for rule in rules {
            let matches = self.matches(rule, packet);
            if matches == Matches::No {
                continue;
            }
            let does: BTreeSet<Verdict> = match &rule.target {
                Some(Target::Accept) => [Verdict::Accept].into(),
                Some(Target::Drop | Target::Reject { .. }) => [Verdict::Refuse].into(),
                Some(Target::Return) => {
                    verdicts.insert(Verdict::Through);
                    if matches == Matches::Yes {
                        return verdicts;
                    }
                    continue;
                }
                Some(Target::Jump(chain)) => self.chain(table, chain, packet),
                Some(Target::Dnat(dnat)) => {
                    let to = dnat.to.socket_addr().unwrap();
                    [Verdict::Translate(to)].into()
                }
                _ => [Verdict::Through].into(),
            };
            let goes_on = does.contains(&Verdict::Through) || matches == Matches::Perhaps;
            verdicts.extend(
                does.into_iter()
                    .filter(|verdict| *verdict != Verdict::Through),
            );
            if !goes_on {
                return verdicts;
            }
        }
        verdicts.insert(Verdict::Through);
        verdicts
    }

    fn matches(&self, rule: &Rule, packet: &Packet) -> Matches {
        let within = |address: &iptables_restore::Address, ip: IpAddr| {
            address
                .network()
                .is_some_and(|network| network.contains(ip))
        };
        let holds = [
            rule.source
                .as_ref()
                .map(|source| within(&source.value, packet.source) != source.negated),
            rule.destination
                .as_ref()
                .map(|to| within(&to.value, packet.to.ip()) != to.negated),
            // Packets come in by a link of no pod.
            rule.in_interface.as_ref().map(|name| name.negated),
            rule.protocol
                .as_ref()
                .map(|of| of.value.number() == Some(packet.protocol)),
        ];
        if holds.into_iter().flatten().any(|holds| !holds) {
            return Matches::No;
        }
        let mut all = Matches::Yes;
        for part in &rule.matches {
            match self.part(part, packet) {
                Matches::Yes => {}
                Matches::No => return Matches::No,
                Matches::Perhaps => all = Matches::Perhaps,
            }
        }
        all
    }

    fn part(&self, part: &Match, packet: &Packet) -> Matches {
        let sure = |holds| match holds {
            true => Matches::Yes,
            false => Matches::No,
        };
        match part {
            Match::Comment(_) => Matches::Yes,
            Match::Tcp(ports) | Match::Udp(ports) | Match::Sctp(ports) => sure(
                ports
                    .destination
                    .is_none_or(|port| port.value.first == packet.to.port()),
            ),
            Match::Conntrack(conntrack) => {
                let mut states = CtStates::NEW;
                if packet.translated {
                    states |= CtStates::DNAT;
                }
                sure(conntrack.states.intersects(states) != conntrack.negated)
            }
            Match::Addrtype(types) => {
                let local = |wanted: Option<iptables_restore::Negatable<AddressTypes>>, ip| {
                    wanted.is_none_or(|types| {
                        types.value.contains(AddressTypes::LOCAL) && self.is_local(ip)
                    })
                };
                sure(local(types.source, packet.source) && local(types.destination, packet.to.ip()))
            }
            // Whether it is marked decides about masquerading only.
            Match::Mark(_) => Matches::No,
            Match::Statistic(_) => Matches::Perhaps,
            Match::Recent(recent) => match recent.action {
                RecentAction::Set => Matches::Yes,
                _ => Matches::Perhaps,
            },
            other => panic!("no rule of iptables mode has {other}"),
        }
    }
}

/// Packets to all that Services of these clusters have, from a client inside source ranges and from one outside.
fn packets(clusters: [&Cluster; 2], host: &Host) -> Vec<Packet> {
    let mut packets = Vec::new();
    for service in clusters
        .iter()
        .flat_map(|cluster| cluster.services.values())
    {
        let addresses: BTreeSet<IpAddr> = [
            &service.cluster_ips,
            &service.external_ips,
            &service.load_balancer_ips,
        ]
        .into_iter()
        .flatten()
        .copied()
        .collect();
        for port in &service.ports {
            let mut to: Vec<_> = addresses
                .iter()
                .map(|ip| SocketAddr::new(*ip, port.port.get()))
                .collect();
            let node_port = port.node_port.map(std::num::NonZero::get);
            to.extend(
                node_port
                    .iter()
                    .flat_map(|port| host.addresses().map(move |ip| SocketAddr::new(ip, *port))),
            );
            for to in to {
                let sources: [&str; 2] = match Family::of(to.ip()) {
                    Family::V4 => ["203.0.113.77", "192.168.10.77"],
                    Family::V6 => ["2001:db8:77::7", "2001:db8:10::77"],
                };
                packets.extend(sources.map(|source| Packet {
                    source: source.parse().unwrap(),
                    to,
                    protocol: port.protocol.0,
                    translated: false,
                }));
            }
        }
    }
    packets
}

fn fates(host: &Host, state: &Observed, packet: &Packet) -> BTreeSet<Fate> {
    let rules = state.rules.get(Family::of(packet.to.ip()));
    Node { host, rules }.fates(packet)
}

fn in_iptables_mode() -> impl Strategy<Value = Config> {
    strategies::config().prop_map(|mut config| {
        config.layout = Layout::Iptables;
        config
    })
}

/// A cluster, and what becomes of it: another one, or the same without some objects and with some of another.
fn two_clusters() -> impl Strategy<Value = (Cluster, Cluster)> {
    let masks = (any::<u16>(), any::<u16>(), 0..4u8);
    (strategies::cluster(), strategies::cluster(), masks).prop_map(
        |(before, mut other, (services, slices, how))| {
            if how == 0 {
                return (before, other);
            }
            let bit = |mask: u16, n: usize| mask >> (n % 16) & 1 == 1;
            let mut after = before.clone();
            for (n, (name, slice)) in before.slices.iter().enumerate() {
                if bit(slices, n) {
                    match other.slices.remove(name).filter(|_| how == 1) {
                        Some(changed) if changed.service == slice.service => {
                            after.slices.insert(name.clone(), changed);
                        }
                        _ => drop(after.slices.remove(name)),
                    }
                }
            }
            for (n, name) in before.services.keys().enumerate() {
                if how == 2 && bit(services, n) {
                    match other.services.remove(name) {
                        Some(changed) => drop(after.services.insert(name.clone(), changed)),
                        None => drop(after.services.remove(name)),
                    }
                }
            }
            (before, after)
        },
    )
}

proptest! {
    /// At each step a packet ends where it did before the plan, or where it will after it: never elsewhere, and never
    /// past all rules of its Service.
    #[test]
    fn at_every_step_packets_go_the_old_way_or_the_new(
        clusters in two_clusters(),
        host in strategies::host(),
        configs in (in_iptables_mode(), in_iptables_mode(), any::<bool>()),
    ) {
        let (before, after) = clusters;
        let (config, other, same) = configs;
        let mut kernel = MemoryKernel::new();
        let earlier = translate(&before, &host, if same { &config } else { &other });
        for (_, operation) in reconcile(&earlier, &kernel.state()).iter() {
            kernel.perform(operation).unwrap();
        }
        let found = kernel.state();
        let plan = reconcile(&translate(&after, &host, &config), &found);
        let mut steps = Vec::new();
        for (_, operation) in plan.iter() {
            kernel.perform(operation).unwrap();
            steps.push((operation, kernel.state()));
        }
        let end = kernel.state();
        for packet in packets([&before, &after], &host) {
            let mut allowed = fates(&host, &found, &packet);
            allowed.extend(fates(&host, &end, &packet));
            // What goes away, or is not there yet, may be refused for a moment.
            if allowed.contains(&Fate::Untouched) {
                allowed.insert(Fate::Refused);
            }
            for (operation, state) in &steps {
                let now = fates(&host, state, &packet);
                prop_assert!(
                    now.is_subset(&allowed),
                    "{packet:?}: {now:?}, not {allowed:?}, after {operation}\nplan:\n{plan}"
                );
            }
        }
    }

    /// What the rules do is what Services ask for: worked out from the cluster, not from the rules.
    #[test]
    fn packets_to_cluster_ips_come_to_ready_endpoints(
        cluster in strategies::cluster(),
        host in strategies::host(),
        config in in_iptables_mode(),
    ) {
        let desired = translate(&cluster, &host, &config);
        let mut kernel = MemoryKernel::new();
        for (_, operation) in reconcile(&desired, &kernel.state()).iter() {
            kernel.perform(operation).unwrap();
        }
        let state = kernel.state();
        let contested: BTreeSet<_> = desired.conflicts.iter().map(|c| c.server).collect();
        for family in Family::ALL.into_iter().filter(|family| host.serves(*family)) {
            for service in cluster.services.values().filter(|s| s.counts(family)) {
                for port in &service.ports {
                    let Some(ip) = service.cluster_ip(family) else { continue };
                    let id = ipvs_netlink::VirtualServerId::Address {
                        protocol: port.protocol,
                        address: ip,
                        port: port.port.get(),
                    };
                    if contested.contains(&id) {
                        continue;
                    }
                    let mut of_port = cluster.slices.values().filter(|slice| {
                        slice.family == family
                            && slice.name.namespace() == service.name.namespace()
                            && *slice.service == *service.name.name()
                            && slice.ports.iter().any(|p| p.name == port.name && p.protocol == port.protocol)
                    });
                    let usable = of_port.any(|slice| {
                        slice.endpoints.iter().any(|e| e.ready || e.serving && e.terminating)
                    });
                    let packet = Packet {
                        source: match family {
                            Family::V4 => "203.0.113.77".parse().unwrap(),
                            Family::V6 => "2001:db8:77::7".parse().unwrap(),
                        },
                        to: SocketAddr::new(ip, port.port.get()),
                        protocol: port.protocol.0,
                        translated: false,
                    };
                    let fates = fates(&host, &state, &packet);
                    prop_assert!(!fates.contains(&Fate::Untouched), "{packet:?}: {fates:?}");
                    if !usable {
                        prop_assert_eq!(fates, BTreeSet::from([Fate::Refused]), "{:?}", packet);
                    }
                }
            }
        }
    }
}
