//! What the watch counts, for the metrics.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

/// Counts since the start. Cheap to read at any time.
#[derive(Debug, Default)]
pub struct Counters {
    refused: AtomicU64,
    refused_objects: AtomicUsize,
    lists: AtomicU64,
    watches: AtomicU64,
    failures: AtomicU64,
    /// Milliseconds since 1970; 0 while the server is there.
    away_since: AtomicU64,
}

impl Counters {
    /// When the API server was first found to be away, while it is.
    pub fn away_since(&self) -> Option<SystemTime> {
        match self.away_since.load(Ordering::Relaxed) {
            0 => None,
            millis => Some(SystemTime::UNIX_EPOCH + Duration::from_millis(millis)),
        }
    }

    /// Versions of objects that could not be used, each time one came.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Objects there are now whose last version cannot be used.
    pub fn refused_objects(&self) -> usize {
        self.refused_objects.load(Ordering::Relaxed)
    }

    /// Lists that were had whole.
    pub fn lists(&self) -> u64 {
        self.lists.load(Ordering::Relaxed)
    }

    /// Watches that were started, or tried to be.
    pub fn watches(&self) -> u64 {
        self.watches.load(Ordering::Relaxed)
    }

    /// Lists and watches that failed; a watch that ends in good order has not.
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    pub(super) fn set_away_since(&self, since: Option<SystemTime>) {
        let millis = since
            .and_then(|since| since.duration_since(SystemTime::UNIX_EPOCH).ok())
            .map_or(0, |since| {
                u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
            });
        self.away_since.store(millis, Ordering::Relaxed);
    }

    pub(super) fn count_refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// Of one kind there were so many that cannot be used, and now there are so many.
    pub(super) fn refused_objects_of_kind(&self, before: usize, now: usize) {
        let change = |sum: usize| Some(sum.saturating_sub(before).saturating_add(now));
        // Never refused: the closure gives a value always.
        let _ = self
            .refused_objects
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, change);
    }

    pub(super) fn count_list(&self) {
        self.lists.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_watch(&self) {
        self.watches.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_failure(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }
}
