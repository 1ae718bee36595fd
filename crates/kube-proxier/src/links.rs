//! Changes of this machine's links and addresses.

use std::fmt;
use std::io;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use dummy_link::{LinkName, Monitor};
use proxier::LINK;
use tokio::sync::mpsc;

use super::Event;
use super::stop::Stop;

/// How long a burst of changes is waited for.
const SETTLE: Duration = Duration::from_millis(100);
/// How often the thread looks whether it is to end.
const ATTENTION: Duration = Duration::from_millis(250);
/// How long until changes are followed again after that failed.
const AGAIN: Duration = Duration::from_secs(5);

/// Reports changes of links and addresses, from a thread of its own, until stopped. What cannot be followed is tried
/// again; meanwhile changes are seen at the next full sync.
///
/// # Errors
///
/// Where no thread can be had.
pub(super) fn follow(events: mpsc::Sender<Event>, stop: Stop) -> io::Result<JoinHandle<()>> {
    thread::Builder::new()
        .name("links".to_owned())
        .spawn(move || {
            let what = "changes of links and addresses";
            retrying(what, &events, &stop, AGAIN, || watch(&events, &stop));
        })
}

/// Runs `watch`, which follows `what`, until stopped, again and again if it fails.
pub(super) fn retrying<E: fmt::Display>(
    what: &str,
    events: &mpsc::Sender<Event>,
    stop: &Stop,
    again: Duration,
    mut watch: impl FnMut() -> Result<(), E>,
) {
    let mut failed = false;
    while !stop.is_set() && !events.is_closed() {
        let Err(error) = watch() else {
            continue;
        };
        if !failed {
            tracing::warn!(
                %error,
                "{what} cannot be followed; they are seen at the next full sync, and this is tried again every {again:?}"
            );
        }
        failed = true;
        stop.wait(again);
        // What happened meanwhile was missed.
        if !stop.is_set() && events.blocking_send(Event::Links).is_err() {
            return;
        }
    }
}

fn watch(events: &mpsc::Sender<Event>, stop: &Stop) -> Result<(), dummy_link::Error> {
    let mut monitor = Monitor::open()?.settling(SETTLE);
    if let Ok(ours) = LinkName::new(LINK) {
        monitor = monitor.watching(ours);
    }
    while !stop.is_set() {
        let Some(changes) = monitor.wait(ATTENTION)? else {
            continue;
        };
        let links = changes.links || changes.addresses || changes.lost;
        let links = links.then_some(Event::Links);
        let removed = !changes.removed.is_empty();
        let removed = removed.then_some(Event::Removed(changes.removed));
        for event in links.into_iter().chain(removed) {
            if events.blocking_send(event).is_err() {
                return Ok(());
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn after_a_failure_it_is_followed_again_and_what_was_missed_is_reported() {
        let (events, mut received) = mpsc::channel(8);
        let (stop, calls) = (Stop::default(), Cell::new(0));
        retrying("changes", &events, &stop, Duration::from_millis(1), || {
            calls.set(calls.get() + 1);
            if calls.get() == 4 {
                stop.set();
                return Ok(());
            }
            Err("no socket")
        });
        assert_eq!(calls.get(), 4);
        for _ in 0..3 {
            assert_eq!(received.try_recv().unwrap(), Event::Links);
        }
    }
}
