//! What others do to the kernel's state: when to look for signs of it, and what was mended.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use proxier::{Engine, Operation, Plan};
use proxier_linux::{Parts, Signs};

use super::report::{Differences, kind};

/// How often signs are looked at: what others remove is back within two seconds, with the time that a comparison takes.
const LOOK: Duration = Duration::from_secs(1);
/// Others may change what is their own all the time. After so many comparisons in a row that signs led to and that mended
/// nothing, signs rest for so many times the time that the last one took, but no longer than [`LONGEST_REST`].
const FALSE_ALARMS: u32 = 3;
const REST: u32 = 20;
const LONGEST_REST: Duration = Duration::from_secs(10);
/// How many mended things are named one by one.
const NAMED: usize = 5;

/// Looks out for what others do.
#[derive(Debug, Default)]
pub(super) struct Others {
    /// As they were last seen.
    signs: Option<Signs>,
    /// When to look again.
    next: Option<Instant>,
    /// Whether the next comparison is made because of a sign.
    alarmed: bool,
    /// How many such comparisons in a row mended nothing.
    false_alarms: u32,
    /// Until when signs lead to nothing.
    rest: Option<Instant>,
}

impl Others {
    /// When to look next; never while nothing is known.
    pub(super) const fn next(&self) -> Option<Instant> {
        self.next
    }

    /// Whether it is time to look.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.next.is_some_and(|next| next <= now)
    }

    /// It was time to look, and the signs are these now. What others changed, if anything.
    pub(super) fn look(&mut self, signs: Signs, now: Instant) -> Vec<&'static str> {
        self.next = Some(now + LOOK);
        self.look_ahead(signs, now)
    }

    /// The signs of those parts that we are about to change. What others changed, if anything.
    pub(super) fn look_ahead(&mut self, signs: Signs, now: Instant) -> Vec<&'static str> {
        if self.rest.is_some_and(|rest| now < rest) {
            return Vec::new();
        }
        let before = self.signs.unwrap_or_default();
        self.signs = Some(signs.or(before));
        let changed = signs.changed_since(&before);
        self.alarmed |= !changed.is_empty();
        changed
    }

    /// We changed these parts ourselves, and their signs are these from here on. Those of the rest are as they were: the next
    /// look compares them.
    pub(super) fn settle(&mut self, signs: Signs, changed: Parts, now: Instant) {
        if changed.is_all() || self.next.is_none() {
            self.next = Some(now + LOOK);
        }
        let rest = self.signs.unwrap_or_default().without(changed);
        self.signs = Some(signs.or(rest));
    }

    /// A full comparison ended, and took so long.
    pub(super) fn compared(&mut self, now: Instant, took: Duration, mended: bool) {
        let alarmed = std::mem::take(&mut self.alarmed);
        if mended {
            self.false_alarms = 0;
        } else if alarmed {
            self.false_alarms += 1;
        }
        let rests = self.false_alarms >= FALSE_ALARMS;
        self.rest = rests.then(|| now + (took * REST).min(LONGEST_REST));
    }
}

/// What a full comparison mends beyond what had to be done anyway.
pub(super) struct Due(BTreeSet<String>);

impl Due {
    /// What is to be done as far as is known without reading the kernel.
    pub(super) fn of(plan: &Plan, engine: &Engine) -> Self {
        let due = plan.iter().map(|(_, operation)| operation.summary());
        // Those that drain go when they are seen without connections.
        let drained = engine.draining_destinations().map(|draining| {
            let (server, id) = (draining.server, draining.destination);
            Operation::DeleteDestination { server, id }.summary()
        });
        Self(due.chain(drained).collect())
    }

    /// Logs what others changed, by part of the kernel.
    pub(super) fn report(&self, plan: &Plan) -> Differences {
        let mut counts: BTreeMap<&'static str, usize> = BTreeMap::new();
        let mut named = Vec::new();
        for (_, operation) in plan.iter() {
            let what = operation.summary();
            if self.0.contains(&what) {
                continue;
            }
            *counts.entry(kind(operation)).or_default() += 1;
            if named.len() < NAMED {
                named.push(what);
            }
        }
        if counts.is_empty() {
            return Differences::NONE;
        }
        let all: usize = counts.values().sum();
        let counts: Vec<_> = counts
            .iter()
            .map(|(kind, count)| format!("{kind} {count}"))
            .collect();
        let more = all.saturating_sub(named.len());
        tracing::warn!(
            changed = counts.join(", "),
            "others changed what is programmed, and it is mended: {}{}",
            named.join("; "),
            if more > 0 {
                format!("; and {more} more")
            } else {
                String::new()
            }
        );
        Differences { count: all, named }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signs(servers: u64) -> Signs {
        Signs {
            servers: Some(servers),
            ..Signs::default()
        }
    }

    #[test]
    fn it_is_looked_each_second() {
        let start = Instant::now();
        let mut others = Others::default();
        assert!(others.next().is_none() && !others.is_due(start));
        others.settle(signs(1), Parts::all(), start);
        assert_eq!(others.next(), Some(start + LOOK));
        assert!(others.look(signs(1), start + LOOK).is_empty());
        assert_eq!(others.next(), Some(start + 2 * LOOK));
    }

    #[test]
    fn what_others_change_is_seen_once_and_what_we_change_is_not() {
        let now = Instant::now();
        let mut others = Others::default();
        others.settle(signs(1), Parts::all(), now);
        assert_eq!(others.look(signs(0), now), ["virtual servers"]);
        assert!(others.look(signs(0), now).is_empty());
        others.settle(signs(7), Parts::SERVERS, now);
        assert!(others.look(signs(7), now).is_empty());
        // Before we change it ourselves it is seen, too.
        assert_eq!(others.look_ahead(signs(8), now), ["virtual servers"]);
    }

    /// Before a change and after it only its parts are looked at.
    #[test]
    fn a_change_of_ours_hides_and_delays_none_of_others_in_another_part() {
        let now = Instant::now();
        let seen = |servers, sets, settings| Signs {
            sets: Some(sets),
            settings,
            ..signs(servers)
        };
        let mut others = Others::default();
        others.settle(seen(1, 1, Some(1)), Parts::all(), now);
        assert!(others.look_ahead(signs(1), now).is_empty());
        others.settle(signs(2), Parts::SERVERS, now + LOOK / 2);
        assert_eq!(others.next(), Some(now + LOOK));
        assert_eq!(others.look(seen(2, 2, Some(1)), now + LOOK), ["sets"]);
        // What could not be seen for once is compared with what it was before.
        assert!(others.look(seen(2, 2, None), now).is_empty());
        assert_eq!(others.look(seen(2, 2, Some(2)), now), ["settings"]);
    }

    /// Where what we changed cannot be seen yet, what it was before is nothing to compare with.
    #[test]
    fn a_listing_that_we_changed_is_compared_with_the_next_one_as_a_whole() {
        let now = Instant::now();
        let listed = |listing| Signs {
            listing,
            ..signs(1)
        };
        let mut others = Others::default();
        others.settle(listed(Some(1)), Parts::all(), now);
        others.settle(listed(None), Parts::SERVERS, now);
        assert!(others.look(listed(Some(2)), now).is_empty());
        assert_eq!(others.look(listed(Some(3)), now).len(), 1);
    }

    #[test]
    fn where_others_change_their_own_things_all_the_time_signs_rest_and_none_is_lost() {
        let now = Instant::now();
        let took = Duration::from_millis(100);
        let mut others = Others::default();
        others.settle(signs(100), Parts::all(), now);
        for alarm in 0..FALSE_ALARMS {
            let seen = others.look(signs(u64::from(alarm)), now);
            assert_eq!(seen, ["virtual servers"], "{alarm}");
            others.compared(now, took, false);
        }
        assert!(others.look(signs(50), now + took).is_empty());
        others.settle(Signs::default(), Parts::SETS, now + took);
        // A comparison that is due anyway is not an alarm.
        others.compared(now, took, false);
        let later = now + took * REST;
        assert_eq!(others.look(signs(50), later), ["virtual servers"]);
        // Something was mended: there was reason to look.
        others.compared(later, took, true);
        assert_eq!(others.look(signs(51), later), ["virtual servers"]);
        let long = Duration::from_secs(60);
        for _ in 0..FALSE_ALARMS {
            others.look(signs(1), later);
            others.look(signs(2), later);
            others.compared(later, long, false);
        }
        assert_eq!(others.rest, Some(later + LONGEST_REST));
    }
}
