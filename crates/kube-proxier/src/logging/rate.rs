//! How many lines of one kind are logged.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

/// How many lines of a kind are logged in a row before some are left out.
const BURST: u32 = 100;
/// For how long so many are enough.
const WINDOW: Duration = Duration::from_secs(10);

/// Admits lines, each kind as often as a reader can use.
#[derive(Debug)]
pub(super) struct RateLimit<K> {
    windows: HashMap<K, Window>,
}

#[derive(Debug)]
struct Window {
    began: Instant,
    lines: u32,
    left_out: u64,
}

/// What becomes of a line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Admission<K> {
    /// Whether it is logged.
    pub(super) admitted: bool,
    /// Kinds of which lines were left out before, and how many.
    pub(super) left_out: Vec<(K, u64)>,
}

impl<K: Clone + Eq + Hash> RateLimit<K> {
    pub(super) fn new() -> Self {
        Self {
            windows: HashMap::new(),
        }
    }

    /// A line of a kind is to be logged.
    pub(super) fn admit(&mut self, kind: &K, now: Instant) -> Admission<K> {
        let mut left_out = Vec::new();
        self.windows.retain(|kind, window| {
            let over = now.saturating_duration_since(window.began) >= WINDOW;
            if over && window.left_out > 0 {
                left_out.push((kind.clone(), window.left_out));
            }
            !over
        });
        let window = self.windows.entry(kind.clone()).or_insert(Window {
            began: now,
            lines: 0,
            left_out: 0,
        });
        let admitted = window.lines < BURST;
        if admitted {
            window.lines += 1;
        } else {
            window.left_out += 1;
        }
        Admission { admitted, left_out }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_one_kind_is_counted_and_hides_no_other() {
        let (mut limit, start) = (RateLimit::new(), Instant::now());
        let flood = (0..50_000).filter(|_| limit.admit(&"bad event", start).admitted);
        assert_eq!(flood.count(), 100);
        assert!(limit.admit(&"other", start).admitted);
        let later = start + WINDOW;
        let next = limit.admit(&"other", later);
        assert!(next.admitted);
        assert_eq!(next.left_out, [("bad event", 49_900)]);
        let again = limit.admit(&"bad event", later);
        assert_eq!((again.admitted, again.left_out.len()), (true, 0));
    }
}
