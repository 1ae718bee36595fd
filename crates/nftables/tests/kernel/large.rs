//! Many elements.

use std::process::{Command, Stdio};
use std::time::Instant;

use kernel_test::cmd;
use nftables_netlink::message::Transaction;
use nftables_netlink::{DataType, Element, Elements, Error, Set, TableFamily};

use crate::{name, table};

const IP: TableFamily = TableFamily::IPV4;
const KEY: [DataType; 3] = [
    DataType::IPV4_ADDR,
    DataType::INET_PROTO,
    DataType::INET_SERVICE,
];

fn elements(number: u32) -> impl Iterator<Item = Element> {
    (0..number).map(|n| {
        let address = (0x0a00_0000 | n).to_be_bytes();
        Element::new(&[&address, &[6], &80_u16.to_be_bytes()]).to_value(&n.to_ne_bytes())
    })
}

pub(crate) fn a_hundred_thousand_elements_in_one_transaction() {
    let (mut client, mut transaction) = table();
    let set = Set::new(IP, name("t"), name("services"), &KEY).map_to(DataType::MARK);
    transaction.add(set.clone());
    transaction.add(Elements::new(
        IP,
        name("t"),
        name("services"),
        elements(100_000),
    ));
    let before = client.generation().unwrap();
    let started = Instant::now();
    client.apply(&transaction).unwrap();
    println!(
        "{} messages applied in {:?}",
        transaction.operations().len(),
        started.elapsed()
    );
    assert_eq!(client.generation().unwrap(), before + 1);

    let started = Instant::now();
    let mut read = client.elements(IP, &name("t"), &name("services")).unwrap();
    println!("{} elements read in {:?}", read.len(), started.elapsed());
    let value = |element: &Element| {
        let bytes = element.data.as_ref().and_then(|data| data.bytes()).unwrap();
        u32::from_ne_bytes(bytes.try_into().unwrap())
    };
    read.sort_by_key(value);
    for (read, made) in read.iter().zip(elements(100_000)) {
        assert_eq!(*read, made);
    }

    // One that exists already, at the very end, undoes all others.
    let mut more: Vec<_> = elements(100_003).skip(100_000).collect();
    more.push(elements(1).next().unwrap().to_value(&7_u32.to_ne_bytes()));
    let mut transaction = Transaction::new();
    transaction.add(Elements::new(IP, name("t"), name("services"), more));
    let error = client.apply(&transaction).unwrap_err();
    assert!(matches!(error, Error::Refused { index: 0, .. }), "{error}");
    let read = client.elements(IP, &name("t"), &name("services")).unwrap();
    assert_eq!(read.len(), 100_000);
}

pub(crate) fn listings_begin_again_when_the_generation_changes() {
    let (mut client, mut transaction) = table();
    transaction.add(Set::new(IP, name("t"), name("services"), &KEY).map_to(DataType::MARK));
    transaction.add(Elements::new(
        IP,
        name("t"),
        name("services"),
        elements(3_000),
    ));
    client.apply(&transaction).unwrap();
    // Another process changes the rule set all the time.
    let mut other = Command::new("sh")
        .args([
            "-c",
            "while nft add table ip x && nft delete table ip x; do :; done",
        ])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let (mut whole, mut refused) = (0, 0);
    for _ in 0..10 {
        match client.ruleset(IP) {
            Ok(ruleset) => {
                assert_eq!(ruleset.sets.len(), 1);
                assert_eq!(ruleset.sets[0].elements.len(), 3_000);
                whole += 1;
            }
            Err(Error::AlwaysChanging { .. }) => refused += 1,
            Err(error) => panic!("{error}"),
        }
    }
    other.kill().unwrap();
    other.wait().unwrap();
    println!("{whole} whole, {refused} gave up");
    assert_eq!(client.ruleset(IP).unwrap().sets[0].elements.len(), 3_000);
    assert!(!cmd("nft list tables").is_empty());
}
