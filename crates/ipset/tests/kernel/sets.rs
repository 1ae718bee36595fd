//! Sets as a whole.

use ipset_netlink::message::Mode;
use ipset_netlink::{Entry, Error, ErrorKind, Family, Position, SetType};
use kernel_test::cmd;

use super::{client, entries, name, spec, tcp, web};

pub(crate) fn create_twice() {
    let mut client = client();
    let web = web(&mut client);
    let refusal = |result: Result<(), Error>| result.unwrap_err().kind();
    assert_eq!(
        refusal(client.create(&web, Mode::Strict)),
        Some(ErrorKind::SetExists)
    );
    client.create(&web, Mode::Idempotent).unwrap();
    // The kernel does not compare hashsize, but all else.
    client
        .create(&spec("web hash:ip,port hashsize 64"), Mode::Idempotent)
        .unwrap();
    for other in [
        "hash:ip,port maxelem 5",
        "hash:ip,port timeout 5",
        "hash:ip,port counters",
        "hash:ip",
    ] {
        let other = spec(&format!("web {other}"));
        assert_eq!(
            refusal(client.create(&other, Mode::Idempotent)),
            Some(ErrorKind::SetExists),
            "{other}"
        );
    }
}

pub(crate) fn rename_swap_flush_destroy() {
    let mut client = client();
    let web = web(&mut client).name;
    client.add(web, &[tcp(1, 80)], Mode::Strict).unwrap();
    let refusal = |result: Result<(), Error>| result.unwrap_err().kind();

    client.rename(web, name("old")).unwrap();
    assert_eq!(cmd("ipset list -n"), "old\n");
    assert_eq!(
        refusal(client.rename(web, name("x"))),
        Some(ErrorKind::NoSuchSet)
    );
    client
        .create(&spec("web hash:ip,port maxelem 5 counters"), Mode::Strict)
        .unwrap();
    assert_eq!(
        refusal(client.rename(web, name("old"))),
        Some(ErrorKind::NameTaken)
    );

    // Options may differ, type and family may not.
    client.swap(web, name("old")).unwrap();
    assert_eq!(entries(&mut client, web), [tcp(1, 80)]);
    assert_eq!(
        client.info(name("old")).unwrap().spec.options.maxelem,
        Some(5)
    );
    assert_eq!(
        refusal(client.swap(name("nosuch"), web)),
        Some(ErrorKind::NoSuchSet)
    );
    assert_eq!(
        refusal(client.swap(web, name("nosuch"))),
        Some(ErrorKind::NoSecondSet)
    );
    client
        .create(&spec("six hash:ip,port family inet6"), Mode::Strict)
        .unwrap();
    assert_eq!(
        refusal(client.swap(web, name("six"))),
        Some(ErrorKind::TypeMismatch)
    );

    // The kernel's rule is what `swappable` says.
    let (hash, bitmap) = (spec("h hash:ip"), spec("b bitmap:ip range 10.0.0.0/24"));
    client.create(&hash, Mode::Strict).unwrap();
    client.create(&bitmap, Mode::Strict).unwrap();
    assert!(hash.swappable(&bitmap) && !hash.same_kind(&bitmap));
    client.swap(hash.name, bitmap.name).unwrap();
    let net = spec("n hash:net");
    client.create(&net, Mode::Strict).unwrap();
    assert!(!hash.swappable(&net));
    assert_eq!(
        refusal(client.swap(bitmap.name, net.name)),
        Some(ErrorKind::TypeMismatch)
    );

    client.flush(web).unwrap();
    assert_eq!(entries(&mut client, web), []);
    client.add(web, &[tcp(1, 80)], Mode::Strict).unwrap();
    client.flush_all().unwrap();
    assert_eq!(entries(&mut client, web), []);

    client.destroy(web, Mode::Strict).unwrap();
    assert_eq!(
        refusal(client.destroy(web, Mode::Strict)),
        Some(ErrorKind::NoSuchSet)
    );
    client.destroy(web, Mode::Idempotent).unwrap();
    client.destroy_all().unwrap();
    assert_eq!(cmd("ipset list -n"), "");
}

pub(crate) fn indexes() {
    let mut client = client();
    let web = web(&mut client).name;
    client
        .create(&spec("six hash:ip family inet6"), Mode::Strict)
        .unwrap();
    let (index, family) = client.index_of(web).unwrap();
    assert_eq!(family, Some(Family::V4));
    assert_eq!(client.index_of(name("six")).unwrap().1, Some(Family::V6));
    assert_eq!(client.name_of(index).unwrap(), web);
    assert_eq!(client.info(web).unwrap().index, Some(index));
    let error = client.name_of(60_000).unwrap_err();
    assert_eq!(error.kind(), Some(ErrorKind::NoSuchSet), "{error}");
}

pub(crate) fn used_by_a_rule() {
    let mut client = client();
    let web = web(&mut client).name;
    client
        .create(&spec("other hash:ip,port"), Mode::Strict)
        .unwrap();
    cmd("iptables-legacy -A INPUT -m set --match-set web dst,dst -j ACCEPT");
    let refusal = |result: Result<(), Error>| result.unwrap_err().kind();
    assert_eq!(
        refusal(client.destroy(web, Mode::Strict)),
        Some(ErrorKind::InUse)
    );
    assert_eq!(
        refusal(client.rename(web, name("x"))),
        Some(ErrorKind::Referenced)
    );
    assert_eq!(refusal(client.destroy_all()), Some(ErrorKind::InUse));
    assert_eq!(client.names().unwrap().len(), 2, "all or none");
    client.flush(web).unwrap();
    client.swap(web, name("other")).unwrap();
    assert_eq!(client.info(web).unwrap().usage.references, Some(1));
    cmd("iptables-legacy -F INPUT");
    client.destroy_all().unwrap();
}

/// The kernel would ignore an option that is younger than its revision of the type.
pub(crate) fn old_revisions_are_told() {
    let mut client = client();
    let info = client.type_info(SetType::HASH_IP, Family::V4).unwrap();
    assert_eq!(info.revision_min, 0);
    let masked = spec("s hash:ip bitmask 255.255.0.255");
    match client.create(&masked, Mode::Strict) {
        Ok(()) => assert!(info.revision >= 6),
        Err(Error::OldRevision {
            option,
            needed,
            revision,
            ..
        }) => {
            assert_eq!((option, needed, revision), ("bitmask", 6, info.revision));
        }
        Err(error) => panic!("{error}"),
    }
}

/// `IP_SET_MAX` is 256 to begin with.
pub(crate) fn more_sets_than_the_first_table_holds() {
    let mut client = client();
    let specs: Vec<_> = (0..600)
        .map(|n| spec(&format!("s{n} bitmap:port range 0-9")))
        .collect();
    let requests: Vec<_> = specs
        .iter()
        .map(|spec| client.create_request(spec, Mode::Strict).unwrap())
        .collect();
    assert!(client.execute(&requests).iter().all(Result::is_ok));
    assert_eq!(client.names().unwrap().len(), 600);
    assert_eq!(client.list_all().unwrap().len(), 600);
}

/// The size of a list is no limit to today's kernels.
pub(crate) fn a_list_takes_more_than_its_size() {
    let mut client = client();
    let list = spec("l list:set size 4");
    client.create(&list, Mode::Strict).unwrap();
    let members: Vec<_> = (0..6).map(|n| name(&format!("s{n}"))).collect();
    for member in &members {
        client
            .create(&spec(&format!("{member} hash:ip")), Mode::Strict)
            .unwrap();
        client
            .add(list.name, &[Entry::set(*member)], Mode::Strict)
            .unwrap();
    }
    // In the order they were added, and where they were put.
    let first = Entry::set(members[5]).with_position(Position::Before(members[0]));
    client
        .delete(list.name, &[Entry::set(members[5])], Mode::Strict)
        .unwrap();
    client.add(list.name, &[first], Mode::Strict).unwrap();
    let listed = client.list(list.name).unwrap().set.entries;
    let expected = [5, 0, 1, 2, 3, 4].map(|n| Entry::set(members[n]));
    assert_eq!(listed, expected);
}
