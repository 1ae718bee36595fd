use std::time::{Duration, Instant};

use proxier::{Config, MemoryKernel};

use super::*;
use crate::logging::tests::captured;
use crate::options::{Flags, ThisProcess};

const CLUSTER: &str = "
apiVersion: v1
kind: Service
metadata: {name: older, creationTimestamp: '2026-01-01T00:00:00Z'}
spec: {clusterIP: 10.96.0.7, externalIPs: [203.0.113.5], ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: younger, creationTimestamp: '2026-02-01T00:00:00Z'}
spec: {clusterIP: 10.96.0.8, externalIPs: [203.0.113.5], ports: [{port: 80}]}
";

/// What the loop and its observer are, without threads.
struct Observed {
    syncer: Syncer<MemoryKernel>,
    reporter: Reporter,
    now: Instant,
}

impl Observed {
    fn new(runtime: &tokio::runtime::Runtime) -> Self {
        let options = Options::read(Flags::read(["kube-proxier"]).unwrap(), &ThisProcess).unwrap();
        let connections = Connections::new(1024);
        let now = Instant::now();
        let kernel = MemoryKernel::new();
        Self {
            syncer: Syncer::new(kernel, "node-a", Config::default(), now).unwrap(),
            reporter: Reporter::new(
                &options,
                connections,
                runtime.handle().clone(),
                Recorder::new().0,
                InForce::new(&options.config, None),
            )
            .unwrap(),
            now,
        }
    }

    fn receive(&mut self, change: Change) {
        let event = Event::Cluster {
            change,
            triggered: None,
        };
        Observer::<MemoryKernel>::received(&mut self.reporter, &event);
        self.syncer.take(event, self.now);
    }

    fn sync(&mut self) {
        self.now += Duration::from_secs(3600);
        let now = self.now;
        let report = self.syncer.step(|| now).unwrap();
        self.reporter.synced(&report, &self.syncer);
    }
}

#[test]
fn a_conflict_is_logged_when_it_begins_and_when_it_ends() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let mut observed = Observed::new(&runtime);
    let cluster = proxier_manifest::read_cluster("test", CLUSTER.as_bytes()).cluster;
    let younger = cluster.services[&ObjectName::new("default", "younger")].clone();
    let claims = "kube_proxier_conflicting_claims{namespace=\"default\",service=\"younger\"} 1";
    let begin = captured(|| {
        observed.receive(Change::Services(cluster.services.into_values().collect()));
        observed.receive(Change::Slices(Vec::new()));
        observed.receive(Change::Nodes(Vec::new()));
        observed.sync();
        observed.sync();
    });
    assert!(observed.reporter.metrics().text().contains(claims));
    let lines: Vec<_> = begin
        .lines()
        .filter(|line| line.contains("conflict: "))
        .collect();
    let [line] = &lines[..] else {
        panic!("{begin}")
    };
    for part in ["WARN", "default/younger", "default/older", "203.0.113.5:80"] {
        assert!(line.contains(part), "{part}: {line}");
    }
    let listed: Vec<_> = begin
        .lines()
        .filter(|line| line.contains("everything is listed"))
        .collect();
    assert!(
        listed.len() == 1 && listed[0].contains("services=2"),
        "{begin}"
    );
    assert!(begin.contains("no Node of this name"), "{begin}");
    // Another one begins; the first is not logged again.
    let mut third = younger.clone();
    third.name = ObjectName::new("default", "youngest");
    let more = captured(|| {
        observed.receive(Change::Service(Box::new(third)));
        observed.sync();
        observed.receive(Change::ServiceGone(ObjectName::new("default", "youngest")));
    });
    // It wants the same external IP, and the younger one's cluster IP.
    let lines: Vec<_> = more
        .lines()
        .filter(|line| line.contains("conflict: "))
        .collect();
    assert_eq!(lines.len(), 2, "{more}");
    assert!(
        lines.iter().all(|line| line.contains("default/youngest")),
        "{more}"
    );
    observed.sync();
    let end = captured(|| {
        observed.receive(Change::ServiceGone(ObjectName::new("default", "older")));
        observed.sync();
    });
    assert!(end.contains("a conflict ended: "), "{end}");
    assert!(
        !observed
            .reporter
            .metrics()
            .text()
            .contains("conflicting_claims{")
    );
}

#[test]
fn requests_and_builds_are_shown_as_kubernetes_shows_them() {
    let metrics = Metrics::new().unwrap();
    let took = Duration::from_millis(30);
    metrics
        .requests()
        .record("10.0.0.1:6443", "GET", Some(200), took);
    metrics
        .requests()
        .record("10.0.0.1:6443", "GET", None, took);
    metrics.flows_deleted(true, 3, took);
    let text = metrics.text();
    for line in [
        "rest_client_requests_total{code=\"200\",host=\"10.0.0.1:6443\",method=\"GET\"} 1",
        "rest_client_requests_total{code=\"<error>\",host=\"10.0.0.1:6443\",method=\"GET\"} 1",
        "rest_client_request_duration_seconds_bucket{host=\"10.0.0.1:6443\",verb=\"GET\",le=\"0.1\"} 2",
        "kubeproxy_conntrack_reconciler_deleted_entries_total{ip_family=\"IPv6\"} 3",
        "kubeproxy_conntrack_reconciler_sync_duration_seconds_count{ip_family=\"IPv6\"} 1",
        "kube_proxier_api_away_since_timestamp_seconds 0",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    assert!(text.contains("\nkubernetes_build_info{"), "{text}");
}

#[test]
fn node_ports_that_the_node_may_use_itself_are_warned_of_once() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("proc/sys/net/ipv4");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("ip_local_port_range"), "32000 60999\n").unwrap();
    std::fs::write(folder.join("ip_local_reserved_ports"), "32080\n").unwrap();
    let mut observed = Observed::new(&runtime);
    observed.reporter.local_ports = LocalPorts::read(root.path());
    let text = captured(|| {
        for (name, port) in [
            ("low", 30080),
            ("reserved", 32080),
            ("high", 32081),
            ("again", 32081),
        ] {
            let text = format!(
                "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\n\
                 spec: {{type: NodePort, clusterIP: 10.96.0.7, ports: [{{port: 80, nodePort: {port}}}]}}\n"
            );
            let cluster = proxier_manifest::read_cluster("test", text.as_bytes()).cluster;
            for service in cluster.services.into_values() {
                observed.receive(Change::Service(Box::new(service)));
            }
        }
    });
    let lines: Vec<_> = text
        .lines()
        .filter(|line| line.contains("node ports"))
        .collect();
    let [line] = lines[..] else {
        panic!("{text}");
    };
    for part in [
        "WARN",
        "node ports 32081 are",
        "32000-60999",
        "sysctl -w net.ipv4.ip_local_reserved_ports=32080,32081",
    ] {
        assert!(line.contains(part), "{part}: {line}");
    }
}
