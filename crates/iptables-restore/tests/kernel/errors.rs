//! Every way in which iptables-restore says no, provoked.

use iptables_restore::{
    ApplyErrorKind, Backend, ChainName, Error, Family, RejectReason, Rejection, RestoreInput,
    RestoreOptions, Rule, TableName, ToolFinder, Tools,
};
use kernel_test::{cmd, script};

use crate::refusals::{self, Case, Edits, kernel};
use crate::{saved, tools};

use RejectReason as R;

#[track_caller]
fn rejection(result: Result<(), Error>) -> Rejection {
    match result {
        Err(Error::Rejected(rejection)) => *rejection,
        Err(error) => panic!("not understood: {error}"),
        Ok(()) => panic!("not refused"),
    }
}

fn prepared(backend: Backend) -> Tools {
    let tools = tools(backend, Family::V4);
    tools
        .restore_text(refusals::BEFORE, &RestoreOptions::default())
        .unwrap();
    tools
}

pub(crate) fn each_refusal_names_its_edit(backend: Backend) {
    let tools = prepared(backend);
    let before = saved(&tools);
    for Case {
        name,
        edits,
        place,
        legacy,
        nft,
    } in refusals::all()
    {
        let mut input = RestoreInput::new();
        edits(input.table(TableName::Nat)).unwrap();
        let refused = rejection(tools.restore(&input));
        let model = input.apply(&mut before.clone());
        let expected = match backend {
            Backend::Nft => nft,
            // Where the legacy tool is silent, the model knows why.
            Backend::Legacy => {
                legacy.unwrap_or_else(|| R::Inferred(model.clone().unwrap_err().kind))
            }
        };
        assert_eq!(refused.reason, expected, "{name}: {refused:?}");
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
        // The model knows nothing of sets and extensions.
        if !["missing set", "unknown match", "unknown option"].contains(&name) {
            assert_eq!(model.unwrap_err().index, place, "{name}");
        }
    }
}

/// The legacy tool reports these for the COMMIT line, that of nft for the rule.
pub(crate) fn what_only_the_commit_shows(backend: Backend) {
    let tools = prepared(backend);
    let before = saved(&tools);
    let circle = R::Inferred(ApplyErrorKind::Loop(ChainName::new("X").unwrap()));
    let cases: [(&str, Edits, usize, R, R); 2] = [
        (
            "a target not allowed there",
            |t| {
                t.declare_chain("X")?
                    .append("INPUT", Rule::new().jump("MASQUERADE"))?
                    .append("X", Rule::new())
            },
            1,
            R::Commit,
            kernel("RULE_APPEND", "Invalid argument", "rule in chain INPUT"),
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
            circle,
            kernel("RULE_APPEND", "Too many links", "rule in chain OUTPUT"),
        ),
    ];
    for (name, edits, place, legacy, nft) in cases {
        let mut input = RestoreInput::new();
        edits(input.table(TableName::Nat)).unwrap();
        let refused = rejection(tools.restore(&input));
        let (reason, edit) = match backend {
            Backend::Legacy => (legacy, None),
            Backend::Nft => (nft, input.tables()[0].edits().get(place)),
        };
        assert_eq!(
            (&refused.reason, refused.edit.as_ref()),
            (&reason, edit),
            "{name}"
        );
        assert_eq!(refused.text == "COMMIT", edit.is_none(), "{name}");
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
    let real = tools(backend, Family::V4);
    let folder = tempfile::tempdir().unwrap();
    for (name, path) in [
        ("iptables-restore", real.restore_path()),
        ("iptables-save", real.save_path()),
    ] {
        let dropped = "setpriv --reuid 65534 --regid 65534 --clear-groups --bounding-set=-all";
        let text = format!("exec {dropped} {} \"$@\"\n", path.display());
        script(folder.path().join(name), &text);
    }
    let version = format!("echo 'iptables v1.8.9 ({backend})'\n");
    script(folder.path().join("iptables"), &version);
    cmd(&format!("chmod 755 {}", folder.path().display()));
    let tools = ToolFinder::new()
        .directories([folder.path()])
        .find(Family::V4)
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
