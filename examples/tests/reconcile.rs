//! The `reconcile` program, run as a user runs it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that fails should panic"
)]

use std::fs;
use std::process::{Command, Output};

use tempfile::TempDir;

struct Run {
    folder: TempDir,
}

impl Run {
    fn new() -> Self {
        Self {
            folder: TempDir::new().unwrap(),
        }
    }

    fn file(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        fs::write(self.folder.path().join(name), content).unwrap();
        self
    }

    fn with(&self, args: &[&str]) -> Ran {
        Ran::new(
            Command::new(env!("CARGO_BIN_EXE_reconcile"))
                .current_dir(self.folder.path())
                .args(args),
        )
    }
}

struct Ran {
    status: i32,
    out: String,
    err: String,
}

impl Ran {
    fn new(command: &mut Command) -> Self {
        let Output {
            status,
            stdout,
            stderr,
        } = command.output().unwrap();
        Self {
            status: status.code().unwrap(),
            out: String::from_utf8(stdout).unwrap(),
            err: String::from_utf8(stderr).unwrap(),
        }
    }

    #[track_caller]
    fn refuses(&self, says: &[&str]) {
        for part in says {
            assert!(self.err.contains(part), "{part:?} is not in:\n{}", self.err);
        }
    }
}

const SLICE: &str = "
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
endpoints: [{addresses: [10.244.1.5]}]
ports: [{name: http, port: 8080}]
";

/// A cluster of a good Service and its slice, and one more object.
fn beside_a_good_one(other: &str) -> String {
    format!(
        "{}\n{SLICE}\n---\n{other}",
        service("web", "10.0.0.7", "{name: http, port: 80}", "")
    )
}

fn service(name: &str, ip: &str, port: &str, more: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\n\
         spec: {{clusterIP: {ip}, ports: [{port}]{more}}}\n"
    )
}

fn ipvs(out: &str) -> Vec<String> {
    let state: serde_json::Value = serde_json::from_str(out).unwrap();
    state["ipvs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| line.as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn without_arguments_it_shows_a_cluster() {
    let ran = Run::new().with(&[]);
    assert_eq!((ran.status, ran.err.as_str()), (0, ""));
    for part in [
        "+ ipvs      -A -t 10.96.0.1:443 -s rr -p 10800",
        "Plan: ",
        "KUBE-MARK-MASQ",
        "InActConn",
    ] {
        assert!(ran.out.contains(part), "{part}");
    }
    assert!(
        !ran.out.contains('\u{1b}'),
        "no colour where nobody sees it"
    );
}

#[test]
fn each_output_form_is_what_it_says() {
    let run = Run::new();
    let json = run.with(&["--output", "json"]);
    assert!(ipvs(&json.out).contains(&"-A -t 10.96.0.10:53 -s rr".to_owned()));
    let plan = run.with(&["--output", "plan", "--layout", "classic"]);
    assert!(plan.out.contains("-N KUBE-MARK-DROP") && !plan.out.contains("InActConn"));
}

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

/// Each object is refused with its place and the field at fault; the good one beside it is served.
#[test]
fn bad_objects_are_refused_and_the_others_served() {
    let bad = |port: &str, more: &str| service("bad", "10.0.0.9", port, more);
    let good_port = "{name: http, port: 80}";
    let slice = |more: &str| {
        "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n\
         metadata: {name: bad, labels: {kubernetes.io/service-name: web}}\n"
            .to_owned()
            + more
    };
    let cases = [
        (
            bad("{port: 0}", ""),
            "Service default/bad: spec.ports[0].port: 0 is no port",
        ),
        (
            bad("{port: 65536}", ""),
            "spec.ports[0].port: 65536 is no port",
        ),
        (
            bad("{port: 80, nodePort: -1}", ""),
            "spec.ports[0].nodePort: -1 is no port",
        ),
        (
            bad("{port: eighty}", ""),
            "spec.ports[0].port: invalid type",
        ),
        (
            bad("{port: 80, protocol: ICMP}", ""),
            "spec.ports[0].protocol: \"ICMP\"",
        ),
        (
            service("bad", "10.0.0.300", good_port, ""),
            "spec.clusterIP: \"10.0.0.300\" is no IP address",
        ),
        (
            bad(good_port, ", ipFamilies: [IPv6]"),
            "spec.clusterIP: 10.0.0.9 is of none of spec.ipFamilies",
        ),
        (
            bad(good_port, ", clusterIPs: [10.0.0.9, 10.0.0.10]"),
            "spec.clusterIPs[1]: 10.0.0.10 is a second IPv4",
        ),
        (
            bad(good_port, ", externalIPs: [x]"),
            "spec.externalIPs[0]: \"x\" is no IP address",
        ),
        (
            bad(good_port, ", loadBalancerSourceRanges: [10.0.0.1]"),
            "spec.loadBalancerSourceRanges[0]",
        ),
        (
            bad(good_port, ", sessionAffinity: Sometimes"),
            "spec.sessionAffinity: \"Sometimes\"",
        ),
        (
            bad(good_port, ", internalTrafficPolicy: Near"),
            "spec.internalTrafficPolicy: \"Near\"",
        ),
        (bad(good_port, ", type: Magic"), "spec.type: \"Magic\""),
        (
            slice("addressType: IPv4\nendpoints: [{addresses: [fd00::1]}]"),
            "EndpointSlice default/bad: endpoints[0].addresses[0]: fd00::1 is no IPv4",
        ),
        (
            slice("addressType: IPv4\nendpoints: [{addresses: []}]"),
            "endpoints[0].addresses: is empty",
        ),
        (slice("addressType: IPv5"), "addressType: \"IPv5\""),
        (
            slice("addressType: IPv4\nports: [{port: 99999}]"),
            "ports[0].port: 99999 is no port",
        ),
        ("kind: Service".to_owned(), "is no Kubernetes object"),
        (
            "apiVersion: v1\nkind: Service\nmetadata: {}".to_owned(),
            "Service: metadata.name: is missing",
        ),
        ("a: [".to_owned(), "is no YAML: line"),
        ("just words".to_owned(), "is no Kubernetes object"),
    ];
    for (object, says) in cases {
        let run = Run::new().file("c.yaml", beside_a_good_one(&object));
        let ran = run.with(&["--output", "json", "c.yaml"]);
        assert_eq!(ran.status, 1, "{object}\n{}", ran.err);
        ran.refuses(&["refused: c.yaml: document 3", says]);
        let expected = [
            "-A -t 10.0.0.7:80 -s rr",
            "-a -t 10.0.0.7:80 -r 10.244.1.5:8080 -m -w 1",
        ];
        assert_eq!(ipvs(&ran.out), expected, "{object}");
    }
}

#[test]
fn what_looks_bad_and_is_not_is_used() {
    let cases = [
        // A slice whose Service is missing, and one that belongs to none.
        SLICE
            .replace("name: web", "name: gone")
            .replace("web-1", "gone-1"),
        SLICE
            .replace(", labels: {kubernetes.io/service-name: web}", "")
            .replace("web-1", "free"),
        // The same slice twice, an endpoint twice.
        SLICE.to_owned(),
        SLICE.replace("web-1", "web-2"),
        // Kinds that no proxy needs, and Services of other groups.
        "apiVersion: v1\nkind: Pod\nmetadata: {name: p}".to_owned(),
        "apiVersion: serving.knative.dev/v1\nkind: Service\nmetadata: {name: k}".to_owned(),
        // Headless, or without an address yet.
        service("headless", "None", "{port: 80}", ""),
        service("pending", "''", "{port: 80}", ""),
    ];
    for object in cases {
        let run = Run::new().file("c.yaml", beside_a_good_one(&object));
        let ran = run.with(&["--output", "json", "c.yaml"]);
        let twice = ran.err.contains("is there twice");
        assert_eq!(ran.status, i32::from(twice), "{object}\n{}", ran.err);
        let expected = [
            "-A -t 10.0.0.7:80 -s rr",
            "-a -t 10.0.0.7:80 -r 10.244.1.5:8080 -m -w 1",
        ];
        assert_eq!(ipvs(&ran.out), expected, "{object}");
    }
}

#[test]
fn affinity_without_a_timeout_is_three_hours() {
    let service = service(
        "web",
        "10.0.0.7",
        "{name: http, port: 80}",
        ", sessionAffinity: ClientIP",
    );
    let ran = Run::new()
        .file("c.yaml", service)
        .with(&["--output", "json", "c.yaml"]);
    assert_eq!(ipvs(&ran.out), ["-A -t 10.0.0.7:80 -s rr -p 10800"]);
}

#[test]
fn of_two_services_with_one_address_the_older_has_it() {
    let dated = |name: &str, date: &str, port: u16| {
        service(
            name,
            "10.0.0.7",
            &format!("{{name: http, port: 80, nodePort: {port}}}"),
            "",
        )
        .replace(
            "metadata: {",
            &format!("metadata: {{creationTimestamp: {date}, "),
        )
    };
    let old = dated("z-old", "2024-01-01T00:00:00Z", 30001);
    let young = dated("a-young", "2025-01-01T00:00:00Z", 30002);
    for text in [format!("{old}---\n{young}"), format!("{young}---\n{old}")] {
        let ran = Run::new().file("c.yaml", text).with(&["c.yaml"]);
        assert_eq!(ran.status, 1);
        ran.refuses(&[
            "Service default/a-young",
            "-t 10.0.0.7:80",
            "belongs to the older Service default/z-old",
        ]);
    }
    // It is taken over when the older one goes.
    let run = Run::new()
        .file("1.yaml", format!("{old}---\n{young}"))
        .file("2.yaml", young);
    let ran = run.with(&["--output", "json", "1.yaml", "2.yaml"]);
    assert_eq!(ipvs(&ran.out), ["-A -t 10.0.0.7:80 -s rr"]);
}

#[test]
fn files_that_say_nothing_change_nothing() {
    let mut garbage = vec![0u8; 10 << 20];
    let mut seed = 7u32;
    for byte in &mut garbage {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *byte = (seed >> 24) as u8;
    }
    let bomb: String = (0..30).fold("a0: &a0 x\n".to_owned(), |text, n| {
        text + &format!("a{}: &a{} [*a{n}, *a{n}, *a{n}, *a{n}]\n", n + 1, n + 1)
    });
    let run = Run::new()
        .file("good.yaml", beside_a_good_one(""))
        .file("empty", "")
        .file("comments", "# nothing\n---\n# here\n")
        .file("garbage", garbage)
        .file("bomb", bomb)
        .file("text", "hello\n");
    for nothing in ["empty", "comments", "garbage", "bomb", "text"] {
        let ran = run.with(&["--output", "json", nothing]);
        assert_eq!(ran.status, 2, "{nothing}: {}", ran.err);
        assert!(!ran.err.is_empty());
        let ran = run.with(&["--output", "json", "good.yaml", nothing]);
        assert_eq!((ran.status, ipvs(&ran.out).len()), (1, 2), "{nothing}");
    }
    assert_eq!(run.with(&["missing.yaml"]).status, 2);
    assert_eq!(run.with(&["--no-such-option"]).status, 2);
}

#[test]
fn a_bad_configuration_is_refused_with_all_its_faults() {
    let run = Run::new().file(
        "config.yaml",
        "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n\
         mode: ipvs\nipvs: {schedular: rr, tcpTimeout: soon}\n",
    );
    let ran = run.with(&["--config", "config.yaml"]);
    assert_eq!((ran.status, ran.out.as_str()), (2, ""));
    ran.refuses(&[
        "config.yaml: ipvs.schedular: there is no such field",
        "config.yaml: ipvs.tcpTimeout",
    ]);
    let run = run.file(
        "config.yaml",
        "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\niptables: {masqueradeBit: 15}\n",
    );
    assert_eq!(run.with(&["--config", "config.yaml"]).status, 0);
    assert_eq!(
        run.with(&["--config", "config.yaml", "--layout", "classic"])
            .status,
        2
    );
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
            // As what was measured does it; by default others' virtual servers stay.
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
