//! What others put into the tables: names, bytes and rules that this crate never writes, and what people write.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::process::Command;

use iptables_restore::{
    Backend, Error, Family, IncompleteReason, InsertAt, Match, RestoreInput, RestoreOptions, Rule,
    SaveFormat, SaveOptions, TableName, ToolFinder, Tools, Word,
};
use kernel_test::cmd;

use crate::{data, saved, tools};

fn incomplete(tools: &Tools, options: &SaveOptions) -> (TableName, IncompleteReason) {
    match tools.save(options) {
        Err(Error::IncompleteTable(incomplete)) => (incomplete.table, incomplete.reason),
        other => panic!("{other:?}"),
    }
}

/// As in `/work/shared/cases`: one rule that nft made, and iptables-nft-save prints a comment in place of the table.
pub(crate) fn a_table_with_rules_of_nft() {
    let tools = tools(Backend::Nft, Family::V4);
    cmd("iptables-nft -t nat -N WEB");
    cmd("iptables-nft -N FINE");
    cmd("nft add rule ip nat WEB ct state established accept");
    let nat = SaveOptions::new().table(TableName::Nat);
    let expected = (TableName::Nat, IncompleteReason::NftOnly);
    assert_eq!(incomplete(&tools, &nat), expected);
    assert_eq!(incomplete(&tools, &SaveOptions::new()), expected);
    let filter = SaveOptions::new().table(TableName::Filter);
    assert!(
        tools.save(&filter).unwrap().tables[0]
            .chain("FINE")
            .is_some()
    );
    let in_use = ToolFinder::new().find_in_use(Family::V4).unwrap();
    assert_eq!(in_use.backend(), Backend::Nft);
    cmd("nft flush chain ip nat WEB");
    assert!(saved(&tools).table(&TableName::Nat).is_some());
}

pub(crate) fn base_chains_of_nft() {
    let tools = tools(Backend::Nft, Family::V4);
    cmd("iptables-nft -N WEB");
    cmd("nft add chain ip filter other '{ type filter hook input priority 10; }'");
    cmd("nft add rule ip filter other counter accept");
    let options = SaveOptions::new();
    assert_eq!(
        incomplete(&tools, &options),
        (TableName::Filter, IncompleteReason::HiddenBaseChains)
    );
    let found = tools.save(&options.hidden_base_chains()).unwrap();
    let filter = found.table(&TableName::Filter).unwrap();
    assert!(filter.chain("WEB").is_some() && filter.chain("other").is_none());
    let mut input = RestoreInput::new();
    let edits = input.table(TableName::Filter);
    edits.append("WEB", Rule::new().jump("RETURN")).unwrap();
    tools.restore(&input).unwrap();
    assert!(cmd("nft list chain ip filter other").contains("accept"));
}

/// One that has the name of a chain to be edited, which the tools do not show: the kernel refuses, and nothing is written.
pub(crate) fn a_base_chain_of_nft_is_not_overwritten() {
    let tools = tools(Backend::Nft, Family::V4);
    let options = SaveOptions::new().hidden_base_chains();
    for name in ["INPUT", "OURS"] {
        cmd(&format!(
            "nft add table ip filter && nft add chain ip filter {name} '{{ type filter hook input priority 10; }}'"
        ));
        cmd(&format!("nft add rule ip filter {name} counter accept"));
        let before = cmd("nft list table ip filter");
        let found = tools.save(&options).unwrap();
        let mut input = RestoreInput::new();
        let edits = input.table(TableName::Filter);
        edits.declare_chain("BESIDE").unwrap();
        if name == "INPUT" {
            edits
                .ensure_rule(&found, name, Rule::new().jump("RETURN"), InsertAt::Start)
                .unwrap();
        } else {
            edits.declare_chain(name).unwrap();
            edits.append(name, Rule::new().jump("RETURN")).unwrap();
        }
        let refused = tools.restore(&input);
        assert!(matches!(refused, Err(Error::Rejected(_))), "{refused:?}");
        assert_eq!(cmd("nft list table ip filter"), before);
        cmd("nft delete table ip filter");
    }
}

pub(crate) fn a_long_name_of_nft() {
    let tools = tools(Backend::Nft, Family::V4);
    let long = "a_chain_that_nft_named_and_iptables_cannot";
    cmd("iptables-nft -t nat -N WEB");
    cmd(&format!("nft add chain ip nat {long}"));
    cmd(&format!("nft add rule ip nat {long} counter jump WEB"));
    let before = saved(&tools);
    let rules = |found: &iptables_restore::Ruleset| {
        let nat = found.table(&TableName::Nat).unwrap();
        nat.chain(long).unwrap().rules.clone()
    };
    assert_eq!(rules(&before), [Rule::new().jump("WEB")]);
    let mut input = RestoreInput::new();
    let edits = input.table(TableName::Nat);
    edits.append("WEB", Rule::new().jump("RETURN")).unwrap();
    edits
        .ensure_rule(&before, "OUTPUT", Rule::new().jump("WEB"), InsertAt::Start)
        .unwrap();
    let mut model = before.clone();
    input.apply(&mut model).unwrap();
    tools.restore(&input).unwrap();
    crate::assert_same(&saved(&tools), &model);
    assert_eq!(rules(&saved(&tools)), rules(&before));
}

/// Names and comments that are not UTF-8, and names with quotes, through a change of ours beside them.
pub(crate) fn bytes_of_others_survive(backend: Backend) {
    let tools = tools(backend, Family::V4);
    let program = match backend {
        Backend::Nft => "iptables-nft",
        _ => "iptables-legacy",
    };
    let run = |args: &[&[u8]]| {
        let args = args.iter().map(|arg| OsString::from_vec(arg.to_vec()));
        let status = Command::new(program).args(args).status().unwrap();
        assert!(status.success());
    };
    let names: [&[u8]; 6] = [b"a\"b", b"x\xe9y", b"a'b", b"#x", b"[x", b"a\\b"];
    for name in names {
        run(&[b"-N", name]);
        run(&[
            b"-A",
            name,
            b"-m",
            b"comment",
            b"--comment",
            b"caf\xe9 \xff",
            b"-j",
            b"RETURN",
        ]);
        run(&[b"-A", b"INPUT", b"-j", name]);
    }
    run(&[b"-A", b"INPUT", b"-i", b"x\"y", b"-j", b"ACCEPT"]);
    run(&[b"-A", b"INPUT", b"-i", b"x\xe9", b"-j", b"ACCEPT"]);
    let printed = || {
        let output = Command::new(tools.save_path())
            .args(["-t", "filter"])
            .output()
            .unwrap();
        let lines = output.stdout.split_inclusive(|b| *b == b'\n');
        lines
            .filter(|line| !line.starts_with(b"# "))
            .flatten()
            .copied()
            .collect::<Vec<u8>>()
    };
    let options = SaveOptions::new().table(TableName::Filter);
    let show = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let found = tools.save(&options).unwrap();
    assert_eq!(show(&found.to_bytes(SaveFormat::SAVE)), show(&printed()));
    assert_eq!(found.to_bytes(SaveFormat::SAVE), printed());
    let input = &found.tables[0].chain("INPUT").unwrap().rules;
    assert_eq!(
        input
            .iter()
            .filter(|rule| rule.verbatim().is_some())
            .count(),
        2
    );

    // A rule of somebody's whose comment is not UTF-8, moved by us.
    let comment = found.tables[0].chain("a'b").unwrap().rules[0].clone();
    let mut change = RestoreInput::new();
    let edits = change.table(TableName::Filter);
    edits.declare_chain("OURS").unwrap();
    edits.append("OURS", comment.clone()).unwrap();
    edits.delete("a'b", comment.clone()).unwrap();
    assert!(change.to_bytes().windows(5).any(|part| part == b"caf\xe9 "));
    tools.restore(&change).unwrap();
    let after = tools.save(&options).unwrap();
    assert_eq!(after.tables[0].chain("OURS").unwrap().rules, [comment]);
    assert!(after.tables[0].chain("a'b").unwrap().rules.is_empty());
    assert_eq!(after.to_bytes(SaveFormat::SAVE), printed());
}

/// The list of spellings, through the tools: they print what it has, and we read both as the same rules.
pub(crate) fn spellings(backend: Backend) {
    let tools = tools(backend, Family::V4);
    cmd("ipset create S hash:ip");
    let text = data("spellings.txt");
    let mut lines = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .peekable();
    let (mut cases, mut chains, mut rules) = (Vec::new(), String::new(), String::new());
    while let Some(written) = lines.next() {
        let mut expected = Vec::new();
        while let Some(line) = lines.next_if(|line| line.starts_with('\t')) {
            expected.push(line.trim_start());
        }
        if expected == ["!"] {
            let input = format!("*filter\n:X - [0:0]\n-A X {written}\nCOMMIT\n");
            let outcome = tools.restore_text(&input, &RestoreOptions::new());
            assert!(matches!(outcome, Err(Error::Rejected(_))), "{written}");
            continue;
        }
        let chain = format!("X{}", cases.len());
        chains += &format!(":{chain} - [0:0]\n");
        rules += &format!("-A {chain} {written}\n");
        cases.push((chain, written, expected));
    }
    let input = format!("*filter\n:MYCHAIN - [0:0]\n{chains}{rules}COMMIT\n");
    tools.restore_text(&input, &RestoreOptions::new()).unwrap();
    let output = cmd(&format!("{} -t filter", tools.save_path().display()));
    let found = saved(&tools);
    let filter = found.table(&TableName::Filter).unwrap();
    for (chain, written, expected) in cases {
        let start = format!("-A {chain} ");
        let printed = output.lines().filter_map(|line| line.strip_prefix(&start));
        assert_eq!(printed.collect::<Vec<_>>(), expected, "{written}");
        let rules = &filter.chain(&chain).unwrap().rules;
        assert_eq!(*rules, Rule::parse_all(written).unwrap(), "{written}");
    }
}

pub(crate) fn a_jump_found_twice_is_there_once_afterwards(backend: Backend) {
    let tools = tools(backend, Family::V4);
    let (jump, foreign) = (
        Rule::new().jump("OURS"),
        Rule::new().comment("somebody's").jump("ACCEPT"),
    );
    for place in [InsertAt::Start, InsertAt::End] {
        let mut before = RestoreInput::new();
        let nat = before.table(TableName::Nat);
        nat.declare_chain("OURS").unwrap();
        nat.flush("OUTPUT").unwrap();
        for rule in [&jump, &foreign, &jump, &jump, &foreign] {
            nat.append("OUTPUT", rule.clone()).unwrap();
        }
        tools.restore(&before).unwrap();
        for _ in 0..2 {
            let mut input = RestoreInput::new();
            let nat = input.table(TableName::Nat);
            nat.ensure_rule(&saved(&tools), "OUTPUT", jump.clone(), place)
                .unwrap();
            tools.restore(&input).unwrap();
            let found = saved(&tools);
            let output = &found
                .table(&TableName::Nat)
                .unwrap()
                .chain("OUTPUT")
                .unwrap()
                .rules;
            let expected = match place {
                InsertAt::Start => [&jump, &foreign, &foreign],
                _ => [&foreign, &foreign, &jump],
            };
            assert!(output.iter().eq(expected), "{output:?}");
        }
    }
}

/// Written by us, printed by the tool, read as the same.
pub(crate) fn patterns_with_an_apostrophe(backend: Backend) {
    let tools = tools(backend, Family::V4);
    let rule = |pattern: &str| {
        let words = [
            Word::new("--string"),
            Word::new(pattern),
            Word::new("--algo"),
            Word::new("bm"),
        ];
        Rule::new()
            .matching(Match::new("string", words))
            .jump("ACCEPT")
    };
    let rules: Vec<_> = ["it's", "a\\b", "q\"q'", "plain"].map(rule).into();
    let mut input = RestoreInput::new();
    for rule in &rules {
        input
            .table(TableName::Filter)
            .append("INPUT", rule.clone())
            .unwrap();
    }
    tools.restore(&input).unwrap();
    let output = cmd(&format!("{} -t filter", tools.save_path().display()));
    let printed = output.lines().filter(|line| line.starts_with("-A "));
    let ours = input.to_string();
    assert_eq!(
        printed.collect::<Vec<_>>(),
        ours.lines()
            .filter(|line| line.starts_with("-A "))
            .collect::<Vec<_>>()
    );
    let found = saved(&tools);
    let filter = found.table(&TableName::Filter).unwrap();
    assert_eq!(filter.chain("INPUT").unwrap().rules, rules);
}
