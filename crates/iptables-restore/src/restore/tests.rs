use super::*;
use crate::{Ruleset, SaveFormat, Table};

fn raw(text: &str) -> Ruleset {
    Ruleset::parse(&format!(
        "*raw\n:PREROUTING ACCEPT\n:OUTPUT ACCEPT\n{text}COMMIT\n"
    ))
    .unwrap()
}

fn to(chain: &str) -> Rule {
    Rule::new().jump(chain)
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
fn renders_each_edit() {
    let mut input = RestoreInput::new();
    let nat = input.table(TableName::Nat);
    nat.declare_chain("X")
        .unwrap()
        .append("X", to("RETURN"))
        .unwrap()
        .insert("OUTPUT", 2, to("X"))
        .unwrap();
    nat.set_policy("OUTPUT", Policy::Drop)
        .unwrap()
        .flush("Y")
        .unwrap()
        .delete("OUTPUT", to("Y"))
        .unwrap();
    nat.delete_chain("Y").unwrap();
    input.table(TableName::Raw);
    input.table(TableName::Filter).flush("Z").unwrap();
    let text = "*nat\n:X - [0:0]\n-A X -j RETURN\n-I OUTPUT 2 -j X\n:OUTPUT DROP [0:0]\n-F Y\n-D OUTPUT -j Y\n-X Y\nCOMMIT\n\
                *filter\n-F Z\nCOMMIT\n";
    assert_eq!(input.to_string(), text);
    for (number, line) in (1..).zip(text.lines()) {
        let found = input.edit_at_line(number).map(|(_, edit)| edit.to_string());
        let expected = (!line.starts_with('*') && line != "COMMIT").then(|| line.to_owned());
        assert_eq!(found, expected, "line {number}");
    }
    assert_eq!(input.edit_at_line(0), None);
    assert_eq!(input.edit_at_line(13), None);
}

#[test]
fn edits_that_no_kernel_takes_are_refused_at_once() {
    let mut input = RestoreInput::new();
    let nat = input.table(TableName::Nat);
    assert!(matches!(
        nat.declare_chain("a b"),
        Err(InvalidEdit::ChainName(_))
    ));
    assert!(matches!(
        nat.append("X", Rule::new().comment("x".repeat(300))),
        Err(InvalidEdit::Rule { .. })
    ));
    assert!(matches!(
        nat.insert("X", 0, Rule::new()),
        Err(InvalidEdit::PositionZero { .. })
    ));
    assert!(matches!(
        nat.set_policy("OUTPUT", Policy::from("DROP\n-F")),
        Err(InvalidEdit::Policy { .. })
    ));
    assert!(matches!(
        nat.append("X", Rule::new().protocol("a b")),
        Err(InvalidEdit::Rule { .. })
    ));
    let odd = input.table(TableName::from("nat\nCOMMIT"));
    assert!(matches!(
        odd.declare_chain("X"),
        Err(InvalidEdit::TableName { .. })
    ));
    assert!(input.is_empty());
}

#[test]
fn as_many_arguments_as_the_tool_takes() {
    let words = |count: usize| {
        Rule::new().matching(crate::Match::new(
            "x",
            vec![crate::Word::from("--x"); count - 2],
        ))
    };
    let counted = |count: usize| Rule {
        counters: Some(crate::Counters::default()),
        ..words(count)
    };
    let mut input = RestoreInput::new();
    let nat = input.table(TableName::Nat);
    for (edit, taken) in [
        (nat.append("X", words(249)).is_ok(), true),
        (nat.append("X", words(250)).is_ok(), false),
        (nat.insert("X", 1, words(248)).is_ok(), true),
        (nat.insert("X", 1, words(249)).is_ok(), false),
        (nat.append("X", counted(246)).is_ok(), true),
        (nat.append("X", counted(247)).is_ok(), false),
    ] {
        assert_eq!(edit, taken);
    }
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
fn counters_go_before_the_rules_that_have_them() {
    let counters = Some(crate::Counters {
        packets: 1,
        bytes: 2,
    });
    let rule = Rule {
        counters,
        ..to("ACCEPT")
    };
    let mut input = RestoreInput::new();
    let raw = input.table(TableName::Raw);
    raw.append("X", rule.clone())
        .unwrap()
        .insert("X", 1, rule.clone())
        .unwrap()
        .delete("X", rule)
        .unwrap();
    let text = "*raw\n[1:2] -A X -j ACCEPT\n[1:2] -I X 1 -j ACCEPT\n-D X -j ACCEPT\nCOMMIT\n";
    assert_eq!(input.to_string(), text);
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

/// The filter table is committed before the nat table and again behind it.
#[test]
fn a_table_may_come_again() {
    let edits = |table: TableName, chain: &str| {
        let mut input = RestoreInput::new();
        input.table(table).declare_chain(chain).unwrap();
        input
    };
    let mut all = edits(TableName::Filter, "A");
    all.append(&edits(TableName::Filter, "B"));
    all.append(&edits(TableName::Nat, "C"));
    all.append(&edits(TableName::Filter, "D"));
    assert_eq!(
        all.to_string(),
        "*filter\n:A - [0:0]\n:B - [0:0]\nCOMMIT\n*nat\n:C - [0:0]\nCOMMIT\n*filter\n:D - [0:0]\nCOMMIT\n"
    );
    let (section, edit) = all.edit_at_line(9).unwrap();
    assert_eq!(
        (section.name(), edit.chain().as_str()),
        (&TableName::Filter, "D")
    );
    assert_eq!(all.section_at_line(7).unwrap().name(), &TableName::Nat);
    assert!(all.edit_at_line(7).is_none() && all.section_at_line(11).is_none());
    // Of the lines of the nat table each leaves the first section committed.
    assert_eq!(all.before_line(4).tables().len(), 0);
    for line in 5..=7 {
        assert_eq!(
            all.before_line(line).to_string(),
            "*filter\n:A - [0:0]\n:B - [0:0]\nCOMMIT\n"
        );
    }
    assert_eq!(all.before_line(10).tables().len(), 2);
    let mut ruleset = Ruleset::new();
    all.apply(&mut ruleset).unwrap();
    let filter = ruleset.table(&TableName::Filter).unwrap();
    assert!(
        ["A", "B", "D"]
            .iter()
            .all(|chain| filter.chain(chain).is_some())
    );
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
