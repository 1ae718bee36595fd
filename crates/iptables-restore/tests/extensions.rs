//! Matches and targets that have types: `tests/data/extensions.txt`, which `tests/kernel` holds against the tools.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use iptables_restore::{
    Dnat, HashlimitMatch, HashlimitMode, InvalidRule, LimitMatch, Log, Match, NatRange, Nflog,
    Probability, RecentAction, RecentMatch, Redirect, Rule, StatisticMatch, Target, Tproxy,
};

const DATA: &str = include_str!("data/extensions.txt");

/// What is written, and what the tools print.
fn cases() -> Vec<(&'static str, &'static str)> {
    let lines: Vec<_> = DATA.lines().filter(|line| !line.starts_with('#')).collect();
    let cases: Vec<_> = lines
        .chunks(2)
        .map(|pair| {
            let written = pair[0].splitn(3, ' ').nth(2).unwrap();
            (written, pair[1].strip_prefix('\t').unwrap())
        })
        .collect();
    assert!(cases.len() > 60, "{}", cases.len());
    cases
}

fn is_typed(rule: &Rule) -> bool {
    let kept = |part: &Match| matches!(part, Match::Other(_));
    !rule.matches.iter().any(kept) && !matches!(rule.target, Some(Target::Other(_)))
}

#[test]
fn what_is_written_is_what_the_tools_print() {
    for (written, printed) in cases() {
        let rule: Rule = written.parse().unwrap();
        assert!(is_typed(&rule), "{written}");
        assert_eq!(rule, printed.parse().unwrap(), "{written}");
        assert_eq!(rule.validate(), Ok(()), "{written}");
    }
}

#[test]
fn what_the_tools_print_prints_the_same() {
    for (_, printed) in cases() {
        let rule: Rule = printed.parse().unwrap();
        assert!(is_typed(&rule), "{printed}");
        assert_eq!(rule.to_string(), printed);
    }
}

/// What the types cannot hold is kept word by word, whether a tool takes it or not.
#[test]
fn what_has_no_type_is_kept() {
    for text in [
        "-j DNAT --to-destination host",
        "-j DNAT --to-destination 10.0.0.1:90-80",
        "-j DNAT --random",
        "-j SNAT --to-source 10.0.0.1:80-90/100",
        "-j REDIRECT --to-ports http",
        "-j REDIRECT --to-ports 90-80",
        "-j LOG --log-level warn",
        "-j LOG --log-level 8",
        "-j LOG --log-prefix \"\"",
        "-j LOG --log-prefix aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "-j NFLOG --nflog-prefix xy --nflog-range 128",
        "-j TPROXY --on-ip 127.0.0.1",
        "-j CT --zone-orig 3 --zone-reply 3",
        "-j CT --ctevents some",
        "-j CONNMARK --set-xmark 0x1/0xffffffff --left-shift-mark 5",
        "-j CONNMARK --nfmask 0x1",
        "-m limit --limit 10001/s",
        "-m limit --limit 5/minutes",
        "-m limit --limit 5/",
        "-m limit --limit 5/s --limit-burst 0",
        "-m hashlimit --hashlimit-upto 5/s",
        "-m hashlimit --hashlimit-upto 1mb/s --hashlimit-burst 2mb --hashlimit-name f",
        "-m hashlimit --hashlimit-upto 7/sec --hashlimit-name e --hashlimit-rate-match --hashlimit-rate-interval 10",
        "-m hashlimit --hashlimit-upto 3000000/sec --hashlimit-name j",
        "-m hashlimit --hashlimit-upto 10MB/s --hashlimit-name j",
        "-m statistic --mode nth --every 3",
        "-m statistic --mode nth --every 3 --packet 3",
        "-m statistic --mode random --probability 1e-1",
        "-m recent --set --seconds 5",
        "-m recent --rcheck --reap",
        "-m recent --name abc",
        "-m recent --set --update",
        "-m length --length 64:128",
        "-j TTL --ttl-set 64",
    ] {
        let rule: Rule = text.parse().unwrap();
        assert!(!is_typed(&rule), "{text}");
        assert_eq!(rule.to_string(), text);
    }
}

#[test]
fn built_values_print_as_the_tools_do() {
    let to: NatRange = "10.0.0.1:8080".parse().unwrap();
    for (rule, printed) in [
        (
            Rule::new().jump(Dnat::new(to).persistent()),
            "-j DNAT --to-destination 10.0.0.1:8080 --persistent",
        ),
        (
            Rule::new().jump(Redirect::new().to_ports(3128)),
            "-j REDIRECT --to-ports 3128",
        ),
        (
            Rule::new()
                .matching(LimitMatch::per_minute(5).unwrap().burst(10))
                .jump(Log::new().prefix("refused: ").level(6)),
            "-m limit --limit 5/min --limit-burst 10 -j LOG --log-prefix \"refused: \" --log-level 6",
        ),
        (
            Rule::new().jump(Nflog::group(3).prefix("x")),
            "-j NFLOG --nflog-prefix x --nflog-group 3",
        ),
        (
            Rule::new().jump(Tproxy::on_port(50080)),
            "-j TPROXY --on-port 50080 --tproxy-mark 0x0/0x0",
        ),
        (
            Rule::new()
                .matching(StatisticMatch::random(Probability::one_in(3)))
                .jump("X"),
            "-m statistic --mode random --probability 0.33333333349 -j X",
        ),
        (
            Rule::new().matching(
                RecentMatch::new(RecentAction::Update)
                    .name("ssh")
                    .seconds(60)
                    .hitcount(4),
            ),
            "-m recent --update --seconds 60 --hitcount 4 --name ssh --rsource",
        ),
        (
            Rule::new().matching(
                HashlimitMatch::per_second(10, "http")
                    .unwrap()
                    .mode(HashlimitMode::SOURCE)
                    .above(),
            ),
            "-m hashlimit --hashlimit-above 10/sec --hashlimit-burst 5 --hashlimit-mode srcip --hashlimit-name http",
        ),
    ] {
        assert_eq!(rule.to_string(), printed);
        assert_eq!(printed.parse(), Ok(rule.clone()));
        assert_eq!(rule.validate(), Ok(()));
    }
}

#[test]
fn values_that_the_tools_refuse_are_refused() {
    let refused = |rule: Rule| matches!(rule.validate(), Err(InvalidRule::Value { .. }));
    let ports = iptables_restore::PortRange { first: 9, last: 1 };
    let base: NatRange = "10.0.0.1:80-90/100".parse().unwrap();
    let plain = NatRange::from(std::net::IpAddr::from([10, 0, 0, 1]));
    let mut reap = RecentMatch::new(RecentAction::Check);
    reap.reap = true;
    for rule in [
        Rule::new().jump(Dnat::new(plain.with_ports(ports))),
        Rule::new().jump(iptables_restore::Snat::new(base)),
        Rule::new().jump(Log::new().prefix("x".repeat(30))),
        Rule::new().jump(Log::new().prefix("")),
        Rule::new().jump(Log::new().level(8)),
        Rule::new().jump(Nflog::group(1).prefix("x".repeat(64))),
        Rule::new().jump(iptables_restore::Ct::helper("a b")),
        Rule::new().matching(LimitMatch::per_day(1).unwrap().burst(0)),
        Rule::new().matching(StatisticMatch::nth(3, 3)),
        Rule::new().matching(RecentMatch::new(RecentAction::Set).seconds(5)),
        Rule::new().matching(RecentMatch::new(RecentAction::Set).name("a b")),
        Rule::new().matching(reap),
        Rule::new().matching(HashlimitMatch::bytes_per_second(15, "x")),
        Rule::new().matching(HashlimitMatch::per_second(1, "").unwrap()),
    ] {
        assert!(refused(rule.clone()), "{rule}");
    }
    assert!(
        Rule::new()
            .jump(Log::new().prefix("a\nb"))
            .validate()
            .is_err()
    );
    assert_eq!(LimitMatch::per_second(10_001), None);
    assert_eq!(LimitMatch::per_minute(0), None);
}
