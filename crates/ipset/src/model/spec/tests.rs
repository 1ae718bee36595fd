use super::*;
use crate::{Entry, parse_save};

fn name(text: &str) -> SetName {
    SetName::new(text).unwrap()
}

/// Whether ipset 7.17 on Linux 6.1 (and 6.18 where it has the type) took the element into the set,
/// as tried by hand.
const TRIED: &[(&str, &[(&str, bool)])] = &[
    (
        "hash:ip",
        &[
            ("0.0.0.0", false),
            ("10.0.0.0/0", false),
            ("10.0.0.0/30", true),
            ("10.0.1.5-10.0.1.6", true),
        ],
    ),
    (
        "hash:ip",
        &[
            ("1.1.1.1 timeout 5", false),
            ("1.1.1.1 packets 5", false),
            ("1.1.1.1 comment \"x\"", false),
        ],
    ),
    (
        "hash:ip",
        &[
            ("1.1.1.1 skbmark 0x1", false),
            ("1.1.1.1 nomatch", false),
            ("2001:db8::1", false),
        ],
    ),
    (
        "hash:ip family inet6",
        &[
            ("::", false),
            ("::/0", false),
            ("2001:db8::/127", false),
            ("2001:db8::/128", true),
        ],
    ),
    ("hash:ip family inet6", &[("1.1.1.1", false)]),
    (
        "hash:ip netmask 8",
        &[("0.1.1.1", false), ("1.1.1.1", true)],
    ),
    // 0.0.0.0 is refused since Linux 6.3.
    (
        "hash:ip,port",
        &[
            ("0.0.0.0,tcp:80", false),
            ("10.0.0.0/24,tcp:80", true),
            ("10.0.0.1,tcp:0", true),
        ],
    ),
    (
        "hash:ip,port",
        &[
            ("10.0.0.1,0:0", false),
            ("10.0.0.1,gre:5", false),
            ("10.0.0.1,255:0", true),
            ("10.0.0.1,dccp:80", false),
            ("10.0.0.1,dccp:0", true),
        ],
    ),
    (
        "hash:ip,port",
        &[("10.0.0.1,icmpv6:1/1", false), ("10.0.0.1,icmp:1/1", true)],
    ),
    (
        "hash:ip,port family inet6",
        &[("::,tcp:80", false), ("::1,icmp:1/1", false)],
    ),
    (
        "hash:ip,port,ip",
        &[
            ("0.0.0.0,tcp:80,0.0.0.0", true),
            ("10.0.0.0/24,tcp:80,10.0.0.1", true),
        ],
    ),
    (
        "hash:ip,port,net",
        &[
            ("10.0.0.1,tcp:80,0.0.0.0/0", false),
            ("10.0.0.1,tcp:80,0.0.0.0", true),
        ],
    ),
    (
        "hash:ip,port,net",
        &[
            ("0.0.0.0,tcp:80,1.0.0.0/8", true),
            ("10.0.0.1,tcp:80,10.0.0.1-10.0.0.8", true),
        ],
    ),
    (
        "hash:net",
        &[
            ("0.0.0.0/0", false),
            ("0.0.0.0", true),
            ("0.0.0.0/1", true),
            ("10.1.2.3/8", true),
        ],
    ),
    (
        "hash:net family inet6",
        &[("::/0", false), ("::", true), ("2001:db8::1/32", true)],
    ),
    (
        "hash:net,net",
        &[
            ("0.0.0.0/0,10.0.0.0/8", false),
            ("10.0.0.0/8,0.0.0.0/0", false),
            ("0.0.0.0,0.0.0.0", true),
        ],
    ),
    (
        "hash:net,port",
        &[("0.0.0.0/0,tcp:80", false), ("10.0.0.0/8,tcp:0", true)],
    ),
    (
        "hash:net,port,net",
        &[
            ("0.0.0.0/0,tcp:80,10.0.0.0/8", true),
            ("10.0.0.0/8,tcp:80,0.0.0.0/0", true),
        ],
    ),
    (
        "hash:net,iface",
        &[
            ("0.0.0.0/0,eth0", true),
            ("10.0.0.0-10.0.0.255,eth0", true),
            ("10.0.0.1,e:b", true),
        ],
    ),
    ("hash:net,iface family inet6", &[("::/0,eth0", true)]),
    (
        "bitmap:ip range 10.0.0.0/24",
        &[
            ("10.0.1.0", false),
            ("9.0.0.0", false),
            ("10.0.0.0-10.0.1.0", false),
        ],
    ),
    (
        "bitmap:ip range 10.0.0.0/24",
        &[("10.0.0.0", true), ("2001:db8::1", false)],
    ),
    (
        "bitmap:ip,mac range 10.0.0.0/24",
        &[("10.0.0.1,00:00:00:00:00:00", true), ("10.0.0.2", true)],
    ),
    (
        "bitmap:port range 100-200",
        &[
            ("99", false),
            ("100", true),
            ("tcp:100", true),
            ("100-300", false),
        ],
    ),
    (
        "hash:mac",
        &[("00:00:00:00:00:00", false), ("ff:ff:ff:ff:ff:ff", true)],
    ),
    (
        "hash:ip,mac",
        &[
            ("0.0.0.0,01:02:03:04:05:06", true),
            ("10.0.0.1,00:00:00:00:00:00", false),
            ("10.0.0.1", false),
        ],
    ),
    (
        "hash:ip,mark",
        &[
            ("0.0.0.0,1", true),
            ("1.1.1.1,0", true),
            ("1.1.1.0/30,0xffffffff", true),
        ],
    ),
    (
        "hash:ip timeout 0",
        &[
            ("1.1.1.1 timeout 2147483", true),
            ("1.1.1.1 timeout 2147484", false),
        ],
    ),
    (
        "hash:ip counters",
        &[
            ("1.1.1.1 packets 18446744073709551614", true),
            ("1.1.1.1 bytes 18446744073709551615", false),
        ],
    ),
];

#[test]
fn entries_are_refused_where_the_kernel_refuses_them() {
    for (spec, entries) in TRIED {
        let spec = SetSpec::parse(&format!("create s {spec}")).unwrap();
        for (text, taken) in *entries {
            let checked = spec.parse_entry(text).and_then(|entry| spec.check(&entry));
            assert_eq!(checked.is_ok(), *taken, "{spec}: {text}: {checked:?}");
        }
    }
}

#[test]
fn comments_have_a_length() {
    let spec = SetSpec::parse("create s hash:ip comment").unwrap();
    let entry = Entry::ip([1, 1, 1, 1].into());
    assert!(
        spec.check(&entry.clone().with_comment("x".repeat(255)))
            .is_ok()
    );
    for comment in ["", "a\"b", "a\nb", &"x".repeat(256)] {
        assert!(
            spec.check(&entry.clone().with_comment(comment)).is_err(),
            "{comment:?}"
        );
    }
}

/// As tried on Linux 6.18 with ipset 7.17.
#[test]
fn specs_are_refused_where_the_kernel_refuses_them() {
    for (line, taken) in [
        ("bitmap:ip range 0.0.0.0/0 netmask 16", true),
        ("bitmap:ip range 0.0.0.0/0", false),
        ("bitmap:ip range 10.0.0.0/15", false),
        ("bitmap:ip range 10.0.0.0/16", true),
        ("bitmap:ip range 10.0.0.0/24 netmask 16", false),
        ("bitmap:ip range 10.0.0.5-10.0.0.5", true),
        ("bitmap:port range 5-5", true),
        ("hash:net maxelem 0", true),
        ("hash:ip netmask 0", false),
        ("hash:ip netmask 33", false),
        ("hash:ip family inet6 netmask 128", true),
        ("hash:ip bitmask 0.0.0.0", false),
        ("hash:ip bitmask 255.255.0.255", true),
        ("hash:ip bitmask 255.255.255.0 netmask 24", false),
        ("hash:net netmask 24", false),
        ("hash:ip,mark markmask 0", false),
        ("hash:mac family inet6", false),
        ("hash:ip size 5", false),
        ("list:set hashsize 5", false),
        ("hash:ip timeout 2147483", true),
        ("hash:ip timeout 2147484", false),
    ] {
        let spec = SetSpec::parse(&format!("create s {line}"));
        assert_eq!(spec.is_ok(), taken, "{line}: {spec:?}");
    }
}

/// Lines that ipset 7.17 printed on Linux 6.18.
#[test]
fn constructors_print_what_ipset_prints() {
    let hash = SetSpec::hash(name("KUBE-CLUSTER-IP"), SetType::HASH_IP_PORT, Family::V4);
    assert_eq!(
        hash.to_string(),
        "create KUBE-CLUSTER-IP hash:ip,port family inet hashsize 1024 maxelem 65536"
    );
    let ports = SetSpec::bitmap_port(name("KUBE-NODE-PORT-TCP"), 0..=65535);
    assert_eq!(
        ports.to_string(),
        "create KUBE-NODE-PORT-TCP bitmap:port range 0-65535"
    );
    let addresses = SetSpec::bitmap_ip(name("b"), [10, 0, 0, 0].into()..=[10, 0, 0, 255].into());
    assert_eq!(
        addresses.to_string(),
        "create b bitmap:ip range 10.0.0.0-10.0.0.255"
    );
    assert_eq!(
        SetSpec::list(name("l"), 8).to_string(),
        "create l list:set size 8"
    );
    let mac = SetSpec::hash(name("m"), SetType::HASH_MAC, Family::V4);
    assert_eq!(
        mac.to_string(),
        "create m hash:mac hashsize 1024 maxelem 65536"
    );
    for spec in [hash, ports, addresses, mac] {
        assert_eq!(SetSpec::parse(&spec.to_string()).unwrap(), spec);
    }
}

#[test]
fn portable_forgets_what_the_kernel_fills_in() {
    let line = "create a hash:ip family inet hashsize 1024 maxelem 65536";
    let spec = SetSpec::parse(&format!("{line} bucketsize 12 initval 0x0a1585c3")).unwrap();
    assert_eq!(
        spec.to_string(),
        format!("{line} bucketsize 12 initval 0x0a1585c3")
    );
    assert_eq!(spec.portable().to_string(), line);
}

#[test]
fn kinds_and_swapping() {
    let spec = |line: &str| SetSpec::parse(&format!("create s {line}")).unwrap();
    let cases = [
        ("hash:ip", "hash:ip counters maxelem 5", true, true),
        ("hash:ip", "hash:ip family inet6", false, false),
        ("hash:ip", "bitmap:ip range 10.0.0.0/24", false, true),
        ("hash:ip", "hash:net", false, false),
        ("hash:ip,port,net", "hash:net,port,net", false, true),
        ("hash:ip,port,ip", "hash:ip,port,net", false, false),
        ("hash:mac", "hash:ip,mac", false, false),
    ];
    for (one, other, same_kind, swappable) in cases {
        let (one, other) = (spec(one), spec(other));
        assert_eq!(one.same_kind(&other), same_kind, "{one} {other}");
        assert_eq!(one.swappable(&other), swappable, "{one} {other}");
        assert_eq!(other.swappable(&one), swappable, "{one} {other}");
    }
}

#[test]
fn options_set_for_every_type_print_and_parse() {
    let text = "create a hash:ip,port family inet6 hashsize 64 maxelem 10 timeout 5 counters comment forceadd skbinfo \
                bucketsize 12 initval 0xc3ecfd03 netmask 24\n";
    assert_eq!(parse_save(text).unwrap()[0].to_string(), text);
}

#[test]
fn options_are_added_one_by_one() {
    let spec = SetSpec::hash(name("a"), SetType::HASH_IP, Family::V4)
        .with_timeout(5)
        .with_counters()
        .with_comments()
        .with_skbinfo()
        .with_hashsize(64)
        .with_maxelem(10);
    assert_eq!(
        spec.to_string(),
        "create a hash:ip family inet hashsize 64 maxelem 10 timeout 5 counters comment skbinfo"
    );
}

#[test]
fn room_is_a_bucket_for_each_element_and_never_less_than_before() {
    let room = |line: &str, elements| {
        let spec = SetSpec::parse(&format!("create s {line}")).unwrap();
        let CreateOptions {
            hashsize, maxelem, ..
        } = spec.with_room_for(elements).options;
        (hashsize, maxelem)
    };
    assert_eq!(room("hash:ip", 100), (Some(1024), Some(65536)));
    assert_eq!(room("hash:ip", 1024), (Some(1024), Some(65536)));
    assert_eq!(room("hash:ip", 1025), (Some(2048), Some(65536)));
    assert_eq!(room("hash:ip", 100_000), (Some(131_072), Some(100_000)));
    assert_eq!(
        room("hash:ip hashsize 4096 maxelem 9", 1025),
        (Some(4096), Some(1025))
    );
    assert_eq!(room("list:set", 100_000), (None, None));
    let huge = room("hash:ip", usize::MAX);
    assert_eq!(huge, (Some(1 << 31), Some(u32::MAX)));
}
