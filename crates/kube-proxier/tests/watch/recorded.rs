//! Events on Services that do not get what they claim.

use std::thread;

use kube_proxier::watch::{self, ApiSource, Recorder};
use proxier::cluster::{Cluster, Host};
use proxier::{Config, Conflict, translate};
use serde_json::json;

use crate::api_server::ApiServer;
use crate::objects::NODE;

const CLUSTER: &str = "
apiVersion: v1
kind: Service
metadata: {name: older, namespace: shop, creationTimestamp: '2026-01-01T00:00:00Z'}
spec: {clusterIP: 10.96.0.7, externalIPs: [203.0.113.5], ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: younger, namespace: shop, creationTimestamp: '2026-02-01T00:00:00Z', uid: 0000-1}
spec: {clusterIP: 10.96.0.8, externalIPs: [203.0.113.5], ports: [{port: 80}]}
";

fn conflict() -> Conflict {
    let cluster: Cluster = proxier_manifest::read_cluster("test", CLUSTER.as_bytes()).cluster;
    let desired = translate(&cluster, &Host::new(NODE), &Config::default());
    desired.conflicts[0].clone()
}

/// Records on behalf of a node until the recorder is dropped.
fn record(server: &ApiServer, node: &'static str) -> (Recorder, thread::JoinHandle<()>) {
    let (recorder, conflicts) = Recorder::new();
    let source = ApiSource {
        kubeconfig: None,
        master: Some(server.url()),
    };
    let thread = thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.unwrap().block_on(async {
            let client = watch::client(&source).await.unwrap();
            watch::record(client, node, conflicts).await;
        });
    });
    (recorder, thread)
}

fn cluster(server: &ApiServer) {
    for (name, uid) in [("older", "0000-0"), ("younger", "0000-1")] {
        server.put(json!({"apiVersion": "v1", "kind": "Service",
            "metadata": {"name": name, "namespace": "shop", "uid": uid}}));
    }
}

#[test]
fn a_conflict_is_an_event_on_the_service_that_goes_without() {
    let server = ApiServer::start();
    cluster(&server);
    // All nodes of a cluster see the conflict, and it is one Event.
    let nodes = ["node-a", "node-b"].map(|node| record(&server, node));
    for (recorder, _) in &nodes {
        recorder.conflict(conflict());
    }
    for (recorder, thread) in nodes {
        drop(recorder);
        thread.join().unwrap();
    }
    let asked = server.requests();
    let created = asked
        .iter()
        .filter(|asked| asked.path == "/apis/events.k8s.io/v1/namespaces/shop/events");
    assert_eq!(created.count(), 2, "{asked:#?}");
    let [event] = &server.events()[..] else {
        panic!("{:#?}", server.events());
    };
    assert_eq!(
        event["regarding"],
        json!({"apiVersion": "v1", "kind": "Service", "namespace": "shop", "name": "younger", "uid": "0000-1"})
    );
    for (field, value) in [
        ("apiVersion", "events.k8s.io/v1"),
        ("kind", "Event"),
        ("type", "Warning"),
        ("reason", "AddressConflict"),
        ("reportingController", "kube-proxier"),
    ] {
        assert_eq!(event[field], value);
    }
    let note = event["note"].as_str().unwrap();
    for part in ["203.0.113.5:80", "shop/older"] {
        assert!(note.contains(part), "{note}");
    }
    let instance = event["reportingInstance"].as_str().unwrap();
    assert!(instance.starts_with("kube-proxier-node-"), "{instance}");
    assert_eq!(event["metadata"]["namespace"], "shop");
}

/// Who may not create Events stops trying.
#[test]
fn without_the_right_to_create_events_none_are_tried_any_more() {
    let server = ApiServer::start();
    cluster(&server);
    server.deny("create events");
    let (recorder, thread) = record(&server, "node-a");
    for _ in 0..3 {
        recorder.conflict(conflict());
    }
    thread.join().unwrap();
    let asked = server.requests();
    let tries = asked.iter().filter(|asked| asked.path.ends_with("/events"));
    assert_eq!(tries.count(), 1);
    // Nobody is kept waiting by that.
    recorder.conflict(conflict());
}

/// A Service that is gone by then has no Events.
#[test]
fn no_event_is_made_of_a_service_that_is_gone() {
    let server = ApiServer::start();
    let (recorder, thread) = record(&server, "node-a");
    recorder.conflict(conflict());
    drop(recorder);
    thread.join().unwrap();
    assert!(server.events().is_empty());
    let asked = server.requests();
    assert!(!asked.iter().any(|asked| asked.path.ends_with("/events")));
}
