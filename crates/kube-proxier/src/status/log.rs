//! What is logged: what syncs did, what the kernel refuses, claims that conflict, node ports that connections may take.

use std::collections::BTreeSet;

use proxier::cluster::Change;
use proxier::kernel::{Failure, FailureReason};
use proxier::{ConflictChange, Operation};

use super::Reporter;
use crate::local_ports;
use crate::sync::{Report, Task};

/// How many objects that the kernel refuses are logged, and shown, one by one.
const UNHEALTHY_SHOWN: usize = 100;

impl Reporter {
    /// Logs what a sync did, and what it could not do.
    pub(super) fn log(&mut self, report: &Report) {
        if let Some(error) = &report.unread {
            tracing::error!(
            target: "kube_proxier::status",%error, "the kernel cannot be read, nothing is synced; trying again");
        }
        if let Some(error) = &report.unread_rules {
            tracing::error!(
            target: "kube_proxier::status",%error, "rules cannot be read; all else is synced, rules are tried again");
        }
        self.log_refusals(report);
        let (done, took) = (report.done(), report.took);
        if !report.failures.is_empty() {
            let failed = report.failures.len();
            tracing::warn!(
            target: "kube_proxier::status",
                done,
                failed,
                ?took,
                "synced in part; the rest is tried again"
            );
        } else if report.is_ok() && self.failing {
            tracing::info!(
            target: "kube_proxier::status",done, ?took, "synced; what had failed is done");
        } else if done > 0 {
            let (full, flows) = (report.task == Task::Full, report.flows);
            tracing::info!(
            target: "kube_proxier::status",
                done,
                full,
                flows,
                draining = report.draining,
                ?took,
                "synced"
            );
        } else if report.is_ok() && !self.synced_once {
            tracing::info!(
            target: "kube_proxier::status",?took, "synced; the kernel has everything already");
        } else {
            tracing::debug!(
            target: "kube_proxier::status",?took, "nothing to do");
        }
        self.failing = !report.is_ok();
        self.synced_once |= report.is_ok();
    }

    /// Logs what the kernel refuses when it first does, and when it no longer does.
    fn log_refusals(&mut self, report: &Report) {
        if report.task == Task::Drain || report.unread.is_some() {
            return;
        }
        let mut unhealthy = BTreeSet::new();
        for failure in report.failures.iter().filter(refused) {
            let object = object(&failure.operation);
            let is_new = !self.unhealthy.contains(&object) && !unhealthy.contains(&object);
            if is_new && unhealthy.len() < UNHEALTHY_SHOWN {
                tracing::error!(
                target: "kube_proxier::status",
                        object,
                        "{failure}; it is tried again, other objects are served"
                    );
            }
            unhealthy.insert(object);
        }
        for object in self.unhealthy.difference(&unhealthy) {
            tracing::info!(
            target: "kube_proxier::status",object, "no longer refused by the kernel");
        }
        let shown = unhealthy.iter().take(UNHEALTHY_SHOWN);
        self.metrics.unhealthy(shown.map(String::as_str));
        self.unhealthy = unhealthy;
    }

    /// Logs each conflict when it begins, which makes an Event too, and when it ends, and counts them by Service.
    pub(super) fn log_conflicts(&mut self, changes: &[ConflictChange]) {
        if changes.is_empty() {
            return;
        }
        for change in changes {
            match change {
                ConflictChange::Began(conflict) => {
                    tracing::warn!(
            target: "kube_proxier::status",service = %conflict.service, "conflict: {conflict}");
                    self.recorder.conflict(conflict.clone());
                    *self.conflicts.entry(conflict.service.clone()).or_default() += 1;
                }
                ConflictChange::Ended(conflict) => {
                    tracing::info!(
            target: "kube_proxier::status",service = %conflict.service, "a conflict ended: {conflict}");
                    if let Some(count) = self.conflicts.get_mut(&conflict.service) {
                        *count = count.saturating_sub(1);
                    }
                }
                _ => {}
            }
        }
        self.conflicts.retain(|_, count| *count > 0);
        let counts = self.conflicts.iter().take(UNHEALTHY_SHOWN);
        self.metrics.conflicting(
            counts.map(|(service, claims)| (service.namespace(), service.name(), *claims)),
        );
    }

    /// Warns of node ports that the kernel may give to connections of this node, once each.
    pub(super) fn warn_of_local_ports(&mut self, change: &Change) {
        let services = match change {
            Change::Services(all) => all.as_slice(),
            Change::Service(service) => std::slice::from_ref(&**service),
            _ => return,
        };
        let Some(local) = &self.local_ports else {
            return;
        };
        let ports = services.iter().flat_map(local_ports::node_ports);
        let taken = local.taken(ports);
        let new: BTreeSet<_> = taken.difference(&self.warned_ports).copied().collect();
        if new.is_empty() {
            return;
        }
        self.warned_ports.extend(new.iter().copied());
        let shown: Vec<_> = local_ports::ranges(&new)
            .iter()
            .map(local_ports::shown)
            .collect();
        tracing::warn!(
            target: "kube_proxier::status",
            remedy = local.remedy(&self.warned_ports),
            "node ports {} are among the ports that the kernel gives to connections of this node ({}): one that has such a \
             port hangs",
            shown.join(","),
            local.range()
        );
    }
}

fn refused(failure: &&Failure) -> bool {
    matches!(failure.reason, FailureReason::Refused(_))
}

/// What an operation is about: a virtual server, an address, an entry of a set, the rules of a Service, or a part that all
/// Services share.
fn object(operation: &Operation) -> String {
    if let Some(id) = operation.server() {
        return format!("virtual server {id}");
    }
    match operation {
        Operation::BindAddress(address) => format!("address {address}"),
        Operation::UnbindAddress(address) => format!("address {}", address.ip()),
        Operation::RestoreRules(change) if !change.services.is_empty() => {
            let names = change.services.iter().map(ToString::to_string);
            format!("Service {}", names.collect::<Vec<_>>().join(", "))
        }
        other => other.summary(),
    }
}
