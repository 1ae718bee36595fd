//! What the loop did of late, as the page shows it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use crate::sync::{Report, Task};

/// How many syncs are kept.
const SYNCS: usize = 20;
/// How many failures of the last sync are kept.
const FAILURES: usize = 100;

/// What the loop did of late. A clone is the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recent(Arc<Mutex<Told>>);

/// The same at one moment.
#[derive(Clone, Debug, Default)]
pub(super) struct Told {
    /// The last first. Looks at draining destinations that did nothing are not among them.
    pub(super) syncs: VecDeque<Sync>,
    /// The last comparison of everything with the kernel.
    pub(super) comparison: Option<Comparison>,
    /// What is still to be done, or could not be read, and why.
    pub(super) failures: Vec<String>,
    /// How many there are in all.
    pub(super) failed: usize,
    /// What ipvs mode lacks, where iptables mode stands in for it.
    pub(super) missing: Option<String>,
}

/// A sync.
#[derive(Clone, Debug)]
pub(super) struct Sync {
    pub(super) at: SystemTime,
    pub(super) task: &'static str,
    pub(super) took: Duration,
    pub(super) done: usize,
    pub(super) failed: usize,
    /// Connection-tracking entries that were deleted.
    pub(super) flows: usize,
}

/// What was found when everything was compared with the kernel.
#[derive(Clone, Debug)]
pub(super) struct Comparison {
    pub(super) at: SystemTime,
    /// How much others had changed.
    pub(super) count: usize,
    /// The first of it.
    pub(super) named: Vec<String>,
}

impl Recent {
    /// A sync was made.
    pub(crate) fn note(&self, report: &Report, missing: Option<&str>, at: SystemTime) {
        let failed = report.failures.len();
        let unread = report.unread.iter().chain(&report.unread_rules);
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        told.missing = missing.map(ToOwned::to_owned);
        if report.task == Task::Drain && report.done() == 0 && failed == 0 {
            return;
        }
        told.failed = failed + unread.clone().count();
        let failures = unread.map(ToString::to_string);
        let failures = failures.chain(report.failures.iter().map(ToString::to_string));
        told.failures = failures.take(FAILURES).collect();
        if report.task == Task::Full && report.unread.is_none() {
            told.comparison = Some(Comparison {
                at,
                count: report.differences.count,
                named: report.differences.named.clone(),
            });
        }
        told.syncs.truncate(SYNCS - 1);
        told.syncs.push_front(Sync {
            at,
            task: match report.task {
                Task::Full => "everything compared",
                Task::Changes => "changes",
                Task::Drain => "drained",
            },
            took: report.took,
            done: report.done(),
            failed,
            flows: report.flows,
        });
    }

    pub(super) fn told(&self) -> Told {
        let told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        told.clone()
    }
}
