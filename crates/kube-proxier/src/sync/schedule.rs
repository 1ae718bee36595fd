//! When to sync: at once after a change but not too often, again after a failure, and every so often anyway.
//!
//! A change that comes after a quiet time is carried out immediately. What follows it within [`GATHER`] is one more sync, at the
//! end of that time; this is when all of it would have been synced, had the first change been gathered too. So an immediate
//! sync delays nothing else, and adds at most one sync. A burst that goes on has no quiet time, so all of its changes are
//! gathered.
//!
//! Who asks for less time than that between two syncs asks for syncs that follow each other, and pays for them. Changes are then
//! gathered for half as long as the last sync took.

use std::time::{Duration, Instant};

/// How long the changes of one burst are waited for, so that they are one sync. It is also the quiet time after which a change
/// is carried out immediately: changes that are further apart would not have been gathered anyway.
const GATHER: Duration = Duration::from_millis(5);
/// The same, at the least, where the least time between two syncs is shorter than [`GATHER`].
const GATHER_LEAST: Duration = Duration::from_millis(1);
/// So many times the least time between two syncs have to be quiet too. An immediate sync and the one that follows it then
/// count as two, so that on average there is at most one sync in each such time.
const SAVED: u32 = 2;
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
    /// When what has changed may be synced, while anything has.
    changed: Option<Wanted>,
    /// Until when what follows an immediate sync is gathered.
    gathering: Option<Instant>,
    /// When the last sync began, from which the next one keeps its distance; an immediate one is in `immediate` first.
    last: Option<Instant>,
    /// The immediate sync that was the last one.
    immediate: Option<Immediate>,
    /// When it ended.
    ended: Option<Instant>,
    /// How long the last sync of changes took.
    took: Duration,
    full: Instant,
    /// Whether that one waits for nothing.
    urgent: bool,
    /// When the next one may that waits for nothing.
    rested: Option<Instant>,
    retry: Option<Instant>,
    drain: Option<Instant>,
    failures: u32,
}

/// A sync of a change after a quiet time.
#[derive(Clone, Copy, Debug)]
struct Immediate {
    began: Instant,
    /// When what follows it is synced, and it would have been had it been gathered: the next changes keep their distance from
    /// that.
    end: Instant,
}

/// When changes may be synced.
#[derive(Clone, Copy, Debug)]
struct Wanted {
    at: Instant,
    /// Whether it keeps the least time after the sync before.
    spaced: bool,
}

impl Schedule {
    /// A full sync is due at once, at `now`.
    #[must_use]
    pub const fn new(min: Duration, max: Duration, now: Instant) -> Self {
        Self {
            min,
            max,
            changed: None,
            gathering: None,
            last: None,
            immediate: None,
            ended: None,
            took: Duration::ZERO,
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
        if self.changed.is_some() {
            return false;
        }
        let follows = self.gathering.take().filter(|end| now <= *end);
        self.changed = Some(match follows {
            Some(at) => Wanted { at, spaced: false },
            None if self.is_quiet(now) => {
                self.last = self.spaced_from();
                self.immediate = None;
                self.gathering = Some(now + self.gather());
                Wanted {
                    at: now,
                    spaced: true,
                }
            }
            None => Wanted {
                at: now + self.gather(),
                spaced: true,
            },
        });
        true
    }

    /// Whether a change at `now` is carried out immediately.
    fn is_quiet(&self, now: Instant) -> bool {
        let lasts = |since: Option<Instant>, time| {
            since.is_some_and(|since| now.saturating_duration_since(since) >= time)
        };
        let saved = self.min.saturating_mul(SAVED);
        // Where a sync takes longer than changes are ever gathered, an immediate one would delay what follows it.
        let is_slow = self.took > GATHER;
        !is_slow && lasts(self.ended, self.gather()) && lasts(self.spaced_from(), saved)
    }

    /// How long changes are gathered.
    fn gather(&self) -> Duration {
        if self.min < GATHER {
            (self.took / 2).clamp(GATHER_LEAST, GATHER)
        } else {
            GATHER
        }
    }

    /// What the next changes keep their distance from.
    fn spaced_from(&self) -> Option<Instant> {
        self.immediate.map(|immediate| immediate.end).or(self.last)
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

    /// Draining destinations are looked at by then, at the latest.
    pub fn look_at_drains_by(&mut self, at: Instant) {
        self.drain = Some(self.drain.map_or(at, |drain| drain.min(at)));
    }

    /// When the next task is due.
    #[must_use]
    pub fn next(&self) -> Instant {
        [self.changes_due(), self.drain]
            .into_iter()
            .flatten()
            .fold(self.full_due(), Instant::min)
    }

    /// What is due at `now`, if anything. A full sync does all the rest too.
    #[must_use]
    pub fn due(&self, now: Instant) -> Option<Task> {
        let past = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if self.full_due() <= now {
            Some(Task::Full)
        } else if past(self.changes_due()) {
            Some(Task::Changes)
        } else {
            past(self.drain).then_some(Task::Drain)
        }
    }

    fn full_due(&self) -> Instant {
        if self.urgent {
            self.full
        } else {
            self.spaced(self.full)
        }
    }

    /// Until when what has changed waits for more to change.
    pub(super) fn waits_until(&self) -> Option<Instant> {
        self.changed.is_some().then(|| self.next())
    }

    /// When what has changed, or failed, is synced.
    fn changes_due(&self) -> Option<Instant> {
        let changes = self.changed.map(|changed| match changed.spaced {
            true => self.apart(self.spaced_from(), changed.at),
            false => changed.at,
        });
        let retry = self.retry.map(|at| self.spaced(at));
        changes.into_iter().chain(retry).min()
    }

    fn spaced(&self, at: Instant) -> Instant {
        match self.immediate {
            Some(immediate) if at < immediate.end => at,
            Some(immediate) => self.apart(Some(immediate.began), at),
            None => self.apart(self.last, at),
        }
    }

    fn apart(&self, last: Option<Instant>, at: Instant) -> Instant {
        last.map_or(at, |last| at.max(last + self.min))
    }

    /// A task that began at `began` ended at `now`: whether all of it was done, and whether destinations
    /// are still draining.
    pub fn done(&mut self, task: Task, began: Instant, now: Instant, ok: bool, draining: bool) {
        if task == Task::Changes {
            self.took = now - began;
        }
        if task != Task::Drain {
            self.changed = None;
            self.ended = Some(now);
            let end = self.gathering.take().filter(|end| began <= *end);
            match end.filter(|_| task == Task::Changes) {
                Some(end) => {
                    self.immediate = Some(Immediate { began, end });
                    // Where it took longer than that nothing could be received meanwhile.
                    self.gathering = Some(if end < now { now + self.gather() } else { end });
                }
                None => (self.last, self.immediate) = (Some(began), None),
            }
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
mod immediate;
#[cfg(test)]
mod tests;
