//! Whole or not at all.

use kernel_test::cmd;
use nftables_netlink::message::{Item, Transaction, Verb};
use nftables_netlink::{
    Chain, DataType, Element, Elements, Error, Rule, Set, Table, TableFamily, Verdict, VerdictCode,
    expression,
};

use crate::{name, table};

const IP: TableFamily = TableFamily::IPV4;

fn jump_to(chain: &str) -> Rule {
    let immediate = expression::Immediate {
        data: nftables_netlink::Data::Verdict(Verdict::jump(name(chain))),
        ..expression::Immediate::default()
    };
    Rule::new(IP, name("t"), name("c"), vec![immediate.into()])
}

pub(crate) fn all_or_nothing() {
    let (mut client, mut transaction) = table();
    transaction
        .add(Chain::new(IP, name("t"), name("c")))
        .add(jump_to("missing"))
        .add(jump_to("missing too"));
    let error = client.apply(&transaction).unwrap_err();
    let Error::Refused {
        index,
        operation,
        reason,
        others,
    } = &error
    else {
        panic!("{error:?}");
    };
    assert_eq!(
        (*index, operation.as_str(), *others),
        (2, "add rule ip t c", 1)
    );
    assert_eq!(reason.code, netlink_batch::errno::ENOENT);
    // The kernel points at the attribute at fault.
    assert!(reason.offset.is_some(), "{error}");
    assert_eq!(cmd("nft list ruleset"), "");

    let generation = client.generation().unwrap();
    let (_, transaction) = table();
    client.apply(&transaction).unwrap();
    assert_eq!(cmd("nft list ruleset"), "table ip t {\n}\n");
    assert_eq!(client.generation().unwrap(), generation + 1);
    // Nothing to do changes nothing.
    client.apply(&Transaction::new()).unwrap();
    assert_eq!(client.generation().unwrap(), generation + 1);
}

pub(crate) fn at_a_generation() {
    let (mut client, transaction) = table();
    let generation = client.generation().unwrap();
    cmd("nft add table ip other");
    let stale = transaction.clone().at_generation(generation);
    let expected = Error::GenerationChanged {
        expected: generation,
    };
    assert_eq!(client.apply(&stale), Err(expected));
    assert_eq!(cmd("nft list tables"), "table ip other\n");

    let fresh = transaction.at_generation(generation + 1);
    client.apply(&fresh).unwrap();
    assert_eq!(cmd("nft list tables"), "table ip other\ntable ip t\n");
}

pub(crate) fn deleting() {
    let (mut client, mut transaction) = table();
    let set = Set::new(IP, name("t"), name("s"), &[DataType::INET_SERVICE]);
    let ports = |ports: &[u16]| {
        let ports = ports
            .iter()
            .map(|port| Element::new(&[&port.to_be_bytes()]));
        Elements::new(IP, name("t"), name("s"), ports)
    };
    let base = Chain::new(IP, name("t"), name("c")).base(
        name("filter"),
        nftables_netlink::Hook::new(nftables_netlink::HookNumber::INPUT, 0),
        VerdictCode::ACCEPT,
    );
    transaction
        .add(set.clone())
        .add(ports(&[1, 2, 3]))
        .add(base.clone())
        .add(Chain::new(IP, name("t"), name("d")))
        .add(jump_to("d"))
        .add(jump_to("d").comment("second"));
    client.apply(&transaction).unwrap();

    // One rule by its handle, elements by their keys; then all that is left, each as it was listed.
    let rules = client
        .rules(IP, Some(&name("t")), Some(&name("c")))
        .unwrap();
    let mut transaction = Transaction::new();
    transaction.delete(rules[0].clone()).delete(ports(&[2]));
    client.apply(&transaction).unwrap();
    let left = cmd("nft list ruleset");
    assert_eq!(left.matches("jump").count(), 1);
    assert!(
        left.contains("jump d comment \"second\"") && left.contains("{ 1, 3 }"),
        "{left}"
    );

    let mut all_rules = rules[1].clone();
    all_rules.handle = None;
    let mut transaction = Transaction::new();
    transaction.delete(all_rules).delete(ports(&[]));
    client.apply(&transaction).unwrap();
    let left = cmd("nft list ruleset");
    assert!(
        !left.contains("jump") && !left.contains("elements"),
        "{left}"
    );

    let ruleset = client.ruleset(TableFamily::ANY).unwrap();
    let mut transaction = Transaction::new();
    for chain in ruleset.chains {
        transaction.delete(chain);
    }
    transaction.delete(ruleset.sets[0].set.clone());
    transaction.delete(ruleset.tables[0].clone());
    client.apply(&transaction).unwrap();
    assert_eq!(cmd("nft list ruleset"), "");

    let mut transaction = Transaction::new();
    transaction.destroy(Table::new(IP, name("never")));
    client.apply(&transaction).unwrap();
    let mut transaction = Transaction::new();
    transaction.push(Verb::Delete, Item::Table(Table::new(IP, name("never"))));
    assert!(matches!(
        client.apply(&transaction),
        Err(Error::Refused { index: 0, .. })
    ));
}

pub(crate) fn names_of_any_bytes() {
    let (mut client, _) = table();
    let mut transaction = Transaction::new();
    for text in ["caf\u{e9}", "two words", "\u{1b}[2J"] {
        transaction.add(Table::new(IP, name(text)));
    }
    client.apply(&transaction).unwrap();
    let names: Vec<_> = client.tables(TableFamily::ANY).unwrap();
    let names: Vec<_> = names.iter().map(|table| table.name.to_string()).collect();
    assert_eq!(names, ["caf\u{e9}", "two words", "\\x1b[2J"]);
}
