//! Notices what others changed, and tools that answer again.

use std::time::Instant;

use dummy_link::Removal;
use proxier::cluster::Family;
use proxier::{KernelError, Observed};

use super::believed::believed;
use super::schedule::Task;
use super::{Syncer, TOOLS};
use crate::machine::Machine;

impl<M: Machine> Syncer<M> {
    /// Something was removed from our link. What others removed is put back at once.
    pub(super) fn removed(&mut self, removed: &[Removal], now: Instant) {
        let mut by_others = Vec::new();
        for removal in removed {
            match removal {
                Removal::Address { address, .. } if self.unbound.remove(&address.ip()) => {}
                Removal::Address { address, .. } => by_others.push(address.to_string()),
                other => by_others.push(format!("{other:?}")),
            }
        }
        if by_others.is_empty() || !self.listed.all() {
            return;
        }
        tracing::warn!(
            "others removed from {}: {}; everything is compared with the kernel",
            proxier::LINK,
            by_others.join(", ")
        );
        self.schedule.want_full_at_once(now);
    }

    /// Looks for signs that others changed something, where it is time to, or before we change something ourselves.
    pub(super) fn look_for_others(&mut self, now: Instant) {
        let task = self.schedule.due(now);
        if self.others.next().is_none() || !(self.others.is_due(now) || task == Some(Task::Changes))
        {
            return;
        }
        let signs = self.machine.signs(false);
        let changed = self.others.look(signs, now);
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
