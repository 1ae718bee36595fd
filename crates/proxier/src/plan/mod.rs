//! What is to be done, in an order that keeps the node working after every step.

mod display;
mod display_nftables;
mod operation;

use std::mem;

pub use display::{Line, Sign};
pub(crate) use operation::Dependents;
pub use operation::{Operation, RulesChange, TablePart, TableWrite};

/// The parts of a plan, in the order in which they are done.
///
/// The order keeps these promises at every moment in between: no rule names a set that is missing; no
/// virtual server can be reached before the rules and set members that masquerade its traffic are there;
/// no address is bound that has no virtual server; no element of nf_tables leads to a virtual server that is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// Kernel settings, the link, and routing by mark.
    Prepare,
    /// Sets are made and filled, before rules that match them; exemptions from masquerading that have
    /// lapsed are withdrawn, and so are marks that another Service gets.
    Fill,
    /// Rules are added. Those still needed by virtual servers about to go are kept.
    Rules,
    /// Virtual servers and destinations are added and changed.
    Serve,
    /// Addresses are bound, now that something answers there.
    Bind,
    /// Elements of nf_tables are added, changed and deleted, or whole tables are written or deleted, or parts of them: one
    /// transaction for both families. In layouts with ipset, rules that mark packets to ranges of ports are added.
    Map,
    /// Addresses are unbound, before their virtual servers go.
    Unbind,
    /// Virtual servers and destinations are removed, or begin to drain.
    Retire,
    /// Set members that are no longer needed are removed; new exemptions from masquerading of virtual servers
    /// that were there before come in.
    Settle,
    /// Rules and chains that are no longer needed are removed.
    Trim,
    /// Sets are destroyed, after the last rule that named them; the link and routing by mark are deleted.
    Destroy,
}

impl Phase {
    /// All of them, in order.
    pub const ALL: [Self; 11] = [
        Self::Prepare,
        Self::Fill,
        Self::Rules,
        Self::Serve,
        Self::Bind,
        Self::Map,
        Self::Unbind,
        Self::Retire,
        Self::Settle,
        Self::Trim,
        Self::Destroy,
    ];

    const fn index(self) -> usize {
        self as usize
    }
}

/// An ordered list of operations. It prints as a diff, one line for each thing added (`+`), removed (`-`)
/// or changed (`~`).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    phases: [Vec<Operation>; Phase::ALL.len()],
}

impl Plan {
    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.phases.iter().all(Vec::is_empty)
    }

    /// How many operations there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.phases.iter().map(Vec::len).sum()
    }

    /// The operations in order, each with its phase.
    pub fn iter(&self) -> impl Iterator<Item = (Phase, &Operation)> + Clone {
        Phase::ALL
            .into_iter()
            .flat_map(|phase| self.phase(phase).iter().map(move |op| (phase, op)))
    }

    /// The operations of a phase.
    #[must_use]
    pub fn phase(&self, phase: Phase) -> &[Operation] {
        self.phases.get(phase.index()).map_or(&[], Vec::as_slice)
    }

    /// Only the first `count` operations.
    #[must_use]
    pub fn prefix(&self, count: usize) -> Self {
        let mut left = count;
        let mut prefix = self.clone();
        for operations in &mut prefix.phases {
            operations.truncate(left);
            left -= operations.len();
        }
        prefix
    }

    /// Without the operations that are to wait.
    #[must_use]
    pub fn without(&self, waits: impl Fn(&Operation) -> bool) -> Self {
        let mut plan = self.clone();
        for operations in &mut plan.phases {
            operations.retain(|operation| !waits(operation));
        }
        plan
    }

    /// Takes away the operations from a phase on.
    pub(crate) fn split_off(&mut self, from: Phase) -> Self {
        let mut after = Self::default();
        let phases = self.phases.iter_mut().zip(&mut after.phases);
        for (operations, after) in phases.skip(from.index()) {
            mem::swap(operations, after);
        }
        after
    }

    /// Adds an operation to the beginning of a phase.
    pub(crate) fn push_front(&mut self, phase: Phase, operation: Operation) {
        if let Some(operations) = self.phases.get_mut(phase.index()) {
            operations.insert(0, operation);
        }
    }

    pub(crate) fn push(&mut self, phase: Phase, operation: Operation) {
        if let Some(operations) = self.phases.get_mut(phase.index()) {
            operations.push(operation);
        }
    }
}
