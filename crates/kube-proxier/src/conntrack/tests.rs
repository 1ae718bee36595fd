use std::os::unix::fs::symlink;

use super::*;

const NAMES: [&str; 6] = [
    "nf_conntrack_max",
    "nf_conntrack_tcp_timeout_established",
    "nf_conntrack_tcp_timeout_close_wait",
    "nf_conntrack_tcp_be_liberal",
    "nf_conntrack_udp_timeout",
    "nf_conntrack_udp_timeout_stream",
];
/// As a kernel has them, without the limit.
const FRESH: [u64; 5] = [432_000, 60, 0, 30, 120];
const ALONE: Conntrack = Conntrack {
    max_per_core: 0,
    min: 0,
    tcp_established_timeout: 0,
    tcp_close_wait_timeout: 0,
    tcp_be_liberal: false,
    udp_timeout: 0,
    udp_stream_timeout: 0,
};

/// A machine of two processors.
fn machine(limit: u64, buckets: u64) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    let mut files = vec![
        (PROCESSORS.to_owned(), "0-1".to_owned()),
        (BUCKETS.to_owned(), buckets.to_string()),
    ];
    let values = [limit].into_iter().chain(FRESH);
    files.extend(
        NAMES
            .into_iter()
            .zip(values)
            .map(|(name, value)| (format!("{SETTINGS}/{name}"), value.to_string())),
    );
    for (path, value) in files {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, format!("{value}\n")).unwrap();
    }
    root
}

/// The limit, the buckets, and the rest.
fn held(root: &Path) -> (u64, u64, [u64; 5]) {
    let of = |name: &str| read(&root.join(SETTINGS).join(name)).unwrap();
    let [limit, rest @ ..] = NAMES;
    (of(limit), read(&root.join(BUCKETS)).unwrap(), rest.map(of))
}

/// What is logged of it: changes and warnings.
fn set(root: &Path, wanted: &Conntrack) -> (Vec<String>, Vec<SettingError>) {
    let (mut changes, mut errors) = (Vec::new(), Vec::new());
    for outcome in set_up_below(root, wanted) {
        match outcome {
            Ok(change) => changes.push(change.to_string()),
            Err(error) => errors.push(error),
        }
    }
    (changes, errors)
}

#[test]
fn by_default_what_kube_proxy_sets_is_set_once() {
    let root = machine(65_536, 16_384);
    let (changes, errors) = set(root.path(), &Conntrack::default());
    assert!(errors.is_empty(), "{errors:?}");
    let below = |path: &str| root.path().join(path).display().to_string();
    assert_eq!(
        changes,
        [
            format!("{}/nf_conntrack_max: was 65536, is 131072", below(SETTINGS)),
            format!("{}: was 16384, is 32768", below(BUCKETS)),
            format!(
                "{}/nf_conntrack_tcp_timeout_established: was 432000, is 86400",
                below(SETTINGS)
            ),
            format!(
                "{}/nf_conntrack_tcp_timeout_close_wait: was 60, is 3600",
                below(SETTINGS)
            ),
        ]
    );
    assert_eq!(
        held(root.path()),
        (131_072, 32_768, [86_400, 3600, 0, 30, 120])
    );
    let (changes, errors) = set(root.path(), &Conntrack::default());
    assert!(changes.is_empty() && errors.is_empty(), "{changes:?}");
}

#[test]
fn all_is_set_that_is_asked_for_and_nothing_else() {
    let root = machine(65_536, 16_384);
    set(root.path(), &ALONE);
    assert_eq!(held(root.path()), (65_536, 16_384, FRESH));
    let wanted = Conntrack {
        max_per_core: 50_000,
        min: 7,
        tcp_established_timeout: 1,
        tcp_close_wait_timeout: 2,
        tcp_be_liberal: true,
        udp_timeout: 3,
        udp_stream_timeout: 4,
    };
    set(root.path(), &wanted);
    assert_eq!(held(root.path()), (100_000, 25_000, [1, 2, 1, 3, 4]));
}

#[test]
fn a_limit_and_a_table_are_never_made_smaller() {
    let root = machine(1_000_000, 65_536);
    let (changes, _) = set(root.path(), &Conntrack::default());
    assert_eq!(changes.len(), 2, "{changes:?}");
    let (limit, buckets, _) = held(root.path());
    assert_eq!((limit, buckets), (1_000_000, 65_536));
}

#[test]
fn the_limit_grows_with_the_processors() {
    let of = |max_per_core, min, processors| {
        let wanted = Conntrack {
            max_per_core,
            min,
            ..ALONE
        };
        limit(&wanted, processors)
    };
    assert_eq!(of(0, 131_072, 64), 0);
    assert_eq!(of(32_768, 131_072, 4), 131_072);
    assert_eq!(of(32_768, 131_072, 5), 163_840);
    assert_eq!(of(32_768, 131_072, 512), 1 << 20);
    assert_eq!(of(32_768, 2_000_000, 512), 2_000_000);
    let most = i32::MAX.unsigned_abs();
    assert_eq!(of(most, 0, u64::from(u32::MAX)), 1 << 20);
}

#[test]
fn processors_are_those_of_the_node() {
    for (list, expected) in [
        ("0", Some(1)),
        ("0-3", Some(4)),
        ("0-3,8,10-11", Some(7)),
        ("", None),
        ("3-0", None),
        ("0-", None),
        ("0-18446744073709551615", None),
    ] {
        assert_eq!(count(list), expected, "{list}");
    }
    assert!(processors(Path::new("/nowhere")) >= 1);
}

#[test]
fn what_cannot_be_set_is_named_and_the_rest_is_set() {
    let root = machine(65_536, 16_384);
    let at = |name: &str| root.path().join(SETTINGS).join(name);
    // A setting that nobody may write, not even root.
    let limit = at("nf_conntrack_max");
    fs::remove_file(&limit).unwrap();
    symlink("/proc/sys/kernel/cap_last_cap", &limit).unwrap();
    fs::write(at("nf_conntrack_tcp_timeout_close_wait"), "soon").unwrap();
    fs::remove_file(at("nf_conntrack_udp_timeout")).unwrap();
    let wanted = Conntrack {
        udp_timeout: 7,
        ..Conntrack::default()
    };
    let (changes, errors) = set(root.path(), &wanted);
    assert_eq!(changes.len(), 1, "{changes:?}");
    assert!(changes.concat().contains("86400"), "{changes:?}");
    let expected = [
        (limit, "131072 is wanted: stays ", "maxPerCore: 0}"),
        (
            at("nf_conntrack_tcp_timeout_close_wait"),
            "3600 is wanted: cannot be read: ",
            "tcpCloseWaitTimeout: 0s}",
        ),
        (
            at("nf_conntrack_udp_timeout"),
            "7 is wanted: cannot be read: ",
            "modprobe nf_conntrack",
        ),
    ];
    assert_eq!(errors.len(), expected.len(), "{errors:?}");
    for (error, (path, message, remedy)) in errors.iter().zip(expected) {
        let text = error.to_string();
        let start = format!("{}: {message}", path.display());
        assert!(text.starts_with(&start), "{text}");
        assert!(error.remedy().contains(remedy), "{}", error.remedy());
    }
    // The table is not enlarged for a limit that does not hold.
    assert_eq!(read(&root.path().join(BUCKETS)).unwrap(), 16_384);
}
