//! Protobuf where the server has it, JSON where not.

use proxier_manifest::protobuf::MEDIA_TYPE;
use serde_json::{Value, json};

use crate::api_server::{ApiServer, Asked};
use crate::objects::{NODE, SERVICES, SLICES, node, service, slice};
use crate::watched::{Watched, timing};

fn server() -> ApiServer {
    let server = ApiServer::start();
    server.apply_step([service("web", 80), slice("web-1", "10.1.0.1"), node(NODE)]);
    server
}

fn of_services(server: &ApiServer) -> Vec<Asked> {
    let asked = server.requests().into_iter();
    asked.filter(|asked| asked.path == SERVICES).collect()
}

/// Objects with everything that is read of them, and entries that cannot be used.
fn rich() -> [Value; 4] {
    [
        json!({"apiVersion": "v1", "kind": "Service",
            "metadata": {"name": "rich", "namespace": "shop", "creationTimestamp": "2026-01-31T12:00:00Z",
                "labels": {"app": "web"}, "managedFields": [{"manager": "m", "fieldsV1": {"f:spec": {}}}]},
            "spec": {"type": "LoadBalancer", "clusterIP": "10.96.0.20", "clusterIPs": ["10.96.0.20", "fd00:96::20"],
                "ipFamilies": ["IPv4", "IPv6"], "externalIPs": ["203.0.113.7", "no address"],
                "externalTrafficPolicy": "Local", "internalTrafficPolicy": "Cluster", "healthCheckNodePort": 32000,
                "loadBalancerSourceRanges": ["198.51.100.0/24"], "sessionAffinity": "ClientIP",
                "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 600}},
                "ports": [{"name": "http", "port": 80, "protocol": "TCP", "targetPort": 8080, "nodePort": 30080},
                          {"name": "bad", "port": 70000}, {"name": "sctp", "port": 81, "protocol": "SCTP", "targetPort": "named"}]},
            "status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.9", "ipMode": "VIP"}, {"hostname": "lb.example"}]}}}),
        json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": {"name": "rich-1", "namespace": "shop", "labels": {"kubernetes.io/service-name": "rich"},
                "annotations": {"endpoints.kubernetes.io/last-change-trigger-time": "2026-01-31T12:00:00.5Z"}},
            "endpoints": [
                {"addresses": ["10.1.0.7"], "conditions": {"ready": true, "serving": true, "terminating": false},
                 "nodeName": "node-a", "zone": "z1", "hints": {"forZones": [{"name": "z1"}], "forNodes": [{"name": "node-a"}]}},
                {"addresses": ["127.0.0.1"]},
                {"addresses": ["10.1.0.8"], "conditions": {"ready": false, "serving": true, "terminating": true}}],
            "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}]}),
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "unusable", "namespace": "shop"},
            "spec": {"clusterIP": "10.96.0.21", "type": "Magic"}}),
        json!({"apiVersion": "v1", "kind": "Node",
            "metadata": {"name": NODE, "labels": {"topology.kubernetes.io/zone": "z1"}},
            "spec": {"podCIDRs": ["10.244.7.0/24"], "taints": [{"key": "ToBeDeletedByClusterAutoscaler", "effect": "NoSchedule"}]},
            "status": {"addresses": [{"type": "InternalIP", "address": "192.168.10.10"}]}}),
    ]
}

/// The same cluster is the same events, listed and watched, in either format.
#[test]
fn both_formats_come_to_the_same() {
    let [listed, watched] = [true, false].map(|before| {
        let [protobuf, json] = [false, true].map(|in_json| {
            let server = ApiServer::start();
            if in_json {
                server.speak_json();
            }
            let objects = rich();
            let mut watched = if before {
                server.apply_step(objects.clone());
                Watched::settled(&server, timing())
            } else {
                server.put(node(NODE));
                let watched = Watched::settled(&server, timing());
                objects.iter().for_each(|object| server.put(object.clone()));
                watched
            };
            // Sent last, so that all of them are there.
            server.put(service("last", 1));
            watched.until("all of it", |w| {
                w.cluster.services.len() == 2
                    && w.cluster.slices.len() == 1
                    && w.cluster.nodes[NODE].zone.is_some()
                    && w.events
                        .iter()
                        .any(|event| matches!(event, kube_proxier::Event::NodeDeleting(true)))
            });
            let asked = of_services(&server);
            assert!(
                asked
                    .iter()
                    .all(|asked| asked.accept == format!("{MEDIA_TYPE},application/json"))
            );
            assert_eq!(watched.counters.refused_objects(), 3);
            (watched.cluster.clone(), watched.counters.refused())
        });
        assert_eq!(protobuf, json);
        protobuf
    });
    assert_eq!(listed, watched);
}

/// What cannot be understood changes nothing; from then on JSON is asked for.
#[test]
fn what_is_not_understood_is_asked_for_in_json() {
    let server = server();
    let mut watched = Watched::settled(&server, timing());
    let before = watched.cluster.clone();
    server.forget_requests();
    server.send_bytes(SERVICES, &[0, 0, 0, 3, 0xff, 0xff, 0xff]);
    server.wait_for_requests(|asked| asked.iter().any(|asked| asked.path == SERVICES));
    server.forget_lines();
    server.put(service("after", 81));
    watched.until("what comes after", |w| w.services().len() == 2);
    server.delete(&service("after", 81));
    watched.until("its end", |w| w.services().len() == 1);
    assert_eq!(watched.cluster, before);
    assert!(
        of_services(&server)
            .iter()
            .all(|asked| asked.accept != format!("{MEDIA_TYPE},application/json"))
    );
    // Of the other kinds it still is protobuf.
    server.put(slice("web-2", "10.1.0.2"));
    watched.until("a slice", |w| w.cluster.slices.len() == 2);
    assert!(server.requests().iter().all(|asked| asked.path != SLICES));
}

/// An event that only claims to be long is not waited for, and nothing is reserved for it.
#[test]
fn an_event_that_is_too_long_is_not_read() {
    let server = server();
    let mut watched = Watched::settled(&server, timing());
    let failures = watched.counters.failures();
    server.send_bytes(SERVICES, &[0x7f, 0xff, 0xff, 0xff, 1]);
    watched.until_counted("failures", |counters| counters.failures() > failures);
    server.forget_lines();
    server.put(service("after", 81));
    watched.until("what comes after", |w| w.services().len() == 2);
}
