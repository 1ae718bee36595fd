//! How recent a list has to be, and what is left out of it.

use crate::api_server::{ApiServer, Asked};
use crate::each::{Api, on_each};
use crate::objects::{NODE, SERVICES, headless_service, node, service, slice};
use crate::watched::{Watched, timing};

const TOO_OLD: &str = r#"{"type":"ERROR","object":{"kind":"Status","apiVersion":"v1","code":410,"message":"too old"}}"#;

fn server(api: Api) -> ApiServer {
    let server = api.start();
    server.apply_step([service("web", 80), slice("web-1", "10.1.0.1"), node(NODE)]);
    server
}

fn lists(server: &ApiServer) -> Vec<Asked> {
    let asked = server.requests().into_iter();
    asked.filter(|asked| !asked.is_watch()).collect()
}

/// What the lists of Services were asked with: version and limit.
fn of_services(server: &ApiServer) -> Vec<(Option<String>, Option<String>)> {
    let of = |asked: &Asked, key| asked.get(key).map(ToOwned::to_owned);
    let lists = lists(server).into_iter();
    lists
        .filter(|asked| asked.path == SERVICES)
        .map(|asked| (of(&asked, "resourceVersion"), of(&asked, "limit")))
        .collect()
}

fn text(text: &str) -> Option<String> {
    Some(text.to_owned())
}

/// No daemon that starts makes the server read its storage, however often it does.
fn a_start_is_served_from_the_cache(api: Api) {
    let server = server(api);
    let mut started = timing();
    started.page = 1;
    for _ in 0..2 {
        server.forget_requests();
        let watched = Watched::settled(&server, started.clone());
        let asked = lists(&server);
        assert_eq!(asked.len(), 3, "{asked:#?}");
        for asked in asked {
            assert_eq!(asked.get("resourceVersion"), Some("0"), "{asked:?}");
            // Of a server without a cache it comes in pages.
            assert_eq!(asked.get("limit"), Some("1"));
            assert_eq!(asked.get("resourceVersionMatch"), None);
        }
        watched.stop(&server);
        server.delete(&service("the-last-one", 1));
        server.wait_for_watches(0);
    }
}

/// A new list is not older than what is known, and still comes from the cache.
fn what_is_listed_again_is_not_older(api: Api) {
    let server = server(api);
    let mut watched = Watched::settled(&server, timing());
    server.put(service("new", 81));
    watched.until("a change", |w| w.services().len() == 2);
    let version = server.version().to_string();
    server.forget_requests();
    server.advance(10);
    server.compact();
    server.end_watches();
    server.wait_for_requests(|asked| asked.iter().filter(|asked| !asked.is_watch()).count() == 3);
    assert_eq!(of_services(&server), [(Some(version), None)]);
    server.wait_for_watches(3);
    assert_eq!(watched.counters.failures(), 0);
}

/// Only where that cannot be had is the most recent version asked for, at once, and in pages; the next time the cache is
/// asked again.
fn where_no_such_list_is_kept_the_most_recent_is_listed(api: Api) {
    let server = server(api);
    let mut watched = Watched::settled(&server, timing());
    for port in [80_u16, 81] {
        let version = server.version().to_string();
        server.send_bookmarks();
        server.put(service("behind", port.into()));
        watched.until("the bookmark", |w| w.services().contains(&("behind", port)));
        let version = [version, server.version().to_string()];
        server.forget_requests();
        server.forget_listed_versions(true);
        server.advance(10);
        server.compact();
        server.end_watches();
        // Each kind is listed twice.
        server.wait_for_requests(|asked| asked.iter().filter(|a| !a.is_watch()).count() == 6);
        server.wait_for_watches(3);
        let [(first, None), (None, limit)] = &of_services(&server)[..] else {
            panic!("{:#?}", lists(&server));
        };
        assert!(version.contains(first.as_ref().unwrap()));
        assert_eq!(*limit, text("500"));
        server.forget_listed_versions(false);
    }
    assert_eq!(watched.counters.failures(), 0);
}

/// A server that was restored from a backup never had the version that is known.
fn a_version_that_a_server_never_had_is_not_insisted_on(api: Api) {
    let server = server(api);
    // The line is JSON.
    server.speak_json();
    let before = server.version();
    server.advance(1000);
    let mut watched = Watched::settled(&server, timing());
    server.forget_requests();
    server.restore(before, service("restored", 81));
    server.send_line(SERVICES, TOO_OLD);
    watched.until("what there is now", |w| w.services().len() == 2);
    server.forget_lines();
    let lists = of_services(&server);
    assert_eq!(lists[0], (text(&(before + 1000).to_string()), None));
    assert_eq!(lists[1], (None, text("500")));
}

/// A list that is too large for one answer is had in pages.
fn a_list_that_is_too_large_comes_in_pages(api: Api) {
    let server = server(api);
    server.apply_step((0..20).map(|n| service(&format!("web-{n}"), 80)));
    let mut timing = timing();
    (timing.page, timing.limits.page_bytes) = (5, 1000);
    let watched = Watched::settled(&server, timing);
    assert_eq!(watched.services().len(), 20);
    let lists = of_services(&server);
    let limited = (None, text("5"));
    assert_eq!(lists[0], (text("0"), text("5")));
    assert!(lists[1..].iter().all(|list| *list == limited), "{lists:?}");
    assert_eq!(lists.len(), 1 + 4);
    assert_eq!(watched.counters.failures(), 0);
}

/// Services without an address of their own are not sent by servers that know how to leave them out; of others they are
/// received, and nothing else changes.
fn headless_services_are_left_out_where_the_server_can(api: Api) {
    for known in [true, false] {
        let server = server(api);
        server.know_cluster_ip_selector(known);
        server.put(headless_service("headless"));
        let mut watched = Watched::settled(&server, timing());
        let names = |w: &Watched| -> Vec<_> {
            let names = w.cluster.services.keys();
            names.map(|name| name.name().to_owned()).collect()
        };
        let expected = if known {
            vec!["web"]
        } else {
            vec!["headless", "web"]
        };
        assert_eq!(names(&watched), expected);
        server.put(service("after", 81));
        watched.until("a change", |w| names(w).contains(&"after".to_owned()));
        assert_eq!(watched.counters.failures(), 0);
        // After an upgrade it is made use of, once there is a new list.
        server.know_cluster_ip_selector(true);
        server.advance(10);
        server.compact();
        server.end_watches();
        watched.until("the new list", |w| names(w) == ["after", "web"]);
    }
}

on_each!(
    a_start_is_served_from_the_cache,
    what_is_listed_again_is_not_older,
    where_no_such_list_is_kept_the_most_recent_is_listed,
    a_version_that_a_server_never_had_is_not_insisted_on,
    a_list_that_is_too_large_comes_in_pages,
    headless_services_are_left_out_where_the_server_can,
);
