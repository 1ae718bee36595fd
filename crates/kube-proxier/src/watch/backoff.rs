//! Pauses that grow.

use std::hash::{BuildHasher, RandomState};
use std::ops::RangeInclusive;
use std::time::Duration;

/// Pauses between attempts: each twice the one before, up to the longest, and each lengthened by chance.
#[derive(Debug)]
pub(super) struct Backoff {
    range: RangeInclusive<Duration>,
    next: Duration,
}

impl Backoff {
    pub(super) fn new(range: RangeInclusive<Duration>) -> Self {
        let next = *range.start();
        Self { range, next }
    }

    /// The pause before the next attempt.
    pub(super) fn pause(&mut self) -> Duration {
        let pause = self.next;
        self.next = pause.saturating_mul(2).min(*self.range.end());
        lengthened(pause, 1.0)
    }

    /// After something went well: the next pause is a first one.
    pub(super) fn reset(&mut self) {
        self.next = *self.range.start();
    }
}

/// A duration with up to `share` of it added.
pub(super) fn lengthened(duration: Duration, share: f64) -> Duration {
    duration + part(duration.mul_f64(share))
}

/// A part of a duration, by chance.
pub(super) fn part(duration: Duration) -> Duration {
    // Each RandomState has keys of its own.
    let chance = RandomState::new().hash_one(()) >> 32;
    let chance = u32::try_from(chance).map_or(0.0, f64::from) / f64::from(u32::MAX);
    duration.mul_f64(chance)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_start_anew() {
        let millis = Duration::from_millis;
        let mut backoff = Backoff::new(millis(100)..=millis(300));
        for least in [100, 200, 300, 300] {
            let pause = backoff.pause();
            assert!(
                pause >= millis(least) && pause <= millis(2 * least),
                "{pause:?}"
            );
        }
        backoff.reset();
        assert!(backoff.pause() <= millis(200));
    }

    #[test]
    fn no_two_pauses_are_alike() {
        let pauses: std::collections::BTreeSet<_> = (0..100)
            .map(|_| lengthened(Duration::from_secs(30), 1.0))
            .collect();
        assert!(pauses.len() > 90);
    }
}
