//! When syncs are due: bursts, failures, what is wanted at once, draining destinations.

use super::*;

const MIN: Duration = Duration::from_secs(1);
const MAX: Duration = Duration::from_secs(30);

fn at(start: Instant, millis: u64) -> Instant {
    start + Duration::from_millis(millis)
}

/// Just after a first full sync at `start`.
fn running(start: Instant) -> Schedule {
    let mut schedule = Schedule::new(MIN, MAX, start);
    assert_eq!(schedule.due(start), Some(Task::Full));
    schedule.done(Task::Full, start, start, true, false);
    schedule
}

#[test]
fn a_burst_is_one_sync() {
    let start = Instant::now();
    let mut schedule = running(start);
    assert_eq!(schedule.next(), start + MAX);
    // This comes too soon after the last one to be carried out immediately.
    assert!(schedule.changed(at(start, 1500)));
    assert!(!schedule.changed(at(start, 1503)));
    assert_eq!(schedule.due(at(start, 1503)), None);
    assert_eq!(schedule.due(at(start, 1510)), Some(Task::Changes));
    schedule.done(Task::Changes, at(start, 1510), at(start, 1511), true, false);
    assert_eq!(schedule.next(), start + MAX);
}

#[test]
fn syncs_keep_their_distance() {
    let start = Instant::now();
    let mut schedule = running(start);
    schedule.changed(at(start, 100));
    assert_eq!(schedule.next(), start + MIN);
    schedule.want_full(at(start, 200));
    assert_eq!(schedule.next(), start + MIN);
    assert_eq!(schedule.due(start + MIN), Some(Task::Full));
}

#[test]
fn failures_are_retried_ever_more_slowly() {
    let start = Instant::now();
    let mut schedule = running(start);
    let mut now = at(start, 2000);
    schedule.changed(now);
    let mut waits = Vec::new();
    for _ in 0..7 {
        schedule.done(Task::Changes, now, now, false, false);
        let next = schedule.next().max(now);
        waits.push((next - now).as_secs());
        now = next;
    }
    // The full sync at 30 s comes between.
    assert_eq!(waits.first(), Some(&1));
    assert_eq!(waits.get(1), Some(&2));
    assert_eq!(waits.get(2), Some(&4));
    schedule.done(Task::Full, now, now, true, false);
    assert_eq!(schedule.next(), now + MAX);
}

#[test]
fn a_full_sync_that_failed_is_made_again() {
    let start = Instant::now();
    let mut schedule = Schedule::new(MIN, MAX, start);
    schedule.done(Task::Full, start, start, false, false);
    assert_eq!(schedule.next(), start + FIRST_RETRY);
    assert_eq!(schedule.due(start + FIRST_RETRY), Some(Task::Full));
}

#[test]
fn a_full_sync_wanted_after_a_failure_waits_for_the_retry() {
    let start = Instant::now();
    let mut schedule = running(start);
    let now = at(start, 5000);
    schedule.changed(now);
    schedule.done(Task::Changes, now, now, false, false);
    schedule.want_full(now);
    assert_eq!(schedule.due(at(start, 5999)), None);
    assert_eq!(schedule.due(at(start, 6000)), Some(Task::Full));
}

#[test]
fn what_is_wanted_at_once_waits_for_no_period_and_no_retry() {
    let start = Instant::now();
    let mut schedule = Schedule::new(Duration::from_secs(10), MAX, start);
    schedule.done(Task::Full, start, start, true, false);
    schedule.want_full_at_once(at(start, 2000));
    assert_eq!(schedule.due(at(start, 2000)), Some(Task::Full));
    // Long ones keep half a second between them, one after the other.
    schedule.done(Task::Full, at(start, 2000), at(start, 2100), false, false);
    schedule.want_full_at_once(at(start, 2200));
    assert_eq!(schedule.due(at(start, 2599)), None);
    assert_eq!(schedule.due(at(start, 2600)), Some(Task::Full));
    // Short ones less; and what was done for another reason keeps none waiting.
    schedule.done(Task::Full, at(start, 2600), at(start, 2602), true, false);
    let changed = at(start, 2610);
    schedule.done(Task::Changes, changed, changed, true, false);
    schedule.want_full_at_once(at(start, 2610));
    assert_eq!(schedule.due(at(start, 2619)), None);
    assert_eq!(schedule.due(at(start, 2620)), Some(Task::Full));
    let now = at(start, 2620);
    schedule.done(Task::Full, now, now, true, false);
    assert_eq!(schedule.next(), now + MAX);
}

#[test]
fn draining_destinations_are_looked_at_every_minute() {
    let start = Instant::now();
    let max = Duration::from_secs(3600);
    let mut schedule = Schedule::new(MIN, max, start);
    schedule.done(Task::Full, start, start, true, true);
    assert_eq!(schedule.next(), start + DRAIN);
    // Changes in between do not put it off.
    let change = at(start, 30_000);
    schedule.changed(change);
    schedule.done(Task::Changes, change, change, true, true);
    assert_eq!(schedule.due(start + DRAIN), Some(Task::Drain));
    schedule.done(Task::Drain, start + DRAIN, start + DRAIN, true, false);
    assert_eq!(schedule.next(), start + max);
}
