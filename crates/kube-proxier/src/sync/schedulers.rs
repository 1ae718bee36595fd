//! Schedulers that Services ask for by annotation: each is tried before it is used.

use std::collections::BTreeSet;

use ipvs_netlink::Scheduler;
use proxier::cluster::{Change, Service};

use super::Syncer;
use crate::machine::Machine;

/// Which schedulers Services ask for, and which of them the kernel has.
#[derive(Debug, Default)]
pub(super) struct Schedulers {
    untried: BTreeSet<Scheduler>,
    works: BTreeSet<Scheduler>,
    missing: BTreeSet<Scheduler>,
}

impl Schedulers {
    /// Notes what the Services of a change ask for. A scheduler that was missing is tried once more: its module may have
    /// been installed.
    pub(super) fn note(&mut self, change: &Change) {
        let services = match change {
            Change::Service(service) => std::slice::from_ref(&**service),
            Change::Services(all) => all,
            _ => return,
        };
        let asked = services.iter().filter_map(scheduler);
        let untried = asked.filter(|scheduler| !self.works.contains(scheduler));
        self.untried.extend(untried);
    }

    /// Those that Services ask for and the kernel does not have.
    pub(super) const fn missing(&self) -> &BTreeSet<Scheduler> {
        &self.missing
    }
}

fn scheduler(service: &Service) -> Option<Scheduler> {
    service.options.as_ref()?.scheduler
}

impl<M: Machine> Syncer<M> {
    /// Tries the schedulers that have not been tried, so that no Service waits for one that the kernel does not have.
    pub(super) fn try_schedulers(&mut self) {
        // Iptables mode needs none, and must not load modules.
        if !self.engine.config().layout.uses_ipvs() || self.schedulers.untried.is_empty() {
            return;
        }
        for scheduler in std::mem::take(&mut self.schedulers.untried) {
            if self.machine.has_scheduler(scheduler) {
                self.schedulers.missing.remove(&scheduler);
                self.schedulers.works.insert(scheduler);
            } else if self.schedulers.missing.insert(scheduler) {
                tracing::warn!(
                    remedy = format!("modprobe ip_vs_{scheduler}"),
                    "this kernel has no scheduler {scheduler}, for which Services ask by annotation: they get the configured one \
                     ({})",
                    self.engine.config().scheduler
                );
            }
        }
        let mut host = self.engine.host().clone();
        host.missing_schedulers
            .clone_from(self.schedulers.missing());
        self.engine.set_host(host);
    }
}
