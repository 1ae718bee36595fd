//! Matches and targets that have types, against the tools.

use std::collections::BTreeMap;

use iptables_restore::{Backend, Family, Match, RestoreOptions, Rule, Target};
use kernel_test::cmd;

use crate::{data, saved, tools};

/// The list of extensions, through the tools: they print what it has, and we read both as the same rules.
pub(crate) fn typed_extensions_come_back(backend: Backend) {
    let tools = tools(backend, Family::V4);
    let text = data("extensions.txt");
    let lines: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
    let mut tables: BTreeMap<&str, Vec<(&str, &str, &str)>> = BTreeMap::new();
    for pair in lines.chunks(2) {
        // The guest's kernel has no zones.
        if backend == Backend::Legacy && pair[1].contains("--zone") {
            continue;
        }
        let mut words = pair[0].splitn(3, ' ');
        let (table, chain) = (words.next().unwrap(), words.next().unwrap());
        let case = (chain, words.next().unwrap(), pair[1].trim_start());
        tables.entry(table).or_default().push(case);
    }
    for (table, cases) in &tables {
        let rules: String = cases
            .iter()
            .map(|(chain, written, _)| format!("-A {chain} {written}\n"))
            .collect();
        let input = format!("*{table}\n{rules}COMMIT\n");
        tools
            .restore_text(&input, &RestoreOptions::new())
            .unwrap_or_else(|error| panic!("{error}"));
        let output = cmd(&format!("{} -t {table}", tools.save_path().display()));
        let printed: Vec<_> = output
            .lines()
            .filter(|line| line.starts_with("-A "))
            .collect();
        let mut expected: Vec<_> = cases
            .iter()
            .map(|(chain, _, printed)| format!("-A {chain} {printed}"))
            .collect();
        // Chains come in an order of the table's.
        expected.sort_by_key(|line| !line.starts_with("-A PREROUTING"));
        assert_eq!(printed, expected);
    }
    // What we print of the rules that were found is taken, and comes to the same.
    let found = saved(&tools);
    for table in &found.tables {
        for rule in table.chains.iter().flat_map(|chain| &chain.rules) {
            let kept = |part: &Match| matches!(part, Match::Other(_));
            let typed =
                !rule.matches.iter().any(kept) && !matches!(rule.target, Some(Target::Other(_)));
            assert!(typed, "{rule}");
            assert_eq!(rule.to_string().parse::<Rule>().as_ref(), Ok(rule));
        }
    }
    for table in tables.keys() {
        cmd(&format!(
            "{} -t {table} -F",
            tools
                .restore_path()
                .display()
                .to_string()
                .replace("-restore", "")
        ));
    }
    let input = crate::all_of(&found);
    tools.restore(&input).unwrap();
    crate::assert_same(&saved(&tools), &found);
}
