//! `apply` and `apply --cleanup` on a real kernel.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that fails should panic"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use kernel_test::{cmd, tests};

fn main() -> ExitCode {
    kernel_test::main(tests![
        a_scenario_is_applied_and_cleaned_up,
        without_a_cluster_nothing_is_touched,
        what_is_not_a_list_of_the_cluster_changes_nothing
    ])
}

fn scenario(name: &str) -> PathBuf {
    scenarios::data().join(name)
}

/// Runs the program in a folder. Returns its status, and what it printed.
fn apply(folder: &Path, args: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_apply"));
    let output = command.current_dir(folder).args(args).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (
        output.status.code().unwrap(),
        text(output.stdout),
        text(output.stderr),
    )
}

fn sorted(text: &str) -> Vec<String> {
    let mut lines: Vec<_> = text.lines().map(ToOwned::to_owned).collect();
    lines.sort();
    lines
}

fn make_node() {
    for line in [
        "ip link add eth0 type dummy",
        "ip address add 192.168.10.10/24 dev eth0",
        "ip address add 2001:db8:10::10/64 dev eth0 nodad",
        "ip link set eth0 up",
        "ip link add eth1 type dummy",
        "ip address add 172.20.5.7/16 dev eth1",
        "ip link set eth1 up",
    ] {
        cmd(line);
    }
}

fn a_scenario_is_applied_and_cleaned_up() {
    make_node();
    cmd("ipvsadm -A -f 7 -s rr");
    let folder = scenario("dual-stack");
    // The node's addresses come from the kernel, its name from the configuration.
    let args = [
        "--config",
        "proxy-config.yaml",
        "--output",
        "json",
        "step-1.yaml",
    ];
    let (status, out, err) = apply(&folder, &args);
    assert_eq!((status, err.as_str()), (0, ""));
    let state: serde_json::Value = serde_json::from_str(&out).unwrap();
    let expected: serde_json::Value =
        serde_json::from_slice(&fs::read(folder.join("expected-1.json")).unwrap()).unwrap();
    for key in ["ipset", "addresses", "sysctl"] {
        assert_eq!(state[key], expected[key], "{key}");
    }
    let mut ipvs: Vec<String> = serde_json::from_value(expected["ipvs"].clone()).unwrap();
    ipvs.push("-A -f 7 -s rr".into());
    ipvs.sort();
    assert_eq!(sorted(&cmd("ipvsadm -Sn")), ipvs);
    let (status, out, _) = apply(
        &folder,
        &[
            "--config",
            "proxy-config.yaml",
            "--output",
            "plan",
            "step-1.yaml",
        ],
    );
    assert_eq!(status, 0);
    assert!(out.contains("Plan: nothing to do."), "{out}");

    let (status, out, err) = apply(&folder, &["--cleanup", "--output", "plan"]);
    assert_eq!((status, err.as_str()), (0, ""), "{out}");
    assert_eq!(cmd("ipvsadm -Sn"), "-A -f 7 -s rr\n");
    assert_eq!(cmd("ipset save"), "");
    assert!(!cmd("iptables-legacy-save").contains("KUBE"));
    assert!(!cmd("ip6tables-legacy-save").contains("KUBE"));
    assert!(!cmd("ip link").contains("kube-ipvs0"));
}

fn without_a_cluster_nothing_is_touched() {
    make_node();
    let folder = scenario("dual-stack");
    let args = [
        "--config",
        "proxy-config.yaml",
        "--output",
        "plan",
        "step-1.yaml",
    ];
    assert_eq!(apply(&folder, &args).0, 0);
    let before = (
        cmd("ipvsadm -Sn"),
        cmd("ipset save"),
        cmd("iptables-legacy-save -t nat"),
    );
    let empty = std::env::temp_dir().join("empty.yaml");
    fs::write(&empty, "").unwrap();
    let (status, _, err) = apply(
        &folder,
        &["--config", "proxy-config.yaml", empty.to_str().unwrap()],
    );
    assert_eq!(status, 2, "{err}");
    let after = (
        cmd("ipvsadm -Sn"),
        cmd("ipset save"),
        cmd("iptables-legacy-save -t nat"),
    );
    let timeless = |text: &str| {
        text.lines()
            .filter(|l| !l.starts_with('#'))
            .map(ToOwned::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        (before.0, before.1, timeless(&before.2)),
        (after.0, after.1, timeless(&after.2))
    );
}

/// What an API server or a proxy in between may answer with in the place of a list.
fn what_is_not_a_list_of_the_cluster_changes_nothing() {
    make_node();
    let folder = scenario("dual-stack");
    let apply_file = |file: &str| {
        let args = ["--config", "proxy-config.yaml", "--output", "plan", file];
        apply(&folder, &args)
    };
    assert_eq!(apply_file("step-1.yaml").0, 0);
    let held = || {
        (
            cmd("ipvsadm -Sn"),
            cmd("ipset save"),
            cmd("ip -o address show kube-ipvs0"),
        )
    };
    let before = held();
    let cases = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../crates/proxier-manifest/tests/cases/lists"
    );
    let mut tried = 0;
    for entry in fs::read_dir(cases).unwrap() {
        let path = entry.unwrap().path();
        let (status, _, err) = apply_file(path.to_str().unwrap());
        assert_eq!(status, 2, "{path:?}: {err}");
        assert!(err.contains("nothing is changed"), "{path:?}: {err}");
        if path.ends_with("status.json") {
            assert!(err.contains("Unauthorized"), "{err}");
        }
        assert_eq!(held(), before, "{path:?}");
        tried += 1;
    }
    assert_eq!(tried, 5);
    let none = std::env::temp_dir().join("none.json");
    let text =
        r#"{"kind":"ServiceList","apiVersion":"v1","metadata":{"resourceVersion":"7"},"items":[]}"#;
    fs::write(&none, text).unwrap();
    assert_eq!(apply_file(none.to_str().unwrap()).0, 0);
    assert_eq!(cmd("ipvsadm -Sn"), "");
}
