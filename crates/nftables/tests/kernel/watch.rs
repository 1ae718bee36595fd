//! The monitor.

use std::time::Duration;

use kernel_test::{AnySocket, cmd};
use nftables_netlink::message::{Item, Transaction};
use nftables_netlink::{
    Change, DataType, Element, Elements, Event, Monitor, Set, Table, TableFamily,
};

use crate::{name, table};

const IP: TableFamily = TableFamily::IPV4;

/// The next event, or `None` if none is there.
fn next(monitor: &mut Monitor<AnySocket>) -> Option<Event> {
    // What was changed is reported before the change returns.
    monitor.next(None).unwrap()
}

pub(crate) fn changes_of_another_process() {
    let mut monitor = Monitor::over(AnySocket::new).unwrap();
    assert_eq!(next(&mut monitor), None);
    assert_eq!(monitor.next(Some(Duration::from_millis(1))).unwrap(), None);
    cmd("nft 'add table ip other; add chain ip other c'");
    let Some(Event::Changed(changes)) = next(&mut monitor) else {
        panic!("no change");
    };
    assert_eq!(changes.generation.process.as_ref().unwrap(), &"nft");
    assert_ne!(changes.generation.pid, Some(std::process::id()));
    let items: Vec<_> = changes
        .changes
        .iter()
        .map(|change| change.item().unwrap().to_string())
        .collect();
    assert_eq!(items, ["table ip other", "chain ip other c"]);

    let (mut client, transaction) = table();
    client.apply(&transaction).unwrap();
    let Some(Event::Changed(changes)) = next(&mut monitor) else {
        panic!("no change");
    };
    assert_eq!(changes.generation.pid, Some(std::process::id()));
    assert_eq!(changes.generation.id, client.generation().unwrap());

    cmd("nft flush ruleset");
    let Some(Event::Changed(changes)) = next(&mut monitor) else {
        panic!("no change");
    };
    let gone = |change: &Change| matches!(change, Change::Deleted(Item::Table(_)));
    assert_eq!(
        changes.changes.iter().filter(|change| gone(change)).count(),
        2
    );
    assert_eq!(next(&mut monitor), None);

    // A transaction that was refused is not reported.
    let mut transaction = Transaction::new();
    transaction
        .add(Table::new(IP, name("a")))
        .delete(Table::new(IP, name("missing")));
    client.apply(&transaction).unwrap_err();
    assert_eq!(next(&mut monitor), None);
}

pub(crate) fn more_than_the_buffer_holds() {
    let mut monitor = Monitor::over(AnySocket::new).unwrap();
    let (mut client, mut transaction) = table();
    transaction.add(Set::new(IP, name("t"), name("s"), &[DataType::MARK]));
    let many = (0..200_000_u32).map(|n| Element::new(&[&n.to_ne_bytes()]));
    transaction.add(Elements::new(IP, name("t"), name("s"), many));
    client.apply(&transaction).unwrap();
    let mut lost = 0;
    while let Some(event) = next(&mut monitor) {
        lost += usize::from(event == Event::Lost);
    }
    assert!(lost > 0);
    // It goes on afterwards.
    cmd("nft add table ip other");
    assert!(matches!(next(&mut monitor), Some(Event::Changed(_))));
}
