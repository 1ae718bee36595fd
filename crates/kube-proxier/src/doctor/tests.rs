use std::fs;
use std::io;

use super::*;
use crate::logging::tests::Log;
use crate::options::{Flags, Surroundings};

struct Here;

impl Surroundings for Here {
    fn variable(&self, _: &str) -> Option<String> {
        None
    }

    fn host_name(&self) -> io::Result<String> {
        Ok("here".to_owned())
    }
}

fn options(line: &str) -> Options {
    let words = ["kube-proxier"].into_iter().chain(line.split_whitespace());
    Options::read(Flags::read(words).unwrap(), &Here).unwrap()
}

fn found<'a>(checks: &'a [Check], name: &str) -> &'a Check {
    checks
        .iter()
        .find(|check| check.name == name)
        .unwrap_or_else(|| panic!("no {name}: {checks:#?}"))
}

#[test]
fn where_nothing_is_all_that_is_missing_is_said() {
    let empty = tempfile::tempdir().unwrap();
    let checks = run_below(empty.path(), &options("--ipvs-scheduler=lc"));
    for module in ["ip_vs", "ip_vs_lc", "nf_conntrack"] {
        let check = found(&checks, &format!("module {module}"));
        assert_eq!(check.verdict, Verdict::Fails, "{check:?}");
        assert!(
            check
                .remedy
                .as_ref()
                .is_some_and(|remedy| remedy.contains(module)),
            "{check:?}"
        );
    }
    // Only some need these.
    for module in ["ip_vs_wrr", "xt_connmark", "xt_sctp"] {
        let check = found(&checks, &format!("module {module}"));
        assert_eq!(check.verdict, Verdict::Warning, "{check:?}");
    }
    // A kernel without IPv6 needs no ip6tables, whatever is installed.
    let ip6tables = found(&checks, "ip6tables");
    assert_eq!(ip6tables.verdict, Verdict::Works);
    assert!(ip6tables.found.contains("no IPv6"), "{ip6tables:?}");
    assert!(!can_run(&checks));
}

#[test]
fn settings_and_capabilities_are_read_below_the_root() {
    let root = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write("proc/self/status", "Name:\tx\nCapEff:\t0000000000000fff\n");
    write("proc/sys/net/ipv4/ip_forward", "0\n");
    write("proc/sys/net/bridge/bridge-nf-call-iptables", "0\n");
    let checks = run_below(root.path(), &options(""));
    assert_eq!(found(&checks, "CAP_NET_ADMIN").verdict, Verdict::Fails);
    assert!(
        found(&checks, "ip_forward")
            .found
            .contains("the daemon sets it")
    );
    let bridge = found(&checks, "bridge-nf-call-iptables");
    assert_eq!(
        bridge.remedy.as_deref(),
        Some("sysctl -w net.bridge.bridge-nf-call-iptables=1")
    );
    write("proc/self/status", "CapEff:\t0000000000001000\n");
    let checks = run_below(root.path(), &options(""));
    assert_eq!(found(&checks, "CAP_NET_ADMIN").verdict, Verdict::Works);
}

#[test]
fn a_port_in_use_is_a_warning_unless_it_ends_the_daemon() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    for (more, verdict) in [
        ("", Verdict::Warning),
        ("--bind-address-hard-fail", Verdict::Fails),
    ] {
        let checks = machine::ports(&options(&format!(
            "--healthz-bind-address={address} {more}"
        )));
        let check = found(&checks, "health address");
        assert_eq!(check.verdict, verdict);
        assert!(check.found.contains("in use"), "{check:?}");
    }
}

#[test]
fn what_is_found_is_logged_in_kube_proxys_words() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(log.clone())
        .finish();
    let bad = Check::no(Verdict::Fails, "module ip_vs", "absent", "modprobe ip_vs");
    tracing::subscriber::with_default(subscriber, || {
        let good = [
            Check::works("ipset", "protocol 7"),
            Check::no(Verdict::Warning, "leftovers", "of others", "mend them"),
        ];
        super::log(&good, true);
        super::log(&[bad], true);
        super::log(&[Check::works("ipset", "protocol 7")], false);
    });
    let text = log.text();
    let lines: Vec<_> = text.lines().collect();
    let [left, using, cannot] = lines.as_slice() else {
        panic!("{text}");
    };
    assert!(left.contains(" WARN "), "{left}");
    assert!(
        left.contains("leftovers: of others remedy=\"mend them\""),
        "{left}"
    );
    assert!(using.ends_with("Using ipvs Proxier."), "{using}");
    assert!(cannot.contains("ERROR"), "{cannot}");
    assert!(
        cannot.contains("can't use ipvs proxier, module ip_vs: absent remedy=\"modprobe ip_vs\""),
        "{cannot}"
    );
}

#[test]
fn it_prints_lines_and_json() {
    let checks = [
        Check::works("mode", "ipvs"),
        Check::no(Verdict::Fails, "module ip_vs", "absent", "modprobe ip_vs"),
    ];
    let mut text = anstream::StripStream::new(Vec::new());
    write_text(&checks, &mut text).unwrap();
    assert_eq!(
        String::from_utf8(text.into_inner()).unwrap(),
        "ok       mode          ipvs\nFAILS    module ip_vs  absent\n                       -> modprobe ip_vs\n\n\
         Can't use ipvs proxier: 1 of 2 checks fail.\n"
    );
    assert_eq!(
        serde_json::to_value(&checks).unwrap(),
        serde_json::json!([
            {"name": "mode", "found": "ipvs", "verdict": "works"},
            {"name": "module ip_vs", "found": "absent", "verdict": "fails", "remedy": "modprobe ip_vs"},
        ])
    );
}

#[test]
fn node_ports_that_are_local_ports_are_found() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("proc/sys/net/ipv4");
    fs::create_dir_all(&folder).unwrap();
    let check = |range: &str, reserved: &str| {
        fs::write(folder.join("ip_local_port_range"), range).unwrap();
        fs::write(folder.join("ip_local_reserved_ports"), reserved).unwrap();
        let machine = Machine {
            root: root.path().into(),
        };
        machine.node_ports().unwrap()
    };
    assert_eq!(check("32768\t60999\n", "\n").verdict, Verdict::Works);
    let wide = check("1024\t65535\n", "8080\n");
    assert_eq!(wide.verdict, Verdict::Warning);
    assert!(wide.found.contains("30000-32767"), "{wide:?}");
    assert_eq!(
        wide.remedy.as_deref(),
        Some("sysctl -w net.ipv4.ip_local_reserved_ports=8080,30000-32767")
    );
    assert_eq!(
        check("1024\t65535\n", "30000-32767\n").verdict,
        Verdict::Works
    );
}
