//! What real tools printed comes out of the model as it went in.

use std::path::PathBuf;

use iptables_restore::{Match, Ruleset, SaveFormat, TableName, Target};

fn data(name: &str) -> std::io::Result<String> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(name);
    std::fs::read_to_string(path)
}

fn without_comment_lines(text: &str) -> String {
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| format!("{line}\n"))
        .collect()
}

#[test]
fn captured_from_both_back_ends() {
    for (name, format) in [
        ("captured-legacy-1.8.9.txt", SaveFormat::SAVE_COUNTERS),
        ("captured-nft-1.8.9.txt", SaveFormat::SAVE_COUNTERS),
        ("captured-legacy-1.8.9.ip6tables.txt", SaveFormat::SAVE),
    ] {
        let text = data(name).unwrap();
        let ruleset = Ruleset::parse(&text).unwrap();
        assert_eq!(
            ruleset.display(format).to_string(),
            without_comment_lines(&text),
            "{name}"
        );
    }
}

#[test]
fn rules_of_a_service_proxy() {
    for name in [
        "lb-source-ranges-with-node.iptables.txt",
        "dual-stack.ip6tables.txt",
        "stale-state-found.iptables.txt",
        "detect-local-interface-prefix.iptables.txt",
        "classic-nodeport-tcp-udp-sctp.iptables.txt",
        "classic-lb-source-ranges-with-node.iptables.txt",
    ] {
        let text = data(name).unwrap();
        let ruleset = Ruleset::parse(&text).unwrap();
        assert_eq!(
            ruleset.display(SaveFormat::PLAIN).to_string(),
            text,
            "{name}"
        );
        for chain in ruleset.tables.iter().flat_map(|table| &table.chains) {
            for rule in &chain.rules {
                let line = rule.display_in(&chain.name).to_string();
                assert!(
                    !rule
                        .matches
                        .iter()
                        .any(|part| matches!(part, Match::Other(_))),
                    "no type for {line}"
                );
                assert!(
                    !matches!(rule.target, Some(Target::Other(_))),
                    "no type for {line}"
                );
                assert_eq!(rule.validate(), Ok(()), "{line}");
            }
        }
    }
}

#[test]
fn counters_are_read_and_left_out_of_comparisons() {
    let text = "*filter\n:INPUT ACCEPT [12:3456]\n[7:89] -A INPUT -j DROP\nCOMMIT\n";
    let counted = Ruleset::parse(text).unwrap();
    assert_eq!(counted.display(SaveFormat::SAVE_COUNTERS).to_string(), text);
    let plain = Ruleset::parse("*filter\n:INPUT ACCEPT\n-A INPUT -j DROP\nCOMMIT\n").unwrap();
    assert_eq!(counted, plain);
    let input = counted
        .table(&TableName::Filter)
        .unwrap()
        .chain("INPUT")
        .unwrap();
    assert_eq!(
        input.rules[0]
            .counters
            .map(|counters| (counters.packets, counters.bytes)),
        Some((7, 89))
    );
}
