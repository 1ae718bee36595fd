//! Lists as the first events of a watch.

use std::time::Duration;

use kube_proxier::watch::Timing;
use proxier::cluster::Change;

use crate::api_server::{ApiServer, Asked, Streams};
use crate::each::{Api, on_each};
use crate::objects::{NODE, SERVICES, node, service, slice};
use crate::watched::{MILLIS, Watched, timing};

const TOO_OLD: &str = r#"{"type":"ERROR","object":{"kind":"Status","apiVersion":"v1","code":410,"message":"too old"}}"#;

fn server(api: Api, streams: Streams) -> ApiServer {
    let server = api.start();
    server.stream_lists(streams);
    let services = (0..6).map(|n| service(&format!("web-{n}"), 80 + n));
    server.apply_step(services.chain([slice("web-1", "10.1.0.1"), node(NODE)]));
    server
}

/// Makes the next watches, and so the next lists, begin anew.
fn list_again(server: &ApiServer) {
    server.advance(10);
    server.compact();
    server.end_watches();
}

fn of_services(server: &ApiServer) -> Vec<Asked> {
    let asked = server.requests().into_iter();
    asked.filter(|asked| asked.path == SERVICES).collect()
}

fn streams(asked: &[Asked]) -> usize {
    asked
        .iter()
        .filter(|asked| asked.is_streamed_list())
        .count()
}

fn lists(asked: &[Asked]) -> usize {
    asked.iter().filter(|asked| !asked.is_watch()).count()
}

/// How often Services were sent as a whole.
fn wholes(watched: &Watched) -> usize {
    let whole = |change: &&Change| matches!(change, Change::Services(_));
    watched.changes().filter(whole).count()
}

fn a_streamed_list_is_the_list(api: Api) {
    let listed = Watched::settled(&server(api, Streams::Refused(422)), timing());
    let server = server(api, Streams::Served);
    let mut watched = Watched::settled(&server, timing());
    assert_eq!(watched.cluster, listed.cluster);
    assert_eq!(watched.services().len(), 6);
    // What follows comes on the same stream, and one request of each kind was all.
    server.put(service("after", 1));
    watched.until("what comes after", |w| w.services().len() == 7);
    let asked = server.requests();
    assert_eq!((asked.len(), streams(&asked)), (3, 3), "{asked:#?}");
    for asked in &asked {
        assert_eq!(asked.get("resourceVersion"), Some("0"));
    }
    assert_eq!(
        (watched.counters.lists(), watched.counters.failures()),
        (3, 0)
    );
}

/// What was deleted meanwhile goes, and what is known is what the new stream has to be no older than.
fn what_was_deleted_meanwhile_goes_at_the_end_of_the_events(api: Api) {
    let server = server(api, Streams::Served);
    let mut watched = Watched::settled(&server, timing());
    let before = watched.cluster.clone();
    server.stop();
    server.forget_requests();
    server.delete(&service("web-0", 80));
    server.delete(&service("web-1", 81));
    server.put(service("new", 1));
    server.compact();
    server.hold_lists(SERVICES);
    server.come_back();
    server.wait_until_held();
    watched.take_in();
    assert_eq!(watched.cluster.services, before.services);
    server.release();
    watched.until("the end of the events", |w| {
        w.services().contains(&("new", 1))
    });
    assert_eq!(watched.services().len(), 5);
    let asked = of_services(&server);
    assert_eq!(lists(&asked), 0, "{asked:#?}");
    let stream = asked.iter().find(|asked| asked.is_streamed_list()).unwrap();
    assert!(!["", "0"].contains(&stream.get("resourceVersion").unwrap()));
}

/// Bookmarks of the usual kind end no list, and what changes before the last one is part of it.
fn only_the_bookmark_with_its_annotation_is_the_end(api: Api) {
    let server = server(api, Streams::Served);
    server.hold_lists(SERVICES);
    let mut watched = Watched::start(&server, timing());
    server.wait_until_held();
    server.delete(&service("web-0", 80));
    server.put(service("web-1", 1));
    server.put(service("web-2", 70_000));
    server.put(service("new", 2));
    server.put(service("short", 3));
    server.delete(&service("short", 3));
    watched.take_in();
    assert_eq!(wholes(&watched), 0);
    server.release();
    watched.until("the list", |w| wholes(w) == 1);
    let expected = [
        ("new", 2),
        ("web-1", 1),
        ("web-2", 82),
        ("web-3", 83),
        ("web-4", 84),
        ("web-5", 85),
    ];
    assert_eq!(watched.services(), expected);
    assert_eq!(watched.counters.refused_objects(), 1);
    server.put(service("web-2", 4));
    watched.until("a change", |w| w.services().contains(&("web-2", 4)));
    assert_eq!(lists(&server.requests()), 0);
}

/// A server that cannot is asked once, and for lists from then on.
fn where_streams_are_refused_lists_are_asked_for(api: Api) {
    for code in [400, 404, 405, 406, 422] {
        let server = server(api, Streams::Refused(code));
        let mut watched = Watched::settled(&server, timing());
        assert_eq!(watched.services().len(), 6);
        let asked = of_services(&server);
        assert_eq!(
            (streams(&asked), lists(&asked)),
            (1, 1),
            "{code}: {asked:#?}"
        );
        assert_eq!(watched.counters.failures(), 0);
        server.forget_requests();
        server.delete(&service("web-0", 80));
        list_again(&server);
        watched.until("the list", |w| w.services().len() == 5);
        server.wait_for_requests(|asked| lists(asked) == 3);
        assert_eq!(streams(&server.requests()), 0, "{code}");
    }
}

/// One that fails to may be away; where it goes on failing it is asked for lists.
fn where_streams_fail_lists_are_asked_for(api: Api) {
    let server = server(api, Streams::Refused(501));
    let watched = Watched::settled(&server, timing());
    let asked = of_services(&server);
    assert_eq!((streams(&asked), lists(&asked)), (2, 1), "{asked:#?}");
    assert_eq!(watched.services().len(), 6);
}

/// A server that does not know what is asked for sends a watch as of old, in which the end is never marked.
fn events_without_an_end_are_given_up(api: Api) {
    let server = server(api, Streams::Ignored);
    let impatient = Timing {
        answer: 2000 * MILLIS,
        ..timing()
    };
    let mut watched = Watched::start(&server, impatient);
    watched.until("the lists", |w| w.changes().count() >= 3);
    assert_eq!(watched.services().len(), 6);
    let asked = of_services(&server);
    assert_eq!((streams(&asked), lists(&asked)), (1, 1), "{asked:#?}");
}

/// Half of the events change nothing; the next stream is the whole.
fn a_stream_that_breaks_off_changes_nothing(api: Api) {
    for broken in [Streams::BrokenOff(1), Streams::Ended(1)] {
        let server = server(api, Streams::Served);
        let mut watched = Watched::settled(&server, timing());
        let before = watched.changes().count();
        server.stop();
        server.forget_requests();
        server.delete(&service("web-0", 80));
        server.put(service("web-9", 89));
        server.compact();
        server.stream_lists(broken);
        server.come_back();
        watched.until("the whole", |w| w.services().contains(&("web-9", 89)));
        let about_services = |change: &&Change| {
            matches!(
                change,
                Change::Services(_) | Change::Service(_) | Change::ServiceGone(_)
            )
        };
        let sent = watched
            .changes()
            .skip(before)
            .filter(about_services)
            .count();
        assert_eq!((sent, watched.services().len()), (1, 6), "{broken:?}");
        let asked = of_services(&server);
        assert_eq!((streams(&asked), lists(&asked)), (2, 0), "{asked:#?}");
    }
}

/// Where each breaks off, a list is asked for, and the cluster is known all the same.
fn where_all_streams_break_off_lists_are_asked_for(api: Api) {
    for broken in [Streams::BrokenOff(usize::MAX), Streams::Ended(usize::MAX)] {
        let server = server(api, broken);
        let watched = Watched::settled(&server, timing());
        assert_eq!((watched.services().len(), wholes(&watched)), (6, 1));
        let asked = of_services(&server);
        assert_eq!((streams(&asked), lists(&asked)), (2, 1), "{asked:#?}");
    }
}

/// A version that the server never had is not insisted on.
fn a_version_that_was_never_there_is_not_insisted_on(api: Api) {
    let server = server(api, Streams::Served);
    // The line is JSON.
    server.speak_json();
    let before = server.version();
    server.advance(1000);
    let mut watched = Watched::settled(&server, timing());
    server.forget_requests();
    server.restore(before, service("restored", 1));
    server.send_line(SERVICES, TOO_OLD);
    watched.until("what there is now", |w| {
        w.services().contains(&("restored", 1))
    });
    server.forget_lines();
    let asked = of_services(&server);
    let known = (before + 1000).to_string();
    assert!(asked[0].is_streamed_list());
    assert_eq!(asked[0].get("resourceVersion"), Some(&*known));
    assert!(!asked[1].is_watch() && asked[1].get("resourceVersion").is_none());
}

/// Too many objects are not taken in.
fn a_stream_without_an_end_is_bounded(api: Api) {
    let server = server(api, Streams::Served);
    let mut timing = timing();
    timing.limits.objects = 3;
    timing.answer = Duration::from_secs(20);
    let mut watched = Watched::start(&server, timing);
    watched.until_counted("failures", |counters| counters.failures() >= 2);
    watched.take_in();
    assert_eq!(wholes(&watched), 0);
}

on_each!(
    a_streamed_list_is_the_list,
    what_was_deleted_meanwhile_goes_at_the_end_of_the_events,
    only_the_bookmark_with_its_annotation_is_the_end,
    where_streams_are_refused_lists_are_asked_for,
    where_streams_fail_lists_are_asked_for,
    events_without_an_end_are_given_up,
    a_stream_that_breaks_off_changes_nothing,
    where_all_streams_break_off_lists_are_asked_for,
    a_version_that_was_never_there_is_not_insisted_on,
    a_stream_without_an_end_is_bounded,
);
