//! Connections: how many there are, and what becomes of requests when one ends.

use kube_proxier::watch::Transport;

use crate::api_server::{ApiServer, Authority, Tls};
use crate::objects::{NODE, node, service, slice};
use crate::watched::{MILLIS, Watched, source, timing};

fn filled(server: &ApiServer) {
    server.apply_step([service("web", 80), slice("web-1", "10.1.0.1"), node(NODE)]);
}

fn started() -> ApiServer {
    let server = ApiServer::start_with_http2();
    filled(&server);
    server
}

/// Waits for new watches in the place of those that there are.
fn again(server: &ApiServer, watched: &mut Watched, name: &str) {
    server.forget_requests();
    server.end_watches();
    server.wait_for_requests(|asked| asked.len() >= 3);
    let before = watched.services().len();
    server.put(service(name, 81));
    watched.until("a change", |w| w.services().len() > before);
}

#[test]
fn lists_and_watches_share_one_connection() {
    let server = started();
    let mut watched = Watched::settled(&server, timing());
    assert_eq!(server.accepted(), 1);
    again(&server, &mut watched, "new");
    assert_eq!(server.accepted(), 1);
    assert_eq!(watched.counters.failures(), 0);
    // All of them end with it, and the next ones share one again.
    server.hang_up(true);
    server.hang_up(false);
    let accepted = server.accepted();
    server.put(service("meanwhile", 82));
    watched.until("what happened meanwhile", |w| w.services().len() == 3);
    server.wait_for_watches(3);
    assert!(server.accepted() <= accepted + 1);
}

/// Its machine is there and confirms what it is sent, so that TCP finds nothing wrong.
#[test]
fn a_server_that_has_stopped_answering_is_noticed_by_a_ping() {
    let server = started();
    let (source, _folder) = source(&server);
    let transport = Transport {
        ping_after: Some(100 * MILLIS),
        ping_answer: 200 * MILLIS,
        ..Transport::default()
    };
    let mut watched = Watched::start_over(source, timing(), 1000, transport);
    watched.settle(&server);
    server.freeze();
    server.put(service("new", 81));
    watched.until("a change", |w| w.services().len() == 2);
    assert_eq!(server.accepted(), 2);
    assert_eq!(watched.counters.lists(), 3);
    assert_eq!(watched.counters.failures(), 3);
}

#[test]
fn a_server_without_http2_is_served_in_http1() {
    let authority = Authority::new();
    let server = ApiServer::start_encrypted(Tls::new(&authority.identity("127.0.0.1")));
    filled(&server);
    let server = server.of(authority);
    let mut watched = Watched::settled(&server, timing());
    // Each watch has one, and the first one of all found out which version it is.
    assert!(server.accepted() > 3);
    again(&server, &mut watched, "new");
    assert_eq!(watched.counters.failures(), 0);
}

/// As where the server is upgraded, or another proxy stands before it.
#[test]
fn a_server_may_choose_another_version_later() {
    let authority = Authority::new();
    let identity = authority.identity("127.0.0.1");
    let server = ApiServer::start_encrypted(Tls::new(&identity));
    filled(&server);
    let server = server.of(authority);
    let mut watched = Watched::settled(&server, timing());
    for (services, http2) in [(2, true), (3, false), (4, true)] {
        server.stop();
        server.encrypt(match http2 {
            true => Tls::new(&identity).with_http2(),
            false => Tls::new(&identity),
        });
        server.come_back();
        server.put(service(&format!("new-{services}"), 81));
        watched.until("a change", |w| w.services().len() == services);
        server.wait_for_watches(3);
    }
    assert_eq!(watched.counters.lists(), 3);
    let accepted = server.accepted();
    again(&server, &mut watched, "last");
    assert_eq!(
        server.accepted(),
        accepted,
        "all share the one that is there"
    );
}

/// API servers do that now and then, so that their clients spread (`--goaway-chance`), and before they end.
#[test]
fn a_connection_that_takes_no_more_requests_is_replaced() {
    let server = started();
    let mut watched = Watched::settled(&server, timing());
    server.drain_connections();
    server.put(service("new", 81));
    watched.until("a change", |w| w.services().len() == 2);
    again(&server, &mut watched, "newer");
    assert_eq!(server.accepted(), 2);
    assert_eq!(watched.counters.failures(), 0);
}

#[test]
fn http2_can_be_turned_off() {
    let server = started();
    let (source, _folder) = source(&server);
    let transport = Transport {
        http2: false,
        ..Transport::default()
    };
    let mut watched = Watched::start_over(source, timing(), 1000, transport);
    watched.settle(&server);
    assert!(server.accepted() >= 3);
}
