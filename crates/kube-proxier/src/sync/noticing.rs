//! Notices what others changed, and tools that answer again.

use std::mem;
use std::net::IpAddr;
use std::time::Instant;

use dummy_link::{LocalRoute, MarkRule, Removal};
use proxier::cluster::Family;
use proxier::{KernelError, Observed, Operation, Plan};
use proxier_linux::Touched;

use super::believed::believed;
use super::schedule::Task;
use super::{Syncer, TOOLS};
use crate::machine::Machine;

/// How many removed things are named one by one.
const NAMED: usize = 10;

/// Something of which the kernel reports that it is gone, also where this process took it away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Own {
    Address(IpAddr),
    Rule(MarkRule),
    Route(LocalRoute),
}

impl Own {
    /// What an operation takes away.
    pub(super) fn taken_by(operation: &Operation) -> Option<Self> {
        match operation {
            Operation::UnbindAddress(address) => Some(Self::Address(address.ip())),
            Operation::DeleteRoutingRule(rule) => Some(Self::Rule(*rule)),
            Operation::DeleteRoute(route) => Some(Self::Route(*route)),
            _ => None,
        }
    }

    fn of_removal(removal: &Removal) -> Option<Self> {
        match removal {
            Removal::Address { address, .. } => Some(Self::Address(address.ip())),
            Removal::Rule(rule) => rule.by_mark().map(Self::Rule),
            Removal::Route(route) => route.local().map(Self::Route),
            _ => None,
        }
    }
}

fn described(removal: &Removal) -> String {
    match removal {
        Removal::Link(link) => format!("link {link}"),
        Removal::Address { link, address } => format!("{address} from {link}"),
        Removal::Rule(rule) => format!("routing rule {}", rule.priority),
        Removal::Route(route) => format!("route {} of table {}", route.destination, route.table),
        other => format!("{other:?}"),
    }
}

impl<M: Machine> Syncer<M> {
    /// Something of ours was removed. What others removed is put back at once.
    pub(super) fn removed(&mut self, removed: &[Removal], now: Instant) {
        let by_others = removed
            .iter()
            .filter(|removal| !Own::of_removal(removal).is_some_and(|own| self.taken.remove(&own)));
        let mut by_others: Vec<_> = by_others.map(described).collect();
        if by_others.is_empty() || !self.listed.all() {
            return;
        }
        let more = by_others.len().saturating_sub(NAMED);
        by_others.truncate(NAMED);
        if more > 0 {
            by_others.push(format!("{more} more"));
        }
        tracing::warn!(
            "others removed: {}; everything is compared with the kernel",
            by_others.join(", ")
        );
        self.schedule.want_full_at_once(now);
    }

    /// Looks for signs that others changed something, where it is time to.
    pub(super) fn look_for_others(&mut self, now: Instant) {
        if self.others.is_due(now) {
            let signs = self.machine.signs(&Touched::all());
            let changed = self.others.look(signs, now);
            self.compare_after(&changed, now);
        }
    }

    /// Looks for such signs in the parts that a plan changes, and those that it goes on in: after that they cannot be told from our
    /// own. Whether everything is to be compared first.
    pub(super) fn look_ahead(&mut self, plan: &Plan, now: Instant) -> bool {
        // What plans change that go on from this one is not known yet.
        let touched = match self.engine.has_more() {
            true => Touched::all(),
            false => Touched::by(plan),
        };
        let signs = self.machine.signs(&touched);
        let changed = self.others.look_ahead(signs, now);
        self.compare_after(&changed, now);
        self.schedule.due(now) == Some(Task::Full)
    }

    /// Takes the signs of what a sync changed as they are after it.
    pub(super) fn settle_signs(&mut self, task: Task, now: Instant) {
        let changed = mem::take(&mut self.changed);
        let changed = match task {
            Task::Full => Touched::all(),
            Task::Changes | Task::Drain => changed,
        };
        self.machine.note_changes(changed.parts());
        let signs = self.machine.signs(&changed);
        self.others.settle(signs, changed.parts(), now);
    }

    fn compare_after(&mut self, changed: &[&str], now: Instant) {
        if !changed.is_empty() {
            tracing::debug!(
                ?changed,
                "others changed something; everything is compared with the kernel"
            );
            self.schedule.want_full_at_once(now);
        }
    }

    /// Looks whether a tool that hung answers: its rules are read then, and not only when what failed is tried again.
    pub(super) fn look_for_tools(&mut self, now: Instant) {
        if self.awaits_tools.is_none_or(|at| now < at) {
            return;
        }
        self.awaits_tools = Some(now + TOOLS);
        if self.machine.rules_answered() {
            self.schedule.want_full_at_once(now);
        }
    }

    /// Where rules have never been read, takes those for granted that an earlier run has left by all signs.
    pub(super) fn believe(&mut self, observed: &mut Observed) -> Result<(), KernelError> {
        let lacks = self.machine.lacks_rules();
        let families = Family::ALL.into_iter().filter(|of| *lacks.get(*of));
        let families: Vec<_> = families.collect();
        if families.is_empty() {
            return Ok(());
        }
        let references = self.machine.set_references()?;
        let desired = self.engine.desired();
        for family in families {
            *observed.rules.get_mut(family) = believed(&desired, observed, family, &references);
        }
        Ok(())
    }
}
