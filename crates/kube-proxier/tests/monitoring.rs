//! The dashboard and the alert rules in `deploy/`: that they ask for metrics that the daemon has, and that Prometheus takes
//! the rules.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking, and say what they skip"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, SystemTime};

use kube_proxier::metrics::{Holdings, Metrics, OperationResult, TRAFFIC};
use proxier::{Layout, NoLocalEndpoints};
use serde_json::Value;

/// Those of Prometheus itself.
const OTHERS: [&str; 2] = ["up", "ALERTS"];

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../deploy")
}

fn read(file: &str) -> String {
    fs::read_to_string(folder().join(file)).unwrap()
}

/// The metrics of the daemon, each with its type.
fn exported() -> BTreeMap<String, String> {
    let metrics = Metrics::new().unwrap();
    let now = SystemTime::now();
    // A metric with labels is there once it has a value.
    metrics.sync_took(Duration::ZERO, true);
    metrics.sync_took(Duration::ZERO, false);
    metrics.synced(now);
    metrics.queued(now);
    metrics.programmed(false, Duration::ZERO);
    metrics.restore_failed(false, true);
    metrics.rules("nat", false, 0, 0);
    metrics.no_local_endpoints(false, NoLocalEndpoints::default());
    metrics.set_mode(Layout::Iptables, Some("something"));
    metrics.healthz(200);
    metrics.livez(200);
    metrics.operations("ipvs", OperationResult::Done, 0);
    metrics.holdings(Holdings::default());
    metrics.flows_deleted(false, 0, Duration::ZERO);
    metrics.conflicting([("default", "web", 1)]);
    metrics.unhealthy(["something"]);
    let text = metrics.text();
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let of_traffic = TRAFFIC.iter().copied();
    types
        .filter_map(|line| line.split_once(' '))
        .chain(of_traffic)
        .map(|(name, kind)| (name.to_owned(), kind.to_owned()))
        .collect()
}

/// The names in an expression that may be metrics: what begins as those do.
fn names(expression: &str) -> BTreeSet<&str> {
    let words = expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != ':');
    let prefixes = [
        "kube_proxier_",
        "kubeproxy_",
        "process_",
        "rest_client_",
        "kubernetes_",
    ];
    let is_name = |word: &&str| {
        OTHERS.contains(word) || prefixes.iter().any(|prefix| word.starts_with(prefix))
    };
    words.filter(is_name).collect()
}

/// Fails if an expression has a metric that is not exported, or takes a counter for a gauge.
#[track_caller]
fn asks_for_what_there_is(place: &str, expression: &str) {
    let exported = exported();
    let found = names(expression);
    let recorded = expression.contains(":kube_proxier_");
    assert!(!found.is_empty() || recorded, "{place}: {expression}");
    for name in found.iter().filter(|name| !OTHERS.contains(name)) {
        let base = ["_bucket", "_sum", "_count"]
            .iter()
            .find_map(|part| name.strip_suffix(part))
            .filter(|base| exported.get(*base).is_some_and(|kind| kind == "histogram"));
        let kind = exported.get(base.unwrap_or(name));
        let Some(kind) = kind else {
            panic!("{place}: the daemon has no metric {name}: {expression}");
        };
        let counts = kind == "counter" || base.is_some();
        let rated = ["rate(", "increase("]
            .iter()
            .any(|of| expression.contains(of));
        assert_eq!(
            counts,
            rated && found.len() == 1,
            "{place}: {name} is a {kind}: {expression}"
        );
    }
}

fn rules() -> Vec<Value> {
    let file: Value = serde_saphyr::from_str(&read("prometheus/kube-proxier.rules.yaml")).unwrap();
    let groups = file["groups"].as_array().unwrap().iter();
    let rules = groups.flat_map(|group| group["rules"].as_array().unwrap().iter().cloned());
    rules.collect()
}

#[test]
fn rules_ask_for_metrics_that_there_are() {
    let rules = rules();
    assert!(rules.len() >= 10);
    for rule in &rules {
        let expression = rule["expr"].as_str().unwrap();
        let place = rule["alert"].as_str().or_else(|| rule["record"].as_str());
        asks_for_what_there_is(place.unwrap(), expression);
        if rule["alert"].is_string() {
            for text in ["summary", "description"] {
                assert!(rule["annotations"][text].is_string(), "{rule}");
            }
            // An alert that kubectl or the page is to explain names metrics too.
            let description = rule["annotations"]["description"].as_str().unwrap();
            for name in names(description) {
                assert!(exported().contains_key(name), "{name}: {description}");
            }
        }
    }
}

#[test]
fn the_dashboard_asks_for_metrics_that_there_are() {
    let dashboard: Value = serde_json::from_str(&read("grafana/kube-proxier.json")).unwrap();
    let mut asked = 0;
    for panel in dashboard["panels"].as_array().unwrap() {
        let title = panel["title"].as_str().unwrap();
        for target in panel["targets"].as_array().into_iter().flatten() {
            asks_for_what_there_is(title, target["expr"].as_str().unwrap());
            asked += 1;
        }
    }
    assert!(asked >= 15, "{asked}");
    for variable in dashboard["templating"]["list"].as_array().unwrap() {
        if let Some(query) = variable["definition"].as_str() {
            assert!(
                names(query)
                    .iter()
                    .all(|name| exported().contains_key(*name)),
                "{query}"
            );
        }
    }
}

/// Skipped, with a message, where Prometheus' tool is not there: `apt-get install prometheus`.
#[test]
fn prometheus_takes_the_rules_and_alerts_begin_when_they_should() {
    for arguments in [
        ["check", "rules", "kube-proxier.rules.yaml"],
        ["test", "rules", "kube-proxier.rules.test.yaml"],
    ] {
        let run = Command::new("promtool")
            .args(arguments)
            .current_dir(folder().join("prometheus"))
            .output();
        let output = match run {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                eprintln!(
                    "skipped: promtool is missing; apt-get install --no-install-recommends prometheus"
                );
                return;
            }
            run => run.unwrap(),
        };
        let said =
            String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "promtool {}: {said}",
            arguments.join(" ")
        );
    }
}
