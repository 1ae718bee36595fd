use super::*;
use crate::{
    AddressTypes, AddrtypeMatch, ConntrackMatch, CtStates, IpvsMatch, Mark, MarkMatch, Masquerade,
    PhysdevMatch,
};
use crate::{PortsMatch, Word};

#[test]
fn built_rules_print_as_save_does() {
    let cluster_ip = || {
        Rule::new()
            .comment("cluster ip")
            .match_set("KUBE-CLUSTER-IP", "dst,dst")
    };
    let local: ipnetwork::IpNetwork = "10.244.1.0/24".parse().unwrap();
    for (rule, printed) in [
        (Rule::new(), ""),
        (
            Rule::new().comment("-g").comment("-m").jump("LOG"),
            "-m comment --comment -g -m comment --comment -m -j LOG",
        ),
        (Rule::new().jump("ACCEPT"), "-j ACCEPT"),
        (
            cluster_ip().not_source(local).jump("KUBE-MARK-MASQ"),
            "! -s 10.244.1.0/24 -m comment --comment \"cluster ip\" -m set --match-set KUBE-CLUSTER-IP dst,dst -j KUBE-MARK-MASQ",
        ),
        (
            cluster_ip().not_in_interface("veth+").jump("X"),
            "! -i veth+ -m comment --comment \"cluster ip\" -m set --match-set KUBE-CLUSTER-IP dst,dst -j X",
        ),
        (
            Rule::new()
                .matching(MarkMatch {
                    value: 0x4000,
                    mask: 0x4000,
                    negated: true,
                })
                .jump("RETURN"),
            "-m mark ! --mark 0x4000/0x4000 -j RETURN",
        ),
        (
            Rule::new().jump(Mark::flip(0x4000)),
            "-j MARK --set-xmark 0x4000/0x0",
        ),
        (
            Rule::new().jump(Masquerade {
                random_fully: true,
                ..Masquerade::default()
            }),
            "-j MASQUERADE --random-fully",
        ),
        (
            Rule::new()
                .matching(PhysdevMatch::is_in(false))
                .matching(AddrtypeMatch::not_source(AddressTypes::LOCAL))
                .jump("ACCEPT"),
            "-m physdev ! --physdev-is-in -m addrtype ! --src-type LOCAL -j ACCEPT",
        ),
        (
            Rule::new()
                .matching(ConntrackMatch {
                    states: CtStates::NEW,
                    negated: false,
                })
                .match_set("KUBE-IPVS-IPS", "dst")
                .jump(Target::reject("icmp-port-unreachable")),
            "-m conntrack --ctstate NEW -m set --match-set KUBE-IPVS-IPS dst -j REJECT --reject-with icmp-port-unreachable",
        ),
        (
            Rule::new()
                .source("198.51.100.7".parse::<std::net::IpAddr>().unwrap())
                .matching(IpvsMatch::virtual_server(
                    6,
                    "198.51.100.7".parse().unwrap(),
                    80,
                ))
                .jump("DROP"),
            "-s 198.51.100.7/32 -m ipvs --vproto 6 --vaddr 198.51.100.7 --vport 80 -j DROP",
        ),
        (
            Rule::new()
                .protocol(Protocol::TCP)
                .matching(Match::Tcp(PortsMatch::destination(80)))
                .goto("X"),
            "-p tcp -m tcp --dport 80 -g X",
        ),
        (
            Rule::new()
                .source("0.0.0.0/0".parse::<Address>().unwrap())
                .in_interface("+")
                .protocol("all"),
            "",
        ),
    ] {
        assert_eq!(rule.to_string(), printed);
        assert_eq!(printed.parse::<Rule>(), Ok(rule.clone()), "{printed}");
        assert_eq!(rule.validate(), Ok(()), "{printed}");
    }
}

#[test]
fn what_people_write_is_understood() {
    for (written, printed) in [
        (
            "-p 6 --dport 80 -j ACCEPT",
            "-p tcp -m tcp --dport 80 -j ACCEPT",
        ),
        (
            "-p icmpv6 --icmpv6-type 128",
            "-p ipv6-icmp -m icmp6 --icmpv6-type 128",
        ),
        (
            "-j ACCEPT -m comment --comment 'x",
            "-m comment --comment \"\\'x\" -j ACCEPT",
        ),
        (
            "--source 10.0.0.1 --proto udp --jump DROP",
            "-s 10.0.0.1/32 -p udp -j DROP",
        ),
        (
            "-m comment --comment x ! -s 10.0.0.1 -i lo -j DROP",
            "! -s 10.0.0.1/32 -i lo -m comment --comment x -j DROP",
        ),
        (
            "-p tcp ! --dport 80 -s 10.0.0.1",
            "-s 10.0.0.1/32 -p tcp -m tcp ! --dport 80",
        ),
        (
            "-m policy --dir in --pol ipsec --proto esp",
            "-m policy --dir in --pol ipsec --proto esp",
        ),
    ] {
        assert_eq!(written.parse::<Rule>().unwrap().to_string(), printed);
    }
}

#[test]
fn counters_are_no_part_of_a_rule() {
    let rule = Rule::new().jump("ACCEPT");
    let counted = Rule {
        counters: Some(Counters {
            packets: 1,
            bytes: 2,
        }),
        ..rule.clone()
    };
    assert!(rule.same_rule(&counted));
    assert_eq!(std::collections::HashSet::from([rule, counted]).len(), 1);
}

#[test]
fn a_plain_reject_is_what_it_stands_for() {
    let plain = Rule::new().jump("REJECT");
    for with in ["icmp-port-unreachable", "icmp6-port-unreachable"] {
        let spelt = Rule::new().jump(Target::reject(with));
        assert_eq!(plain, spelt);
        assert_eq!(
            std::collections::HashSet::from([plain.clone(), spelt]).len(),
            1
        );
    }
    assert_ne!(plain, Rule::new().jump(Target::reject("tcp-reset")));
}

#[test]
fn what_would_not_arrive_is_refused() {
    use InvalidRule as I;
    let refused = |rule: Rule| rule.validate().unwrap_err();
    assert!(Rule::new().comment("x".repeat(255)).validate().is_ok());
    assert!(matches!(
        refused(Rule::new().comment("x".repeat(256))),
        I::LongComment { length: 256, .. }
    ));
    // Bytes that are not UTF-8 count as what they are.
    let latin1 = |count: usize| Rule::new().comment("\u{10ffe9}".repeat(count));
    assert!(latin1(255).validate().is_ok());
    assert!(matches!(
        refused(latin1(256)),
        I::LongComment { length: 256, .. }
    ));
    assert!(matches!(
        refused(Rule::new().comment("a\nb")),
        I::LineFeed { .. }
    ));
    assert!(matches!(refused(Rule::new().jump("a b")), I::ChainName(_)));
    assert!(matches!(
        refused(Rule::new().jump("x".repeat(29).as_str())),
        I::ChainName(_)
    ));
    assert!(matches!(
        refused(Rule::new().jump(Target::Jump("ACCEPT".to_owned()))),
        I::Value { .. }
    ));
    assert!(matches!(
        refused(Rule::new().in_interface("sixteen-bytes-xx")),
        I::Value { .. }
    ));
    assert!(matches!(
        refused(Rule::new().match_set("S", "dst,up")),
        I::Value { .. }
    ));
    assert!(matches!(
        refused(Rule::new().match_set("x".repeat(32), "dst")),
        I::Value { .. }
    ));
    let words = |count: usize| vec![Word::from("--string"); count];
    let long = Match::new(
        "string",
        [
            Word::from("--string"),
            Word::from("x".repeat(1024).as_str()),
        ],
    );
    assert!(matches!(
        refused(Rule::new().matching(long)),
        I::LongArgument { length: 1024, .. }
    ));
    assert!(matches!(
        refused(Rule::new().matching(Match::new("x", words(256)))),
        I::ManyArguments { .. }
    ));
    let mixed = Rule::new()
        .source(std::net::Ipv4Addr::LOCALHOST)
        .destination(std::net::Ipv6Addr::LOCALHOST);
    assert!(matches!(refused(mixed), I::Value { .. }));
}

/// To the tools it is an unknown option, `---limit` (iptables 1.8.9), and not the one with a dash less.
#[test]
fn an_option_of_three_dashes_keeps_them() {
    let text = "-m limit ---limit 5/min";
    let rule: Rule = text.parse().unwrap();
    assert!(rule.to_string().contains(" ---limit 5/min"), "{rule}");
    let limit: Rule = "-m limit --limit 5/min".parse().unwrap();
    assert_ne!(rule, limit);
}

/// Rules on which the properties found that what was printed did not read back.
#[test]
fn odd_rules_read_back() {
    for text in [
        "-m limit --limit --x1=--y1=c",
        "-m limit --comment --match-set=--match-set=!",
        "-m limit --comment ! ! --x --match-set",
        "-m x -j A --comment=! -p comment",
    ] {
        let rule: Rule = text.parse().unwrap();
        assert_eq!(rule.to_string().parse(), Ok(rule), "{text}");
    }
}
