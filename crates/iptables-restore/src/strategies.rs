//! Random rule sets for property tests.

mod extensions;
mod words;

use proptest::collection::{btree_set, vec};
use proptest::option;
use proptest::prelude::*;

use crate::*;

pub(crate) use self::words::{rule_word, written_extension};

pub(crate) fn ruleset() -> impl Strategy<Value = Ruleset> {
    let names = btree_set(
        prop_oneof!["nat|filter|mangle|raw|security", "[a-z]{1,8}"],
        0..3,
    );
    names.prop_flat_map(|names| {
        let tables: Vec<_> = names
            .into_iter()
            .map(|name| table(TableName::from(name.as_str())))
            .collect();
        tables.prop_map(|tables| Ruleset { tables })
    })
}

fn table(name: TableName) -> impl Strategy<Value = Table> {
    btree_set(chain_name(), 0..4)
        .prop_flat_map(|names| {
            names
                .into_iter()
                .map(|name| {
                    let policy = option::of(prop_oneof!["ACCEPT|DROP", "[A-Z]{1,6}"]);
                    (
                        Just(name),
                        policy,
                        option::of(counters()),
                        vec(rule(), 0..4),
                    )
                        .prop_map(|(name, policy, counters, rules)| Chain {
                            name: ChainName::new(name).unwrap(),
                            policy: policy.map(|policy| Policy::from(policy.as_str())),
                            counters,
                            rules: rules.into(),
                        })
                })
                .collect::<Vec<_>>()
        })
        .prop_map(move |chains| Table {
            name: name.clone(),
            chains,
        })
}

fn chain_name() -> impl Strategy<Value = String> {
    "[A-Za-z0-9_'.:\\[][-A-Za-z0-9_+'!.]{0,27}"
}

fn counters() -> impl Strategy<Value = Counters> {
    any::<(u64, u64)>().prop_map(|(packets, bytes)| Counters { packets, bytes })
}

fn negatable<T: std::fmt::Debug>(
    inner: impl Strategy<Value = T>,
) -> impl Strategy<Value = Option<Negatable<T>>> {
    option::of((inner, any::<bool>()).prop_map(|(value, negated)| Negatable { value, negated }))
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[-_a-zA-Z0-9]{1,20}|-[mjgsdiopfc]|--(match|comment|jump)",
        "\\PC{0,40}",
        "[ '\"\\\\!a-z\n\t-]{0,20}"
    ]
}

fn address() -> impl Strategy<Value = Address> {
    prop_oneof![
        (any::<u32>(), 0..=32u8)
            .prop_map(|(ip, prefix)| format!("{}/{prefix}", std::net::Ipv4Addr::from(ip))),
        any::<(u32, u32)>().prop_map(|(ip, mask)| format!(
            "{}/{}",
            std::net::Ipv4Addr::from(ip),
            std::net::Ipv4Addr::from(mask)
        )),
        (any::<u128>(), 0..=128u8, 0..128u32).prop_map(|(ip, prefix, shift)| format!(
            "{}/{prefix}",
            std::net::Ipv6Addr::from(ip >> shift)
        )),
        any::<(u128, u128)>().prop_map(|(ip, mask)| format!(
            "{}/{}",
            std::net::Ipv6Addr::from(ip),
            std::net::Ipv6Addr::from(mask)
        )),
    ]
    .prop_map(|text| text.parse().unwrap())
}

pub(crate) fn rule() -> impl Strategy<Value = Rule> {
    let interface = || negatable("[a-z][a-z0-9.-]{0,13}[+]?");
    (
        (negatable(address()), negatable(address())),
        (interface(), interface()),
        negatable(prop_oneof![
            (1..=255u8).prop_map(Protocol::from),
            "[a-z]{1,8}".prop_map(|p| Protocol::from(&*p))
        ]),
        option::of(any::<bool>()),
        vec(a_match(), 0..4),
        option::of(target()),
        option::of(counters()),
    )
        .prop_map(
            |(
                (source, destination),
                (in_interface, out_interface),
                protocol,
                fragment,
                matches,
                target,
                counters,
            )| {
                let mut rule = Rule {
                    in_interface,
                    out_interface,
                    fragment,
                    matches,
                    target,
                    counters,
                    ..Rule::new()
                };
                for (place, address) in [
                    (&mut rule.source, source),
                    (&mut rule.destination, destination),
                ] {
                    *place = address.filter(|address| address.negated || !address.value.is_any());
                }
                rule.protocol = protocol.filter(|protocol| !protocol.value.is_any());
                rule
            },
        )
}

fn ports() -> impl Strategy<Value = PortRange> {
    any::<(u16, u16)>().prop_map(|(first, last)| PortRange { first, last })
}

fn word() -> impl Strategy<Value = Word> {
    prop_oneof![
        text().prop_map(Word::new),
        text().prop_map(Word::quoted),
        text().prop_map(Word::free_text),
        rule_word().prop_map(Word::new),
    ]
}

fn a_match() -> impl Strategy<Value = Match> {
    prop_oneof![
        text().prop_map(Match::Comment),
        (
            "[A-Za-z0-9:][-A-Za-z0-9:.]{0,30}",
            vec("src|dst", 1..=6),
            any::<bool>()
        )
            .prop_map(|(name, directions, negated)| SetMatch {
                name,
                directions: directions.join(","),
                negated
            }
            .into()),
        any::<(u32, u32, bool)>().prop_map(|(value, mask, negated)| MarkMatch {
            value,
            mask,
            negated
        }
        .into()),
        (1..0x80u8, any::<bool>()).prop_map(|(states, negated)| {
            ConntrackMatch {
                states: CtStates::from_bits_truncate(states),
                negated,
            }
            .into()
        }),
        (negatable(1..0x1000u16), negatable(1..0x1000u16)).prop_map(|(source, destination)| {
            let types = |bits: Negatable<u16>| Negatable {
                value: AddressTypes::from_bits_truncate(bits.value),
                negated: bits.negated,
            };
            AddrtypeMatch {
                source: source.map(types),
                destination: destination.map(types),
                limit: None,
            }
            .into()
        }),
        (
            option::of(any::<bool>()),
            negatable("[a-z]{1,15}"),
            option::of(any::<bool>())
        )
            .prop_map(|(is_in, out_interface, is_bridged)| {
                PhysdevMatch {
                    is_in,
                    out_interface,
                    is_bridged,
                    ..PhysdevMatch::default()
                }
                .into()
            }),
        (any::<u8>(), any::<u32>(), any::<u16>()).prop_map(|(protocol, address, port)| {
            IpvsMatch::virtual_server(protocol, std::net::Ipv4Addr::from(address).into(), port)
                .into()
        }),
        (negatable(ports()), negatable(ports())).prop_map(|(source, destination)| Match::Tcp(
            PortsMatch {
                source,
                destination
            }
        )),
        vec(ports(), 1..5).prop_map(|ports| MultiportMatch::either(ports).into()),
        extensions::a_match(),
        ("[a-z][a-z0-9]{0,8}|set|mark|tcp|ipvs", vec(word(), 0..6)).prop_map(
            |(name, mut options)| {
                // A trailing `!` would belong to what follows.
                while options
                    .last()
                    .is_some_and(|word| !word.is_quoted() && word.as_str() == "!")
                {
                    options.pop();
                }
                Match::new(name, options)
            }
        ),
    ]
}

fn target() -> impl Strategy<Value = Target> {
    prop_oneof![
        chain_name().prop_map(|name| Target::from(name.as_str())),
        chain_name().prop_map(Target::Goto),
        proptest::sample::select(vec!["ACCEPT", "DROP", "RETURN", "REJECT", "LOG"])
            .prop_map(Target::from),
        "[a-z][a-z0-9-]{0,20}".prop_map(Target::reject),
        any::<(u32, u32)>().prop_map(|(value, mask)| Mark { value, mask }.into()),
        extensions::target(),
        (option::of(ports()), any::<bool>(), any::<bool>()).prop_map(
            |(to_ports, random, random_fully)| Masquerade {
                to_ports,
                random,
                random_fully
            }
            .into()
        ),
        ("[A-Z]{1,8}|MARK|REJECT", vec(word(), 0..6))
            .prop_map(|(name, options)| Target::new(name, options)),
    ]
}
