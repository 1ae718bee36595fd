//! The chains and rules of a table.

mod chains;
mod lookup;
mod loopback;
mod masquerade_address;
mod own_mark;
mod path_mtu;
mod ping;
mod ranges;

use std::net::IpAddr;

use ipnetwork::IpNetwork;

pub(crate) use loopback::guards_loopback;

use super::{SetId, Structure};
use crate::cluster::Family;
use crate::layout::LocalSource;

/// All that the chains and rules of a family's table depend on: options, and of Services only whether any chooses the address
/// that it is masqueraded with.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TableRules {
    /// For which addresses.
    pub family: Family,
    /// The bit by which packets are routed to this machine.
    pub route_mark: u32,
    /// The bit that asks for masquerading.
    pub masquerade_mark: u32,
    /// The bits of Services' marks.
    pub service_marks: u32,
    /// Whether all traffic to cluster IPs is masqueraded.
    pub masquerade_all: bool,
    /// How traffic of this node's pods is recognized, where it can be.
    pub local_source: Option<LocalSource>,
    /// An address of this node, of the family: ICMP echo requests to cluster IPs go there. `None`: they are refused.
    pub ping: Option<IpAddr>,
    /// Whether any Service chooses the address that it is masqueraded with
    /// ([`ServiceOptions::masquerade_networks`](crate::cluster::ServiceOptions::masquerade_networks)).
    pub masquerade_addresses: bool,
    /// The loopback networks at which node ports are served. Where there are any, packets from elsewhere are kept from all
    /// loopback addresses. None in IPv6, whose loopback address the kernel does not route.
    pub loopback: Vec<IpNetwork>,
}

/// How the table that was found differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Difference {
    /// In nothing.
    None,
    /// It has no [`TableRules::masquerade_address_part`], or has it for nothing.
    Part,
    /// In something else.
    Whole,
}

impl TableRules {
    /// The rules of a family as the default configuration has them.
    #[must_use]
    pub const fn new(family: Family) -> Self {
        Self {
            family,
            route_mark: 0x2000,
            masquerade_mark: 1 << 14,
            service_marks: 0x107f,
            masquerade_all: false,
            local_source: None,
            ping: None,
            masquerade_addresses: false,
            loopback: Vec::new(),
        }
    }

    /// The table: sets, chains and rules.
    #[must_use]
    pub fn structure(&self) -> Structure {
        let is_there = |id: &SetId| match id {
            id if id.is_optional() => self.masquerade_addresses,
            id if id.is_of_loopback() => !self.loopback.is_empty(),
            _ => true,
        };
        let sets = SetId::ALL.into_iter().filter(is_there);
        let sets = sets.map(|id| id.spec(self.family));
        let (chains, rules): (Vec<_>, Vec<_>) = chains::all(self).into_iter().unzip();
        Structure::new(sets, chains, rules.into_iter().flatten())
    }

    /// How a table that was found differs from the wanted one.
    pub(crate) fn difference(&self, found: &Structure) -> Difference {
        let wanted = self.structure();
        if *found == wanted {
            return Difference::None;
        }
        let masquerade_addresses = !self.masquerade_addresses;
        let other = Self {
            masquerade_addresses,
            ..self.clone()
        };
        match *found == other.structure() {
            true => Difference::Part,
            false => Difference::Whole,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use nftables_netlink::expression::{Expression, Immediate};
    use nftables_netlink::{Data, Name, Verdict};

    use super::*;

    fn tables() -> impl Iterator<Item = TableRules> {
        Family::ALL.into_iter().flat_map(|family| {
            let sources = [
                None,
                Some(LocalSource::Interface("cni0".into())),
                Some(LocalSource::Interface("veth+".into())),
                Some(LocalSource::Network(match family {
                    Family::V4 => "10.244.0.0/16".parse().unwrap(),
                    Family::V6 => "fd00:10:244::/48".parse().unwrap(),
                })),
            ];
            sources.into_iter().flat_map(move |local_source| {
                let loopback: Vec<_> = match family {
                    Family::V4 => vec![Vec::new(), vec!["127.0.0.0/8".parse().unwrap()]],
                    Family::V6 => vec![Vec::new()],
                };
                let each = [(false, false), (true, false), (false, true), (true, true)];
                each.into_iter()
                    .flat_map(move |(masquerade_all, masquerade_addresses)| {
                        let rules = TableRules {
                            masquerade_all,
                            masquerade_addresses,
                            local_source: local_source.clone(),
                            ..TableRules::new(family)
                        };
                        let rules = loopback
                            .clone()
                            .into_iter()
                            .map(move |loopback| TableRules {
                                loopback,
                                ..rules.clone()
                            });
                        rules.collect::<Vec<_>>()
                    })
            })
        })
    }

    fn verdicts(table: &Structure) -> impl Iterator<Item = (&Name, &Verdict)> {
        table.rules.iter().flat_map(|rule| {
            let chain = rule.chain.as_ref().unwrap();
            rule.expressions.0.iter().filter_map(move |one| match one {
                Expression::Immediate(Immediate {
                    data: Data::Verdict(verdict),
                    ..
                }) => Some((chain, verdict)),
                _ => None,
            })
        })
    }

    /// What a rule looks up is a set of the table, and every set is looked up, but for those of what is masqueraded where
    /// everything is.
    #[test]
    fn rules_look_up_the_sets_of_the_table() {
        for rules in tables() {
            let table = rules.structure();
            let spare =
                |set: &Name| rules.masquerade_all && set.to_string().ends_with("masqueraded");
            let names = table.sets.iter().map(|set| set.name.clone());
            let sets: BTreeSet<_> = names.filter(|name| !spare(name)).collect();
            let lookups = table.rules.iter().flat_map(|rule| {
                rule.expressions.0.iter().filter_map(|one| match one {
                    Expression::Lookup(lookup) => Some(lookup.set.clone()),
                    _ => None,
                })
            });
            assert_eq!(lookups.collect::<BTreeSet<_>>(), sets);
        }
    }

    /// An ICMP error is looked up wherever the port of an address can be that its connection was made to.
    #[test]
    fn errors_are_known_by_every_set_of_ports() {
        for rules in tables() {
            let table = rules.structure();
            let errors = table.rules.iter();
            let errors = errors.filter(|rule| rule.chain.as_ref().is_some_and(|c| c == "errors"));
            let known: BTreeSet<_> = errors
                .flat_map(|rule| &rule.expressions.0)
                .filter_map(|one| match one {
                    Expression::Lookup(lookup) => lookup.set.as_str(),
                    _ => None,
                })
                .collect();
            let expected = [
                SetId::Services,
                SetId::External,
                SetId::ExternalLocal,
                SetId::PortMarks,
                SetId::RangeMarks,
            ];
            let expected = expected.map(SetId::as_str);
            assert_eq!(known, BTreeSet::from(expected));
        }
    }

    /// The kernel takes no rule that leads to a chain which is not there, and no loop of chains.
    #[test]
    fn chains_lead_to_chains_before_them_only() {
        for rules in tables() {
            let order: BTreeMap<_, _> = chains::all(&rules)
                .into_iter()
                .zip(0..)
                .map(|((chain, _), place)| (chain.name.unwrap(), place))
                .collect();
            let table = rules.structure();
            for (from, verdict) in verdicts(&table) {
                if let Some(to) = &verdict.chain {
                    assert!(
                        order.get(to).unwrap() < order.get(from).unwrap(),
                        "{from} -> {to}"
                    );
                }
            }
        }
    }

    #[test]
    fn rules_depend_on_every_option() {
        for rules in tables() {
            let other = TableRules {
                route_mark: 0x10_0000,
                ..rules.clone()
            };
            assert_ne!(other.structure(), rules.structure());
            let other = TableRules {
                masquerade_mark: 0x10_0000,
                ..rules.clone()
            };
            assert_ne!(other.structure(), rules.structure());
            let other = TableRules {
                service_marks: 0x10_0000,
                ..rules.clone()
            };
            assert_ne!(other.structure(), rules.structure());
            let address = match rules.family {
                Family::V4 => "192.0.2.1",
                Family::V6 => "2001:db8::1",
            };
            let other = TableRules {
                ping: Some(address.parse().unwrap()),
                ..rules.clone()
            };
            assert_ne!(other.structure(), rules.structure());
        }
        let all: Vec<_> = tables().map(|rules| rules.structure()).collect();
        for (place, one) in all.iter().enumerate() {
            assert!(!all.iter().skip(place + 1).any(|other| other == one));
        }
    }
}
