//! Matches and targets with options of their own.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::option;
use proptest::prelude::*;

use crate::*;

/// A name that is one word.
fn name() -> impl Strategy<Value = String> {
    "[A-Za-z0-9_][-A-Za-z0-9_.:'!]{0,14}"
}

fn ip() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        any::<u32>().prop_map(|bits| Ipv4Addr::from_bits(bits).into()),
        (any::<u128>(), 0..128u32)
            .prop_map(|(bits, shift)| Ipv6Addr::from_bits(bits >> shift).into()),
    ]
}

fn ordered() -> impl Strategy<Value = PortRange> {
    any::<(u16, u16)>().prop_map(|(one, other)| PortRange {
        first: one.min(other),
        last: one.max(other),
    })
}

fn range() -> impl Strategy<Value = NatRange> {
    let addresses = prop_oneof![
        ip().prop_map(NatRange::from),
        any::<(u32, u32)>().prop_map(|(one, other)| {
            let text = format!("{}-{}", Ipv4Addr::from(one), Ipv4Addr::from(other));
            text.parse().unwrap()
        }),
        any::<(u128, u128)>().prop_map(|(one, other)| {
            let text = format!("{}-{}", Ipv6Addr::from(one), Ipv6Addr::from(other));
            text.parse().unwrap()
        }),
    ];
    prop_oneof![
        (addresses, option::of(ordered())).prop_map(|(addresses, ports)| match ports {
            Some(ports) => addresses.with_ports(ports),
            None => addresses,
        }),
        ordered().prop_map(NatRange::from),
    ]
}

fn prefix() -> impl Strategy<Value = Option<String>> {
    option::of(prop_oneof![
        "[-_a-zA-Z0-9]{1,29}",
        "[ '\"\\\\!a-z-]{1,29}",
        Just("-j".to_owned()),
    ])
}

pub(super) fn target() -> impl Strategy<Value = Target> {
    let flags = any::<[bool; 5]>();
    prop_oneof![
        (range(), flags).prop_map(|(to, [random, persistent, ..])| {
            Dnat {
                to,
                random,
                persistent,
            }
            .into()
        }),
        (any::<u32>(), ordered(), any::<u16>()).prop_map(|(ip, ports, base)| {
            let PortRange { first, last } = ports;
            let to = match first == last {
                true => format!("{}:{first}", Ipv4Addr::from(ip)),
                false => format!("{}:{first}-{last}/{base}", Ipv4Addr::from(ip)),
            };
            Dnat::new(to.parse::<NatRange>().unwrap()).into()
        }),
        (range(), flags).prop_map(|(to, [random, random_fully, persistent, ..])| {
            Snat {
                to,
                random,
                random_fully,
                persistent,
            }
            .into()
        }),
        (option::of(ordered()), any::<bool>()).prop_map(|(to_ports, random)| Redirect {
            to_ports,
            random
        }
        .into()),
        (0..3u8, any::<(u32, u32)>()).prop_map(|(which, (packet_mask, connection_mask))| {
            match which {
                0 => Connmark::Set(Mark {
                    value: packet_mask,
                    mask: connection_mask,
                }),
                1 => Connmark::Save {
                    packet_mask,
                    connection_mask,
                },
                _ => Connmark::Restore {
                    packet_mask,
                    connection_mask,
                },
            }
            .into()
        }),
        (prefix(), 0..8u8, flags).prop_map(
            |(prefix, level, [tcp_sequence, tcp_options, ip_options, uid, macdecode])| {
                Log {
                    prefix,
                    level,
                    tcp_sequence,
                    tcp_options,
                    ip_options,
                    uid,
                    macdecode,
                }
                .into()
            }
        ),
        (prefix(), any::<(u16, u16)>(), option::of(any::<u32>())).prop_map(
            |(prefix, (group, threshold), size)| Nflog {
                prefix,
                group,
                size,
                threshold
            }
            .into()
        ),
        (any::<u16>(), option::of(ip()), any::<(u32, u32)>()).prop_map(
            |(on_port, on_ip, (value, mask))| {
                Tproxy {
                    on_port,
                    on_ip,
                    mark: Mark { value, mask },
                }
                .into()
            }
        ),
        (
            any::<[bool; 2]>(),
            option::of(name()),
            option::of(name()),
            any::<u16>(),
            option::of((0..3u8, option::of(1..=u16::MAX))),
        )
            .prop_map(
                |([notrack, new_expectations], helper, timeout, events, zone)| {
                    Ct {
                        notrack,
                        helper,
                        timeout,
                        events: CtEvents::from_bits_truncate(events),
                        new_expectations,
                        zone: zone.map(|(direction, id)| CtZone {
                            direction: match direction {
                                0 => None,
                                1 => Some(CtDirection::Original),
                                _ => Some(CtDirection::Reply),
                            },
                            id,
                        }),
                    }
                    .into()
                }
            ),
    ]
}

/// A rate in one of its four units.
fn per() -> impl Strategy<Value = (u32, u8)> {
    (1..=10_000u32, 0..4u8)
}

pub(super) fn a_match() -> impl Strategy<Value = Match> {
    prop_oneof![
        (per(), 1..=10_000u32).prop_map(|((number, unit), burst)| {
            let limit = match unit {
                0 => LimitMatch::per_second(number),
                1 => LimitMatch::per_minute(number),
                2 => LimitMatch::per_hour(number),
                _ => LimitMatch::per_day(number),
            };
            limit.unwrap().burst(burst).into()
        }),
        hashlimit(),
        (0..=1u32 << 31, any::<bool>()).prop_map(|(parts, negated)| {
            let mode = StatisticMode::Random(Probability::from_parts(parts).unwrap());
            StatisticMatch { mode, negated }.into()
        }),
        (1..=u32::MAX, any::<u32>(), any::<bool>()).prop_map(|(every, packet, negated)| {
            let packet = packet % every;
            StatisticMatch {
                mode: StatisticMode::Nth { every, packet },
                negated,
            }
            .into()
        }),
        any::<(u32, u32, bool)>().prop_map(|(value, mask, negated)| Match::Connmark(MarkMatch {
            value,
            mask,
            negated
        })),
        recent(),
    ]
}

fn hashlimit() -> impl Strategy<Value = Match> {
    let rate = prop_oneof![
        per().prop_map(|(number, unit)| match unit % 2 {
            0 => HashlimitMatch::per_second(number, "x").unwrap(),
            _ => HashlimitMatch::per_minute(number, "x").unwrap(),
        }),
        (16..=u32::MAX).prop_map(|bytes| HashlimitMatch::bytes_per_second(bytes, "x")),
    ];
    let numbers = (
        option::of(1..=u32::MAX),
        option::of(1..=u32::MAX),
        1..=u32::MAX,
    );
    let prefixes = (option::of(0..128u8), option::of(0..128u8));
    (
        rate,
        name(),
        0..16u8,
        any::<bool>(),
        numbers,
        prefixes,
        1..=1_000_000u32,
    )
        .prop_map(
            |(mut found, name, mode, above, (size, max, gc_interval), prefixes, burst)| {
                if let HashlimitRate::Packets(_) = found.rate {
                    found.burst = burst;
                }
                found.name = name;
                found.mode = HashlimitMode::from_bits_truncate(mode);
                found.above = above;
                (found.size, found.max, found.gc_interval) = (size, max, gc_interval);
                (found.source_prefix, found.destination_prefix) = prefixes;
                // Not one of those that stand for themselves.
                found.expire = size.map(|size| size | 1);
                found.into()
            },
        )
}

fn recent() -> impl Strategy<Value = Match> {
    let action = proptest::sample::select(vec![
        RecentAction::Set,
        RecentAction::Check,
        RecentAction::Update,
        RecentAction::Remove,
    ]);
    let numbers = option::of((1..=u32::MAX, option::of(1..=u32::MAX)));
    (
        action,
        name(),
        any::<[bool; 4]>(),
        numbers,
        option::of(ip()),
    )
        .prop_map(
            |(action, name, [negated, reap, ttl, destination], numbers, mask)| {
                let mut found = RecentMatch::new(action).name(name);
                if matches!(action, RecentAction::Check | RecentAction::Update) {
                    if let Some((seconds, hitcount)) = numbers {
                        found.seconds = Some(seconds);
                        found.reap = reap;
                        found.hitcount = hitcount;
                    }
                    found.ttl = ttl;
                }
                (found.negated, found.destination, found.mask) = (negated, destination, mask);
                found.into()
            },
        )
}
