//! kube-proxier as a process, where no kernel is needed: what it logs, and what it writes.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that fails should panic"
)]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use kube_proxier::options::{Flags, Options, ThisProcess};
use serde_json::Value;
use tempfile::TempDir;

fn kube_proxier(log: &str, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_kube-proxier"))
        .args(args)
        .env("RUST_LOG", log)
        .env_remove("KUBE_PROXY_MODE")
        .env_remove("KUBEPROXY_MODE")
        .output()
        .unwrap()
}

fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

/// Something to do that ends by itself, and says something on the way.
fn write_to(folder: &TempDir) -> String {
    let path = folder.path().join("written.yaml");
    format!("--write-config-to={}", path.display())
}

const WARNED: &str = "--feature-gates=SupportIPVSProxyMode=false";

#[test]
fn logged_as_json_each_line_is_an_object() {
    let folder = tempfile::tempdir().unwrap();
    let to = write_to(&folder);
    let output = kube_proxier("", &["--logging-format=json", WARNED, &to]);
    assert!(output.status.success(), "{output:?}");
    let lines: Vec<Value> = stderr(&output)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let levels: Vec<_> = lines.iter().map(|line| &line["level"]).collect();
    assert_eq!(levels, ["WARN", "INFO"], "{lines:?}");
    for line in &lines {
        assert!(line.is_object() && line["timestamp"].is_string(), "{line}");
    }
    let warning = lines[0]["message"].as_str().unwrap();
    assert!(warning.contains("SupportIPVSProxyMode=false"), "{warning}");
    // An error is logged like anything else.
    let output = kube_proxier(
        "",
        &["--logging-format=json", "--write-config-to=/no/such/folder"],
    );
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let last = stderr(&output).lines().last().unwrap_or_default();
    let last: Value = serde_json::from_str(last).unwrap();
    assert_eq!(last["level"], "ERROR", "{last}");
    assert!(
        last["message"]
            .as_str()
            .unwrap()
            .contains("/no/such/folder")
    );
}

#[test]
fn rust_log_says_how_much_is_logged() {
    let folder = tempfile::tempdir().unwrap();
    let to = write_to(&folder);
    for (log, flag, lines) in [
        ("", "-v=2", 2),
        ("warn", "-v=2", 1),
        ("off", "-v=9", 0),
        ("info", "-v=0", 2),
    ] {
        let output = kube_proxier(log, &[flag, WARNED, &to]);
        assert!(output.status.success(), "{output:?}");
        assert_eq!(stderr(&output).lines().count(), lines, "{log}: {output:?}");
    }
    let output = kube_proxier("kube_proxier=loud", &[&to]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(stderr(&output).contains("RUST_LOG: "), "{output:?}");
}

#[test]
fn a_command_line_of_kube_proxy_is_taken_and_what_it_asks_for_in_vain_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let to = write_to(&folder);
    let line = [
        "--proxy-mode=ipvs",
        "--bind-address=0.0.0.0",
        "--conntrack-max-per-core=32768",
        "--iptables-sync-period",
        "30s",
        "--udp-timeout=250ms",
        "--kube-api-qps=50",
        "--logtostderr=true",
        "--log_file_max_size=10",
        "--profiling",
        "--healthz-port=0",
    ];
    let output = kube_proxier("info", &[&line[..], &[&to]].concat());
    assert!(output.status.success(), "{output:?}");
    let said: Vec<_> = stderr(&output).lines().collect();
    let line = |what: &str| {
        let mut lines = said.iter().filter(|line| line.contains(what));
        let first = lines.next().unwrap_or_else(|| panic!("{what}: {said:#?}"));
        assert_eq!(lines.next(), None, "{said:#?}");
        first.split_once(what).unwrap()
    };
    let (before, missed) = line("not done here: --profiling=true: ");
    assert!(before.contains("WARN"), "{before}");
    assert!(missed.contains("/debug/pprof"), "{missed}");
    // It is of the other mode.
    let (before, of_the_other) = line("without effect in ipvs mode: ");
    assert!(before.contains("INFO"), "{before}");
    assert_eq!(of_the_other, "--iptables-sync-period");
    let (before, unused) = line("without effect in this proxy: ");
    assert!(before.contains("INFO"), "{before}");
    let expected = "--udp-timeout, --kube-api-qps, --log-file-max-size, --logtostderr";
    assert_eq!(unused, expected);
    // What there never was is a mistake still, and so is what is of another kind.
    for wrong in ["--conntrack-max=1", "--conntrack-min=many", "--profiling=x"] {
        let output = kube_proxier("off", &[wrong, &to]);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        let flag = wrong.split('=').next().unwrap();
        assert!(stderr(&output).contains(flag), "{output:?}");
    }
    // A file says what such flags say, and then they are ignored as all others.
    let config = format!("--config={}", folder.path().join("written.yaml").display());
    let output = kube_proxier(
        "info",
        &[&config, "--conntrack-min=1", "--healthz-port=1", &to],
    );
    assert!(output.status.success(), "{output:?}");
    let ignored = "ignored, because --config is given: --conntrack-min, --healthz-port";
    assert!(stderr(&output).contains(ignored), "{output:?}");
    assert!(!stderr(&output).contains("not done here"), "{output:?}");
}

/// Options, but for what to do and where they came from.
fn options(args: &[&str]) -> Options {
    let words = ["kube-proxier"].iter().chain(args);
    Options::read(Flags::read(words).unwrap(), &ThisProcess).unwrap()
}

#[test]
fn what_is_written_is_read_back_as_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let first = folder.path().join("first.yaml");
    let second = folder.path().join("second.yaml");
    let to = |path: &Path| format!("--write-config-to={}", path.display());
    let flags = [
        "--proxy-mode=ipvs",
        "--ipvs-scheduler=mh",
        "--ipvs-sync-period=1h0m5s",
        "--ipvs-min-sync-period=1500ms",
        "--ipvs-exclude-cidrs=10.9.0.0/16,fd00:9::/64",
        "--ipvs-tcp-timeout=15m",
        "--ipvs-udp-timeout=90s",
        "--ipvs-strict-arp",
        "--conntrack-min=7",
        "--conntrack-tcp-be-liberal",
        "--conntrack-tcp-timeout-established=0",
        "--masquerade-all",
        "--iptables-masquerade-bit=3",
        "--cluster-cidr=10.244.0.0/16,fd00::/56",
        "--nodeport-addresses=192.168.0.0/16",
        "--hostname-override=Node-7",
        "--kubeconfig=/k: 'quoted' #1",
        "--healthz-bind-address=127.0.0.1:1",
        "--metrics-bind-address=[::1]:2",
        "--bind-address-hard-fail",
        "--oom-score-adj=-5",
        "--logging-format=json",
        "-v=3",
    ];
    let output = kube_proxier("", &[&flags[..], &[&to(&first)]].concat());
    assert!(output.status.success(), "{output:?}");
    let said = options(&flags);
    let config = format!("--config={}", first.display());
    let read = options(&[&config]);
    assert_eq!(read.config, said.config);
    assert_eq!(read.process, said.process);
    assert_eq!(read.node_name, said.node_name);
    assert_eq!(read.warnings, [""; 0]);
    // And what is written of that is the same text.
    let output = kube_proxier("", &[&config, &to(&second)]);
    assert!(output.status.success(), "{output:?}");
    let texts = [first, second].map(|path| fs::read_to_string(path).unwrap());
    assert_eq!(texts[0], texts[1]);
}

/// On this machine's kernel, whatever it has.
#[test]
fn the_doctors_exit_status_is_0_only_where_nothing_fails() {
    let output = kube_proxier("off", &["doctor", "--output=json"]);
    let checks: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    let fails = |check: &Value| check["verdict"] == "fails";
    let bad = checks.iter().any(fails);
    assert_eq!(output.status.code(), Some(i32::from(bad)), "{checks:#?}");
    let modules = fs::read_to_string("/proc/net/ip_vs").is_ok();
    if !modules {
        let module = checks.iter().find(|c| c["name"] == "module ip_vs").unwrap();
        let remedy = module["remedy"].as_str().unwrap_or_default();
        assert!(remedy.contains("ip_vs"), "{module}");
    }
    let text = kube_proxier("off", &["doctor"]);
    assert_eq!(text.status, output.status);
    let text = String::from_utf8(text.stdout).unwrap();
    assert_eq!(
        text.contains("ipvs mode can run on this machine."),
        !bad,
        "{text}"
    );
}

#[test]
fn a_wrong_question_is_refused_before_anything_is_asked() {
    for (question, error) in [
        ("10.0.0.10", "10.0.0.10 has no port; write 10.0.0.10:53"),
        ("web", "\"web\" has no namespace; write default/web"),
        (
            "10.0.0.10:53/icmp",
            "\"icmp\" is not a protocol of Services",
        ),
        ("a/b/c", "neither an address with a port"),
    ] {
        let output = kube_proxier("", &["explain", question]);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(stderr(&output).contains(error), "{output:?}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn manifests_that_hold_no_cluster_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("empty.yaml");
    let flag = format!("--manifests={}", path.display());
    let missing = kube_proxier("", &["explain", "default/web", &flag]);
    assert_eq!(missing.status.code(), Some(1), "{missing:?}");
    assert!(stderr(&missing).contains("No such file"), "{missing:?}");
    fs::write(&path, "kind: Pod\napiVersion: v1\nmetadata: {name: a}\n").unwrap();
    let empty = kube_proxier("", &["explain", "default/web", &flag]);
    assert_eq!(empty.status.code(), Some(1), "{empty:?}");
    let error = "holds no Services, EndpointSlices or Nodes";
    assert!(stderr(&empty).contains(error), "{empty:?}");
}
