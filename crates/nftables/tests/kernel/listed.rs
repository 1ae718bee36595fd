//! Whole rule sets.

use kernel_test::{cmd, cmd_input};
use nftables_netlink::message::Transaction;
use nftables_netlink::{
    Chain, Client, DataType, Element, Elements, Hook, HookNumber, Ruleset, Set, TableFamily,
    VerdictCode,
};

use crate::{name, table};

const IP: TableFamily = TableFamily::IPV4;

/// A transaction that makes a rule set as it was listed.
fn again(ruleset: &Ruleset) -> Transaction {
    let mut transaction = Transaction::new();
    for table in &ruleset.tables {
        transaction.add(table.clone());
    }
    for object in &ruleset.objects {
        transaction.add(object.clone());
    }
    for chain in &ruleset.chains {
        // A chain that exists as it is listed has a handle; a new one gets its own.
        transaction.add(Chain {
            handle: None,
            ..chain.clone()
        });
    }
    for (id, filled) in (1..).zip(&ruleset.sets) {
        let mut set = Set {
            handle: None,
            id: Some(id),
            ..filled.set.clone()
        };
        // The kernel names anonymous sets.
        if set.flags.contains(nftables_netlink::SetFlags::ANONYMOUS) {
            set.name = name("__set%d");
        }
        let elements = filled.elements.iter().cloned().map(|element| Element {
            expiration: None,
            ..element
        });
        let mut elements = Elements::new(set.family, set.table.clone(), set.name.clone(), elements);
        elements.set_id = Some(id);
        transaction.add(set).add(elements);
    }
    for rule in &ruleset.rules {
        let mut rule = rule.clone();
        rule.handle = None;
        rule.position = None;
        for expression in &mut rule.expressions.0 {
            if let nftables_netlink::Expression::Lookup(lookup) = expression {
                let used = ruleset.sets.iter().position(|filled| {
                    filled.set.table == rule.table && filled.set.name == lookup.set
                });
                lookup.set_id = used.map(|index| u32::try_from(index + 1).unwrap());
            }
        }
        transaction.add(rule);
    }
    transaction
}

/// What `nft` lists, without times that go on.
fn listed() -> String {
    let listed = cmd("nft -s list ruleset");
    let lines = listed
        .lines()
        .map(|line| line.split(" expires ").next().unwrap());
    lines.collect::<Vec<_>>().join("\n")
}

pub(crate) fn what_nft_made_is_listed_and_made_again() {
    cmd_input("nft -f -", include_str!("../data/ruleset.nft"));
    let theirs = listed();
    let mut client = Client::open().unwrap();
    let ruleset = client.ruleset(TableFamily::ANY).unwrap();
    let counts = (
        ruleset.tables.len(),
        ruleset.chains.len(),
        ruleset.rules.len(),
    );
    assert_eq!(counts, (2, 5, 26));
    cmd("nft flush ruleset");
    assert_eq!(listed(), "");
    client.apply(&again(&ruleset)).unwrap();
    assert_eq!(listed(), theirs);
}

pub(crate) fn a_large_ruleset() {
    let (mut client, mut transaction) = table();
    for n in 0..500 {
        let chain = Chain::new(IP, name("t"), name(&format!("c{n}")));
        transaction.add(if n % 10 == 0 {
            let hook = Hook::new(HookNumber::PREROUTING, n);
            chain.base(name("filter"), hook, VerdictCode::ACCEPT)
        } else {
            chain
        });
        let set = Set::new(
            IP,
            name("t"),
            name(&format!("s{n}")),
            &[DataType::INET_SERVICE],
        );
        transaction.add(set);
    }
    client.apply(&transaction).unwrap();
    let json: serde_json::Value = serde_json::from_str(&cmd("nft -j list ruleset")).unwrap();
    let count = |what: &str| {
        let items = json["nftables"].as_array().unwrap();
        items.iter().filter(|item| item.get(what).is_some()).count()
    };
    assert_eq!(
        (count("table"), count("chain"), count("set")),
        (1, 500, 500)
    );
    let ruleset = client.ruleset(TableFamily::ANY).unwrap();
    let ours = (
        ruleset.tables.len(),
        ruleset.chains.len(),
        ruleset.sets.len(),
    );
    assert_eq!(ours, (1, 500, 500));
}
