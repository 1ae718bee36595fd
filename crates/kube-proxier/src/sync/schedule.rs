//! When to sync: at once after a change but not too often, again after a failure, and every so often anyway.

use std::time::{Duration, Instant};

/// How long the changes of one burst are waited for, so that they are one sync.
const GATHER: Duration = Duration::from_millis(10);
/// How long after a first failure the next attempt is made; it doubles with each failure in a row.
const FIRST_RETRY: Duration = Duration::from_secs(1);
/// After a full sync that was wanted at once the next such one waits for so many times the time that it took, but no longer
/// than [`LONGEST_PAUSE`]: whoever changes the kernel again and again has a tenth of a processor compare at the most.
const PAUSE: u32 = 9;
const LONGEST_PAUSE: Duration = Duration::from_millis(500);
/// How often destinations that wait for their connections to end are looked at.
const DRAIN: Duration = Duration::from_secs(60);

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// Do what has changed.
    Changes,
    /// Compare everything with the kernel.
    Full,
    /// Look whether draining destinations are done.
    Drain,
}

/// Decides when syncs are due. It has no clock: each call passes the time.
#[derive(Debug)]
pub struct Schedule {
    /// The least time between the beginnings of two syncs.
    min: Duration,
    /// The most time between two full ones.
    max: Duration,
    changed: Option<Instant>,
    last: Option<Instant>,
    full: Instant,
    /// Whether that one waits for nothing.
    urgent: bool,
    /// When the next one may that waits for nothing.
    rested: Option<Instant>,
    retry: Option<Instant>,
    drain: Option<Instant>,
    failures: u32,
}

impl Schedule {
    /// A full sync is due at once, at `now`.
    #[must_use]
    pub const fn new(min: Duration, max: Duration, now: Instant) -> Self {
        Self {
            min,
            max,
            changed: None,
            last: None,
            full: now,
            urgent: false,
            rested: None,
            retry: None,
            drain: None,
            failures: 0,
        }
    }

    /// Other periods apply from here on.
    pub fn set_periods(&mut self, min: Duration, max: Duration, now: Instant) {
        self.min = min;
        self.max = max;
        self.full = self.full.min(now + max);
    }

    /// Something changed. Whether it is the first since the last sync.
    pub fn changed(&mut self, now: Instant) -> bool {
        let first = self.changed.is_none();
        self.changed.get_or_insert(now);
        first
    }

    /// A full sync is wanted as soon as one may be: after a failure, when that is retried.
    pub fn want_full(&mut self, now: Instant) {
        self.full = self.full.min(self.retry.unwrap_or(now));
    }

    /// A full sync is wanted at once: others changed something, or a tool answers again. It waits neither for the least
    /// time between two syncs nor for what failed to be retried; only after another such one half a second at the most.
    pub fn want_full_at_once(&mut self, now: Instant) {
        let at = self.rested.map_or(now, |rested| now.max(rested));
        self.full = self.full.min(at);
        self.urgent = true;
    }

    /// When the next task is due.
    #[must_use]
    pub fn next(&self) -> Instant {
        let spaced = |at: Instant| self.last.map_or(at, |last| at.max(last + self.min));
        let full = if self.urgent {
            self.full
        } else {
            spaced(self.full)
        };
        let changes = self.changed.map(|at| spaced(at + GATHER));
        [changes, self.retry.map(spaced), self.drain]
            .into_iter()
            .flatten()
            .fold(full, Instant::min)
    }

    /// What is due at `now`, if anything. A full sync does all the rest too.
    #[must_use]
    pub fn due(&self, now: Instant) -> Option<Task> {
        if now < self.next() {
            return None;
        }
        let past = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if self.full <= now {
            Some(Task::Full)
        } else if past(self.changed) || past(self.retry) {
            Some(Task::Changes)
        } else {
            Some(Task::Drain)
        }
    }

    /// A task that began at `began` ended at `now`: whether all of it was done, and whether destinations
    /// are still draining.
    pub fn done(&mut self, task: Task, began: Instant, now: Instant, ok: bool, draining: bool) {
        if task != Task::Drain {
            self.changed = None;
            self.last = Some(began);
        }
        if ok {
            self.failures = 0;
            self.retry = None;
        } else {
            let wait = FIRST_RETRY.saturating_mul(1 << self.failures.min(10));
            self.retry = Some(now + wait.min(self.max));
            self.failures = self.failures.saturating_add(1);
        }
        if task == Task::Full && std::mem::take(&mut self.urgent) {
            self.rested = Some(now + ((now - began) * PAUSE).min(LONGEST_PAUSE).min(self.min));
        }
        match task {
            Task::Full if ok => self.full = began + self.max,
            Task::Full => self.full = self.retry.unwrap_or(now),
            Task::Changes | Task::Drain => {}
        }
        let looked = task == Task::Drain || task == Task::Full;
        self.drain = match (draining, self.drain) {
            (false, _) => None,
            (true, Some(at)) if !looked && at > now => Some(at),
            (true, _) => Some(now + DRAIN),
        };
    }
}

#[cfg(test)]
mod tests {
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
        assert!(schedule.changed(at(start, 5000)));
        assert!(!schedule.changed(at(start, 5003)));
        assert_eq!(schedule.due(at(start, 5003)), None);
        assert_eq!(schedule.due(at(start, 5010)), Some(Task::Changes));
        schedule.done(Task::Changes, at(start, 5010), at(start, 5011), true, false);
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
}
