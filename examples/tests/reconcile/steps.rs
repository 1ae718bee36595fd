//! Several files, and a state to begin with.

use std::fs;
use std::process::Command;

use crate::{Ran, Run, beside_a_good_one, ipvs, service};

#[test]
fn steps_are_gone_through_in_order_on_one_kernel() {
    let run = Run::new()
        .file(
            "1.yaml",
            beside_a_good_one(&service("db", "10.0.0.8", "{name: sql, port: 5432}", "")),
        )
        .file(
            "2.json",
            r#"{"kind": "List", "apiVersion": "v1", "items": []}"#,
        );
    let first = run.with(&["--output", "json", "1.yaml"]);
    assert_eq!(
        ipvs(&first.out),
        [
            "-A -t 10.0.0.7:80 -s rr",
            "-A -t 10.0.0.8:5432 -s rr",
            "-a -t 10.0.0.7:80 -r 10.244.1.5:8080 -m -w 1",
        ]
    );
    let both = run.with(&["--output", "json", "1.yaml", "2.json"]);
    assert_eq!((both.status, ipvs(&both.out).len()), (0, 0));
    let again = run.with(&["--output", "plan", "1.yaml", "1.yaml"]);
    assert!(again.out.contains("Plan: nothing to do."));
}

#[test]
fn a_state_found_is_taken_over() {
    let run = Run::new().file("1.yaml", beside_a_good_one(""));
    let end = run.with(&["--output", "json", "1.yaml"]);
    let run = run.file("found.json", &end.out);
    let ran = run.with(&["--found", "found.json", "--output", "plan", "1.yaml"]);
    assert!(ran.out.contains("Plan: nothing to do."), "{}", ran.out);
    let run = run.file("found.json", r#"{"ipvs": ["-A -t nowhere"]}"#);
    let ran = run.with(&["--found", "found.json"]);
    assert_eq!(ran.status, 2);
    ran.refuses(&["found.json: ipvs", "-A -t nowhere"]);
}

/// The scenarios, through the command line as design.md writes it.
#[test]
fn a_scenario_goes_through_the_command_line() {
    let scenarios = scenarios::data();
    for (name, layout, steps, found) in [
        ("clusterip-to-nodeport-to-lb", "current", 4, false),
        ("stale-state-found", "current", 1, true),
        ("classic/stale-state-found", "classic", 1, true),
    ] {
        let folder = scenarios.join(name);
        let mut command = Command::new(env!("CARGO_BIN_EXE_reconcile"));
        command
            .current_dir(&folder)
            .args(["--output", "json", "--layout", layout])
            // As the measured proxy does; by default the virtual servers of others stay.
            .arg("--remove-foreign-servers");
        command.args(["--config", "proxy-config.yaml", "--node", "node.yaml"]);
        if found {
            command.args(["--found", "found.json"]);
        }
        command.args((1..=steps).map(|n| format!("step-{n}.yaml")));
        let ran = Ran::new(&mut command);
        assert_eq!((ran.status, ran.err.as_str()), (0, ""), "{name}");
        let read = |text: &[u8]| -> serde_json::Value { serde_json::from_slice(text).unwrap() };
        let expected = read(&fs::read(folder.join(format!("expected-{steps}.json"))).unwrap());
        let actual = read(ran.out.as_bytes());
        for key in ["ipvs", "ipset", "addresses", "ipvs_timeouts"] {
            assert_eq!(actual[key], expected[key], "{name}: {key}");
        }
    }
}

/// Networks that have none of the node's addresses are a restriction all the same.
#[test]
fn node_port_addresses_that_match_nothing_serve_no_node_port() {
    let service = service(
        "web",
        "10.0.0.7",
        "{name: http, port: 80, nodePort: 30080}",
        ", type: NodePort",
    );
    let node = "---\napiVersion: v1\nkind: Node\nmetadata: {name: n}\n\
                status: {addresses: [{type: InternalIP, address: 192.0.2.1}]}\n";
    let config = |networks: &str| {
        format!(
            "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n\
             nodePortAddresses: [{networks}]\n"
        )
    };
    let run = Run::new()
        .file("c.yaml", format!("{service}{node}"))
        .file("some.yaml", config("192.0.2.0/24"))
        .file("none.yaml", config("203.0.113.0/24"));
    let served = |file: &str| {
        let ran = run.with(&["--output", "json", "--config", file, "c.yaml"]);
        assert_eq!((ran.status, ran.err.as_str()), (0, ""));
        ipvs(&ran.out)
    };
    let cluster_ip = "-A -t 10.0.0.7:80 -s rr".to_owned();
    let node_port = "-A -t 192.0.2.1:30080 -s rr".to_owned();
    assert_eq!(served("some.yaml"), [cluster_ip.clone(), node_port]);
    assert_eq!(served("none.yaml"), [cluster_ip]);
}
