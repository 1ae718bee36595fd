//! Answers that are encoded, lead elsewhere, or refuse.

use std::time::Duration;

use kube_proxier::watch::{ApiSource, Timing};

use crate::api_server::ApiServer;
use crate::objects::{NODE, SERVICES, SLICES, node, service, slice};
use crate::watched::{MILLIS, Watched, timing};

fn server() -> ApiServer {
    let server = ApiServer::start();
    server.apply_step([service("web", 80), slice("web-1", "10.1.0.1"), node(NODE)]);
    server
}

/// Makes the next watches, and so the next lists, begin anew.
fn list_again(server: &ApiServer) {
    server.advance(10);
    server.compact();
    server.end_watches();
}

/// Neither the request nor the token goes anywhere else.
#[test]
fn a_redirect_is_not_followed() {
    let elsewhere = server();
    for code in [301, 302, 307, 308] {
        let server = server();
        let mut watched = Watched::settled(&server, timing());
        let before = watched.cluster.clone();
        let to = format!("\r\nlocation: {}{SERVICES}", elsewhere.url());
        server.head_of_failures(&to);
        server.fail(code, 6);
        list_again(&server);
        watched.until_counted("failures", |counters| counters.failures() >= 3);
        watched.take_in();
        assert_eq!(watched.cluster, before, "{code}");
        server.put(service("after", 1));
        watched.until("what comes after", |w| w.services().len() == 2);
    }
    assert_eq!(elsewhere.requests(), []);
    assert_eq!(elsewhere.accepted(), 0);
}

/// The token in the file is another one by the time that the answer comes: the next request has that one, without a pause.
#[test]
fn a_token_that_was_renewed_meanwhile_is_tried_at_once() {
    let server = server();
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "first").unwrap();
    let kubeconfig = folder.path().join("kubeconfig");
    let user = format!("tokenFile: {}", token.display());
    std::fs::write(&kubeconfig, server.kubeconfig_of(None, &user)).unwrap();
    // Others that ask meanwhile never find the file without a token: it is replaced, as kubelet does it.
    server.take_token("second", move || {
        let new = token.with_extension("new");
        std::fs::write(&new, "second").unwrap();
        std::fs::rename(&new, &token).unwrap();
    });
    let source = ApiSource {
        kubeconfig: Some(kubeconfig),
        master: None,
    };
    // Nothing here waits for a pause.
    let timing = Timing {
        pause: 3_600_000 * MILLIS..=3_600_000 * MILLIS,
        ..timing()
    };
    let mut watched = Watched::start_from(source, timing, 1000);
    watched.until("the services", |w| w.services() == [("web", 80)]);
    assert!(server.requests().iter().any(|asked| asked.shows("first")));
}

/// Of one kind nothing may be read: nothing is programmed without it, the other kinds are followed, and the right is used once
/// it is there.
#[test]
fn one_kind_that_is_forbidden_is_waited_for() {
    let server = server();
    server.forbid(SLICES, true);
    let mut watched = Watched::start(&server, timing());
    watched.until("services", |w| w.services() == [("web", 80)]);
    watched.until_counted("failures", |counters| counters.failures() >= 3);
    server.put(service("new", 81));
    watched.until("a change", |w| w.services().len() == 2);
    assert!(watched.cluster.slices.is_empty());
    assert!(
        !watched
            .changes()
            .any(|change| matches!(change, proxier::cluster::Change::Slices(_)))
    );
    server.forbid(SLICES, false);
    watched.until("the slices", |w| w.cluster.slices.len() == 1);
}

/// A time by the server's clock, instead of seconds.
#[test]
fn retry_after_may_be_a_time() {
    let timing = Timing {
        pause: MILLIS..=2 * MILLIS,
        probe: 2 * MILLIS,
        ..timing()
    };
    for code in [429, 503] {
        let server = server();
        let watched = Watched::settled(&server, timing.clone());
        server.forget_requests();
        server.head_of_failures(
            "\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\nretry-after: Sun, 06 Nov 1994 09:49:37 GMT",
        );
        server.fail(code, usize::MAX);
        server.break_watches();
        watched.until_counted("failures", |counters| counters.failures() >= 3);
        std::thread::sleep(Duration::from_millis(200));
        let asked = server.requests();
        let again = asked
            .iter()
            .filter(|asked| asked.path == SERVICES || asked.path == "/readyz");
        assert!(again.count() <= 2, "{code}: {asked:?}");
    }
}
