//! What the tools are told, and what is made of their words.

use std::time::Duration;

use iptables_restore::{
    ApplyErrorKind, ChainName, Error, Family, InsertAt, RejectReason, RestoreInput, RestoreOptions,
    Rule, Ruleset, SaveOptions, TableName,
};

use crate::stand_ins::{LEGACY, NFT, OLD, StandIns, TWO_TABLES, tools, two_tables};

#[test]
fn hands_over_the_text_and_the_options() {
    let record = r#"echo "$@" > "$here/args"; cat > "$here/stdin""#;
    for (version, options, args) in [
        (NFT, RestoreOptions::default(), "--noflush"),
        (LEGACY, RestoreOptions::default(), "--noflush -w 5"),
        (
            LEGACY,
            RestoreOptions::new().test().counters(),
            "--noflush --test --counters -w 5",
        ),
        (
            OLD,
            RestoreOptions::new().counters(),
            "--noflush --counters",
        ),
    ] {
        let (stand_ins, tools) = tools(version, record).unwrap();
        tools
            .restore_with(&two_tables().unwrap(), &options)
            .unwrap();
        assert_eq!(stand_ins.file("args").unwrap().trim(), args);
        assert_eq!(stand_ins.file("stdin").unwrap(), TWO_TABLES);
    }
    let (stand_ins, tools) = tools(LEGACY, record).unwrap();
    tools
        .clone()
        .lock_wait(Duration::from_millis(1500))
        .check(&two_tables().unwrap())
        .unwrap();
    assert_eq!(
        stand_ins.file("args").unwrap().trim(),
        "--noflush --test -w 2"
    );
    std::fs::remove_file(stand_ins.path().join("args")).unwrap();
    tools.restore(&RestoreInput::new()).unwrap();
    assert!(
        stand_ins.file("args").is_err(),
        "nothing to do, nothing run"
    );
}

#[test]
fn reads_what_save_prints() {
    let save = r#"echo "$@" > "$here/args"; printf '# Warning\n*nat\n:A - [0:0]\n[1:2] -A A -j RETURN\nCOMMIT\n'"#;
    let stand_ins = StandIns::new()
        .unwrap()
        .add("iptables", NFT, "", save)
        .unwrap();
    let tools = stand_ins.finder().find(Family::V4).unwrap();
    let options = SaveOptions::new().table(TableName::Nat).counters();
    let found = tools.save(&options).unwrap();
    assert_eq!(stand_ins.file("args").unwrap().trim(), "-c -t nat");
    assert_eq!(
        found,
        Ruleset::parse("*nat\n:A -\n-A A -j RETURN\nCOMMIT\n").unwrap()
    );
    let bad = StandIns::new()
        .unwrap()
        .add("iptables", NFT, "", "echo hello")
        .unwrap();
    let error = bad
        .finder()
        .find(Family::V4)
        .unwrap()
        .save(&SaveOptions::default())
        .unwrap_err();
    assert!(
        matches!(&error, Error::Output { error, .. } if error.line == 1),
        "{error}"
    );
}

#[test]
fn a_rejection_names_the_edit_and_what_is_committed() {
    let (_stand_ins, tools) = tools(
        NFT,
        "echo \"iptables-nft-restore v1.8.9 (nf_tables): Chain 'NOPE' does not exist\" >&2\n\
         echo 'Error occurred at line: 8' >&2; exit 2",
    )
    .unwrap();
    let Err(Error::Rejected(rejection)) = tools.restore(&two_tables().unwrap()) else {
        panic!()
    };
    assert_eq!(
        rejection.reason,
        RejectReason::NoSuchTarget("NOPE".to_owned())
    );
    assert_eq!(
        (rejection.line, rejection.text.as_str()),
        (7, "-A Y -j NOPE"),
        "the culprit, not its COMMIT"
    );
    assert_eq!(rejection.edit.unwrap().to_string(), "-A Y -j NOPE");
    assert_eq!(
        (rejection.table, rejection.committed),
        (Some(TableName::Filter), vec![TableName::Nat])
    );
    let Err(Error::Rejected(tested)) = tools.check(&two_tables().unwrap()) else {
        panic!()
    };
    assert!(tested.committed.is_empty());
}

#[test]
fn the_reason_a_legacy_tool_does_not_give() {
    let failing = |line: usize| format!("echo 'iptables-restore: line {line} failed' >&2; exit 1");
    let table = |rules: &str| format!("printf '*nat\\n:OUTPUT ACCEPT\\n{rules}COMMIT\\n'");
    let mut input = RestoreInput::new();
    let nat = input.table(TableName::Nat);
    nat.declare_chain("X").unwrap().delete_chain("Y").unwrap();
    let missing = RejectReason::Inferred(ApplyErrorKind::NoSuchChain(ChainName::new("Y").unwrap()));
    for (line, rules, reason) in [
        (3, "", missing),
        // By now the chain is there and empty: nothing to see.
        (3, ":Y -\\n", RejectReason::Unexplained),
        // Another line than the one refused.
        (2, "", RejectReason::Unexplained),
        (4, ":Y -\\n", RejectReason::Commit),
    ] {
        let stand_ins = StandIns::new()
            .unwrap()
            .add("iptables", LEGACY, &failing(line), &table(rules))
            .unwrap();
        let tools = stand_ins.finder().find(Family::V4).unwrap();
        let Err(Error::Rejected(rejection)) = tools.restore(&input) else {
            panic!()
        };
        assert_eq!((rejection.line, &rejection.reason), (line, &reason));
        if line == 3 && rules.is_empty() {
            let text = rejection.to_string();
            assert!(
                text.ends_with("refused line 3 (table nat): there is no chain Y: -X Y"),
                "{text}"
            );
        }
    }
}

#[test]
fn other_failures() {
    let (_dir, denied) = tools(
        NFT,
        "echo 'iptables: x: Permission denied (you must be root)' >&2; exit 4",
    )
    .unwrap();
    assert!(matches!(
        denied.restore(&two_tables().unwrap()),
        Err(Error::NotPermitted { .. })
    ));
    let (_dir, odd) = tools(NFT, "echo 'the sky fell' >&2; exit 7").unwrap();
    let error = odd.restore(&two_tables().unwrap()).unwrap_err();
    assert!(
        matches!(&error, Error::Failed { message, .. } if message == "the sky fell"),
        "{error}"
    );
    let (_dir, killed) = tools(NFT, "kill -9 $$").unwrap();
    let error = killed.restore(&two_tables().unwrap()).unwrap_err();
    assert!(
        matches!(&error, Error::Failed { status, .. } if status.contains("signal: 9")),
        "{error}"
    );
    let (dir, gone) = tools(NFT, "").unwrap();
    std::fs::remove_file(dir.path().join("iptables-restore")).unwrap();
    assert!(matches!(
        gone.restore(&two_tables().unwrap()),
        Err(Error::Io { .. })
    ));
}

#[test]
fn jumps_are_added_in_the_same_transaction() {
    let (stand_ins, tools) = tools(NFT, r#"cat > "$here/stdin""#).unwrap();
    let found = Ruleset::parse("*nat\n:OUTPUT ACCEPT\n:X -\n-A OUTPUT -j X\nCOMMIT\n").unwrap();
    let mut input = RestoreInput::new();
    let nat = input.table(TableName::Nat);
    nat.declare_chain("X").unwrap();
    for chain in ["PREROUTING", "OUTPUT"] {
        nat.ensure_rule(&found, chain, Rule::new().jump("X"), InsertAt::Start)
            .unwrap();
    }
    tools.restore(&input).unwrap();
    assert_eq!(
        stand_ins.file("stdin").unwrap(),
        "*nat\n:X - [0:0]\n-I PREROUTING 1 -j X\nCOMMIT\n"
    );
}
