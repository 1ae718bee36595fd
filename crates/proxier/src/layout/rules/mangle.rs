//! The mangle table: ranges of ports, which IPVS knows by the packet's mark.
//!
//! A set would have a member for each port of a range, so each range has a rule of its own at each address. The table is
//! left alone as long as no Service asks for ranges.
//!
//! ```text
//!  PREROUTING, OUTPUT ─► KUBE-PORT-RANGES ─► KUBE-RANGE-MARKS    the mark of the virtual server, by which IPVS finds it
//!  POSTROUTING ─► KUBE-RANGE-POSTROUTING                         that mark off, and the masquerading bit on
//! ```
//!
//! IPVS compares the mark as a whole (`__ip_vs_svc_fwm_find` in net/netfilter/ipvs/ip_vs_ctl.c), so what is to be
//! masqueraded has the bit in the connection's mark until IPVS is past. Then the rules of the nat table find it in the
//! packet's.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::num::NonZeroU32;

use ipnetwork::IpNetwork;
use iptables_restore::{
    AddressTypes, AddrtypeMatch, Connmark, ConntrackMatch, CtStates, Mark, MarkMatch, Match,
    PortRange as Ports, PortsMatch, Rule, TableName, Target, Word,
};
use ipvs_netlink::Protocol;

use super::{FamilyRules, LocalSource, NODE_PORT_PROTOCOLS, TableRules};
use crate::cluster::PortRange;
use crate::layout::SetId;
use crate::layout::nftables::AddressRange;

/// The chain of the mangle table that packets to addresses with ranges of ports come to, in layouts with ipset. It is there
/// while there are ranges.
pub const PORT_RANGES: &str = "KUBE-PORT-RANGES";
const MARKS: &str = "KUBE-RANGE-MARKS";
const POSTROUTING: &str = "KUBE-RANGE-POSTROUTING";

/// What ranges of ports have in the rules of layouts with ipset.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum RangeRule {
    /// A range at an address.
    Marked(MarkedRange),
    /// An endpoint on this node: what comes back to its sender from the virtual server of a mark is masqueraded.
    Hairpin(NonZeroU32, IpAddr),
}

/// A range of ports of an address, with the mark of its virtual server.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct MarkedRange {
    /// The address and the ports.
    pub at: AddressRange,
    /// The mark.
    pub mark: NonZeroU32,
    /// Whose packets are masqueraded.
    pub masqueraded: Masqueraded,
    /// Who may use it; `None` is everybody.
    pub clients: Option<BTreeSet<IpNetwork>>,
    /// Whether node ports are served at the address too. They come first.
    pub has_node_ports: bool,
    /// Whether it is a listed port that is served together with the ranges. It comes before all ports of their own.
    pub is_listed: bool,
}

/// Whose packets are masqueraded on their way to a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Masqueraded {
    /// Nobody's.
    Nobody,
    /// The node's own.
    Node,
    /// All that do not come from this node's pods, or the node's own where these cannot be told; all with `masqueradeAll`.
    Others,
    /// Everybody's.
    Everybody,
}

impl FamilyRules {
    /// The mangle table, empty where there are no ranges.
    pub(super) fn mangle(&self) -> TableRules {
        if self.marked_ranges().next().is_none() {
            return TableRules::new(TableName::Mangle);
        }
        let mut mangle = frame();
        self.ranges_of_addresses(&mut mangle);
        self.set_marks(&mut mangle);
        self.after_ipvs(&mut mangle);
        mangle
    }

    fn marked_ranges(&self) -> impl Iterator<Item = &MarkedRange> {
        self.ranges.iter().filter_map(|rule| match rule {
            RangeRule::Marked(range) => Some(range),
            RangeRule::Hairpin(..) => None,
        })
    }

    /// The marks of virtual servers: IPVS takes every packet that has one of them.
    pub(super) fn range_marks(&self) -> BTreeSet<NonZeroU32> {
        self.marked_ranges().map(|range| range.mark).collect()
    }

    /// Packets to other addresses pass no further rules.
    fn ranges_of_addresses(&self, mangle: &mut TableRules) {
        let addresses: BTreeSet<_> = self.marked_ranges().map(|range| range.at.address).collect();
        let to = |address| Rule::new().destination(address).goto(MARKS);
        mangle.extend(PORT_RANGES, addresses.into_iter().map(to));
    }

    fn set_marks(&self, mangle: &mut TableRules) {
        // What answers is for no Service, though it may go to the address and port of one.
        let answers = Match::new("conntrack", ["--ctdir", "REPLY"].map(Word::from));
        mangle.append(MARKS, Rule::new().matching(answers).jump(Target::Return));
        self.mark_ranges(mangle, |range| range.is_listed);
        // Ports of their own come before ranges.
        for id in [
            SetId::ClusterIp,
            SetId::ExternalIp,
            SetId::ExternalIpLocal,
            SetId::LoadBalancer,
        ] {
            let own = Rule::new().matching(self.set(id)).jump(Target::Return);
            mangle.append(MARKS, own);
        }
        let with_node_ports = self.marked_ranges().filter(|range| range.has_node_ports);
        let of_node: BTreeSet<_> = with_node_ports.map(|range| range.at.address).collect();
        for address in of_node {
            for protocol in NODE_PORT_PROTOCOLS {
                let set = protocol.parse().ok().and_then(SetId::node_ports);
                mangle.extend(
                    MARKS,
                    set.map(|(set, _)| {
                        let rule = Rule::new().destination(address).protocol(protocol);
                        rule.matching(self.set(set)).jump(Target::Return)
                    }),
                );
            }
        }
        self.mark_ranges(mangle, |range| !range.is_listed);
    }

    /// Sets the marks of these ranges, and then has those masqueraded that are to be.
    fn mark_ranges(&self, mangle: &mut TableRules, these: impl Fn(&MarkedRange) -> bool) {
        let ranges = || self.marked_ranges().filter(|range| these(range));
        for range in ranges() {
            mangle.extend(MARKS, range.rules());
        }
        let masqueraded: BTreeSet<_> = ranges()
            .map(|range| (range.at.address, range.mark, range.masqueraded))
            .collect();
        for (address, mark, masqueraded) in masqueraded {
            mangle.extend(MARKS, self.request_masquerading(address, mark, masqueraded));
        }
    }

    fn request_masquerading(
        &self,
        address: IpAddr,
        mark: NonZeroU32,
        masqueraded: Masqueraded,
    ) -> Option<Rule> {
        let rule = Rule::new().destination(address).matching(with_mark(mark));
        let rule = match (masqueraded, &self.local_source) {
            (Masqueraded::Nobody, _) => return None,
            (Masqueraded::Everybody, _) => rule,
            (Masqueraded::Others, _) if self.masquerade_all => rule,
            (Masqueraded::Others, Some(LocalSource::Network(pods))) => rule.not_source(*pods),
            (Masqueraded::Others, Some(LocalSource::Interface(name))) => {
                rule.not_in_interface(&**name)
            }
            (Masqueraded::Others, None) | (Masqueraded::Node, _) => {
                rule.matching(AddrtypeMatch::source(AddressTypes::LOCAL))
            }
        };
        Some(rule.jump(Connmark::Set(Mark::set(self.mark))))
    }

    /// Behind IPVS, where packets go to endpoints. Only the first one of a connection comes to the nat table, which takes
    /// the bit off again.
    fn after_ipvs(&self, mangle: &mut TableRules) {
        let masquerade = Mark {
            value: self.mark,
            mask: u32::MAX,
        };
        let first =
            ConntrackMatch::not_states(CtStates::RELATED | CtStates::ESTABLISHED | CtStates::SNAT);
        for rule in &self.ranges {
            if let RangeRule::Hairpin(mark, endpoint) = rule {
                let itself = Rule::new().source(*endpoint).destination(*endpoint);
                let itself = itself.matching(with_mark(*mark)).matching(first);
                mangle.append(POSTROUTING, itself.jump(masquerade));
            }
        }
        let asked = self.marked_ranges();
        let asked = asked.filter(|range| range.masqueraded != Masqueraded::Nobody);
        let asked: BTreeSet<_> = asked.map(|range| range.mark).collect();
        for mark in asked {
            let requested = Match::Connmark(MarkMatch::bits(self.mark));
            let rule = Rule::new().matching(with_mark(mark)).matching(requested);
            mangle.append(POSTROUTING, rule.matching(first).jump(masquerade));
        }
        // What leaves in a tunnel passes the stack again, and others have rules by mark.
        let off = Mark {
            value: 0,
            mask: u32::MAX,
        };
        for mark in self.range_marks() {
            mangle.append(POSTROUTING, Rule::new().matching(with_mark(mark)).jump(off));
        }
    }
}

/// The chains and jumps, without rules that depend on Services.
pub(super) fn frame() -> TableRules {
    let mut mangle = TableRules::new(TableName::Mangle);
    for chain in [PORT_RANGES, MARKS, POSTROUTING] {
        mangle.declare(chain);
    }
    let ranges = || Rule::new().comment("kubernetes service port ranges");
    mangle.jump_from("PREROUTING", ranges().jump(PORT_RANGES));
    mangle.jump_from("OUTPUT", ranges().jump(PORT_RANGES));
    mangle.jump_from("POSTROUTING", ranges().jump(POSTROUTING));
    mangle
}

/// The mark as a whole, as IPVS compares it.
pub(super) fn with_mark(mark: NonZeroU32) -> Match {
    let mut exact = MarkMatch::bits(mark.get());
    exact.mask = u32::MAX;
    exact.into()
}

impl MarkedRange {
    fn to_here(&self) -> Rule {
        let rule = Rule::new().destination(self.at.address);
        of_ports(rule, self.at.ports)
    }

    /// What sets the mark, and drops clients that may not use the range. The whole mark is set: IPVS would not find it with
    /// bits of others.
    fn rules(&self) -> Vec<Rule> {
        let whole = Mark {
            value: self.mark.get(),
            mask: u32::MAX,
        };
        let Some(clients) = &self.clients else {
            return vec![self.to_here().jump(whole)];
        };
        let allowed = clients.iter().map(|client| self.to_here().source(*client));
        let mut rules: Vec<_> = allowed.map(|rule| rule.jump(whole)).collect();
        let mut others = MarkMatch::bits(self.mark.get());
        (others.mask, others.negated) = (u32::MAX, true);
        rules.push(self.to_here().matching(others).jump(Target::Drop));
        rules
    }
}

/// Of all ports of a protocol, none is looked at.
fn of_ports(rule: Rule, ports: PortRange) -> Rule {
    let rule = rule.protocol(ports.protocol().0);
    if ports == PortRange::all(ports.protocol()) {
        return rule;
    }
    let destination = PortsMatch::destination(Ports {
        first: ports.first(),
        last: ports.last(),
    });
    rule.matching(match ports.protocol() {
        Protocol::UDP => Match::Udp(destination),
        Protocol::SCTP => Match::Sctp(destination),
        _ => Match::Tcp(destination),
    })
}
