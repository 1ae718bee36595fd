//! A server that is to be believed, and that wants to know who asks.

use std::fs;
use std::time::Instant;

use kube_proxier::watch::ApiSource;
use tempfile::TempDir;

use crate::api_server::{ApiServer, Authority, Tls};
use crate::objects::{NODE, node, service, slice};
use crate::outages::least;
use crate::watched::{Watched, timing};

const HERE: &str = "127.0.0.1";

/// A server with something to list.
fn started(tls: Tls) -> ApiServer {
    let server = ApiServer::start_encrypted(tls);
    server.apply_step([service("web", 80), slice("web-1", "10.1.0.1"), node(NODE)]);
    server
}

/// A watch with that kubeconfig, which goes with the folder.
fn watch_with(kubeconfig: &str) -> (Watched, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kubeconfig");
    fs::write(&path, kubeconfig).unwrap();
    let source = ApiSource {
        kubeconfig: Some(path),
        master: None,
    };
    (Watched::start_from(source, timing(), 1000), folder)
}

#[test]
fn a_token_comes_with_every_request() {
    let authority = Authority::new();
    let server = started(Tls::new(&authority.identity(HERE)));
    let kubeconfig = server.kubeconfig_of(Some(&authority), "token: letmein");
    assert!(kubeconfig.contains("server: 'https://"));
    let (mut watched, _folder) = watch_with(&kubeconfig);
    watched.settle(&server);
    assert_eq!(watched.services(), [("web", 80)]);
    server.put(service("new", 81));
    watched.until("a change", |w| w.services().len() == 2);
    server.break_watches();
    server.put(service("meanwhile", 82));
    watched.until("what happened meanwhile", |w| w.services().len() == 3);
    let asked = server.requests();
    assert!(asked.len() >= 6, "{asked:#?}");
    assert!(
        asked.iter().all(|asked| asked.shows("letmein")),
        "{asked:#?}"
    );
    assert_eq!(watched.counters.lists(), 3);
    assert_eq!(watched.counters.failures(), 3);
}

#[test]
fn a_certificate_is_shown_where_one_is_demanded() {
    let (servers, clients) = (Authority::new(), Authority::new());
    let server = started(Tls::with_clients_of(&servers.identity(HERE), &clients));
    let user = |authority: &Authority| {
        let client = authority.identity("kube-proxy");
        format!(
            "client-certificate-data: {}, client-key-data: {}",
            client.certificate_data, client.key_data
        )
    };
    // A token is none, and neither is a certificate of just anybody.
    for user in ["token: letmein".to_owned(), user(&servers)] {
        let (mut watched, _folder) = watch_with(&server.kubeconfig_of(Some(&servers), &user));
        watched.until_counted("failures", |counters| counters.failures() >= 6);
        assert_eq!(watched.take_in(), 0, "{user}");
        assert_eq!(server.requests(), []);
    }
    let (mut watched, _folder) = watch_with(&server.kubeconfig_of(Some(&servers), &user(&clients)));
    watched.settle(&server);
    server.put(service("new", 81));
    watched.until("a change", |w| w.services().len() == 2);
    assert_eq!(watched.counters.failures(), 0);
}

#[test]
fn a_server_that_is_another_is_told_nothing() {
    let authority = Authority::new();
    let others = [
        Authority::new().identity(HERE),
        authority.identity("127.0.0.2"),
    ];
    for other in others {
        let server = started(Tls::new(&other));
        let began = Instant::now();
        let kubeconfig = server.kubeconfig_of(Some(&authority), "token: letmein");
        let (mut watched, _folder) = watch_with(&kubeconfig);
        watched.until_counted("failures", |counters| counters.failures() >= 15);
        // Three kinds are asked for, each with pauses of its own.
        let attempts = server.accepted();
        assert!(
            began.elapsed() >= least(attempts.div_ceil(3)),
            "{attempts} attempts in {:?}",
            began.elapsed()
        );
        assert_eq!(server.requests(), []);
        assert_eq!(watched.take_in(), 0);
        assert_eq!(watched.counters.lists(), 0);
        server.encrypt(Tls::new(&authority.identity(HERE)));
        watched.settle(&server);
        assert_eq!(watched.services(), [("web", 80)]);
        // One that takes the place of the right one is not followed either.
        server.stop();
        server.encrypt(Tls::new(&other));
        server.forget_requests();
        server.put(service("false", 1));
        server.come_back();
        let (failures, before) = (watched.counters.failures(), watched.cluster.clone());
        watched.until_counted("failures", |counters| counters.failures() >= failures + 9);
        assert_eq!(server.requests(), []);
        assert_eq!(watched.take_in(), 0);
        assert_eq!(watched.cluster, before);
    }
}

#[test]
fn a_token_may_be_in_a_file() {
    let authority = Authority::new();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    // With the authority in a file as well, as in the kubeconfig of kubeadm.
    let certificate = folder.path().join("ca.crt");
    fs::write(&certificate, authority.pem()).unwrap();
    // As kubelet writes files, and as people do; a token beside the file is only for the time until it is there.
    for (text, beside) in [
        ("letmein", ""),
        ("letmein\n", ""),
        ("letmein", ", token: outdated"),
    ] {
        let server = started(Tls::new(&authority.identity(HERE)));
        fs::write(&path, text).unwrap();
        let user = format!("tokenFile: {}{beside}", path.display());
        let kubeconfig = server.kubeconfig_of(Some(&authority), &user).replace(
            &format!("certificate-authority-data: {}", authority.data()),
            &format!("certificate-authority: {}", certificate.display()),
        );
        assert!(kubeconfig.contains("ca.crt"), "{kubeconfig}");
        let (mut watched, _folder) = watch_with(&kubeconfig);
        watched.settle(&server);
        let asked = server.requests();
        assert!(
            asked.iter().all(|asked| asked.shows("letmein")),
            "{text:?}: {asked:#?}"
        );
    }
}

/// Kubelet renews the tokens of pods, long before they expire.
#[test]
fn a_new_token_is_used_from_the_next_request_on() {
    let authority = Authority::new();
    let server = started(Tls::new(&authority.identity(HERE)));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    fs::write(&path, "first").unwrap();
    let user = format!("tokenFile: {}", path.display());
    let (mut watched, _folder) = watch_with(&server.kubeconfig_of(Some(&authority), &user));
    watched.settle(&server);
    assert!(server.requests().iter().all(|asked| asked.shows("first")));
    let again = |watched: &mut Watched, port| {
        server.forget_requests();
        server.end_watches();
        server.wait_for_requests(|asked| asked.len() >= 3);
        server.put(service("new", u32::from(port)));
        watched.until("a change", |w| w.services().contains(&("new", port)));
        server.requests()
    };
    fs::write(&path, "second").unwrap();
    let asked = again(&mut watched, 81);
    assert!(
        asked.iter().all(|asked| asked.shows("second")),
        "{asked:#?}"
    );
    // Between one and the next there may be none.
    fs::remove_file(&path).unwrap();
    let asked = again(&mut watched, 82);
    assert!(
        asked.iter().all(|asked| asked.shows("second")),
        "{asked:#?}"
    );
    assert_eq!(watched.counters.failures(), 0);
}
