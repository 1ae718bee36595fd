//! A server that answers with something else than what was asked for, or with too much of it.

use std::time::{Duration, Instant};
use std::{fs, thread};

use kube_proxier::watch::{Limits, Timing};

use crate::api_server::{ApiServer, Asked, Endless};
use crate::each::{Api, on_each};
use crate::objects::{NODE, SERVICES, node, service, slice};
use crate::watched::{MILLIS, Watched, timing};

fn started(api: Api, timing: Timing) -> (ApiServer, Watched) {
    started_on(api.start(), timing)
}

fn started_on(server: ApiServer, timing: Timing) -> (ApiServer, Watched) {
    server.apply_step([service("web", 80), slice("web-1", "10.1.0.1"), node(NODE)]);
    let watched = Watched::settled(&server, timing);
    server.forget_requests();
    (server, watched)
}

/// Makes the next watches, and so the next lists, begin anew.
fn list_again(server: &ApiServer) {
    server.advance(10);
    server.compact();
    server.end_watches();
}

fn what_is_not_the_list_asked_for_changes_nothing(api: Api) {
    let not_a_list = [
        "{}",
        r#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"Unauthorized","code":401}"#,
        r#"{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"7"},"items":[]}"#,
        r#"{"kind":"ServiceList","apiVersion":"v1","metadata":{"resourceVersion":"7"},"items":null}"#,
        r#"{"kind":"List","apiVersion":"v1","metadata":{"resourceVersion":""},"items":[]}"#,
        r#"{"kind":"ServiceList","apiVersion":"v1","metadata":{},"items":[]}"#,
    ];
    for body in not_a_list {
        let (server, mut watched) = started(api, timing());
        let before = watched.cluster.clone();
        server.answer_lists(SERVICES, Some(body));
        list_again(&server);
        watched.until_counted("failures", |counters| counters.failures() >= 4);
        watched.take_in();
        assert_eq!(watched.cluster, before, "{body}");
        // An empty list that says what it is is a cluster without Services.
        server.answer_lists(SERVICES, None);
        server.delete(&service("web", 80));
        watched.until("the list", |w| w.services().is_empty());
    }
}

/// The same before anything is known: nothing is sent at all, so nothing is programmed and nothing removed.
fn a_first_list_is_checked_too(api: Api) {
    let server = api.start();
    server.apply_step([service("web", 80), node(NODE)]);
    server.answer_lists(SERVICES, Some("{}"));
    let mut watched = Watched::start(&server, timing());
    watched.until_counted("failures", |counters| counters.failures() >= 3);
    watched.take_in();
    assert!(
        !watched
            .changes()
            .any(|c| matches!(c, proxier::cluster::Change::Services(_)))
    );
    server.answer_lists(SERVICES, None);
    watched.until("the list", |w| w.services() == [("web", 80)]);
}

fn a_list_without_an_end_is_given_up(api: Api) {
    for endless in [Endless::SameToken, Endless::TwoTokens, Endless::NewTokens] {
        let limits = Limits {
            pages: 50,
            ..Limits::default()
        };
        let (server, mut watched) = started(api, Timing { limits, ..timing() });
        let before = watched.cluster.clone();
        server.endless(Some(endless));
        list_again(&server);
        watched.until_counted("failures", |counters| counters.failures() >= 6);
        let pages = server.requests();
        let pages = pages
            .iter()
            .filter(|asked| asked.path == SERVICES && !asked.is_watch());
        let most = match endless {
            Endless::SameToken => 2,
            Endless::TwoTokens => 3,
            Endless::NewTokens => 50,
        };
        let tries = pages
            .clone()
            .filter(|asked| asked.get("continue").is_none())
            .count();
        assert!(pages.count() <= tries * most, "{endless:?}");
        watched.take_in();
        assert_eq!(watched.cluster, before);
        server.endless(None);
        server.put(service("after", 1));
        watched.until("what comes after", |w| w.services().len() == 2);
    }
}

fn too_much_is_not_read(api: Api) {
    let limits = Limits {
        page_bytes: 4000,
        line_bytes: 2000,
        objects: 3,
        ..Limits::default()
    };
    let (server, mut watched) = started(api, Timing { limits, ..timing() });
    let before = watched.cluster.clone();
    let failures = watched.counters.failures();
    server.send_long_lines(1900);
    server.put(node("node-b"));
    server.send_long_lines(4000);
    watched.until_counted("failures", |counters| counters.failures() >= failures + 3);
    watched.take_in();
    assert_eq!(watched.cluster, before);
    // It is listed, since the line would come again.
    server.wait_for_requests(|asked| asked.iter().filter(|asked| !asked.is_watch()).count() >= 3);
    // A page, and objects, that are too many.
    let many: Vec<_> = (0..4).map(|n| service(&format!("web-{n}"), 80)).collect();
    let list = |items: &[serde_json::Value]| {
        serde_json::json!({"kind": "ServiceList", "apiVersion": "v1",
            "metadata": {"resourceVersion": "1000"}, "items": items})
        .to_string()
    };
    for body in [list(&many), format!("{}{}", list(&[]), " ".repeat(4000))] {
        let failures = watched.counters.failures();
        server.answer_lists(SERVICES, Some(&body));
        list_again(&server);
        watched.until_counted("failures", |counters| counters.failures() >= failures + 2);
        watched.take_in();
        assert_eq!(watched.cluster.services, before.services);
    }
    server.answer_lists(SERVICES, None);
    server.put(service("after", 1));
    watched.until("what comes after", |w| w.services().len() == 2);
}

/// What a server that was restarted says of every old version is no failure: it is answered by a list, without the pause
/// that failures have.
fn a_version_that_is_gone_is_listed_without_a_pause(api: Api) {
    let (server, mut watched) = started(api, timing());
    server.put(service("after", 1));
    list_again(&server);
    watched.until("the list", |w| w.services().len() == 2);
    // The Service may have come by the watch before its end.
    watched.until_counted("list", |counters| counters.lists() >= 4);
    server.wait_for_watches(3);
    assert_eq!(watched.counters.failures(), 0);
    assert!(watched.counters.lists() >= 4);
}

/// A server that starts is asked whether it is ready, often, and for lists rarely; as soon as it is it is followed, whatever
/// pause was begun.
fn a_server_that_comes_back_is_noticed_by_its_readiness(api: Api) {
    let timing = Timing {
        // Longer than anything is waited for here.
        pause: 300_000 * MILLIS..=300_000 * MILLIS,
        probe: 20 * MILLIS,
        ..timing()
    };
    let (server, mut watched) = started(api, timing);
    server.unready(true);
    server.break_watches();
    let probes = |asked: &[Asked]| asked.iter().filter(|asked| asked.path == "/readyz").count();
    server.wait_for_requests(|asked| probes(asked) >= 20);
    // A stream that broke may be tried once.
    let others = server.requests().len() - probes(&server.requests());
    assert!(others <= 3, "{others}");
    let since = watched.counters.away_since();
    server.unready(false);
    server.put(service("after", 1));
    watched.until("what comes after", |w| w.services().len() == 2);
    server.wait_for_watches(3);
    watched.until_counted("return", |counters| counters.away_since().is_none());
    assert!(since.is_some() || others == 0);
}

/// The kernel itself finds out that the other end is gone (timer 2 of proc_net_tcp(5) is the one of keep-alives). While a
/// request is under way the timer is the one that sends it again, so that a connection is looked at until it is quiet.
fn connections_are_probed_by_the_kernel(api: Api) {
    let (server, _watched) = started(api, timing());
    let port = format!(":{:04X}", server.address().port());
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let table = fs::read_to_string("/proc/net/tcp").unwrap();
        // Our ends, established: the timer that runs, and the hundredths of a second until it ends.
        let timers: Vec<_> = table
            .lines()
            .skip(1)
            .map(|line| line.split_whitespace().collect::<Vec<_>>())
            .filter(|fields| fields[2].ends_with(&port) && fields[3] == "01")
            .map(|fields| fields[5].split_once(':').unwrap())
            .collect();
        let probed = |(timer, left): &(&str, &str)| {
            *timer == "02" && u32::from_str_radix(left, 16).unwrap() <= 1000
        };
        if !timers.is_empty() && timers.iter().all(probed) {
            break;
        }
        assert!(Instant::now() < deadline, "{table}");
        thread::sleep(10 * MILLIS);
    }
}

/// A line that is not an event of a Service changes nothing, whatever it names, and the events after it are read.
fn odd_lines_of_a_watch_change_nothing(api: Api) {
    // Deeper than what is read may be, and in the place of something that is.
    let deep = format!(
        r#"{{"type":"MODIFIED","object":{{"metadata":{{"name":"web","namespace":"shop"}},"spec":{{"type":{}1{}}}}}}}"#,
        r#"{"a":"#.repeat(200),
        "}".repeat(200)
    );
    for line in [
        "",
        " ",
        r#"{"type":"ADDED"}"#,
        r#"{"type":"ADDED","object":null}"#,
        r#"{"type":"MODIFIED","object":[]}"#,
        r#"{"type":"MODIFIED","object":"web"}"#,
        r#"{"type":"MODIFIED","object":{"kind":"Pod","apiVersion":"v1","metadata":{"name":"web","namespace":"shop"}}}"#,
        r#"{"type":"MODIFIED","object":{"kind":"Service","apiVersion":"serving.knative.dev/v1","metadata":{"name":"web","namespace":"shop"}}}"#,
        r#"{"type":"MODIFIED","object":{"kind":7,"metadata":{"name":"web","namespace":"shop"}}}"#,
        r#"{"type":"MODIFIED","object":{"kind":"Service","apiVersion":"v1","metadata":{"name":"web","namespace":"shop","resourceVersion":"7"},"spec":null}}"#,
        r#"{"type":"DELETED","object":{}}"#,
        r#"{"type":"DELETED","object":null}"#,
        r#"{"type":"DELETED","object":{"metadata":{"name":"web","namespace":"another"}}}"#,
        r#"{"type":"BOOKMARK"}"#,
        r#"{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":""}}}"#,
        r#"{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":7}}}"#,
        r#"{"type":"SOMETHING","object":{}}"#,
        r#"{"type":"ERROR","object":null}"#,
        r#"{"type":"ERROR","object":{"kind":"Status","code":99999999,"message":7}}"#,
        r#"{"type":"ADDED","type":"DELETED","object":{}}"#,
        r#"{"kind":"Status","apiVersion":"v1","status":"Failure","message":"Unauthorized","code":401}"#,
        r#"{"type":"ADDED","object":{"metadata":{"name":"web","#,
        "<html>",
        "\u{0}\u{202e}",
        &deep,
    ] {
        let server = api.start();
        server.speak_json();
        let (server, mut watched) = started_on(server, timing());
        let before = watched.cluster.clone();
        server.send_line(SERVICES, line);
        server.put(service("after", 1));
        watched.until("what comes after", |w| w.services().len() == 2);
        server.forget_lines();
        server.delete(&service("after", 1));
        watched.until("its end", |w| w.services().len() == 1);
        watched.take_in();
        assert_eq!(watched.cluster, before, "{line}");
    }
}

/// What is not read of an object may be as deep as it likes.
fn what_is_passed_over_may_be_deep(api: Api) {
    let server = api.start();
    server.speak_json();
    let (server, mut watched) = started_on(server, timing());
    let after = service("after", 1).to_string();
    let deep = format!(r#"{{"a":{}1{},"#, "[".repeat(2000), "]".repeat(2000));
    let object = after.replacen('{', &deep, 1);
    let line = format!(r#"{{"type":"ADDED","object":{object}}}"#);
    server.send_line(SERVICES, &line);
    watched.until("the Service", |w| w.services().len() == 2);
    assert_eq!(watched.counters.refused(), 0);
}

/// An item of a list that says it is something else is not used, and what was known by its name stays.
fn an_item_of_another_kind_is_refused_alone(api: Api) {
    let (server, mut watched) = started(api, timing());
    let before = watched.cluster.clone();
    let body = |items: &str| {
        format!(
            r#"{{"kind":"ServiceList","apiVersion":"v1","metadata":{{"resourceVersion":"1000"}},"items":[{items}]}}"#
        )
    };
    let after = service("after", 1).to_string();
    let pod = r#"{"kind":"Pod","apiVersion":"v1","metadata":{"name":"web","namespace":"shop"}}"#;
    server.answer_lists(
        SERVICES,
        Some(&body(&format!("{pod},null,7,[],{after},{after}"))),
    );
    list_again(&server);
    watched.until("what is beside it", |w| {
        w.services().contains(&("after", 1))
    });
    assert!(
        before
            .services
            .iter()
            .all(|(name, web)| watched.cluster.services.get(name) == Some(web))
    );
}

/// A server that asks to be left alone is.
fn retry_after_is_respected(api: Api) {
    let timing = Timing {
        pause: MILLIS..=2 * MILLIS,
        probe: 2 * MILLIS,
        ..timing()
    };
    let (server, watched) = started(api, timing);
    server.retry_after(Some(3600));
    server.fail(429, usize::MAX);
    server.break_watches();
    watched.until_counted("failures", |counters| counters.failures() >= 3);
    // Nor is it asked whether it is ready.
    thread::sleep(200 * MILLIS);
    let asked = server.requests();
    let again = asked
        .iter()
        .filter(|asked| asked.path == SERVICES || asked.path == "/readyz");
    assert!(again.count() <= 2, "{asked:?}");
}

on_each!(
    what_is_not_the_list_asked_for_changes_nothing,
    a_first_list_is_checked_too,
    a_list_without_an_end_is_given_up,
    too_much_is_not_read,
    a_version_that_is_gone_is_listed_without_a_pause,
    a_server_that_comes_back_is_noticed_by_its_readiness,
    connections_are_probed_by_the_kernel,
    odd_lines_of_a_watch_change_nothing,
    what_is_passed_over_may_be_deep,
    an_item_of_another_kind_is_refused_alone,
    retry_after_is_respected,
);
