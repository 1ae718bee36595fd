//! Every way in which iptables-restore says no, provoked.

use iptables_restore::{
    Backend, Error, Family, InvalidEdit, Match, RejectReason, Rejection, RestoreInput,
    RestoreOptions, Rule, TableEdits, TableName, ToolFinder, Tools, Word,
};

use crate::{saved, tools};

use RejectReason as R;

/// A chain with a rule, and one that is jumped to.
const BEFORE: &str =
    "*nat\n:FULL - [0:0]\n-A FULL -j RETURN\n:USED - [0:0]\n-A OUTPUT -j USED\nCOMMIT\n";

type Edits = fn(&mut TableEdits) -> Result<&mut TableEdits, InvalidEdit>;

/// Edits of the nat table, the place of the one refused, what the legacy tools say, what those of nft say.
type Case = (&'static str, Edits, usize, R, R);

fn kernel(operation: &str, error: &str, object: &str) -> R {
    R::Kernel {
        operation: operation.to_owned(),
        error: error.to_owned(),
        object: object.to_owned(),
    }
}

fn both(reason: R) -> (R, R) {
    (reason.clone(), reason)
}

fn cases() -> Vec<Case> {
    let other = |text: &str| R::Other(text.to_owned());
    let missing = || (R::Unexplained, other("No chain/target/match by that name"));
    let busy = |chain: &str| {
        (
            R::Unexplained,
            kernel("CHAIN_DEL", "Device or resource busy", chain),
        )
    };
    let unknown = both(other("unknown option \"--bogus\""));
    let drop = both(other(
        "The \"nat\" table is not intended for filtering, the use of DROP is therefore inhibited.",
    ));
    let no_rule = kernel(
        "RULE_DELETE",
        "No such file or directory",
        "rule in chain FULL",
    );
    let bad_rule = other("Bad rule (does a matching rule exist in that chain?)");
    let too_big = other("Index of insertion too big");
    let refused =
        |why: &str, chain: &str| kernel("RULE_APPEND", why, &format!("rule in chain {chain}"));
    let cases: Vec<(&'static str, Edits, usize, (R, R))> = vec![
        (
            "rule for a missing chain",
            |t| t.append("NOPE", Rule::new()),
            0,
            missing(),
        ),
        (
            "missing rule",
            |t| t.declare_chain("X")?.delete("FULL", Rule::new()),
            1,
            (R::Unexplained, bad_rule),
        ),
        (
            "rule that is gone by then",
            |t| {
                t.declare_chain("FULL")?
                    .delete("FULL", Rule::new().jump("RETURN"))
            },
            1,
            (R::Unexplained, no_rule),
        ),
        (
            "chain with a rule",
            |t| t.delete_chain("FULL"),
            0,
            busy("chain FULL"),
        ),
        (
            "chain jumped to",
            |t| t.declare_chain("X")?.delete_chain("USED"),
            1,
            busy("chain USED"),
        ),
        (
            "built-in chain",
            |t| t.delete_chain("OUTPUT"),
            0,
            busy("chain OUTPUT"),
        ),
        ("missing chain", |t| t.delete_chain("NOPE"), 0, missing()),
        (
            "flush of a missing chain",
            |t| t.flush("NOPE"),
            0,
            missing(),
        ),
        (
            "position",
            |t| t.insert("FULL", 3, Rule::new()),
            0,
            (R::Unexplained, too_big),
        ),
        (
            "missing target",
            |t| {
                t.declare_chain("X")?
                    .append("X", Rule::new().jump("NOPE"))?
                    .append("X", Rule::new())
            },
            1,
            both(R::NoSuchTarget("NOPE".to_owned())),
        ),
        (
            "missing goto",
            |t| t.append("FULL", Rule::new().goto("NOPE")),
            0,
            both(R::NoSuchTarget("NOPE".to_owned())),
        ),
        (
            "missing set",
            |t| t.append("FULL", Rule::new().match_set("NOPE", "dst")),
            0,
            both(R::NoSuchSet("NOPE".to_owned())),
        ),
        (
            "unknown match",
            |t| t.append("FULL", Rule::new().matching(Match::new("bogus", []))),
            0,
            both(R::NoSuchMatch("bogus".to_owned())),
        ),
        (
            "unknown option",
            |t| {
                t.append(
                    "FULL",
                    Rule::new().matching(Match::new("comment", [Word::from("--bogus")])),
                )
            },
            0,
            unknown,
        ),
        (
            "drop",
            |t| t.append("FULL", Rule::new().jump("DROP")),
            0,
            drop,
        ),
        (
            "jump to a built-in chain",
            |t| t.append("FULL", Rule::new().jump("OUTPUT")),
            0,
            (R::Unexplained, refused("Operation not supported", "FULL")),
        ),
    ];
    cases
        .into_iter()
        .map(|(name, edits, place, (legacy, nft))| (name, edits, place, legacy, nft))
        .collect()
}

#[track_caller]
fn rejection(result: Result<(), Error>) -> Rejection {
    match result {
        Err(Error::Rejected(rejection)) => *rejection,
        Err(error) => panic!("not understood: {error}"),
        Ok(()) => panic!("not refused"),
    }
}

fn prepared(backend: Backend) -> Tools {
    let tools = tools(backend, Family::Inet);
    tools
        .restore_text(BEFORE, &RestoreOptions::default())
        .unwrap();
    tools
}

pub(crate) fn each_refusal_names_its_edit(backend: Backend) {
    let tools = prepared(backend);
    let before = saved(&tools);
    for (name, edits, place, legacy, nft) in cases() {
        let mut input = RestoreInput::new();
        edits(input.table(TableName::Nat)).unwrap();
        let refused = rejection(tools.restore(&input));
        assert_eq!(
            refused.reason,
            if backend == Backend::Legacy {
                legacy
            } else {
                nft
            },
            "{name}: {refused:?}"
        );
        assert_eq!(refused.line, place + 2, "{name}");
        assert_eq!(
            refused.edit.as_ref(),
            input.tables()[0].edits().get(place),
            "{name}"
        );
        assert_eq!(
            refused.edit.map(|edit| edit.to_string()),
            Some(refused.text),
            "{name}"
        );
        assert_eq!(
            (refused.table, refused.committed),
            (Some(TableName::Nat), Vec::new()),
            "{name}"
        );
        assert_eq!(saved(&tools), before, "{name}: nothing may change");
        // What the kernel holds does not decide these; the model knows nothing of sets and extensions.
        if !["missing set", "unknown match", "unknown option"].contains(&name) {
            let error = input.apply(&mut before.clone()).unwrap_err();
            assert_eq!(error.index, place, "{name}: {error}");
        }
    }
    // What only the commit shows, the legacy tools do not explain; those of nft name the rule.
    let commit: [(&str, Edits, usize, &str, &str); 2] = [
        (
            "a target not allowed there",
            |t| {
                t.declare_chain("X")?
                    .append("INPUT", Rule::new().jump("MASQUERADE"))?
                    .append("X", Rule::new())
            },
            1,
            "Invalid argument",
            "rule in chain INPUT",
        ),
        (
            "a circle",
            |t| {
                t.declare_chain("X")?
                    .declare_chain("Y")?
                    .append("X", Rule::new().jump("Y"))?;
                t.append("Y", Rule::new().jump("X"))?
                    .append("OUTPUT", Rule::new().jump("X"))
            },
            4,
            "Too many links",
            "rule in chain OUTPUT",
        ),
    ];
    for (name, edits, place, error, object) in commit {
        let mut input = RestoreInput::new();
        edits(input.table(TableName::Nat)).unwrap();
        let refused = rejection(tools.restore(&input));
        match backend {
            Backend::Legacy => {
                assert_eq!(
                    (refused.reason, refused.text.as_str(), refused.edit),
                    (R::Commit, "COMMIT", None),
                    "{name}"
                );
            }
            Backend::Nft => {
                assert_eq!(
                    refused.reason,
                    kernel("RULE_APPEND", error, object),
                    "{name}"
                );
                assert_eq!(
                    refused.edit.as_ref(),
                    input.tables()[0].edits().get(place),
                    "{name}"
                );
            }
        }
        assert_eq!(saved(&tools), before, "{name}: nothing may change");
    }
}

pub(crate) fn texts_made_elsewhere(backend: Backend) {
    let tools = prepared(backend);
    let long = format!(
        "*nat\n-A FULL -m comment --comment {}\nCOMMIT\n",
        "x".repeat(1100)
    );
    for (text, line, reason) in [
        ("*nat\n:X - [0:0]\n", 3, R::CommitMissing),
        (
            "*nat\nhello\nCOMMIT\n",
            2,
            R::Other("Bad argument `hello'".to_owned()),
        ),
        (&*long, 2, R::Other("Parameter too long!".to_owned())),
        (
            "*bogus\nCOMMIT\n",
            1,
            R::TableUnavailable("bogus".to_owned()),
        ),
    ] {
        let refused = rejection(tools.restore_text(text, &RestoreOptions::default()));
        assert_eq!((refused.line, refused.reason), (line, reason));
    }
    let policy = tools.restore_text(
        "*nat\n:FULL DROP [0:0]\nCOMMIT\n",
        &RestoreOptions::default(),
    );
    match backend {
        Backend::Legacy => {
            let refused = rejection(policy);
            assert_eq!(
                refused.reason,
                R::Other("Can't set policy `DROP' on `FULL': Bad built-in chain name".to_owned())
            );
            assert_eq!(refused.text, ":FULL DROP [0:0]");
        }
        // The tools of nft 1.8.9 take it for `:FULL - [0:0]`.
        Backend::Nft => policy.unwrap(),
    }
}

pub(crate) fn tables_are_committed_one_by_one(backend: Backend) {
    let tools = prepared(backend);
    let mut input = RestoreInput::new();
    input.table(TableName::Nat).declare_chain("FIRST").unwrap();
    let filter = input.table(TableName::Filter);
    filter
        .declare_chain("SECOND")
        .unwrap()
        .append("SECOND", Rule::new().match_set("NOPE", "src"))
        .unwrap();
    input
        .table(TableName::Mangle)
        .declare_chain("THIRD")
        .unwrap();
    let mut model = saved(&tools);
    let refused = rejection(tools.restore(&input));
    assert_eq!(refused.committed, [TableName::Nat]);
    assert_eq!((refused.table, refused.line), (Some(TableName::Filter), 6));
    assert_eq!(refused.text, "-A SECOND -m set --match-set NOPE src");
    let found = saved(&tools);
    let has = |table: TableName, chain: &str| {
        found
            .table(&table)
            .is_some_and(|table| table.chain(chain).is_some())
    };
    assert!(has(TableName::Nat, "FIRST"));
    assert!(!has(TableName::Filter, "SECOND") && !has(TableName::Mangle, "THIRD"));
    // A refusal that the model knows of leaves it as the kernel.
    let mut input = RestoreInput::new();
    input
        .table(TableName::Nat)
        .declare_chain("FOURTH")
        .unwrap()
        .flush("FIRST")
        .unwrap();
    input
        .table(TableName::Filter)
        .declare_chain("FIFTH")
        .unwrap()
        .flush("NOPE")
        .unwrap();
    model.clone_from(&found);
    assert_eq!(input.apply(&mut model).unwrap_err().index, 1);
    assert_eq!(rejection(tools.restore(&input)).committed, [TableName::Nat]);
    crate::assert_same(&saved(&tools), &model);
}

pub(crate) fn a_dry_run_changes_nothing(backend: Backend) {
    let tools = prepared(backend);
    let before = saved(&tools);
    let mut input = RestoreInput::new();
    input
        .table(TableName::Nat)
        .declare_chain("X")
        .unwrap()
        .append("X", Rule::new().jump("RETURN"))
        .unwrap();
    tools.check(&input).unwrap();
    input
        .table(TableName::Filter)
        .append("INPUT", Rule::new().match_set("NOPE", "src"))
        .unwrap();
    let refused = rejection(tools.check(&input));
    assert_eq!(
        (refused.reason, refused.committed),
        (R::NoSuchSet("NOPE".to_owned()), Vec::new())
    );
    assert_eq!(
        saved(&tools).table(&TableName::Nat),
        before.table(&TableName::Nat)
    );
}

/// The tools as somebody without rights, through links that give them up.
pub(crate) fn not_permitted(backend: Backend) {
    let real = tools(backend, Family::Inet);
    let folder = std::env::temp_dir().join("unprivileged");
    std::fs::create_dir_all(&folder).unwrap();
    for (name, path) in [
        ("iptables-restore", real.restore_path()),
        ("iptables-save", real.save_path()),
    ] {
        let dropped = "setpriv --reuid 65534 --regid 65534 --clear-groups --bounding-set=-all";
        let script = format!("#!/bin/sh\nexec {dropped} {} \"$@\"\n", path.display());
        std::fs::write(folder.join(name), script).unwrap();
    }
    std::fs::write(
        folder.join("iptables"),
        format!("#!/bin/sh\necho 'iptables v1.8.9 ({backend})'\n"),
    )
    .unwrap();
    kernel_test::cmd(&format!("chmod 755 {0} {0}/*", folder.display()));
    let tools = ToolFinder::new()
        .directories([folder])
        .find(Family::Inet)
        .unwrap();
    let mut input = RestoreInput::new();
    input.table(TableName::Nat).declare_chain("X").unwrap();
    match tools.restore(&input).unwrap_err() {
        Error::NotPermitted { .. } => {}
        // The legacy tool says no more than that.
        Error::Rejected(rejection) if backend == Backend::Legacy => {
            assert_eq!(rejection.reason, R::TableUnavailable("nat".to_owned()));
        }
        error => panic!("{error}"),
    }
    let error = tools.save(&Default::default()).unwrap_err();
    assert!(matches!(error, Error::NotPermitted { .. }), "{error}");
}
