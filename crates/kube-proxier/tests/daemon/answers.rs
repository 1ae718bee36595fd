//! What load balancers, and whoever watches the daemon, are told.

use kernel_test::cmd;
use serde_json::{Value, json};

use crate::api_server::ApiServer;
use crate::cluster::{node, service, slice, steady};
use crate::daemon::{Daemon, HEALTH, Setup, get, metric, request};

const CHECK: &str = "127.0.0.1:32123";

/// Waits until a server answers with this status: its head and body.
#[track_caller]
fn answered(daemon: &mut Daemon, server: &str, path: &str, status: u16) -> (String, String) {
    let what = format!("{status} of {server}{path}");
    daemon.wait_until(&what, || match request(server, path) {
        Some((head, body)) if head.starts_with(&format!("HTTP/1.0 {status} ")) => Ok((head, body)),
        other => Err(format!("{other:?}")),
    })
}

/// A Service with a `healthCheckNodePort` is answered for by whether there are endpoints on the node.
pub(crate) fn health_check_node_ports() {
    let server = ApiServer::start();
    steady(&server, &["10.244.1.5"]);
    let mut web = service("web", "10.96.0.20");
    web["spec"]["type"] = "LoadBalancer".into();
    web["spec"]["externalTrafficPolicy"] = "Local".into();
    web["spec"]["healthCheckNodePort"] = 32123.into();
    server.put(web.clone());
    let endpoints = |addresses: &[&str]| {
        let addresses: Vec<_> = addresses.iter().map(|a| (*a).to_owned()).collect();
        server.put(slice("web", &addresses));
    };
    endpoints(&["10.244.1.5", "10.244.1.6", "10.244.2.7"]);
    let setup = Setup::new(&server, "ipvs: {minSyncPeriod: 100ms}\n");
    let mut daemon = setup.started();
    let (head, body) = answered(&mut daemon, CHECK, "/", 200);
    for header in [
        "content-type: application/json\r\n",
        "x-content-type-options: nosniff\r\n",
        "x-load-balancing-endpoint-weight: 2\r\n",
    ] {
        assert!(head.contains(header), "{head}");
    }
    let expected = |local: usize| json!({"service": {"namespace": "default", "name": "web"}, "localEndpoints": local, "serviceProxyHealthy": true});
    let read = |body: &str| serde_json::from_str::<Value>(body).unwrap();
    assert_eq!(read(&body), expected(2));
    let members = cmd("ipset save KUBE-HEALTH-CHECK-NODE-PORT");
    assert!(
        members.contains("add KUBE-HEALTH-CHECK-NODE-PORT 32123"),
        "{members}"
    );
    // Only others have endpoints.
    endpoints(&["10.244.2.7"]);
    let (head, body) = answered(&mut daemon, CHECK, "/", 503);
    assert!(
        head.contains("x-load-balancing-endpoint-weight: 0\r\n"),
        "{head}"
    );
    assert_eq!(read(&body), expected(0));
    endpoints(&["10.244.1.6"]);
    answered(&mut daemon, CHECK, "/", 200);
    // The Service is gone, and with it its port.
    server.delete(&web);
    daemon.wait_until("no server", || match request(CHECK, "/") {
        None => Ok(()),
        Some(answer) => Err(format!("{answer:?}")),
    });
}

/// Load balancers leave a Node that is to be deleted; the kubelet does not restart its proxy.
pub(crate) fn a_node_to_be_deleted() {
    let server = ApiServer::start();
    steady(&server, &["10.244.1.5"]);
    let setup = Setup::new(&server, "");
    let mut daemon = setup.started();
    answered(&mut daemon, HEALTH, "/healthz", 200);
    let mut tainted = node();
    tainted["spec"]["taints"] =
        json!([{"key": "ToBeDeletedByClusterAutoscaler", "effect": "NoSchedule"}]);
    server.put(tainted);
    let (_, body) = answered(&mut daemon, HEALTH, "/healthz", 503);
    assert!(body.contains("\"nodeEligible\":false"), "{body}");
    answered(&mut daemon, HEALTH, "/livez", 200);
    server.put(node());
    let (_, body) = answered(&mut daemon, HEALTH, "/healthz", 200);
    assert!(body.contains("\"nodeEligible\":true"), "{body}");
}

/// A Service that cannot be used is named, counted, and in nobody's way.
pub(crate) fn an_object_that_cannot_be_used() {
    let server = ApiServer::start();
    steady(&server, &["10.244.1.5"]);
    let mut bad = service("bad", "10.96.0.66");
    bad["spec"]["ports"][1]["port"] = 70_000.into();
    server.put(bad.clone());
    server.put(slice("bad", &["10.244.1.6".to_owned()]));
    server.put(service("good", "10.96.0.20"));
    server.put(slice("good", &["10.244.1.7".to_owned()]));
    // No periodic sync comes to help.
    let setup = Setup::new(&server, "ipvs: {minSyncPeriod: 100ms, syncPeriod: 1h}\n");
    let mut daemon = setup.started();
    let held = cmd("ipvsadm -Sn");
    for served in ["10.96.0.10:80 -r 10.244.1.5", "10.96.0.20:80 -r 10.244.1.7"] {
        assert!(held.contains(served), "{held}");
    }
    // One bad port costs that port only.
    assert!(held.contains("-t 10.96.0.66:80 -r 10.244.1.6"), "{held}");
    assert!(!held.contains("-u 10.96.0.66"), "{held}");
    let log = setup.log();
    let said = log.lines().find(|line| line.contains("default/bad"));
    let said = said.unwrap_or_else(|| panic!("{log}"));
    for part in ["WARN", "Service", "spec.ports[1].port", "70000"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let mut refused = |count: f64| {
        daemon.wait_until("the count of refused objects", || {
            match metric("kube_proxier_refused_objects") {
                Some(found) if (found - count).abs() < 0.5 => Ok(()),
                other => Err(format!("{other:?}, not {count}")),
            }
        });
    };
    refused(1.0);
    // What was served is served on as it was when it cannot be used any more.
    let mut good = service("good", "10.96.0.20");
    good["spec"]["clusterIP"] = "nowhere".into();
    good["spec"]["clusterIPs"] = json!(["nowhere"]);
    server.put(good);
    refused(2.0);
    assert_eq!(cmd("ipvsadm -Sn"), held);
    server.put(service("good", "10.96.0.20"));
    refused(1.0);
    bad["spec"]["ports"][1]["port"] = 81.into();
    server.put(bad);
    refused(0.0);
    daemon.wait_until("the mended one", || {
        let held = cmd("ipvsadm -Sn");
        let there = held.contains("-u 10.96.0.66:81 -r 10.244.1.6:8080");
        there.then_some(()).ok_or(held)
    });
    assert_eq!(get(HEALTH, "/healthz").map(|(status, _)| status), Some(200));
}
