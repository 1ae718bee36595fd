//! Which endpoints a virtual server gets.

use proxier::cluster::{Endpoint, Hints};
use proxier::{Config, Layout, translate};

use crate::{case, desired, destinations, host};

/// Pod addresses are reused: what is not terminating decides, ready or not.
#[test]
fn an_entry_that_is_not_terminating_decides_over_one_that_is() {
    let mut cluster = case("dup-terminating-and-unready.yaml");
    assert_eq!(
        destinations(&desired(&cluster), "-t 10.96.0.10:80"),
        [""; 0]
    );
    let slice = cluster.slices.values_mut().next().unwrap();
    slice.endpoints.reverse();
    assert_eq!(
        destinations(&desired(&cluster), "-t 10.96.0.10:80"),
        [""; 0]
    );
    let slice = cluster.slices.values_mut().next().unwrap();
    slice.endpoints.retain(|endpoint| endpoint.terminating);
    assert_eq!(
        destinations(&desired(&cluster), "-t 10.96.0.10:80"),
        ["10.0.1.1:80"]
    );
}

/// What another endpoint and an entry found twice lead to, whichever of the two comes first.
fn with_entries_of_one_address(one: &Endpoint, other: &Endpoint) -> [Vec<String>; 2] {
    let mut cluster = case("dup-terminating-and-unready.yaml");
    let hinted = |endpoint: &Endpoint, zone: &str| {
        let mut endpoint = endpoint.clone();
        endpoint.hints = Some(Hints::for_zones([zone]).into());
        endpoint
    };
    let elsewhere = hinted(&Endpoint::ready("10.0.1.2".parse().unwrap()), "zone-b");
    let here = hinted(&Endpoint::ready("10.0.1.3".parse().unwrap()), "zone-a");
    [[one, other], [other, one]].map(|twice| {
        let slice = cluster.slices.values_mut().next().unwrap();
        slice.endpoints = vec![elsewhere.clone(), here.clone()];
        slice.endpoints.extend(twice.map(Clone::clone));
        destinations(&desired(&cluster), "-t 10.96.0.10:80")
    })
}

#[test]
fn hints_and_node_come_from_the_entry_that_decides() {
    let address = "10.0.1.1".parse().unwrap();
    let ready = Endpoint::ready(address);
    let mut hinted = ready.clone();
    hinted.hints = Some(Hints::for_zones(["zone-a"]).into());
    let all = ["10.0.1.1:80", "10.0.1.2:80", "10.0.1.3:80"];
    let here = ["10.0.1.1:80", "10.0.1.3:80"];

    // The ready entry has no hints, so that none count; those of the other are not looked at.
    let mut unready = hinted.clone();
    unready.ready = false;
    assert_eq!(with_entries_of_one_address(&ready, &unready), [all, all]);
    let mut leaving = hinted.clone();
    leaving.terminating = true;
    assert_eq!(with_entries_of_one_address(&ready, &leaving), [all, all]);

    // The other way round, hints are complete.
    let mut bare_unready = ready.clone();
    bare_unready.ready = false;
    assert_eq!(
        with_entries_of_one_address(&hinted, &bare_unready),
        [here, here]
    );
    let mut bare_leaving = ready.clone();
    bare_leaving.terminating = true;
    assert_eq!(
        with_entries_of_one_address(&hinted, &bare_leaving),
        [here, here]
    );

    // Of equals the first counts.
    assert_eq!(
        with_entries_of_one_address(&hinted, &ready),
        [&here[..], &all[..]]
    );
}

/// v1.20 had no hints and no `internalTrafficPolicy`, and the classic layout is its.
#[test]
fn the_classic_layout_heeds_neither_hints_nor_the_internal_policy() {
    const YAML: &str = "
apiVersion: v1
kind: Node
metadata: {name: node-a, labels: {topology.kubernetes.io/zone: zone-a}}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {clusterIP: 10.96.0.10, POLICY ports: [{port: 80}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{port: 80}]
endpoints:
- {addresses: [10.0.1.1], nodeName: node-a HINT-A}
- {addresses: [10.0.1.2], nodeName: node-b HINT-B}
";
    let hint = |zone: &str| format!(", hints: {{forZones: [{{name: {zone}}}]}}");
    let hinted = YAML
        .replace("POLICY ", "")
        .replace(" HINT-A", &hint("zone-a"))
        .replace(" HINT-B", &hint("zone-b"));
    let local = YAML
        .replace("POLICY", "internalTrafficPolicy: Local,")
        .replace(" HINT-A", "")
        .replace(" HINT-B", "");
    for yaml in [hinted, local] {
        let reading = proxier_manifest::read_cluster("test", yaml.as_bytes());
        assert!(reading.diagnostics.is_empty(), "{:?}", reading.diagnostics);
        let of = |layout| {
            let desired = translate(&reading.cluster, &host(), &Config::with_layout(layout));
            destinations(&desired, "-t 10.96.0.10:80")
        };
        assert_eq!(of(Layout::Current), ["10.0.1.1:80"]);
        assert_eq!(of(Layout::Classic), ["10.0.1.1:80", "10.0.1.2:80"]);
    }
}
