//! `--explain`.

use serde_json::Value;

use crate::Run;

#[test]
fn what_is_served_and_what_is_not() {
    let run = Run::new();
    for (layout, mode) in [
        ("current", "ipvs"),
        ("nftables", "ipvs"),
        ("current", "iptables"),
    ] {
        let explain = |args: &[&str]| {
            let options = ["--layout", layout, "--mode", mode, "--explain"];
            run.with(&[&options[..], args].concat())
        };
        let served = explain(&["10.96.0.10:53/udp"]);
        assert_eq!(
            (served.status, served.err.as_str()),
            (0, ""),
            "{}",
            served.out
        );
        let first = "kube-system/kube-dns:dns is served at 10.96.0.10:53/udp by 10.244.1.2:53, 10.244.2.2:53\n";
        assert!(
            served.out.starts_with(first),
            "{layout} {mode}: {}",
            served.out
        );
        let nobody = explain(&["10.96.0.10:54"]);
        assert_eq!(nobody.status, 1);
        let first = "no Service has 10.96.0.10:54/tcp; the nearest: 10.96.0.10:53/tcp (kube-system/kube-dns), \
                     10.96.0.10:53/udp (kube-system/kube-dns)\n";
        assert_eq!(nobody.out, first);
        let client = explain(&["198.51.100.7:80", "--from", "192.0.2.9"]);
        assert_eq!(client.status, 1);
        let first = "web/shop:http drops what 192.0.2.9 sends to 198.51.100.7:80/tcp: loadBalancerSourceRanges are \
                     203.0.113.0/24";
        assert!(client.out.starts_with(first), "{}", client.out);
        let json = explain(&["web/shop", "--output", "json"]);
        assert_eq!(json.status, 0);
        let json: Value = serde_json::from_str(&json.out).unwrap();
        assert_eq!(json["served"], true);
        assert_eq!(json["ports"][0]["service"], "web/shop");
        let paths = json["ports"][0]["frontends"][0]["paths"]
            .as_array()
            .unwrap();
        assert_eq!(paths.len(), 3);
        assert!(paths.iter().all(|path| path["outcome"] == "served"));
    }
}

/// The state of a node, as a file, with one virtual server left out.
#[test]
fn a_state_that_was_found() {
    let run = Run::new();
    let whole = run.with(&["--output", "json"]).out;
    let mut state: Value = serde_json::from_str(&whole).unwrap();
    let lines = state["ipvs"].as_array_mut().unwrap();
    lines.retain(|line| !line.as_str().unwrap().contains("-u 10.96.0.10:53"));
    let run = run
        .file("whole.json", whole)
        .file("broken.json", state.to_string());
    let explain = |found: &str| run.with(&["--found", found, "--explain", "10.96.0.10:53/udp"]);
    assert_eq!(
        explain("whole.json").status,
        0,
        "{}",
        explain("whole.json").out
    );
    let broken = explain("broken.json");
    assert_eq!(broken.status, 1);
    let first = "kube-system/kube-dns:dns has no virtual server 10.96.0.10:53/udp in the kernel: ";
    assert!(broken.out.starts_with(first), "{}", broken.out);
    assert!(
        broken
            .out
            .contains("MISSING   ipvs       -A -u 10.96.0.10:53 -s rr")
    );
}

#[test]
fn questions_that_are_none() {
    let run = Run::new();
    for (question, error) in [
        ("10.96.0.10", "has no port"),
        ("10.96.0.10:53/icmp", "not a protocol of Services"),
        ("web", "has no namespace"),
    ] {
        let ran = run.with(&["--explain", question]);
        assert_eq!((ran.status, ran.out.as_str()), (2, ""));
        ran.refuses(&["--explain", error]);
    }
}
