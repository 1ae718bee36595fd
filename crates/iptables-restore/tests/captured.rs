//! What real tools printed comes out of the model as it went in.

use std::path::PathBuf;

use iptables_restore::{Match, RestoreInput, Rule, Ruleset, SaveFormat, TableName, Target};

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

#[test]
fn spellings_are_read_as_the_tools_read_them() {
    let text = data("spellings.txt").unwrap();
    let mut lines = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .peekable();
    let mut count = 0;
    while let Some(written) = lines.next() {
        let mut printed = Vec::new();
        while let Some(line) = lines.next_if(|line| line.starts_with('\t')) {
            printed.push(line.trim_start().to_owned());
        }
        let parsed = Rule::parse_all(written).map(|rules| {
            let texts = rules.iter().map(ToString::to_string);
            texts.collect::<Vec<_>>()
        });
        match printed.iter().any(|line| line == "!") {
            // The protocol `!` may be in somebody's /etc/protocols; the tools refuse it when it is not.
            true => assert!(parsed.is_err(), "{written}: {parsed:?}"),
            false => assert_eq!(parsed.as_ref(), Ok(&printed), "{written}"),
        }
        // What is printed is read as it is.
        for line in printed.iter().filter(|line| *line != "!") {
            assert_eq!(&line.parse::<Rule>().unwrap().to_string(), line);
        }
        let as_table = format!("*filter\n:X - [0:0]\n-A X {written}\nCOMMIT\n");
        let rules = Ruleset::parse(&as_table).map(|found| found.tables[0].chains[0].rules.len());
        assert_eq!(
            rules.ok(),
            parsed.ok().map(|rules| rules.len()),
            "{written}"
        );
        count += 1;
    }
    assert!(count > 35, "{count}");
    assert!("-s 10.0.0.1,10.0.0.2".parse::<Rule>().is_err());
}

/// iptables 1.8.9 takes the whole word for the value of these options (`-ieth0` for an interface of that name), although
/// getopt_long(3) splits it; what is meant is plain.
#[test]
fn values_in_the_same_word_are_values() {
    for (written, printed) in [
        ("-ieth0 -oeth1 -jACCEPT", "-i eth0 -o eth1 -j ACCEPT"),
        (
            "-s10.0.0.1 --dst=10.0.0.2 -ptcp",
            "-s 10.0.0.1/32 -d 10.0.0.2/32 -p tcp",
        ),
        ("--prot=udp --in-interface=lo --jump=X", "-i lo -p udp -j X"),
        ("! -ieth0 ! --src=10.0.0.1", "! -s 10.0.0.1/32 ! -i eth0"),
    ] {
        assert_eq!(written.parse::<Rule>().unwrap().to_string(), printed);
    }
    assert!(
        "-s10.0.0.1 --src=10.0.0.3".parse::<Rule>().is_err(),
        "twice"
    );
}

#[test]
fn names_and_quotes_of_others_survive() {
    for name in ["nft-long-chain.txt", "string-apostrophe.txt"] {
        let text = data(name).unwrap();
        let found = Ruleset::parse(&text).unwrap();
        let printed = without_comment_lines(&text);
        let counted = found.to_string();
        assert_eq!(counted, printed, "{name}");
    }
    let long = "a_chain_that_nft_named_and_iptables_cannot";
    let found = Ruleset::parse(&data("nft-long-chain.txt").unwrap()).unwrap();
    let nat = found.table(&TableName::Nat).unwrap();
    assert!(!nat.chain(long).unwrap().name.is_writable());
    // No edit can name it.
    let mut input = RestoreInput::new();
    let edits = input.table(TableName::Nat);
    assert!(edits.flush(long).is_err());
    let chain = nat.chain(long).unwrap().name.clone();
    assert!(edits.push(iptables_restore::Edit::Flush { chain }).is_err());
    assert!(edits.append("X", Rule::new().jump(long)).is_err());
    assert!(input.is_empty());
}

/// Printed by iptables-legacy-save and iptables-nft-save 1.8.9: all are names that the tools took.
#[test]
fn odd_names_of_chains_are_words() {
    let mut text = b"*filter\n:INPUT ACCEPT [0:0]\n".to_vec();
    let names: [&[u8]; 8] = [
        b"#x", b"*x", b":x", b"[x", b"a\"b", b"a'b", b"a\\b", b"x\xe9y",
    ];
    for name in names {
        text.extend([b":", name, b" - [0:0]\n"].concat());
    }
    for name in names {
        text.extend([b"-A ", name, b" -j ACCEPT\n"].concat());
    }
    text.extend(b"COMMIT\n");
    let found = Ruleset::parse_bytes(&text).unwrap();
    assert_eq!(found.tables[0].chains.len(), 9);
    assert!(
        found.tables[0].chains[1..]
            .iter()
            .all(|chain| chain.rules.len() == 1)
    );
    assert_eq!(
        String::from_utf8_lossy(&found.to_bytes(SaveFormat::SAVE)),
        String::from_utf8_lossy(&text)
    );
    assert_eq!(found.to_bytes(SaveFormat::SAVE), text);
}

#[test]
fn an_error_shows_a_foreign_text_on_one_line_and_cut() {
    let line = format!("-A X -j \u{202e}evil\u{1b}[2J{}", "y".repeat(2000));
    let error = Ruleset::parse(&format!("*nat\n{line}\nCOMMIT\n")).unwrap_err();
    let shown = error.to_string();
    assert!(shown.contains("-j \\u{202e}evil\\u{1b}[2Jyyy"), "{shown}");
    assert!(
        shown.chars().count() < 600 && shown.ends_with("more bytes)"),
        "{shown}"
    );
    assert_eq!(error.table, Some(TableName::Nat));
}
