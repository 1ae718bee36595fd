//! Plans, carried out.

use std::collections::BTreeSet;
use std::time::Instant;

use ipvs_netlink::VirtualServerId;
use proxier::{KernelError, Operation, Plan};

use super::noticing::Own;
use super::{Report, Syncer};
use crate::machine::Machine;

impl<M: Machine> Syncer<M> {
    /// Carries out a plan and those that it goes on in.
    pub(super) fn carry_out_all(
        &mut self,
        mut plan: Plan,
        now: Instant,
        report: &mut Report,
    ) -> Result<(), KernelError> {
        loop {
            self.carry_out(&plan, report);
            // Most destinations have no connections when they go: those that have just got weight 0 are looked at once right away.
            let servers = drained_by(&plan);
            if !self.engine.has_more() {
                return self.look_at_draining(&servers, now, report);
            }
            // Two plans need not be there at once.
            drop(plan);
            plan = match &*servers {
                [] => self.engine.plan(),
                servers => self.plan_of_draining(servers, now)?,
            };
        }
    }

    pub(super) fn look_at_draining(
        &mut self,
        servers: &[VirtualServerId],
        now: Instant,
        report: &mut Report,
    ) -> Result<(), KernelError> {
        if servers.is_empty() {
            return Ok(());
        }
        let plan = self.plan_of_draining(servers, now)?;
        self.carry_out(&plan, report);
        Ok(())
    }

    /// The next plan, with what the connections of these virtual servers let go.
    fn plan_of_draining(
        &mut self,
        servers: &[VirtualServerId],
        now: Instant,
    ) -> Result<Plan, KernelError> {
        let mut counted = self.machine.connections(servers)?;
        for of_server in &mut counted {
            let (server, destinations) = (of_server.server, &mut of_server.destinations);
            self.drains.end(server, destinations, now);
        }
        Ok(self.engine.drained(&counted))
    }

    fn carry_out(&mut self, plan: &Plan, report: &mut Report) {
        let rest = self.without_what_is_in_use(plan);
        let plan = rest.as_ref().unwrap_or(plan);
        if plan.is_empty() {
            return;
        }
        tracing::debug!(%plan, "carrying out");
        self.changed.add(plan);
        let operations = plan.iter().map(|(_, operation)| operation);
        self.taken.extend(operations.filter_map(Own::taken_by));
        let applied = self.machine.apply(plan);
        self.engine.applied(plan, &applied);
        report.count(plan, &applied);
        report.failures.extend(applied.failures);
        self.forget_flows(plan, report);
    }
}

/// The virtual servers of which destinations get weight 0.
fn drained_by(plan: &Plan) -> Vec<VirtualServerId> {
    let drained = |operation: &Operation| match operation {
        Operation::SetDestination {
            server,
            destination,
            ..
        } if destination.config.weight == 0 => Some(*server),
        _ => None,
    };
    let servers: BTreeSet<_> = plan.iter().filter_map(|(_, of)| drained(of)).collect();
    servers.into_iter().collect()
}
