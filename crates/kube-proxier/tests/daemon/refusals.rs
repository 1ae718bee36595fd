//! What the kernel refuses for one object.

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
    // Nothing can be sent to either from a virtual server.
    server.put(service("bad", "10.96.0.30"));
    let bad = ["239.1.1.1", "255.255.255.255", "10.244.1.7"];
    server.put(slice("bad", &bad.map(ToOwned::to_owned)));
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
    // Once for each of its virtual servers, TCP and UDP, however often it is tried.
    let lines = log
        .lines()
        .filter(|line| line.contains("ERROR") && line.contains("10.96.0.30"));
    assert_eq!(lines.count(), 2, "{log}");
    let held = kernel_test::cmd("ipvsadm -Sn");
    assert!(
        held.contains("-a -t 10.96.0.30:80 -r 10.244.1.7:8080"),
        "{held}"
    );
    server.put(slice("bad", &["10.244.1.7".to_owned()]));
    daemon.wait_until("its end", || {
        let text = shown();
        let ended = !text.contains(OBJECTS) && setup.log().contains("no longer refused");
        ended.then_some(()).ok_or_else(|| setup.log())
    });
}
