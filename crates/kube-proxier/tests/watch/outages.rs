//! A server that is away, slow, or of no use: nothing is lost, nothing is sent, and it is not stormed.

use std::time::{Duration, Instant};

use kube_proxier::watch::Timing;
use proxier::cluster::Change;

use crate::api_server::{ApiServer, Asked};
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

/// How long so many attempts in a row take at the least, at [`timing`].
pub(crate) fn least(attempts: usize) -> Duration {
    let timing = timing();
    let pauses = std::iter::successors(Some(*timing.pause.start()), |pause| {
        Some((*pause * 2).min(*timing.pause.end()))
    });
    pauses.take(attempts.saturating_sub(1)).sum()
}

fn while_the_server_is_away_what_is_known_stays(api: Api) {
    let (server, mut watched) = started(api);
    let before = watched.cluster.clone();
    let began = Instant::now();
    server.stop();
    watched.until_counted("failures", |counters| counters.failures() >= 15);
    let failures = watched.counters.failures();
    // Three kinds are watched, each with pauses of its own. One failure of each is the stream that broke.
    let of_each = usize::try_from(failures.div_ceil(3)).unwrap();
    assert!(began.elapsed() >= least(of_each), "{failures} failures");
    assert_eq!(watched.take_in(), 0);
    assert_eq!(watched.cluster, before);
    server.come_back();
    server.put(service("back", 1));
    watched.until("what happens then", |w| w.services().len() == 2);
    server.wait_for_watches(3);
    let asked = server.requests();
    assert!(asked.iter().all(Asked::is_watch), "{asked:#?}");
    assert_eq!(watched.counters.lists(), 3);
}

fn a_server_that_hangs_up_is_not_stormed(api: Api) {
    let (server, mut watched) = started(api);
    let accepted = server.accepted();
    let began = Instant::now();
    server.hang_up(true);
    watched.until_counted("failures", |counters| counters.failures() >= 15);
    // A client may try a connection once more by itself, where it was an old one that was closed.
    let attempts = server.accepted() - accepted;
    assert!(
        began.elapsed() >= least(attempts.div_ceil(2 * 3)),
        "{attempts}"
    );
    assert_eq!(watched.take_in(), 0);
    server.hang_up(false);
    server.put(service("back", 1));
    watched.until("what happens then", |w| w.services().len() == 2);
}

fn watches_that_end_at_once_are_not_started_in_a_storm(api: Api) {
    let (server, mut watched) = started(api);
    let began = Instant::now();
    server.cut_watches_short(true);
    server.end_watches();
    server.wait_for_requests(|asked| asked.iter().filter(|a| a.path == SERVICES).count() >= 6);
    let asked = server.requests();
    let attempts = asked.iter().filter(|a| a.path == SERVICES).count();
    assert!(began.elapsed() >= least(attempts), "{attempts}");
    assert!(asked.iter().all(Asked::is_watch));
    assert_eq!(watched.take_in(), 0);
    server.cut_watches_short(false);
    server.put(service("after", 1));
    watched.until("what comes after", |w| w.services().len() == 2);
}

fn a_server_that_is_not_there_at_first_is_waited_for(api: Api) {
    let server = api.start();
    server.apply_step([service("web", 80), node(NODE)]);
    server.stop();
    let mut watched = Watched::start(&server, timing());
    watched.until_counted("failures", |counters| counters.failures() >= 6);
    assert_eq!(watched.take_in(), 0);
    server.come_back();
    watched.until("the lists", |w| w.changes().count() == 3);
    assert_eq!(watched.services(), [("web", 80)]);
}

fn an_answer_may_be_slow_but_not_endless(api: Api) {
    let server = api.start();
    server.apply_step([service("web", 80), node(NODE)]);
    // Slower than is waited for: nothing is had, and nothing said.
    server.delay(600 * MILLIS);
    let impatient = Timing {
        answer: 150 * MILLIS,
        ..timing()
    };
    let mut watched = Watched::start(&server, impatient);
    watched.until_counted("failures", |counters| counters.failures() >= 6);
    assert_eq!(watched.take_in(), 0);
    server.delay(Duration::ZERO);
    watched.until("the lists", |w| w.changes().count() == 3);
    // Its watches would be counted along with those of the next one.
    watched.stop(&server);
    // Slow, and waited for.
    server.delay(50 * MILLIS);
    let patient = Watched::settled(&server, timing());
    assert_eq!(patient.counters.failures(), 0);
}

fn a_server_with_errors_is_asked_again_where_it_was_left(api: Api) {
    let (server, mut watched) = started(api);
    server.fail(503, 4);
    server.end_watches();
    watched.until_counted("failures", |counters| counters.failures() >= 4);
    server.put(service("after", 1));
    watched.until("what comes after", |w| w.services().len() == 2);
    assert!(server.requests().iter().all(Asked::is_watch));
    let lists = |c: &&Change| matches!(c, Change::Services(_));
    assert_eq!(watched.changes().filter(lists).count(), 1);
}

fn where_no_watch_can_be_had_everything_is_listed_anew(api: Api) {
    // At once, and so slowly that a watch which took as long would be one that lasted.
    for delay in [Duration::ZERO, *timing().pause.end() + 50 * MILLIS] {
        let (server, mut watched) = started(api);
        server.delay(delay);
        server.fail(500, 15);
        server.end_watches();
        server.delete(&service("web", 80));
        watched.until("the new list", |w| w.services().is_empty());
        server.wait_for_requests(|asked| !asked.iter().all(Asked::is_watch));
    }
}

on_each!(
    while_the_server_is_away_what_is_known_stays,
    a_server_that_hangs_up_is_not_stormed,
    watches_that_end_at_once_are_not_started_in_a_storm,
    a_server_that_is_not_there_at_first_is_waited_for,
    an_answer_may_be_slow_but_not_endless,
    a_server_with_errors_is_asked_again_where_it_was_left,
    where_no_watch_can_be_had_everything_is_listed_anew,
);
