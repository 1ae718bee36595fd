//! Whole rule sets.

use kernel_test::{cmd, cmd_input};
use nftables_netlink::build::{Body, key};
use nftables_netlink::message::Transaction;
use nftables_netlink::{
    Chain, DataType, Element, Elements, Hook, HookNumber, Rule, Ruleset, Set, TableFamily,
    VerdictCode, userdata,
};

use crate::Client;
use crate::{name, table};

const IP: TableFamily = TableFamily::IPV4;

fn is_anonymous(set: &Set) -> bool {
    set.flags.contains(nftables_netlink::SetFlags::ANONYMOUS)
}

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
        if is_anonymous(&set) {
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
                // Two anonymous sets may swap names; the number tells them apart.
                if used.is_some_and(|index| is_anonymous(&ruleset.sets[index].set)) {
                    lookup.set = name("__set%d");
                }
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
    let mut client = crate::open().unwrap();
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
    let services = [key::ip_daddr(), key::l4proto(), key::th_dport()];
    for n in 0..500_u16 {
        let (chain, set) = (name(&format!("c{n}")), name(&format!("s{n}")));
        let made = Chain::new(IP, name("t"), chain.clone());
        transaction.add(if n % 10 == 0 {
            let hook = Hook::new(HookNumber::PREROUTING, n.into());
            made.base(name("filter"), hook, VerdictCode::ACCEPT)
        } else {
            made
        });
        let types = [
            DataType::IPV4_ADDR,
            DataType::INET_PROTO,
            DataType::INET_SERVICE,
        ];
        transaction.add(Set::new(IP, name("t"), set.clone(), &types));
        let [high, low] = n.to_be_bytes();
        let element = Element::new(&[&[10, 0, high, low], &[6], &n.to_be_bytes()]);
        transaction.add(Elements::new(IP, name("t"), set.clone(), [element]));
        let mark = u32::from(n);
        for (number, body) in [
            Body::new().in_set(&services, &set).mark_or(0x2000),
            Body::new().is(key::mark(), mark).counter().accept(),
            Body::new().protocol(6).is(key::th_dport(), n).drop(),
            Body::new().any_bit(key::ct_state(), 6).log(&name("seen ")),
        ]
        .into_iter()
        .enumerate()
        {
            let rule = Rule::new(IP, name("t"), chain.clone(), body);
            transaction.add(rule.comment(&format!("rule {number} of {n}")));
        }
    }
    client.apply(&transaction).unwrap();

    let json: serde_json::Value = serde_json::from_str(&cmd("nft -j list ruleset")).unwrap();
    let items = json["nftables"].as_array().unwrap();
    let of = |kind: &str| -> Vec<&serde_json::Value> {
        items.iter().filter_map(|item| item.get(kind)).collect()
    };
    let ruleset = client.ruleset(TableFamily::ANY).unwrap();
    assert_eq!(of("table").len(), ruleset.tables.len());
    // Names, handles and comments are those that nft lists as JSON.
    let chains: Vec<_> = of("chain")
        .iter()
        .map(|c| (c["name"].clone(), c["handle"].clone()))
        .collect();
    let ours = ruleset.chains.iter();
    let ours = ours.map(|c| {
        (
            c.name.clone().unwrap().to_string().into(),
            c.handle.unwrap().into(),
        )
    });
    assert_eq!(chains, ours.collect::<Vec<_>>());
    let rules: Vec<_> = of("rule")
        .iter()
        .map(|r| (r["comment"].clone(), r["handle"].clone()))
        .collect();
    let comment = |rule: &Rule| {
        userdata::find_comment(&rule.userdata, userdata::RULE_COMMENT)
            .unwrap()
            .into()
    };
    let ours = ruleset
        .rules
        .iter()
        .map(|rule| (comment(rule), rule.handle.unwrap().into()));
    assert_eq!(rules, ours.collect::<Vec<_>>());
    assert_eq!((rules.len(), of("set").len()), (2000, 500));
    assert_eq!(same_text(&ruleset.to_string(), &cmd("nft list ruleset")), 0);
}

/// Ours and theirs, line by line, without times that go on; how many rules are comments here.
fn same_text(ours: &str, theirs: &str) -> usize {
    let mut hidden = 0;
    for (ours, theirs) in ours.lines().zip(theirs.lines()) {
        let [ours, theirs] = [ours, theirs].map(|line| line.split(" expires ").next().unwrap());
        if ours.contains("is not shown") {
            hidden += 1;
        } else {
            assert_eq!(ours, theirs);
        }
    }
    assert_eq!(ours.lines().count(), theirs.lines().count());
    hidden
}

pub(crate) fn text_is_what_nft_lists() {
    for (rules, hidden) in [
        // `ip dscp set` has no text here.
        (include_str!("../data/ruleset.nft"), 1),
        (include_str!("../data/firewall.nft"), 0),
    ] {
        cmd("nft flush ruleset");
        cmd_input("nft -f -", rules);
        let theirs = cmd("nft list ruleset");
        let ours = crate::open().unwrap().ruleset(TableFamily::ANY).unwrap();
        assert_eq!(same_text(&ours.to_string(), &theirs), hidden);

        // And once more, made again by us.
        cmd("nft flush ruleset");
        crate::open().unwrap().apply(&again(&ours)).unwrap();
        same_text(&ours.to_string(), &cmd("nft list ruleset"));
    }
}

/// What [`Body`] makes is what `nft` makes.
pub(crate) fn bodies_of_newer_statements() {
    let clamp = |mut client: Client| {
        let rules = client.ruleset(TableFamily::ANY).unwrap().rules;
        rules.first().unwrap().expressions.clone()
    };
    cmd_input(
        "nft -f -",
        "table ip t { chain c { tcp flags syn tcp option maxseg size set rt mtu; }; }",
    );
    let theirs = clamp(crate::open().unwrap());
    cmd("nft flush ruleset");
    let (mut client, mut transaction) = table();
    let syn = Body::new().protocol(6).masked(
        key::tcp_flags(),
        2_u8,
        nftables_netlink::expression::CmpOp::NEQ,
        0_u8,
    );
    transaction
        .add(Chain::new(IP, name("t"), name("c")))
        .add(Rule::new(IP, name("t"), name("c"), syn.clamp_segments()));
    client.apply(&transaction).unwrap();
    assert_eq!(clamp(client), theirs);
}
