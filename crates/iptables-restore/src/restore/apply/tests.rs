use super::*;
use crate::restore::InvalidEdit;
use crate::restore::tests::to;
use crate::rule::Rule;
use crate::ruleset::SaveFormat;

fn raw(text: &str) -> Ruleset {
    Ruleset::parse(&format!(
        "*raw\n:PREROUTING ACCEPT\n:OUTPUT ACCEPT\n{text}COMMIT\n"
    ))
    .unwrap()
}

/// Applies `edits` to `before` and compares with `after`, or with the refusal.
#[track_caller]
fn check(
    before: &str,
    edits: impl FnOnce(&mut TableEdits) -> Result<(), InvalidEdit>,
    after: Result<&str, ApplyErrorKind>,
) {
    let mut input = RestoreInput::new();
    edits(input.table(TableName::Raw)).unwrap();
    let mut ruleset = raw(before);
    let outcome = input.apply(&mut ruleset).map_err(|error| error.kind);
    let expected = after.as_ref().map_or(before, |after| after);
    assert_eq!(
        ruleset.display(SaveFormat::PLAIN).to_string(),
        raw(expected).display(SaveFormat::PLAIN).to_string()
    );
    assert_eq!(outcome, after.map(|_| ()));
}

fn chain(name: &str) -> ChainName {
    ChainName::new(name).unwrap()
}

#[test]
fn declaring_makes_or_empties() {
    check("", |t| t.declare_chain("X").map(|_| ()), Ok(":X -\n"));
    check(
        ":X -\n-A X -j DROP\n",
        |t| t.declare_chain("X").map(|_| ()),
        Ok(":X -\n"),
    );
    let kept = ":X -\n-A OUTPUT -j X\n";
    check(kept, |t| t.declare_chain("OUTPUT").map(|_| ()), Ok(kept));
}

#[test]
fn rules_are_added_and_removed() {
    let one = ":X -\n-A X -j DROP\n";
    check(
        one,
        |t| t.append("X", to("ACCEPT")).map(|_| ()),
        Ok(":X -\n-A X -j DROP\n-A X -j ACCEPT\n"),
    );
    check(
        one,
        |t| t.insert("X", 1, to("ACCEPT")).map(|_| ()),
        Ok(":X -\n-A X -j ACCEPT\n-A X -j DROP\n"),
    );
    check(
        one,
        |t| t.insert("X", 2, to("ACCEPT")).map(|_| ()),
        Ok(":X -\n-A X -j DROP\n-A X -j ACCEPT\n"),
    );
    check(
        one,
        |t| t.insert("X", 3, to("DROP")).map(|_| ()),
        Err(ApplyErrorKind::PositionTooBig {
            position: 3,
            len: 1,
        }),
    );
    check(one, |t| t.delete("X", to("DROP")).map(|_| ()), Ok(":X -\n"));
    check(
        one,
        |t| t.delete("X", to("ACCEPT")).map(|_| ()),
        Err(ApplyErrorKind::NoSuchRule(chain("X"))),
    );
    check(
        one,
        |t| t.append("Y", to("DROP")).map(|_| ()),
        Err(ApplyErrorKind::NoSuchChain(chain("Y"))),
    );
    check(one, |t| t.flush("X").map(|_| ()), Ok(":X -\n"));
    let twice = ":X -\n-A X -j DROP\n-A X\n-A X -j DROP\n";
    check(
        twice,
        |t| t.delete("X", to("DROP")).map(|_| ()),
        Ok(":X -\n-A X\n-A X -j DROP\n"),
    );
}

#[test]
fn jumps_need_their_chain() {
    check(
        "",
        |t| t.append("OUTPUT", to("X")).map(|_| ()),
        Err(ApplyErrorKind::NoSuchTarget("X".to_owned())),
    );
    check(
        "",
        |t| t.append("OUTPUT", to("OUTPUT")).map(|_| ()),
        Err(ApplyErrorKind::BuiltinTarget("OUTPUT".to_owned())),
    );
    check(
        "",
        |t| t.append("OUTPUT", to("X"))?.declare_chain("X").map(|_| ()),
        Err(ApplyErrorKind::NoSuchTarget("X".to_owned())),
    );
    check(
        "",
        |t| t.append("OUTPUT", to("LOG")).map(|_| ()),
        Ok("-A OUTPUT -j LOG\n"),
    );
}

#[test]
fn chains_are_deleted_when_nothing_needs_them() {
    let used = ":X -\n-A OUTPUT -j X\n";
    let referenced = ApplyErrorKind::StillReferenced {
        chain: chain("X"),
        from: chain("OUTPUT"),
    };
    check(":X -\n", |t| t.delete_chain("X").map(|_| ()), Ok(""));
    check(used, |t| t.delete_chain("X").map(|_| ()), Err(referenced));
    check(
        used,
        |t| t.delete("OUTPUT", to("X"))?.delete_chain("X").map(|_| ()),
        Ok(""),
    );
    let full = ApplyErrorKind::NotEmpty {
        chain: chain("X"),
        rules: 1,
    };
    check(
        ":X -\n-A X\n",
        |t| t.delete_chain("X").map(|_| ()),
        Err(full),
    );
    check(
        "",
        |t| t.delete_chain("OUTPUT").map(|_| ()),
        Err(ApplyErrorKind::BuiltinChain(chain("OUTPUT"))),
    );
    check(
        ":X -\n",
        |t| t.delete_chain("X")?.declare_chain("X").map(|_| ()),
        Ok(":X -\n"),
    );
}

#[test]
fn policies_are_for_builtin_chains() {
    let mut input = RestoreInput::new();
    input
        .table(TableName::Filter)
        .set_policy("FORWARD", Policy::Drop)
        .unwrap();
    let mut ruleset = Ruleset::new();
    input.apply(&mut ruleset).unwrap();
    let filter = ruleset.table(&TableName::Filter).unwrap();
    assert_eq!(filter.chain("FORWARD").unwrap().policy, Some(Policy::Drop));
    assert_eq!(filter.chains.len(), 3);
    check(
        ":X -\n",
        |t| t.set_policy("X", Policy::Drop).map(|_| ()),
        Err(ApplyErrorKind::PolicyOfUserChain(chain("X"))),
    );
}

#[test]
fn loops_are_found_at_the_commit() {
    let before = ":X -\n:Y -\n-A X -j Y\n";
    check(
        before,
        |t| t.append("Y", to("X")).map(|_| ()),
        Ok(":X -\n:Y -\n-A X -j Y\n-A Y -j X\n"),
    );
    check(
        before,
        |t| {
            t.append("Y", to("X"))?
                .append("OUTPUT", to("X"))
                .map(|_| ())
        },
        Err(ApplyErrorKind::Loop(chain("X"))),
    );
}

#[test]
fn each_table_is_committed_on_its_own() {
    let mut input = RestoreInput::new();
    input.table(TableName::Nat).declare_chain("X").unwrap();
    input
        .table(TableName::Filter)
        .declare_chain("Y")
        .unwrap()
        .delete_chain("INPUT")
        .unwrap();
    input.table(TableName::Raw).declare_chain("Z").unwrap();
    let mut ruleset = Ruleset {
        tables: vec![Table::builtin(TableName::Filter)],
    };
    let error = input.apply(&mut ruleset).unwrap_err();
    assert_eq!((&error.table, error.index), (&TableName::Filter, 1));
    assert_eq!(
        error.to_string(),
        "table filter: INPUT is a built-in chain, which cannot be removed: -X INPUT"
    );
    assert!(ruleset.table(&TableName::Nat).unwrap().chain("X").is_some());
    assert!(
        ruleset
            .table(&TableName::Filter)
            .unwrap()
            .chain("Y")
            .is_none()
    );
    assert!(ruleset.table(&TableName::Raw).is_none());
    let mut unknown = RestoreInput::new();
    unknown
        .table(TableName::from("broute"))
        .declare_chain("X")
        .unwrap();
    assert_eq!(
        unknown.apply(&mut ruleset).unwrap_err().kind,
        ApplyErrorKind::NoSuchTable
    );
}

#[test]
fn the_nat_table_drops_nothing() {
    let mut input = RestoreInput::new();
    input
        .table(TableName::Nat)
        .append("OUTPUT", to("DROP"))
        .unwrap();
    assert_eq!(
        input.apply(&mut Ruleset::new()).unwrap_err().kind,
        ApplyErrorKind::DropInNat
    );
}

#[test]
fn a_refused_edit_leaves_the_table_as_it_was() {
    let before = "*nat\n:PREROUTING ACCEPT\n:INPUT ACCEPT\n:OUTPUT ACCEPT\n:POSTROUTING ACCEPT\n:X -\n:Y -\n\
                  -A OUTPUT -j X\n-A X -s 10.0.0.1/32 -j RETURN\n-A X -s 10.0.0.2/32 -j RETURN\n\
                  -A Y -s 10.0.0.3/32 -j RETURN\nCOMMIT\n";
    // Few edits search the chains, many have an index.
    for many in [0, 40] {
        let found = Ruleset::parse(before).unwrap();
        let mut ruleset = found.clone();
        let mut input = RestoreInput::new();
        let nat = input.table(TableName::Nat);
        for n in 0..many {
            nat.declare_chain(format!("N{n}")).unwrap();
        }
        nat.set_policy("OUTPUT", Policy::Drop)
            .unwrap()
            .declare_chain("Z")
            .unwrap()
            .insert("X", 2, to("Z"))
            .unwrap()
            .delete(
                "X",
                Rule::new()
                    .source(std::net::IpAddr::from([10, 0, 0, 1]))
                    .jump("RETURN"),
            )
            .unwrap()
            .flush("Y")
            .unwrap()
            .delete_chain("Y")
            .unwrap()
            .declare_chain("Y")
            .unwrap()
            .delete_chain("X")
            .unwrap();
        let error = input.apply(&mut ruleset).unwrap_err();
        assert!(
            matches!(error.kind, ApplyErrorKind::NotEmpty { rules: 2, .. }),
            "{error}"
        );
        assert_eq!(ruleset, found);
    }
}

#[test]
fn many_are_applied_as_one_after_the_other() {
    let chain = |name: &str| {
        let mut input = RestoreInput::new();
        let table = input.table(TableName::Raw);
        table.declare_chain(name).unwrap();
        input
    };
    let mut inputs = [chain("X"), chain("Y"), RestoreInput::new()];
    inputs[0]
        .table(TableName::Raw)
        .append("OUTPUT", to("X"))
        .unwrap();
    inputs[1]
        .table(TableName::Raw)
        .append("X", to("Y"))
        .unwrap();
    inputs[2]
        .table(TableName::Raw)
        .delete("OUTPUT", to("X"))
        .unwrap();
    let mut one_by_one = raw("");
    for input in &inputs {
        input.apply(&mut one_by_one).unwrap();
    }
    let mut all = raw("");
    RestoreInput::apply_all(&inputs, &mut all).unwrap();
    assert_eq!(all, one_by_one);

    // One that is refused takes those before it back, and names its own line.
    let before = raw(":X -\n");
    let mut refused = RestoreInput::new();
    let table = refused.table(TableName::Raw);
    table.append("X", to("RETURN")).unwrap();
    table.flush("Z").unwrap();
    let mut ruleset = before.clone();
    let error = RestoreInput::apply_all([&inputs[0], &refused], &mut ruleset).unwrap_err();
    assert_eq!((error.index, error.line.as_str()), (1, "-F Z"));
    assert_eq!(ruleset, before);
    // What another table has already is committed.
    let mut nat = RestoreInput::new();
    nat.table(TableName::Nat).declare_chain("N").unwrap();
    RestoreInput::apply_all([&nat, &refused], &mut ruleset).unwrap_err();
    assert!(ruleset.table(&TableName::Nat).unwrap().chain("N").is_some());
}
