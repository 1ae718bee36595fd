//! Answers of iptables-save that are not whole, all with status 0.

use iptables_restore::{
    Backend, Error, Family, IncompleteReason, IncompleteTable, SaveOptions, TableName, Tools,
};

use crate::stand_ins::{LEGACY, NFT, StandIns};

fn saving(script: &str) -> Result<(StandIns, Tools), Box<dyn std::error::Error>> {
    let stand_ins = StandIns::new()?.add("iptables", NFT, "", script)?;
    let tools = stand_ins.finder().find(Family::V4)?;
    Ok((stand_ins, tools))
}

fn incomplete(
    script: &str,
    options: &SaveOptions,
) -> Result<IncompleteTable, Box<dyn std::error::Error>> {
    let (_dir, tools) = saving(script)?;
    match tools.save(options) {
        Err(Error::IncompleteTable(incomplete)) => Ok(*incomplete),
        other => Err(format!("{script}: {other:?}").into()),
    }
}

const FILTER: &str = "printf '*filter\\n:INPUT ACCEPT [0:0]\\nCOMMIT\\n'";
const INCOMPATIBLE: &str = "echo \"# Table \\`nat' is incompatible, use 'nft' tool.\"";
const TAINTED: &str =
    "echo \"# Table \\`filter' contains incompatible base-chains, use 'nft' tool to list them.\"";

/// As iptables-nft-save 1.8.9 printed them; the last three are what a tool that is cut off leaves.
#[test]
fn a_table_that_is_not_whole_is_named() {
    use IncompleteReason as R;
    let (all, nat) = (SaveOptions::new(), SaveOptions::new().table(TableName::Nat));
    for (script, options, table, reason) in [
        (INCOMPATIBLE.to_owned(), &nat, TableName::Nat, R::NftOnly),
        (
            format!("{FILTER}; {INCOMPATIBLE}"),
            &all,
            TableName::Nat,
            R::NftOnly,
        ),
        (
            format!("{INCOMPATIBLE} >&2; {FILTER}"),
            &all,
            TableName::Nat,
            R::NftOnly,
        ),
        (
            format!("{TAINTED}; {FILTER}"),
            &all,
            TableName::Filter,
            R::HiddenBaseChains,
        ),
        (String::new(), &nat, TableName::Nat, R::Absent),
        (FILTER.to_owned(), &nat, TableName::Nat, R::Absent),
        (
            format!("{FILTER}; printf '*nat\\n:OUTPUT ACCEPT [0:0]\\n'"),
            &all,
            TableName::Nat,
            R::Truncated,
        ),
    ] {
        let found = incomplete(&script, options).unwrap();
        assert_eq!((&found.table, found.reason), (&table, reason), "{script}");
        let shown = found.to_string();
        assert!(shown.contains(&format!("table {table} ")), "{shown}");
    }
    let shown = incomplete(INCOMPATIBLE, &nat).unwrap().to_string();
    assert!(
        shown.ends_with("(Table `nat' is incompatible, use 'nft' tool.)"),
        "{shown}"
    );
}

#[test]
fn hidden_base_chains_can_be_accepted() {
    let (_dir, tools) = saving(&format!("{TAINTED}; {FILTER}")).unwrap();
    let found = tools
        .save(&SaveOptions::new().hidden_base_chains())
        .unwrap();
    assert_eq!(found.tables.len(), 1);
    // But not a table that is missing.
    let both = format!("{TAINTED}; {FILTER}; {INCOMPATIBLE}");
    let (_dir, tools) = saving(&both).unwrap();
    let error = tools
        .save(&SaveOptions::new().hidden_base_chains())
        .unwrap_err();
    assert!(matches!(error, Error::IncompleteTable(_)), "{error}");
}

#[test]
fn an_error_with_status_0_is_an_error() {
    let (_dir, tools) = saving("echo 'cannot do that' >&2").unwrap();
    let error = tools.save(&SaveOptions::new()).unwrap_err();
    assert!(
        matches!(&error, Error::Failed { message, .. } if message == "cannot do that"),
        "{error}"
    );
    let warning = "echo '# Warning: iptables-legacy tables present, use iptables-legacy-save to see them' >&2";
    let (_dir, tools) = saving(warning).unwrap();
    assert_eq!(tools.save(&SaveOptions::new()).unwrap().tables.len(), 0);
}

/// A comment of somebody's rule that looks like the tool's words is a comment.
#[test]
fn a_comment_with_a_line_feed_is_no_remark() {
    let script = "printf '*nat\\n:X - [0:0]\\n-A X -m comment --comment \"a\\n# Table `nat%s is incompatible\" -j RETURN\\nCOMMIT\\n' \"'\"";
    let (_dir, tools) = saving(script).unwrap();
    let found = tools.save(&SaveOptions::new()).unwrap();
    assert_eq!(found.tables[0].chains[0].rules.len(), 1);
}

/// An interface may have a double quote or a space in its name; both tools print them as they are.
#[test]
fn a_rule_that_is_not_understood_costs_itself_only() {
    let rules = "-A INPUT -i x\"y -j ACCEPT\\n-A INPUT -i x y -j ACCEPT\\n-A INPUT -s 10.0.0.1/32 -j DROP\\n-A INPUT -i x\"y -j DROP\\n";
    let script = format!(
        "printf '*filter\\n:INPUT ACCEPT [0:0]\\n{rules}COMMIT\\n*nat\\n:X - [0:0]\\nCOMMIT\\n'"
    );
    let (_dir, tools) = saving(&script).unwrap();
    let found = tools.save(&SaveOptions::new()).unwrap();
    let verbatim: Vec<_> = found.tables[0].chains[0]
        .rules
        .iter()
        .map(iptables_restore::Rule::verbatim)
        .collect();
    assert_eq!(
        verbatim,
        [
            Some("-i x\"y -j ACCEPT"),
            Some("-i x y -j ACCEPT"),
            None,
            Some("-i x\"y -j DROP")
        ]
    );
    assert_eq!(
        found.tables[0].to_string(),
        format!("*filter\n:INPUT ACCEPT [0:0]\n{rules}COMMIT\n").replace("\\n", "\n")
    );
    assert!(found.table(&TableName::Nat).is_some());
    let odd = found.tables[0].chains[0].rules[0].clone();
    let mut input = iptables_restore::RestoreInput::new();
    assert!(input.table(TableName::Filter).delete("INPUT", odd).is_err());
}

#[test]
fn a_table_that_is_not_whole_does_not_choose_the_other_back_end() {
    let empty = "printf '*nat\\n:OUTPUT ACCEPT [0:0]\\nCOMMIT\\n'";
    let both = StandIns::new()
        .unwrap()
        .add("iptables", LEGACY, "", empty)
        .unwrap();
    let both = both.add("iptables-nft", NFT, "", INCOMPATIBLE).unwrap();
    let found = both.finder().find_in_use(Family::V4).unwrap();
    assert_eq!(found.backend(), Backend::Nft);
    let survey = both.finder().survey(Family::V4).unwrap();
    assert!(matches!(survey[0].rules, Err(Error::IncompleteTable(_))));
    assert!(survey[1].rules.is_ok());
}

/// Texts that no tool prints, with status 0 or not: none of them is taken for the kernel's rules.
#[test]
fn what_no_tool_prints_is_an_error() {
    for script in [
        "echo hello",
        "echo '<html>'",
        "printf 'COMMIT\\n'",
        "printf ':INPUT ACCEPT [0:0]\\n'",
        "printf -- '-A INPUT -j ACCEPT\\n'",
        "printf '*filter\\n*nat\\nCOMMIT\\n'",
        "printf '*filter\\n-A NONE -j ACCEPT\\nCOMMIT\\n'",
        "printf '*filter\\n:INPUT ACCEPT [0:0]\\n\\000\\000\\nCOMMIT\\n'",
        "head -c 100000 /dev/zero",
        "printf '\\377\\376\\001\\033[2J\\n'",
        &format!("{FILTER}; echo and more"),
        &format!("{FILTER}; printf 'COMMIT\\n'"),
        &format!("{FILTER}; {FILTER}"),
        &format!("{FILTER}; kill -9 $$"),
        &format!("{FILTER}; exit 1"),
    ] {
        let (_dir, tools) = saving(script).unwrap();
        let error = match tools.save(&SaveOptions::new()) {
            Err(error) => error,
            Ok(taken) => panic!("{script}: taken for\n{taken}"),
        };
        assert!(
            matches!(error, Error::Output { .. } | Error::Failed { .. }),
            "{script}: {error:?}"
        );
        let shown = error.to_string();
        assert!(
            shown.len() < 4000 && !shown.contains(['\0', '\n']),
            "{shown:?}"
        );
    }
}

#[test]
fn half_a_line_and_then_nothing_is_not_an_answer() {
    for script in [
        format!("{FILTER}; printf '*nat\\n:PRE'; exec sleep 30"),
        "printf '*filter\\n:INPUT ACCEPT [0:0]\\n-A INP'; exec sleep 30".to_owned(),
    ] {
        let (_dir, tools) = saving(&script).unwrap();
        let tools = tools.time_limit(std::time::Duration::from_millis(300));
        let error = tools.save(&SaveOptions::new()).unwrap_err();
        assert!(
            matches!(error, Error::TimedOut { .. }),
            "{script}: {error:?}"
        );
    }
}
