use super::*;
use crate::Ruleset;

/// A rule that jumps to this chain.
pub(super) fn to(chain: &str) -> Rule {
    Rule::new().jump(chain)
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
