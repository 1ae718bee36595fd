//! Atomic replacement.

use std::net::UdpSocket;
use std::time::Duration;

use ipset_netlink::message::Mode;
use ipset_netlink::{Error, ErrorKind, Operation};
use kernel_test::cmd;

use super::{client, entries, name, numbered, spec, tcp, web};

pub(crate) fn replaces_contents_and_options() {
    let mut client = client();
    let mut web = web(&mut client);
    client
        .add(web.name, &[tcp(1, 80), tcp(2, 80)], Mode::Strict)
        .unwrap();
    // Something else refers to it, and keeps doing so.
    let list = spec("l list:set");
    client.create(&list, Mode::Strict).unwrap();
    client
        .add(
            list.name,
            &[ipset_netlink::Entry::set(web.name)],
            Mode::Strict,
        )
        .unwrap();

    web.options.maxelem = Some(131_072);
    web.options.comment = true;
    let wanted: Vec<_> = numbered(70_000)
        .map(|entry| entry.with_comment("new"))
        .collect();
    client.replace(&web, &wanted).unwrap();
    let mut sorted = wanted.clone();
    sorted.sort();
    assert_eq!(entries(&mut client, web.name), sorted);
    let options = client.info(web.name).unwrap().spec.options;
    assert_eq!((options.maxelem, options.comment), (Some(131_072), true));
    assert_eq!(client.names().unwrap(), [web.name, list.name]);
    assert_eq!(client.info(web.name).unwrap().usage.references, Some(1));
    client.replace(&web, &[]).unwrap();
    assert_eq!(entries(&mut client, web.name), []);
}

pub(crate) fn makes_what_is_missing() {
    let mut client = client();
    let longest = "s".repeat(31);
    let spec = spec(&format!("{longest} hash:ip,port"));
    client.replace(&spec, &[tcp(1, 80)]).unwrap();
    assert_eq!(entries(&mut client, spec.name), [tcp(1, 80)]);
    assert_eq!(cmd("ipset list -n"), format!("{longest}\n"));
}

pub(crate) fn leaves_nothing_behind_when_it_fails() {
    let mut client = client();
    let web = web(&mut client);
    client.add(web.name, &[tcp(1, 80)], Mode::Strict).unwrap();

    let error = client.replace(&web, &[tcp(2, 80), tcp(2, 80)]).unwrap_err();
    let Error::Kernel {
        operation, kind, ..
    } = &error
    else {
        panic!("{error}")
    };
    assert!(
        matches!(&**operation, Operation::Add { set, entry: Some((1, _)) } if *set == web.name),
        "{error}"
    );
    assert_eq!(*kind, ErrorKind::EntryExists);

    let other = spec("web hash:ip");
    let error = client.replace(&other, &[]).unwrap_err();
    assert_eq!(error.kind(), Some(ErrorKind::TypeMismatch), "{error}");

    assert_eq!(entries(&mut client, web.name), [tcp(1, 80)]);
    assert_eq!(client.names().unwrap(), [web.name]);
}

/// A rule knows its set by number: after the swap it sees the new entries.
pub(crate) fn rules_see_the_new_set() {
    let mut client = client();
    client.create(&spec("from hash:net"), Mode::Strict).unwrap();
    cmd("iptables-legacy -A INPUT -m set --match-set from src -j DROP");
    assert!(packet_arrives());
    let local = spec("from hash:net").parse_entry("127.0.0.0/8").unwrap();
    client
        .replace(&spec("from hash:net maxelem 100"), &[local])
        .unwrap();
    assert!(!packet_arrives());
    assert!(cmd("iptables-legacy -S INPUT").contains("--match-set from src"));
    client.replace(&spec("from hash:net"), &[]).unwrap();
    assert!(packet_arrives());
    assert_eq!(
        client
            .destroy(name("from"), Mode::Strict)
            .unwrap_err()
            .kind(),
        Some(ErrorKind::InUse)
    );
}

/// Whether a datagram gets from this host to itself.
fn packet_arrives() -> bool {
    let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
    receiver
        .set_read_timeout(Some(Duration::from_millis(200)))
        .unwrap();
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    sender
        .send_to(b"x", receiver.local_addr().unwrap())
        .unwrap();
    receiver.recv(&mut [0]).is_ok()
}
