//! Words as they are written in rules.

use proptest::collection::vec;
use proptest::prelude::*;

/// A word such as rules are made of, as it would be written: alone, or several in one.
pub(crate) fn rule_word() -> impl Strategy<Value = String> {
    let joined = vec(plain_word(), 1..4);
    let between = proptest::sample::select(vec!["=", "", "\"", "-", "\r", ","]);
    prop_oneof![
        4 => plain_word(),
        1 => (joined, between).prop_map(|(words, between)| words.join(between)),
        1 => (plain_word(), plain_word()).prop_map(|(option, value)| format!("--{option}={value}")),
    ]
}

/// A match or target with any words for its options: more rules of these are read than of words alone.
pub(crate) fn written_extension() -> impl Strategy<Value = String> {
    const NAMES: &[&str] = &[
        "x",
        "limit",
        "hashlimit",
        "set",
        "string",
        "comment",
        "conntrack",
        "mark",
        "statistic",
        "tcp",
        "icmp6",
        "udp",
        "LOG",
        "DNAT",
        "CT",
        "MARK",
        "A",
    ];
    const OPTIONS: &[&str] = &[
        "x",
        "limit",
        "lim",
        "dport",
        "comment",
        "name",
        "string",
        "from",
        "log-prefix",
        "set-mark",
        "mark",
        "mode",
        "prot",
        "-y",
    ];
    let option = (
        prop_oneof![Just(""), Just(""), Just("! ")],
        proptest::sample::select(OPTIONS),
        prop_oneof![Just(" "), Just("=")],
        rule_word(),
    )
        .prop_map(|(not, option, between, value)| format!(" {not}--{option}{between}{value}"));
    let kinds = proptest::sample::select(vec!["-m", "-m", "-m", "-j", "-p"]);
    (kinds, proptest::sample::select(NAMES), vec(option, 0..4))
        .prop_map(|(kind, name, options)| format!("{kind} {name}{}", options.concat()))
}

fn plain_word() -> impl Strategy<Value = String> {
    proptest::sample::select(vec![
        "!",
        "-s",
        "-d",
        "-i",
        "-o",
        "-p",
        "-f",
        "-m",
        "-j",
        "-g",
        "-c",
        "--match-set",
        "--mark",
        "--comment",
        "--dport",
        "--sports",
        "--ctstate",
        "--src-type",
        "--physdev-in",
        "--vaddr",
        "--reject-with",
        "--set-mark",
        "--to-ports",
        "--random",
        "--to-destination",
        "--log-prefix",
        "--zone",
        "--save-mark",
        "--limit",
        "--hashlimit-name",
        "--hashlimit-upto",
        "--mode",
        "--probability",
        "--set",
        "--name",
        "limit",
        "hashlimit",
        "statistic",
        "recent",
        "DNAT",
        "CT",
        "CONNMARK",
        "5/min",
        "0.5",
        "random",
        "set",
        "mark",
        "comment",
        "tcp",
        "udp",
        "multiport",
        "conntrack",
        "addrtype",
        "physdev",
        "ipvs",
        "REJECT",
        "MARK",
        "MASQUERADE",
        "ACCEPT",
        "LOG",
        "A",
        "src",
        "dst,src",
        "0x1/0x2",
        "80:90",
        "1,2",
        "1.2.3.4/8",
        "::1",
        "NEW,INVALID",
        "LOCAL",
        "eth+",
        "+",
        "0",
        "10-20",
        "\"a b\"",
        "\"\"",
        "\"-m\"",
        "\"!\"",
        "a\"b",
        "\\",
        "all",
    ])
    .prop_map(str::to_owned)
}
