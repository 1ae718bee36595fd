//! Every type, option and extension, in both directions.

use std::collections::BTreeSet;

use ipset_netlink::message::Mode;
use ipset_netlink::{Error, ErrorKind, Set, SetType, parse_save};
use kernel_test::{cmd, cmd_input};

use super::{Client, client, name, spec};

/// Sets with entries; what the tests of each attribute need is here. Timeouts are long, so that
/// they are told apart from one another while they run down.
const SETS: &str = include_str!("sets.txt");

/// Those that only Linux 6.3 and later keep.
const MASKS: &str = "\
create m1 hash:ip family inet hashsize 1024 maxelem 65536 bitmask 255.255.0.255
add m1 10.1.0.3
create m2 hash:ip family inet6 hashsize 1024 maxelem 65536 bitmask ffff:ffff::ffff
add m2 2001:db8::1
create m3 hash:ip,port family inet hashsize 1024 maxelem 65536 bitmask 255.255.0.0
add m3 10.1.0.0,tcp:80
create m4 hash:ip,port family inet hashsize 1024 maxelem 65536 netmask 24
add m4 10.1.1.0,tcp:80
";

/// Sets in a form to be compared: without what the kernel chooses, in order, seconds rounded up to
/// tens.
fn comparable(sets: &[Set]) -> BTreeSet<String> {
    let lines = sets.iter().flat_map(|set| {
        Set {
            spec: set.spec.portable(),
            ..set.clone()
        }
        .lines()
        .collect::<Vec<_>>()
    });
    lines.map(|line| round_timeout(&line.to_string())).collect()
}

fn round_timeout(line: &str) -> String {
    let mut words: Vec<String> = line.split(' ').map(str::to_owned).collect();
    for at in 1..words.len() {
        if words[at - 1] == "timeout" {
            let seconds: u32 = words[at].parse().unwrap();
            words[at] = seconds.next_multiple_of(10).to_string();
        }
    }
    words.join(" ")
}

fn listed(client: &mut Client) -> Vec<Set> {
    let sets = client.list_all().unwrap().into_iter();
    sets.map(|listed| listed.set).collect()
}

/// Creates the sets that this kernel has a type for.
fn write(client: &mut Client, sets: Vec<Set>) -> Vec<Set> {
    let mut written = Vec::new();
    for set in sets {
        match client.create(&set.spec, Mode::Strict) {
            Err(Error::Kernel {
                kind: ErrorKind::UnknownType,
                ..
            }) => continue,
            created => created.unwrap(),
        }
        client
            .add(set.spec.name, &set.entries, Mode::Strict)
            .unwrap();
        written.push(set);
    }
    written
}

pub(crate) fn every_type_is_written_and_read() {
    let sets = parse_save(SETS).unwrap();
    let written = write(&mut client(), sets.clone());
    assert_eq!(written.len(), sets.len());
    for set_type in SetType::ALL {
        assert!(
            written
                .iter()
                .any(|set| set.spec.set_type == set_type && !set.entries.is_empty()),
            "{set_type}"
        );
    }
}

pub(crate) fn we_write_ipset_reads() {
    written_reads(SETS);
}

pub(crate) fn masks_of_linux_6_3() {
    if client()
        .type_info(SetType::HASH_IP, ipset_netlink::Family::V4)
        .unwrap()
        .revision
        < 6
    {
        println!("this machine's kernel is older than 6.3");
        return;
    }
    written_reads(MASKS);
    client().destroy_all().unwrap();
    ipset_reads(MASKS);
}

fn written_reads(text: &str) {
    let written = write(&mut client(), parse_save(text).unwrap());
    assert!(written.len() >= 4);
    let read = parse_save(cmd("ipset save")).unwrap();
    // ipset 7.17 does not print it; the kernel is asked below.
    let without = |set: &Set| {
        let mut set = set.clone();
        set.spec.options.forceadd = false;
        set
    };
    let expected: Vec<_> = written.iter().map(without).collect();
    assert_eq!(comparable(&read), comparable(&expected));
    let ours = listed(&mut client());
    assert_eq!(comparable(&ours), comparable(&written));
}

pub(crate) fn ipset_writes_we_read() {
    ipset_reads(SETS);
}

fn ipset_reads(text: &str) {
    let mut supported = parse_save(text).unwrap();
    supported.retain(|set| {
        client()
            .type_info(set.spec.set_type, set.spec.family)
            .is_ok()
    });
    cmd_input(
        "ipset restore",
        &supported.iter().map(Set::to_string).collect::<String>(),
    );
    let ours = listed(&mut client());
    assert_eq!(comparable(&ours), comparable(&supported));
    // The same text, order included.
    let printed: String = ours.iter().map(Set::to_string).collect();
    assert_eq!(
        printed
            .replace(" forceadd", "")
            .lines()
            .map(round_timeout)
            .collect::<Vec<_>>(),
        cmd("ipset save")
            .lines()
            .map(round_timeout)
            .collect::<Vec<_>>()
    );
}

pub(crate) fn protocol_6_is_spoken() {
    let mut client = client().with_protocol_6();
    assert_eq!(client.protocol(), 6);
    let written = write(&mut client, parse_save(SETS).unwrap());
    let read = listed(&mut client);
    assert_eq!(comparable(&read), comparable(&written));
    assert!(
        client
            .headers()
            .unwrap()
            .iter()
            .all(|info| info.index.is_none())
    );
    let error = client.index_of(written[0].spec.name).unwrap_err();
    assert!(
        matches!(error, Error::ProtocolVersion { needed: 7, .. }),
        "{error}"
    );
}

pub(crate) fn headers_and_names() {
    let mut client = client();
    assert_eq!(client.protocol(), 7);
    assert_eq!(client.names().unwrap(), []);
    let written = write(&mut client, parse_save(SETS).unwrap());

    let names: Vec<_> = client
        .names()
        .unwrap()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(names.join("\n") + "\n", cmd("ipset list -n"));

    let infos = client.headers().unwrap();
    assert_eq!(infos.len(), written.len());
    let terse = cmd("ipset list -t");
    for (info, terse) in infos.iter().zip(terse.split("\n\n")) {
        assert!(
            terse.contains(&format!("Name: {}\n", info.spec.name)),
            "{terse}"
        );
        let value = |key: &str| {
            let line = terse.lines().find_map(|line| line.strip_prefix(key));
            line.and_then(|value| value.trim().parse::<u32>().ok())
        };
        assert_eq!(value("Revision:"), Some(info.revision.into()), "{terse}");
        assert_eq!(value("Size in memory:"), info.usage.memory_size, "{terse}");
        assert_eq!(value("References:"), info.usage.references, "{terse}");
        assert_eq!(value("Number of entries:"), info.usage.entries, "{terse}");
        assert_eq!(*info, client.info(info.spec.name).unwrap());
        let header = client.header(info.spec.name).unwrap();
        assert_eq!(
            (header.set_type, header.family),
            (info.spec.set_type, info.spec.family)
        );
        assert_eq!(header.revision, info.revision);
    }
    let forced = spec("h1 hash:ip").name;
    assert!(
        client.info(forced).unwrap().spec.options.forceadd,
        "as in sets.txt"
    );
    assert_eq!(
        client.info(name("nosuch")).unwrap_err().kind(),
        Some(ErrorKind::NoSuchSet)
    );
}
