//! Sets and maps, as `nft` prints them and as they are read back.

use kernel_test::cmd;
use nftables_netlink::message::Transaction;
use nftables_netlink::{
    Chain, DataType, Element, Elements, Set, SetFlags, TableFamily, Verdict, VerdictCode,
};

use crate::Client;
use crate::{name, table};

const IP: TableFamily = TableFamily::IPV4;

/// Makes a set with these elements and returns what `nft` prints of it, and its elements as they are read
/// back, sorted by key.
fn made(set: &Set, elements: impl IntoIterator<Item = Element>) -> (String, Vec<Element>) {
    let (mut client, mut transaction) = table();
    transaction
        .add(Chain::new(IP, name("t"), name("c")))
        .add(set.clone());
    transaction.add(Elements::new(IP, name("t"), set.name.clone(), elements));
    client.apply(&transaction).unwrap();
    (
        cmd("nft -s list sets; nft -s list maps"),
        read(&mut client, set),
    )
}

fn read(client: &mut Client, set: &Set) -> Vec<Element> {
    let mut elements = client.elements(IP, &name("t"), &set.name).unwrap();
    elements.sort_by_key(|element| {
        element
            .key
            .as_ref()
            .and_then(|key| key.bytes().map(<[u8]>::to_vec))
    });
    elements
}

pub(crate) fn concatenated_keys_and_maps() {
    let key = [
        DataType::IPV4_ADDR,
        DataType::INET_PROTO,
        DataType::INET_SERVICE,
    ];
    let map = Set::new(IP, name("t"), name("services"), &key)
        .map_to(DataType::MARK)
        .comment("what is served");
    let service = |last: u8, protocol: u8, port: u16, mark: u32| {
        Element::new(&[&[10, 96, 0, last], &[protocol], &port.to_be_bytes()])
            .to_value(&mark.to_ne_bytes())
    };
    let elements = [
        service(1, 6, 443, 0x10),
        service(10, 17, 53, 0x20).comment("dns"),
    ];
    let (text, read) = made(&map, elements.clone());
    assert!(
        text.contains("type ipv4_addr . inet_proto . inet_service : mark"),
        "{text}"
    );
    assert!(text.contains("comment \"what is served\""), "{text}");
    assert!(
        text.contains("10.96.0.1 . tcp . 443 : 0x00000010"),
        "{text}"
    );
    assert!(
        text.contains("10.96.0.10 . udp . 53 comment \"dns\" : 0x00000020"),
        "{text}"
    );
    assert_eq!(read, elements);
}

pub(crate) fn intervals() {
    let set = Set::new(IP, name("t"), name("nets"), &[DataType::IPV4_ADDR]).intervals();
    let ranges = [
        ([10, 0, 0, 0], [10, 255, 255, 255]),
        ([192, 168, 1, 1], [192, 168, 1, 9]),
        ([240, 0, 0, 0], [255, 255, 255, 255]),
    ];
    let elements: Vec<_> = ranges
        .iter()
        .flat_map(|(first, last)| Element::interval(first, last))
        .collect();
    // The last range goes to the end and so has none.
    assert_eq!(elements.len(), 5);
    let (text, read) = made(&set, elements.clone());
    assert!(text.contains("10.0.0.0/8"), "{text}");
    assert!(text.contains("192.168.1.1-192.168.1.9"), "{text}");
    assert!(text.contains("240.0.0.0/4"), "{text}");
    assert_eq!(read, elements);
}

pub(crate) fn concatenated_intervals() {
    let key = [DataType::IPV4_ADDR, DataType::INET_SERVICE];
    let set = Set::new(IP, name("t"), name("ranges"), &key).intervals();
    assert!(set.flags.contains(SetFlags::INTERVAL | SetFlags::CONCAT));
    let port = u16::to_be_bytes;
    let elements = [
        Element::range(&[&[1, 2, 3, 4], &port(443)], &[&[1, 2, 3, 4], &port(443)]),
        Element::range(
            &[&[10, 0, 0, 0], &port(80)],
            &[&[10, 255, 255, 255], &port(90)],
        ),
    ];
    let (text, read) = made(&set, elements.clone());
    assert!(text.contains("10.0.0.0/8 . 80-90"), "{text}");
    assert!(text.contains("1.2.3.4 . 443"), "{text}");
    assert_eq!(read, elements);
}

pub(crate) fn timeouts_counters_and_verdicts() {
    let timed = Set::new(IP, name("t"), name("timed"), &[DataType::IPV4_ADDR])
        .timeouts(Some(30_000))
        .dynamic(100)
        .counters();
    let (text, elements) = made(&timed, [Element::new(&[&[1, 1, 1, 1]]).timeout(3_600_000)]);
    assert!(
        text.contains("timeout 30s") && text.contains("1.1.1.1 counter timeout 1h"),
        "{text}"
    );
    assert_eq!(elements[0].timeout, Some(3_600_000));
    assert!(elements[0].expiration.unwrap() <= 3_600_000);
    assert!(elements[0].expression.is_some());

    let verdicts = Set::new(IP, name("t"), name("verdicts"), &[DataType::INET_SERVICE])
        .map_to(DataType::VERDICT);
    let to = |port: u16, verdict| Element::new(&[&port.to_be_bytes()]).to_verdict(verdict);
    let elements = [
        to(80, Verdict::new(VerdictCode::ACCEPT)),
        to(81, Verdict::jump(name("c"))),
        to(82, Verdict::goto(name("c"))),
    ];
    let (text, read_back) = made(&verdicts, elements.clone());
    assert!(
        text.contains("{ 80 : accept, 81 : jump c, 82 : goto c }"),
        "{text}"
    );
    assert_eq!(read_back, elements);

    // Only what is named is deleted.
    let mut client = crate::open().unwrap();
    let mut transaction = Transaction::new();
    transaction.delete(Elements::new(
        IP,
        name("t"),
        name("verdicts"),
        elements[..2].to_vec(),
    ));
    client.apply(&transaction).unwrap();
    assert_eq!(read(&mut client, &verdicts), elements[2..]);
}
