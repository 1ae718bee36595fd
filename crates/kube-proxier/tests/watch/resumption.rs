//! What is asked for again, and what is not.

use proxier::cluster::Change;

use crate::api_server::{ApiServer, Asked, Gone};
use crate::each::{Api, on_each};
use crate::objects::{NODE, SERVICES, node, service, slice};
use crate::watched::{MILLIS, Watched, timing};

fn started(api: Api) -> (ApiServer, Watched) {
    let server = api.start();
    server.apply_step([service("web", 80), slice("web-1", "10.1.0.1"), node(NODE)]);
    let watched = Watched::settled(&server, timing());
    server.forget_requests();
    (server, watched)
}

fn watches(requests: &[Asked]) -> usize {
    requests.iter().filter(|asked| asked.is_watch()).count()
}

fn a_broken_stream_is_resumed_where_it_was(api: Api) {
    let (server, mut watched) = started(api);
    server.put(service("before", 1));
    watched.until("a change", |w| w.services().len() == 2);
    let version = server.version();
    server.break_watches();
    server.put(service("meanwhile", 2));
    watched.until("what happened meanwhile", |w| w.services().len() == 3);
    server.wait_for_requests(|asked| watches(asked) == 3);
    let asked = server.requests();
    assert!(asked.iter().all(Asked::is_watch), "{asked:#?}");
    let services = asked.iter().find(|asked| asked.path == SERVICES).unwrap();
    assert_eq!(services.get("resourceVersion"), Some(&*version.to_string()));
    let lists = |c: &&Change| matches!(c, Change::Services(_));
    assert_eq!(watched.changes().filter(lists).count(), 1);
    assert_eq!(watched.counters.failures(), 3);
}

fn a_watch_that_ends_in_good_order_is_no_failure(api: Api) {
    let (server, mut watched) = started(api);
    server.end_watches();
    server.wait_for_requests(|asked| watches(asked) == 3);
    server.put(service("after", 1));
    watched.until("what comes after", |w| w.services().len() == 2);
    assert!(server.requests().iter().all(Asked::is_watch));
    assert_eq!(watched.counters.failures(), 0);
}

fn bookmarks_keep_a_version_young(api: Api) {
    let (server, mut watched) = started(api);
    server.advance(100);
    server.send_bookmarks();
    // Behind the bookmark on the same stream.
    server.put(node("node-b"));
    server.put(service("behind", 1));
    watched.until("what is behind it", |w| w.services().len() == 2);
    server.advance(100);
    server.send_bookmarks();
    let version = server.version();
    server.compact();
    server.end_watches();
    server.wait_for_requests(|asked| watches(asked) == 3);
    for asked in server.requests() {
        assert!(asked.is_watch(), "{asked:?}");
        assert_eq!(asked.get("allowWatchBookmarks"), Some("true"));
        assert_eq!(asked.get("resourceVersion"), Some(&*version.to_string()));
    }
    assert_eq!(watched.counters.lists(), 3);
}

fn what_vanished_meanwhile_goes_with_a_new_list(api: Api) {
    for gone in [Gone::Status, Gone::Line] {
        let (server, mut watched) = started(api);
        server.say_gone_by(gone);
        server.stop();
        server.apply_step([service("other", 81), node(NODE)]);
        server.compact();
        assert_eq!(watched.take_in(), 0);
        server.come_back();
        watched.until("the new lists", |w| {
            w.services() == [("other", 81)] && w.cluster.slices.is_empty()
        });
        let changes: Vec<_> = watched.changes().collect();
        assert!(
            changes
                .iter()
                .any(|c| matches!(c, Change::Slices(all) if all.is_empty())),
            "{gone:?}: {changes:?}"
        );
        server.wait_for_watches(3);
        // It tried to go on first, and was told.
        let asked = server.requests();
        assert!(asked[0].is_watch(), "{asked:#?}");
        // The Node is as it was, so there is nothing to say of it.
        watched.take_in();
        let nodes = watched.changes().filter(|c| matches!(c, Change::Nodes(_)));
        assert_eq!(nodes.count(), 1);
        assert_eq!(watched.counters.lists(), 6);
    }
}

fn a_list_whose_rest_is_gone_begins_anew(api: Api) {
    let server = api.start();
    server.without_cache();
    server.apply_step((0..4).map(|n| service(&format!("web-{n}"), 80)));
    server.hold_lists(SERVICES);
    let mut watched = Watched::start(
        &server,
        kube_proxier::watch::Timing {
            page: 3,
            ..timing()
        },
    );
    server.wait_until_held();
    server.delete(&service("web-0", 80));
    server.compact();
    server.release();
    watched.until("all of it", |w| w.services().len() == 3);
    let lists = |c: &&Change| matches!(c, Change::Services(_));
    assert_eq!(watched.changes().filter(lists).count(), 1);
}

fn a_dead_peer_is_noticed(api: Api) {
    for bookmarked in [true, false] {
        let server = api.start();
        server.apply_step([service("web", 80), node(NODE)]);
        let mut timing = timing();
        if bookmarked {
            timing.silence = 300 * MILLIS;
        } else {
            (timing.watch, timing.answer) = (1000 * MILLIS, 1000 * MILLIS);
        }
        let mut watched = Watched::settled(&server, timing);
        server.forget_requests();
        if bookmarked {
            server.send_bookmarks();
            server.put(service("behind", 1));
            watched.until("the bookmark", |w| w.services().len() == 2);
        }
        server.hold_watches();
        server.wait_for_requests(|asked| watches(asked) >= 3);
        server.release();
        server.put(service("after", 2));
        watched.until("what comes after", |w| w.services().contains(&("after", 2)));
        assert!(server.requests().iter().all(Asked::is_watch));
    }
}

fn it_ends_when_nobody_receives(api: Api) {
    let (server, watched) = started(api);
    assert!(!watched.is_over());
    watched.stop(&server);
}

on_each!(
    a_broken_stream_is_resumed_where_it_was,
    a_watch_that_ends_in_good_order_is_no_failure,
    bookmarks_keep_a_version_young,
    what_vanished_meanwhile_goes_with_a_new_list,
    a_list_whose_rest_is_gone_begins_anew,
    a_dead_peer_is_noticed,
    it_ends_when_nobody_receives,
);
