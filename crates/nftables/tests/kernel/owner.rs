//! Tables that belong to a socket.

use kernel_test::{cmd, try_cmd};
use nftables_netlink::message::Transaction;
use nftables_netlink::{Table, TableFamily, TableFlags};

use crate::name;

const IP: TableFamily = TableFamily::IPV4;

fn tables() -> Vec<String> {
    let tables = crate::open().unwrap().tables(TableFamily::ANY).unwrap();
    tables.iter().map(|table| table.name.to_string()).collect()
}

pub(crate) fn owned_tables() {
    let owned = Table::new(IP, name("owned")).with(TableFlags::OWNER);
    let kept = Table::new(IP, name("kept")).with(TableFlags::OWNER | TableFlags::PERSIST);
    let mut transaction = Transaction::new();
    transaction
        .add(owned)
        .add(kept.clone())
        .add(Table::new(IP, name("free")));
    let mut client = crate::open().unwrap();
    client.apply(&transaction).unwrap();
    let listed = client.tables(IP).unwrap();
    assert_eq!(listed[0].owner, Some(client.port()));
    assert_eq!(listed[1].flags, TableFlags::OWNER | TableFlags::PERSIST);
    assert_eq!(listed[2].owner, None);

    // Others cannot touch what is owned.
    cmd("nft flush ruleset");
    assert!(try_cmd("nft delete table ip owned").is_err());
    assert_eq!(tables(), ["owned", "kept"]);
    let mut other = crate::open().unwrap();
    let mut delete = Transaction::new();
    delete.delete(Table::new(IP, name("kept")));
    assert!(other.apply(&delete).is_err());

    // What is persistent outlives its owner, and the next one takes it over.
    drop(client);
    assert_eq!(tables(), ["kept"]);
    let mut transaction = Transaction::new();
    transaction.add(kept);
    other.apply(&transaction).unwrap();
    assert_eq!(other.tables(IP).unwrap()[0].owner, Some(other.port()));
    cmd("nft flush ruleset");
    assert_eq!(tables(), ["kept"]);
}
