//! As a pod of the cluster: with its service account, and nothing else to go by.

use std::fs;

use kernel_test::cmd;

use crate::api_server::{ApiServer, Authority, Tls};
use crate::cluster::{slice, steady};
use crate::daemon::{Setup, metric};

const ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// The file of a service account that kubelet mounts, in the test's own `/run`.
fn write(name: &str, text: &str) {
    fs::create_dir_all(ACCOUNT).unwrap();
    fs::write(format!("{ACCOUNT}/{name}"), text).unwrap();
}

/// It finds the server by its environment, believes it by the account's authority, and shows the account's token.
pub(crate) fn its_service_account_is_used() {
    let authority = Authority::new();
    let server = ApiServer::start_encrypted(Tls::new(&authority.identity("127.0.0.1")));
    steady(&server, &["10.244.1.5"]);
    write("ca.crt", &authority.pem());
    write("namespace", "kube-system");
    write("token", "first");
    let setup = Setup::in_cluster(&server, "ipvs: {minSyncPeriod: 100ms}\n");
    let mut daemon = setup.started();
    let servers = cmd("ipvsadm -Sn");
    assert!(
        servers.contains("-a -t 10.96.0.10:80 -r 10.244.1.5:8080"),
        "{servers}"
    );
    let asked = server.requests();
    assert!(asked.iter().all(|asked| asked.shows("first")), "{asked:#?}");
    // Kubelet renews the token.
    write("token", "second");
    server.forget_requests();
    server.end_watches();
    server.wait_for_requests(|asked| asked.len() >= 3);
    let asked = server.requests();
    assert!(
        asked.iter().all(|asked| asked.shows("second")),
        "{asked:#?}"
    );
    server.put(slice("steady", &["10.244.1.6".to_owned()]));
    daemon.wait_until("the other endpoint", || {
        let said = cmd("ipvsadm -Sn");
        let done = said.contains("-r 10.244.1.6:8080");
        done.then_some(()).ok_or(said)
    });
}

/// A server that is not the cluster's is told no token, and what it would say is not done.
pub(crate) fn a_server_of_another_cluster_is_not_followed() {
    let (authority, other) = (Authority::new(), Authority::new());
    let server = ApiServer::start_encrypted(Tls::new(&other.identity("127.0.0.1")));
    steady(&server, &["10.244.1.5"]);
    write("ca.crt", &authority.pem());
    write("namespace", "kube-system");
    write("token", "first");
    let setup = Setup::in_cluster(&server, "ipvs: {minSyncPeriod: 100ms}\n");
    let mut daemon = setup.start();
    daemon.wait_until("its second attempts", || {
        let tries = metric("kube_proxier_api_failures_total").unwrap_or_default();
        (tries >= 6.0).then_some(()).ok_or_else(|| setup.log())
    });
    // However often it is tried, the outage is logged once.
    let log = setup.log();
    assert_eq!(
        log.matches("the API server cannot be reached").count(),
        1,
        "{log}"
    );
    assert!(log.contains("certificate"), "{log}");
    assert_eq!(server.requests(), []);
    assert_eq!(cmd("ipvsadm -Sn"), "");
    server.encrypt(Tls::new(&authority.identity("127.0.0.1")));
    daemon.wait_until("the Service", || {
        let said = cmd("ipvsadm -Sn");
        let done = said.contains("-r 10.244.1.5:8080");
        done.then_some(()).ok_or(said)
    });
}
