//! Adding, deleting and testing entries.

use std::borrow::Cow;
use std::ops::ControlFlow;

use ipset_netlink::client::Item;
use ipset_netlink::message::{EntryBatch, Mode, Request};
use ipset_netlink::{Entry, Error, ErrorKind, Operation};
use kernel_test::cmd;

use super::{client, entries, name, spec, tcp, web};

/// The place and text of the entry in an error.
fn refused(error: &Error) -> (ErrorKind, usize, String) {
    let Error::Kernel {
        operation, kind, ..
    } = error
    else {
        panic!("{error}")
    };
    let (Operation::Add { entry, .. } | Operation::Delete { entry, .. }) = &**operation else {
        panic!("{error}")
    };
    let (place, entry) = entry.as_ref().unwrap();
    (*kind, *place, entry.to_string())
}

pub(crate) fn a_refused_entry_is_named() {
    let mut client = client();
    let web = web(&mut client).name;
    let batch = [tcp(1, 80), tcp(2, 80), tcp(1, 80), tcp(3, 80)];
    let error = client.add(web, &batch, Mode::Strict).unwrap_err();
    assert_eq!(
        refused(&error),
        (ErrorKind::EntryExists, 2, "10.0.0.1,tcp:80".to_owned())
    );
    assert_eq!(
        error.to_string(),
        "adding 10.0.0.1,tcp:80 to set web: the entry is in the set"
    );
    // Those before it stay, those behind it were not tried.
    assert_eq!(entries(&mut client, web), [tcp(1, 80), tcp(2, 80)]);

    // One alone.
    let error = client.add(web, &[tcp(1, 80)], Mode::Strict).unwrap_err();
    assert_eq!(
        refused(&error),
        (ErrorKind::EntryExists, 0, "10.0.0.1,tcp:80".to_owned())
    );
    // None of a set that is not there.
    let error = client
        .add(name("nosuch"), &batch, Mode::Strict)
        .unwrap_err();
    assert_eq!(error.kind(), Some(ErrorKind::NoSuchSet), "{error}");
    client.add(web, &[], Mode::Strict).unwrap();
}

pub(crate) fn the_place_is_counted_over_all_messages() {
    let mut client = client();
    let web = web(&mut client).name;
    let mut batch: Vec<_> = (1..=5000).map(|port| tcp(1, port)).collect();
    batch[4000] = tcp(1, 7);
    let error = client.add(web, &batch, Mode::Strict).unwrap_err();
    assert_eq!(
        refused(&error),
        (ErrorKind::EntryExists, 4000, "10.0.0.1,tcp:7".to_owned())
    );
    assert_eq!(entries(&mut client, web).len(), 4000);
    let error = client.delete(web, &batch, Mode::Strict).unwrap_err();
    assert_eq!(
        refused(&error),
        (ErrorKind::EntryMissing, 4000, "10.0.0.1,tcp:7".to_owned())
    );
    assert_eq!(entries(&mut client, web), []);
}

pub(crate) fn idempotent_adds_update() {
    let mut client = client();
    client
        .create(&spec("s hash:ip comment timeout 0"), Mode::Strict)
        .unwrap();
    let one = Entry::ip([1, 1, 1, 1].into());
    client
        .add(name("s"), &[one.clone().with_comment("old")], Mode::Strict)
        .unwrap();
    let new = one.with_comment("new").with_timeout(1000);
    client.add(name("s"), &[new], Mode::Idempotent).unwrap();
    let saved = cmd("ipset save s");
    assert!(
        saved.contains("1.1.1.1 timeout 999 comment \"new\"") || saved.contains("1000"),
        "{saved}"
    );
}

pub(crate) fn deleting() {
    let mut client = client();
    let web = web(&mut client).name;
    client
        .add(web, &[tcp(1, 80), tcp(2, 80), tcp(3, 80)], Mode::Strict)
        .unwrap();
    let error = client
        .delete(web, &[tcp(1, 80), tcp(9, 80), tcp(2, 80)], Mode::Strict)
        .unwrap_err();
    assert_eq!(
        refused(&error),
        (ErrorKind::EntryMissing, 1, "10.0.0.9,tcp:80".to_owned())
    );
    assert_eq!(entries(&mut client, web), [tcp(2, 80), tcp(3, 80)]);
    client
        .delete(web, &[tcp(9, 80), tcp(2, 80)], Mode::Idempotent)
        .unwrap();
    assert_eq!(entries(&mut client, web), [tcp(3, 80)]);
}

pub(crate) fn testing() {
    let mut client = client();
    let spec = spec("s hash:net");
    client.create(&spec, Mode::Strict).unwrap();
    let entry = |text: &str| spec.parse_entry(text).unwrap();
    client
        .add(
            spec.name,
            &[entry("10.0.0.0/8"), entry("10.1.0.0/16 nomatch")],
            Mode::Strict,
        )
        .unwrap();
    for (text, matches) in [
        ("10.0.0.0/8", true),
        ("10.2.0.1", true),
        ("11.0.0.1", false),
    ] {
        assert_eq!(
            client.test(spec.name, &entry(text)).unwrap(),
            matches,
            "{text}"
        );
    }
    // An exception is not matched, as ipset says too.
    assert!(!client.test(spec.name, &entry("10.1.0.1")).unwrap());
    assert!(kernel_test::try_cmd("ipset test s 10.1.0.1").is_err());
    let missing = client.test(name("nosuch"), &entry("10.1.0.1")).unwrap_err();
    assert_eq!(missing.kind(), Some(ErrorKind::NoSuchSet));
}

pub(crate) fn many_requests_at_once() {
    let mut client = client();
    let web = web(&mut client).name;
    let entries: Vec<_> = (1..=3000).map(|port| tcp(1, port)).collect();
    let mut requests: Vec<_> = entries
        .iter()
        .map(|entry| Request::Add {
            set: web,
            entries: EntryBatch::one(entry),
            mode: Mode::Strict,
        })
        .collect();
    let again = Request::Add {
        set: web,
        entries: EntryBatch::one(&entries[0]),
        mode: Mode::Strict,
    };
    requests.insert(1000, again);
    requests.insert(
        2000,
        Request::Flush {
            set: Some(name("nosuch")),
        },
    );
    requests.push(Request::Test {
        set: web,
        entry: Cow::Borrowed(&entries[2999]),
    });
    let results = client.execute(&requests);
    assert_eq!(results.len(), 3003);
    for (index, result) in results.iter().enumerate() {
        let refusal = result.as_ref().err().and_then(Error::kind);
        let expected = match index {
            1000 => Some(ErrorKind::EntryExists),
            2000 => Some(ErrorKind::NoSuchSet),
            _ => None,
        };
        assert_eq!(
            (result.is_err(), refusal),
            (expected.is_some(), expected),
            "{index}: {result:?}"
        );
    }
    assert_eq!(super::entries(&mut client, web).len(), 3000);
}

/// The kernel takes them, and `ipset save` then prints what `ipset restore` cannot read.
pub(crate) fn comments_that_text_cannot_carry() {
    let mut client = client();
    client
        .create(&spec("s hash:ip comment"), Mode::Strict)
        .unwrap();
    let set = name("s");
    for comment in ["a\"b", "a\nb", ""] {
        let entry = Entry::ip([1, 1, 1, 1].into()).with_comment(comment);
        let error = client
            .add(set, std::slice::from_ref(&entry), Mode::Strict)
            .unwrap_err();
        assert!(matches!(error, Error::InvalidComment { .. }), "{error}");
        // Somebody else's is read all the same.
        if !comment.is_empty() {
            let request = Request::Add {
                set,
                entries: EntryBatch::one(&entry),
                mode: Mode::Idempotent,
            };
            assert_eq!(client.execute(&[request]), [Ok(())]);
            assert_eq!(entries(&mut client, set), [entry]);
        }
    }
    let longest = Entry::ip([1, 1, 1, 2].into()).with_comment("x".repeat(255));
    client
        .add(set, std::slice::from_ref(&longest), Mode::Strict)
        .unwrap();
    assert!(entries(&mut client, set).contains(&longest));
    // One byte more is what the kernel calls a protocol error.
    let longer = Entry::ip([1, 1, 1, 3].into()).with_comment("x".repeat(256));
    let request = Request::Add {
        set,
        entries: EntryBatch::one(&longer),
        mode: Mode::Strict,
    };
    let refusal = client.execute(&[request]).remove(0).unwrap_err().kind();
    assert_eq!(refusal, Some(ErrorKind::Protocol));
}

/// Sets of others with names that our text cannot carry are passed over, and told where they
/// stream.
pub(crate) fn foreign_names_do_no_harm() {
    let mut client = client();
    let web = web(&mut client).name;
    client.add(web, &[tcp(1, 80)], Mode::Strict).unwrap();
    // The kernel takes any interface name, ipset any bytes but whitespace in the name of a set.
    cmd("ipset create $(printf 'caf\\351') hash:net,iface");
    cmd("ipset add $(printf 'caf\\351') 10.0.0.0/8,eth0");
    cmd("ipset create sane hash:net,iface && ipset add sane 10.0.0.0/8,'a\"b'");
    assert_eq!(client.names().unwrap(), [web, name("sane")]);
    assert_eq!(client.headers().unwrap().len(), 2);
    let all = client.list_all().unwrap();
    assert_eq!(all[0].set.entries, [tcp(1, 80)]);
    assert_eq!((all[1].set.entries.len(), all[1].unreadable.len()), (0, 1));
    let mut unreadable = 0;
    client
        .for_each(None, |item| {
            unreadable += usize::from(matches!(item, Item::UnreadableSet(_)));
            ControlFlow::<()>::Continue(())
        })
        .unwrap();
    assert_eq!(unreadable, 1);
}
