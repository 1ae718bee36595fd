//! What a sync did.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use iptables_restore::{Edit, TableName};
use proxier::cluster::Family;
use proxier::kernel::{Applied, Failure, FailureReason};
use proxier::{ConflictChange, KernelError, KernelPart, Operation, Plan};

use super::Task;

/// What a sync did.
#[derive(Debug)]
#[non_exhaustive]
pub struct Report {
    /// What was to be done.
    pub task: Task,
    /// How long it took.
    pub took: Duration,
    /// How many operations of each kind were carried out and not.
    pub tally: BTreeMap<&'static str, Tally>,
    /// The operations that were not carried out; they are tried again.
    pub failures: Vec<Failure>,
    /// Why the kernel could not be looked at; nothing was done then.
    pub unread: Option<KernelError>,
    /// Why rules alone could not be looked at; all else was done.
    pub unread_rules: Option<KernelError>,
    /// Whether others had changed what is programmed.
    pub mended: bool,
    /// What they had changed, as a full sync found it.
    pub differences: Differences,
    /// Whether the cluster as a whole could not be synced, rather than single objects.
    pub blocked: bool,
    /// When the causes of changes to endpoints came about that are now programmed.
    pub programmed: Vec<(Family, SystemTime)>,
    /// The conflicts that began and ended.
    pub conflicts: Vec<ConflictChange>,
    /// How many virtual servers have destinations that wait for their connections to end.
    pub draining: usize,
    /// Destinations that drain.
    pub draining_destinations: usize,
    /// How many connection-tracking entries were deleted.
    pub flows: usize,
    /// The same for each family of which some were looked for, and how long that took.
    pub flows_by_family: Vec<(Family, usize, Duration)>,
    /// How many rules were written, by family and table.
    pub rules_written: BTreeMap<(Family, TableName), usize>,
}

/// What differed from what is programmed, by others' doing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Differences {
    /// How much.
    pub count: usize,
    /// The first of it, as the operations that mend it.
    pub named: Vec<String>,
}

impl Differences {
    pub(super) const NONE: Self = Self {
        count: 0,
        named: Vec::new(),
    };
}

/// How many operations of a kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Were carried out.
    pub done: usize,
    /// Were not.
    pub failed: usize,
}

impl Report {
    pub(super) const fn new(task: Task) -> Self {
        Self {
            task,
            took: Duration::ZERO,
            tally: BTreeMap::new(),
            failures: Vec::new(),
            unread: None,
            unread_rules: None,
            mended: false,
            differences: Differences::NONE,
            blocked: false,
            programmed: Vec::new(),
            conflicts: Vec::new(),
            draining: 0,
            draining_destinations: 0,
            flows: 0,
            flows_by_family: Vec::new(),
            rules_written: BTreeMap::new(),
        }
    }

    /// Whether all was done that there was to do.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.failures.is_empty() && self.unread.is_none() && self.unread_rules.is_none()
    }

    /// How many operations were carried out.
    #[must_use]
    pub fn done(&self) -> usize {
        self.tally.values().map(|tally| tally.done).sum()
    }

    /// Whether what failed concerns all Services: the kernel cannot be read, or what they share cannot be made, or none
    /// of so many virtual servers. What the kernel refuses for one object is that object's trouble alone.
    pub(super) fn blocks(&self, servers: usize) -> bool {
        let refused = |failure: &&Failure| matches!(failure.reason, FailureReason::Refused(_));
        let shared = |operation: &Operation| match operation {
            // In iptables mode each Service has its own.
            Operation::RestoreRules(change) => change.services.is_empty(),
            other => matches!(
                other,
                Operation::CreateLink
                    | Operation::CreateSet(_)
                    | Operation::SwapSets { .. }
                    | Operation::WriteTable(_)
                    | Operation::AddRoute(_)
                    | Operation::AddRoutingRule(_)
            ),
        };
        let mut refused = self.failures.iter().filter(refused);
        let not_added = self
            .failures
            .iter()
            .filter(|failure| matches!(failure.operation, Operation::AddServer { .. }))
            .count();
        self.unread.is_some()
            || refused.any(|failure| shared(&failure.operation))
            || (servers > 1 && not_added >= servers)
    }

    pub(super) fn count(&mut self, plan: &Plan, applied: &Applied) {
        let failed: BTreeSet<usize> = applied.failures.iter().map(|f| f.index).collect();
        for (n, (_, operation)) in plan.iter().enumerate() {
            self.tally.entry(kind(operation)).or_default().done += 1;
            if let Operation::RestoreRules(change) = operation
                && !failed.contains(&n)
            {
                for table in change.input.tables() {
                    let adds =
                        |edit: &&Edit| matches!(edit, Edit::Append { .. } | Edit::Insert { .. });
                    let place = (change.family, table.name().clone());
                    *self.rules_written.entry(place).or_default() +=
                        table.edits().iter().filter(adds).count();
                }
            }
        }
        for failure in &applied.failures {
            let tally = self.tally.entry(kind(&failure.operation)).or_default();
            tally.done = tally.done.saturating_sub(1);
            tally.failed += 1;
        }
    }
}

/// Which part of the kernel an operation changes, as metrics name it.
pub(super) const fn kind(operation: &Operation) -> &'static str {
    match KernelPart::of(operation) {
        KernelPart::Sysctl => "sysctl",
        KernelPart::Ipvs => "ipvs",
        KernelPart::Links => "address",
        KernelPart::Ipset => "ipset",
        KernelPart::Rules => "iptables",
        KernelPart::Nftables => "nftables",
        KernelPart::Routing => "routing",
        _ => "other",
    }
}
