//! Written by us, read back by `iptables-save`, and the other way round.

use iptables_restore::{
    Address, AddressTypes, AddrtypeMatch, Backend, ConntrackMatch, CtStates, Family, Mark,
    MarkMatch, Masquerade, Match, MultiportMatch, Negatable, PhysdevMatch, PortRange, PortsMatch,
    Protocol, RestoreInput, Rule, Ruleset, TableName, Target,
};
use kernel_test::cmd;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use crate::{all_of, assert_same, data, make_sets, saved, tools};

/// What the same tools printed elsewhere, less the rule whose comment has a line feed.
pub(crate) fn captured_rules_come_back(backend: Backend) {
    let name = match backend {
        Backend::Legacy => "captured-legacy-1.8.9.txt",
        Backend::Nft => "captured-nft-1.8.9.txt",
    };
    let mut ruleset = Ruleset::parse(&data(name)).unwrap();
    for chain in ruleset
        .tables
        .iter_mut()
        .flat_map(|table| &mut table.chains)
    {
        chain.rules.retain(|rule| !rule.to_string().contains('\n'));
    }
    make_sets(&ruleset, Family::V4);
    let tools = tools(backend, Family::V4);
    tools.restore(&all_of(&ruleset)).unwrap();
    assert_same(&saved(&tools), &ruleset);
}

pub(crate) fn rules_of_a_service_proxy() {
    for name in [
        "lb-source-ranges-with-node.iptables.txt",
        "dual-stack.ip6tables.txt",
    ] {
        let family = if name.contains("ip6") {
            Family::V6
        } else {
            Family::V4
        };
        let ruleset = Ruleset::parse(&data(name)).unwrap();
        make_sets(&ruleset, family);
        let tools = tools(Backend::Legacy, family);
        tools.restore(&all_of(&ruleset)).unwrap();
        assert_same(&saved(&tools), &ruleset);
    }
}

/// Every typed match and target in one rule or another, many to a transaction.
pub(crate) fn random_rules_come_back(backend: Backend) {
    cmd("ipset create S hash:ip,port");
    cmd("ipset create S6 hash:ip,port family inet6");
    for family in [Family::V4, Family::V6] {
        let tools = tools(backend, family);
        let mut runner = TestRunner::deterministic();
        // One processor, and a slow one, in the guest.
        let rounds = if backend == Backend::Legacy { 1 } else { 10 };
        for _ in 0..rounds {
            let rules = prop::collection::vec(rule(family), 150)
                .new_tree(&mut runner)
                .unwrap()
                .current();
            let mut input = RestoreInput::new();
            let mangle = input.table(TableName::Mangle);
            mangle
                .declare_chain("Y")
                .unwrap()
                .declare_chain("X")
                .unwrap();
            for rule in rules {
                mangle.append("X", rule).unwrap();
            }
            let mut expected = Ruleset::new();
            input.apply(&mut expected).unwrap();
            if let Err(error) = tools.restore(&input) {
                panic!("{error}");
            }
            assert_same(&saved(&tools), &expected);
        }
    }
}

fn negatable<T: std::fmt::Debug>(
    inner: impl Strategy<Value = T>,
) -> impl Strategy<Value = Option<Negatable<T>>> {
    prop::option::of(
        (inner, any::<bool>()).prop_map(|(value, negated)| Negatable { value, negated }),
    )
}

fn rule(family: Family) -> impl Strategy<Value = Rule> {
    let address = move || {
        (any::<u128>(), 0..=128u8).prop_map(move |(bits, prefix)| {
            let text = match family {
                Family::V4 => format!(
                    "{}/{}",
                    std::net::Ipv4Addr::from_bits((bits >> 96) as u32),
                    prefix / 4
                ),
                Family::V6 => format!("{}/{prefix}", std::net::Ipv6Addr::from_bits(bits)),
            };
            text.parse::<Address>().unwrap()
        })
    };
    let interface = || negatable("[a-z][a-z0-9.-]{0,13}[+]?");
    let target = prop_oneof![
        Just(None),
        proptest::sample::select(vec!["ACCEPT", "DROP", "RETURN", "Y"])
            .prop_map(|name| Some(Target::from(name))),
        Just(Some(Target::Goto("Y".to_owned()))),
        any::<(u32, u32)>().prop_map(|(value, mask)| Some(Mark { value, mask }.into())),
    ];
    let base = (
        negatable(address()),
        negatable(address()),
        interface(),
        interface(),
    );
    let rest = (
        prop::collection::vec(a_match(family), 0..4),
        ports(),
        target,
    );
    (base, rest).prop_map(
        |((source, destination, in_interface, out_interface), (matches, ports, target))| {
            let mut rule = Rule::new();
            rule.in_interface = in_interface;
            rule.out_interface = out_interface;
            rule.matches = matches;
            rule.target = target;
            for (place, address) in [
                (&mut rule.source, source),
                (&mut rule.destination, destination),
            ] {
                *place = address.filter(|address| {
                    address
                        .value
                        .network()
                        .is_none_or(|network| network.prefix() > 0)
                });
            }
            if let Some((protocol, ports)) = ports {
                rule = rule.protocol(protocol).matching(ports);
            }
            rule
        },
    )
}

fn range() -> impl Strategy<Value = PortRange> {
    // 0:65535 is every port, which is not printed.
    (1..60_000u16, 0..5000u16).prop_map(|(first, more)| PortRange {
        first,
        last: first + more,
    })
}

fn ports() -> impl Strategy<Value = Option<(Protocol, Match)>> {
    let both = (negatable(range()), negatable(range())).prop_map(|(source, destination)| {
        let mut ports = PortsMatch::default();
        ports.source = source;
        ports.destination = destination;
        ports
    });
    let several = || prop::collection::vec(range(), 1..7);
    prop::option::of(prop_oneof![
        (both, 0..3u8).prop_map(|(ports, protocol)| match protocol {
            0 => (Protocol::TCP, Match::Tcp(ports)),
            1 => (Protocol::UDP, Match::Udp(ports)),
            _ => (Protocol::SCTP, Match::Sctp(ports)),
        }),
        several().prop_map(|ports| (Protocol::TCP, MultiportMatch::destination(ports).into())),
        several().prop_map(|ports| (Protocol::UDP, MultiportMatch::source(ports).into())),
        several().prop_map(|ports| (Protocol::SCTP, MultiportMatch::either(ports).into())),
    ])
}

fn a_match(family: Family) -> impl Strategy<Value = Match> {
    let set = if family == Family::V4 { "S" } else { "S6" };
    // IPv6 knows no broadcast, and the match none of the kinds from BLACKHOLE on but UNREACHABLE.
    let types = if family == Family::V4 {
        0x1ff
    } else {
        0b1011_0110
    };
    prop_oneof![
        "[-_a-zA-Z0-9]{0,60}|-[mjgsd]".prop_map(Match::Comment),
        "[^\\x00\\n]{0,60}".prop_map(Match::Comment),
        "[ '\"\\\\!#\\[\\]:*a-z\t-]{0,40}".prop_map(Match::Comment),
        any::<bool>().prop_map(move |negated| {
            let found = iptables_restore::SetMatch::new(set, "src,dst");
            if negated { found.negated() } else { found }.into()
        }),
        any::<(u32, u32, bool)>().prop_map(|(value, mask, negated)| MarkMatch {
            value,
            mask,
            negated
        }
        .into()),
        (1..0x80u8, any::<bool>()).prop_map(|(bits, negated)| {
            let mut conntrack = ConntrackMatch::states(CtStates::from_bits_truncate(bits));
            conntrack.negated = negated;
            conntrack.into()
        }),
        (1..0x200u16, any::<bool>()).prop_map(move |(bits, negated)| {
            let types = AddressTypes::from_bits_truncate(bits & types);
            let types = if types.is_empty() {
                AddressTypes::LOCAL
            } else {
                types
            };
            let mut addrtype = AddrtypeMatch::destination(types);
            addrtype.destination = Some(Negatable {
                value: types,
                negated,
            });
            addrtype.into()
        }),
        (prop::option::of(any::<bool>()), negatable("[a-z]{1,15}")).prop_map(
            |(is_in, out_interface)| {
                let is_in = is_in.or(Some(true));
                let mut physdev = PhysdevMatch::default();
                physdev.is_in = is_in;
                physdev.out_interface = out_interface;
                physdev.is_bridged = Some(true);
                physdev.into()
            }
        ),
    ]
}

/// Given to `iptables -A` by hand, read as what we would have built.
pub(crate) fn rules_of_the_tool_are_read(backend: Backend) {
    let iptables = if backend == Backend::Legacy {
        "iptables-legacy"
    } else {
        "iptables-nft"
    };
    cmd("ipset create S hash:ip,port");
    cmd(&format!("{iptables} -t nat -N X"));
    let cases = [
        (
            "OUTPUT ! -s 10.1.2.3/8 -m comment --comment 'it is \"x\"' -m set --match-set S dst,dst -j X",
            Rule::new()
                .not_source("10.0.0.0/8".parse::<Address>().unwrap())
                .comment("it is \"x\"")
                .match_set("S", "dst,dst")
                .jump("X"),
        ),
        (
            "PREROUTING ! -i veth+ -p tcp --dport 80 -m mark ! --mark 0x4000/0x4000 -g X",
            Rule::new()
                .not_in_interface("veth+")
                .protocol("tcp")
                .matching(Match::Tcp(PortsMatch::destination(80)))
                .matching(MarkMatch {
                    value: 0x4000,
                    mask: 0x4000,
                    negated: true,
                })
                .goto("X"),
        ),
        (
            "X -j MARK --or-mark 0x4000",
            Rule::new().jump(Mark::set(0x4000)),
        ),
        (
            "X -j MARK --xor-mark 0x4000",
            Rule::new().jump(Mark::flip(0x4000)),
        ),
        (
            "POSTROUTING -m addrtype ! --src-type LOCAL -j MASQUERADE --random-fully",
            Rule::new()
                .matching(AddrtypeMatch::not_source(AddressTypes::LOCAL))
                .jump(Masquerade::new().random_fully()),
        ),
        (
            "X -m conntrack --ctstate ESTABLISHED,RELATED -m physdev ! --physdev-is-in -j RETURN",
            Rule::new()
                .matching(ConntrackMatch::states(
                    CtStates::RELATED | CtStates::ESTABLISHED,
                ))
                .matching(PhysdevMatch::is_in(false))
                .jump("RETURN"),
        ),
    ];
    for (written, _) in &cases {
        cmd(&format!("{iptables} -t nat -A {written}"));
    }
    let found = saved(&tools(backend, Family::V4));
    let nat = found.table(&TableName::Nat).unwrap();
    for (written, rule) in cases {
        let chain = written.split(' ').next().unwrap();
        assert!(
            nat.chain(chain).unwrap().rules.contains(&rule),
            "{written}\n{nat}"
        );
    }
}

/// The longest comment, and the most arguments, that the model lets through.
pub(crate) fn what_is_just_not_too_long(backend: Backend) {
    let tools = tools(backend, Family::V4);
    let mark = || MarkMatch {
        value: 1,
        mask: u32::MAX,
        negated: false,
    };
    let many = (0..62).fold(Rule::new().in_interface("lo"), |rule, _| {
        rule.matching(mark())
    });
    let mut input = RestoreInput::new();
    let mangle = input.table(TableName::Mangle);
    mangle
        .append("INPUT", Rule::new().comment("é".repeat(127) + "x"))
        .unwrap();
    // 248 words of matches and 2 of a jump: one too many with the 5 before them.
    mangle
        .append("INPUT", many.clone().in_interface("+").jump("RETURN"))
        .unwrap_err();
    let mut most = many;
    most.fragment = Some(true);
    most.in_interface = None;
    mangle.append("INPUT", most).unwrap();
    let mut expected = Ruleset::new();
    input.apply(&mut expected).unwrap();
    tools.restore(&input).unwrap();
    assert_same(&saved(&tools), &expected);
}
