//! Packets, and the way that each takes through the rules.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use iptables_restore::{
    AddressTypes, CtStates, Match, Negatable, RecentAction, Rule, Table, TableName, Target,
};
use ipvs_netlink::Protocol;
use proxier::Observed;
use proxier::cluster::{Cluster, Family, Host, Service};

/// The first packet of a connection.
#[derive(Clone, Debug)]
pub(super) struct Packet {
    pub(super) source: IpAddr,
    /// The link that it comes in by; empty where the node itself sends it.
    pub(super) link: &'static str,
    pub(super) to: SocketAddr,
    pub(super) protocol: u8,
    /// Whether its destination was translated.
    pub(super) translated: bool,
    pub(super) mark: u32,
}

/// Where a packet ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fate {
    Refused,
    Passes {
        /// Where to; `None` if no rule of a Service concerns it.
        to: Option<SocketAddr>,
        masqueraded: bool,
        /// Whether a rule accepts it, so that the policy of the chain does not decide.
        accepted: bool,
    },
}

impl Fate {
    /// Whether no rule of a Service concerns it.
    pub(super) fn is_untouched(&self) -> bool {
        matches!(self, Self::Passes { to: None, .. })
    }
}

/// What a chain does with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    Accept,
    Refuse,
    Translate(SocketAddr),
    Masquerade,
    /// Back to the rule that jumped there.
    Through,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Matches {
    Yes,
    No,
    Perhaps,
}

/// Where a packet may end.
pub(super) fn fates(host: &Host, state: &Observed, packet: &Packet) -> BTreeSet<Fate> {
    let rules = state.rules.get(Family::of(packet.to.ip()));
    let of = |name| rules.table(&name);
    let node = Node { host };
    let from_node = packet.link.is_empty();
    let first = match from_node {
        true => "OUTPUT",
        false => "PREROUTING",
    };
    let mut fates = BTreeSet::new();
    for (verdict, mark) in node.chain(of(TableName::Nat), first, packet) {
        let mut packet = Packet {
            mark,
            ..packet.clone()
        };
        if let Verdict::Translate(to) = verdict {
            packet.to = to;
            packet.translated = true;
        }
        let arrives = !from_node && node.is_local(packet.to.ip());
        let chain = match (from_node, arrives) {
            (true, _) => "OUTPUT",
            (_, true) => "INPUT",
            (_, false) => "FORWARD",
        };
        for (verdict, mark) in node.chain(of(TableName::Filter), chain, &packet) {
            if verdict == Verdict::Refuse {
                fates.insert(Fate::Refused);
                continue;
            }
            packet.mark = mark;
            let last = match arrives {
                true => BTreeSet::from([(Verdict::Through, mark)]),
                false => node.chain(of(TableName::Nat), "POSTROUTING", &packet),
            };
            fates.extend(last.into_iter().map(|(last, _)| Fate::Passes {
                to: packet.translated.then_some(packet.to),
                masqueraded: last == Verdict::Masquerade,
                accepted: verdict == Verdict::Accept,
            }));
        }
    }
    fates
}

struct Node<'a> {
    host: &'a Host,
}

impl Node<'_> {
    fn is_local(&self, address: IpAddr) -> bool {
        address.is_loopback() || self.host.addresses().any(|own| own == address)
    }

    /// What the chain may do with a packet, and the mark that it then has.
    fn chain(
        &self,
        table: Option<&Table>,
        name: &str,
        packet: &Packet,
    ) -> BTreeSet<(Verdict, u32)> {
        let chain = table.and_then(|table| table.chain(name));
        let mut ends = BTreeSet::new();
        // The marks of those that are still in the chain.
        let mut marks = BTreeSet::from([packet.mark]);
        for rule in chain.map_or(&[][..], |chain| &chain.rules) {
            for mark in std::mem::take(&mut marks) {
                let packet = Packet {
                    mark,
                    ..packet.clone()
                };
                let matches = self.matches(rule, &packet);
                if matches != Matches::Yes {
                    marks.insert(mark);
                }
                if matches == Matches::No {
                    continue;
                }
                let does = match &rule.target {
                    Some(Target::Accept) => Verdict::Accept,
                    Some(Target::Drop | Target::Reject { .. }) => Verdict::Refuse,
                    Some(Target::Masquerade(_)) => Verdict::Masquerade,
                    Some(Target::Dnat(dnat)) => Verdict::Translate(dnat.to.socket_addr().unwrap()),
                    Some(Target::Return) => {
                        ends.insert((Verdict::Through, mark));
                        continue;
                    }
                    Some(Target::Mark(new)) => {
                        marks.insert(mark & !new.mask ^ new.value);
                        continue;
                    }
                    Some(Target::Jump(chain)) => {
                        for (does, mark) in self.chain(table, chain, &packet) {
                            match does {
                                Verdict::Through => drop(marks.insert(mark)),
                                _ => drop(ends.insert((does, mark))),
                            }
                        }
                        continue;
                    }
                    None => {
                        marks.insert(mark);
                        continue;
                    }
                    Some(other) => panic!("no rule of iptables mode has the target {other:?}"),
                };
                ends.insert((does, mark));
            }
        }
        ends.extend(marks.into_iter().map(|mark| (Verdict::Through, mark)));
        ends
    }

    fn matches(&self, rule: &Rule, packet: &Packet) -> Matches {
        let within = |address: &iptables_restore::Address, ip: IpAddr| {
            address
                .network()
                .is_some_and(|network| network.contains(ip))
        };
        let by = |name: &str| match name.strip_suffix('+') {
            Some(prefix) => !packet.link.is_empty() && packet.link.starts_with(prefix),
            None => packet.link == name,
        };
        let holds = [
            rule.source
                .as_ref()
                .map(|source| within(&source.value, packet.source) != source.negated),
            rule.destination
                .as_ref()
                .map(|to| within(&to.value, packet.to.ip()) != to.negated),
            rule.in_interface
                .as_ref()
                .map(|name| by(&name.value.to_string()) != name.negated),
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
                let local = |wanted: Option<Negatable<AddressTypes>>, ip| {
                    wanted.is_none_or(|types| {
                        types.value.contains(AddressTypes::LOCAL) && self.is_local(ip)
                    })
                };
                sure(local(types.source, packet.source) && local(types.destination, packet.to.ip()))
            }
            Match::Mark(mark) => sure((packet.mark & mark.mask == mark.value) != mark.negated),
            Match::Statistic(_) => Matches::Perhaps,
            Match::Recent(recent) => match recent.action {
                RecentAction::Set => Matches::Yes,
                _ => Matches::Perhaps,
            },
            other => panic!("no rule of iptables mode has {other}"),
        }
    }
}

/// Packets to all that Services of these clusters have: from a client inside source ranges and from one outside, from pods by
/// either kind of link, and from the node.
pub(super) fn packets(clusters: [&Cluster; 2], host: &Host) -> Vec<Packet> {
    let mut packets = Vec::new();
    for service in clusters
        .iter()
        .flat_map(|cluster| cluster.services.values())
    {
        for (to, protocol) in destinations(service, host) {
            let family = Family::of(to.ip());
            let others: [(&str, &str); 4] = match family {
                Family::V4 => [
                    ("203.0.113.77", "eth0"),
                    ("192.168.10.77", "eth0"),
                    ("10.244.1.9", "veth9"),
                    ("10.244.1.9", "br0"),
                ],
                Family::V6 => [
                    ("2001:db8:77::7", "eth0"),
                    ("2001:db8:10::77", "eth0"),
                    ("fd00:2::9", "veth9"),
                    ("fd00:2::9", "br0"),
                ],
            };
            let own = host.addresses().find(|ip| Family::of(*ip) == family);
            let others = others.map(|(source, link)| (source.parse().unwrap(), link));
            let all = others.into_iter().chain(own.map(|own| (own, "")));
            packets.extend(all.map(|(source, link)| Packet {
                source,
                link,
                to,
                protocol: protocol.0,
                translated: false,
                mark: 0,
            }));
        }
    }
    packets
}

/// The ports of a Service at all addresses that it has, and where its health is asked for.
fn destinations(service: &Service, host: &Host) -> Vec<(SocketAddr, Protocol)> {
    let addresses: BTreeSet<IpAddr> = [
        &service.cluster_ips,
        &service.external_ips,
        &service.load_balancer_ips,
    ]
    .into_iter()
    .flatten()
    .copied()
    .collect();
    let here = |port: u16| host.addresses().map(move |ip| SocketAddr::new(ip, port));
    let mut all = Vec::new();
    for port in &service.ports {
        let own = addresses
            .iter()
            .map(|ip| SocketAddr::new(*ip, port.port.get()));
        let node_port = port.node_port.map(std::num::NonZero::get);
        let to = own.chain(node_port.into_iter().flat_map(here));
        all.extend(to.map(|to| (to, port.protocol)));
    }
    let health = service.health_check_node_port.map(std::num::NonZero::get);
    let health = health.into_iter().flat_map(here);
    all.extend(health.map(|to| (to, Protocol::TCP)));
    all
}
