//! The kernel's error numbers, each provoked, each explained.

use std::borrow::Cow;
use std::process::ExitCode;

use ipset_netlink::message::{Mode, Request};
use ipset_netlink::{Client, Error, ErrorKind, Family, SetSpec, SetType};

use kernel_test::cmd;

use super::{client, entries, name, spec, tcp, web};

/// What the kernel says to a spec that we would not send ourselves.
fn unchecked(spec: &SetSpec, revision: u8) -> Error {
    let request = Request::Create {
        spec: Cow::Borrowed(spec),
        revision,
        mode: Mode::Strict,
    };
    client().execute(&[request]).remove(0).unwrap_err()
}

pub(crate) fn of_sets() {
    let base = || spec("s hash:ip");
    let refused = |change: fn(&mut SetSpec), revision| {
        let mut spec = base();
        change(&mut spec);
        unchecked(&spec, revision).kind().unwrap()
    };
    assert_eq!(
        refused(|spec| spec.options.netmask = Some(33), 5),
        ErrorKind::InvalidNetmask
    );
    assert_eq!(
        refused(|spec| spec.family = None, 5),
        ErrorKind::InvalidFamily
    );
    assert_eq!(refused(|_| {}, 200), ErrorKind::UnknownType);
    let unknown = SetType::new("hash:nosuch").unwrap();
    let mut strange = base();
    strange.set_type = unknown;
    assert_eq!(unchecked(&strange, 0).kind(), Some(ErrorKind::UnknownType));
    let error = client().create(&strange, Mode::Strict).unwrap_err();
    assert_eq!(error.kind(), Some(ErrorKind::UnknownType), "{error}");
    let mut mark = spec("s hash:ip,mark");
    mark.options.markmask = Some(0);
    assert_eq!(unchecked(&mark, 0).kind(), Some(ErrorKind::InvalidMarkmask));
    let mut bitmap = spec("s bitmap:ip range 10.0.0.0/24");
    bitmap.options.range = Some(ipset_netlink::BitmapRange::Addresses(
        [10, 0, 0, 0].into(),
        [11, 0, 0, 0].into(),
    ));
    assert_eq!(unchecked(&bitmap, 0).kind(), Some(ErrorKind::RangeTooLarge));
    let huge = unchecked(&spec("s hash:ip hashsize 4294967295"), 0);
    assert_eq!(huge.kind(), Some(ErrorKind::NoMemory), "{huge}");
    assert_eq!(client().names().unwrap(), []);
}

/// Spec, entries that fit, one that is refused, and why.
const ENTRIES: &[(&str, &str, &str, ErrorKind)] = &[
    ("hash:ip", "", "0.0.0.0", ErrorKind::NullElement),
    ("hash:ip maxelem 1", "1.1.1.1", "1.1.1.2", ErrorKind::Full),
    ("hash:ip", "", "1.1.1.1 timeout 5", ErrorKind::NoTimeout),
    (
        "hash:ip",
        "",
        "1.1.1.1 packets 5 bytes 5",
        ErrorKind::NoCounters,
    ),
    (
        "hash:ip",
        "",
        "1.1.1.1 comment \"x\"",
        ErrorKind::NoComments,
    ),
    ("hash:ip", "", "1.1.1.1 skbmark 0x1", ErrorKind::NoSkbinfo),
    ("hash:ip", "", "2001:db8::1", ErrorKind::Protocol),
    ("hash:ip family inet6", "", "1.1.1.1", ErrorKind::Protocol),
    ("hash:ip", "1.1.1.1", "1.1.1.1", ErrorKind::EntryExists),
    ("hash:net", "", "0.0.0.0/0", ErrorKind::InvalidPrefix),
    (
        "hash:net family inet6",
        "",
        "::/0",
        ErrorKind::InvalidPrefix,
    ),
    (
        "hash:ip,port",
        "",
        "1.1.1.1,0:0",
        ErrorKind::InvalidProtocol,
    ),
    (
        "bitmap:ip range 10.0.0.0/24",
        "",
        "10.0.1.0",
        ErrorKind::OutOfRange,
    ),
    ("bitmap:port range 100-200", "", "99", ErrorKind::OutOfRange),
    ("list:set", "", "nosuch", ErrorKind::NoSuchMember),
    ("list:set", "", "s", ErrorKind::Loop),
    (
        "list:set",
        "",
        "a before nosuch",
        ErrorKind::NoSuchNeighbour,
    ),
    ("list:set", "", "a before b", ErrorKind::NeighbourNotMember),
];

/// Those that only the kernel can know, not [`SetSpec::check`].
const ITS_OWN: [ErrorKind; 6] = [
    ErrorKind::Full,
    ErrorKind::EntryExists,
    ErrorKind::NoSuchMember,
    ErrorKind::Loop,
    ErrorKind::NoSuchNeighbour,
    ErrorKind::NeighbourNotMember,
];

pub(crate) fn of_entries() {
    let mut client = client();
    for member in ["a", "b", "c", "d", "e"] {
        client
            .create(&spec(&format!("{member} hash:ip")), Mode::Strict)
            .unwrap();
    }
    for (line, fitting, entry, refusal) in ENTRIES {
        let spec = spec(&format!("s {line}"));
        client.create(&spec, Mode::Strict).unwrap();
        let fitting: Vec<_> = fitting
            .split_whitespace()
            .map(|text| spec.parse_entry(text).unwrap())
            .collect();
        client.add(spec.name, &fitting, Mode::Strict).unwrap();
        let refused = [spec.parse_entry(entry).unwrap()];
        let error = client.add(spec.name, &refused, Mode::Strict).unwrap_err();
        assert_eq!(error.kind(), Some(*refusal), "{line}: {entry}: {error}");
        let told_before = spec.check(&refused[0]).is_err();
        assert_eq!(told_before, !ITS_OWN.contains(refusal), "{line}: {entry}");
        client.destroy(spec.name, Mode::Strict).unwrap();
    }
}

/// What came with masks in more types.
pub(crate) fn of_linux_6_3() {
    let mut client = client();
    let info = client.type_info(SetType::HASH_IP, Family::V4).unwrap();
    if info.revision < 6 {
        println!("this machine's kernel is older than 6.3");
        return;
    }
    let mut both = spec("s hash:ip netmask 24");
    both.options.bitmask = Some([255, 0, 0, 0].into());
    assert_eq!(unchecked(&both, 6).kind(), Some(ErrorKind::MaskConflict));
    let web = web(&mut client);
    let null = [web.parse_entry("0.0.0.0,tcp:80").unwrap()];
    let error = client.add(web.name, &null, Mode::Strict).unwrap_err();
    assert_eq!(error.kind(), Some(ErrorKind::Invalid), "{error}");
    assert!(web.check(&null[0]).is_err());
}

/// The kernel reports it twice to one request: the second must not be taken for the answer to
/// another.
pub(crate) fn a_missing_set_is_reported_once() {
    let mut client = client();
    let web = web(&mut client).name;
    for _ in 0..3 {
        let error = client.list(name("nosuch")).unwrap_err();
        assert_eq!(error.kind(), Some(ErrorKind::NoSuchSet), "{error}");
        client.add(web, &[tcp(1, 80)], Mode::Idempotent).unwrap();
        assert_eq!(entries(&mut client, web), [tcp(1, 80)]);
    }
    assert_eq!(
        client.flush(name("nosuch")).unwrap_err().kind(),
        Some(ErrorKind::NoSuchSet)
    );
    assert_eq!(
        client.header(name("nosuch")).unwrap_err().kind(),
        Some(ErrorKind::NoSuchSet)
    );
    assert_eq!(
        client.index_of(name("nosuch")).unwrap_err().kind(),
        Some(ErrorKind::NoSuchSet)
    );
    assert_eq!(
        client
            .destroy(name("nosuch"), Mode::Strict)
            .unwrap_err()
            .kind(),
        Some(ErrorKind::NoSuchSet)
    );
    client.destroy(name("nosuch"), Mode::Idempotent).unwrap();
}

/// In the environment of this program, when it is to say only what `Client::open` says.
pub(crate) const PROBE: &str = "IPSET_NETLINK_PROBE";

pub(crate) fn probe() -> ExitCode {
    match Client::open() {
        Ok(_) => println!("it works"),
        Err(error) => println!("{:?}: {error}", error.kind()),
    }
    ExitCode::SUCCESS
}

/// Root, but without any capability.
pub(crate) fn without_the_capability() {
    let program = std::env::current_exe().unwrap();
    let probe = format!(
        "{PROBE}=1 setpriv --bounding-set=-all '{}'",
        program.display()
    );
    let said = cmd(&probe);
    assert!(
        said.starts_with("Some(Permission): asking for ipset: this needs CAP_NET_ADMIN"),
        "{said}"
    );
    assert_eq!(cmd(&probe.replace("-all", "+all")), "it works\n");
}
