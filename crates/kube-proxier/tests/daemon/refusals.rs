//! What the kernel refuses for one object.

use serde_json::json;

use crate::api_server::ApiServer;
use crate::cluster::{service, slice, steady};
use crate::daemon::{HEALTH, METRICS, Setup, get, metric};

const OBJECTS: &str = "kube_proxier_unhealthy_objects{object=\"";

/// It is shown, and nothing else is unhealthy because of it, however long it lasts.
pub(crate) fn are_of_no_concern_to_other_objects() {
    let server = ApiServer::start();
    steady(&server, &["10.244.1.5"]);
    let mut checked = service("checked", "10.96.0.20");
    checked["spec"]["type"] = "LoadBalancer".into();
    checked["spec"]["externalTrafficPolicy"] = "Local".into();
    checked["spec"]["healthCheckNodePort"] = 32124.into();
    server.put(checked);
    server.put(slice("checked", &["10.244.1.6".to_owned()]));
    // Neither may be the address of an interface.
    let mut bad = service("bad", "10.96.0.30");
    bad["spec"]["externalIPs"] = json!(["239.1.1.1", "255.255.255.255"]);
    server.put(bad.clone());
    server.put(slice("bad", &["10.244.1.7".to_owned()]));
    let setup = Setup::new(&server, "ipvs: {minSyncPeriod: 100ms, syncPeriod: 1s}\n");
    let mut daemon = setup.started();
    let shown = || {
        get(METRICS, "/metrics")
            .map(|(_, text)| text)
            .unwrap_or_default()
    };
    daemon.wait_until("the refused object", || {
        let text = shown();
        text.contains(OBJECTS)
            .then_some(())
            .ok_or_else(|| setup.log())
    });
    // Far more than the two periods after which a proxy that cannot sync is unhealthy.
    let full = "kubeproxy_sync_full_proxy_rules_duration_seconds_count{ip_family=\"IPv4\"}";
    let begin = metric(full).unwrap_or_default();
    daemon.wait_until("more syncs", || {
        let now = metric(full).unwrap_or_default();
        (now >= begin + 6.0)
            .then_some(())
            .ok_or_else(|| format!("{now}"))
    });
    for (address, path) in [
        (HEALTH, "/healthz"),
        (HEALTH, "/livez"),
        ("127.0.0.1:32124", "/"),
    ] {
        let (status, body) = get(address, path).unwrap();
        assert_eq!(status, 200, "{address}{path}: {body}\n{}", setup.log());
    }
    let log = setup.log();
    let lines = log
        .lines()
        .filter(|line| line.contains("ERROR") && line.contains("239.1.1.1"));
    assert!((1..=3).contains(&lines.count()), "{log}");
    bad["spec"]["externalIPs"] = json!([]);
    server.put(bad);
    daemon.wait_until("its end", || {
        let text = shown();
        let ended = !text.contains(OBJECTS) && setup.log().contains("no longer refused");
        ended.then_some(()).ok_or_else(|| setup.log())
    });
}
