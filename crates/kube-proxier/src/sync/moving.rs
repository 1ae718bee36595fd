//! Moves from one layout to another, and iptables mode that stands in for another for a while.

use std::collections::BTreeSet;

use ipvs_netlink::VirtualServerId;
use proxier::{Layout, Operation, Plan};

use super::Syncer;
use crate::machine::Machine;

/// A layout of ipvs mode that was asked for and that this machine cannot take for now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fallback {
    /// The layout.
    pub layout: Layout,
    /// What it lacks.
    pub missing: String,
}

impl<M: Machine> Syncer<M> {
    /// The same, where iptables mode stands in for another: that one is taken once this machine can.
    #[must_use]
    pub fn standing_in_for(mut self, fallback: Option<Fallback>) -> Self {
        self.fallback = fallback;
        self
    }

    /// What the layout lacks that was asked for, while iptables mode stands in for it.
    #[must_use]
    pub fn missing(&self) -> Option<&str> {
        self.fallback.as_ref().map(|fallback| &*fallback.missing)
    }

    /// Goes over to the layout of the configuration that came last: the full sync that follows is the move.
    pub(super) fn switch_layout(&mut self) {
        let Some(mut config) = self.moving.take() else {
            return self.leave_fallback();
        };
        self.fallback = None;
        let (from, to) = (self.engine.config().layout, config.layout);
        match self.machine.switch_to(to) {
            Ok(()) => tracing::info!(
                from = from.as_str(),
                to = to.as_str(),
                "moving to another layout: what it needs is made, then what the other made is removed"
            ),
            Err(error) => {
                tracing::error!(
                    %error,
                    "this machine cannot take layout {}; {} stays. Everything else that is configured is followed",
                    to.as_str(),
                    from.as_str()
                );
                config.layout = from;
                if from == Layout::Iptables {
                    let missing = error.to_string();
                    self.fallback = Some(Fallback {
                        layout: to,
                        missing,
                    });
                }
            }
        }
        self.engine.set_config(*config);
    }

    /// Takes the layout that was asked for, if this machine can by now. What iptables mode made is removed after that one's
    /// state is there.
    fn leave_fallback(&mut self) {
        let Some(fallback) = &self.fallback else {
            return;
        };
        match self.machine.switch_to(fallback.layout) {
            Ok(()) => {
                let mut config = self.engine.config().clone();
                config.layout = fallback.layout;
                tracing::info!(
                    layout = fallback.layout.as_str(),
                    "what was missing is there: Using {} Proxier.",
                    fallback.layout.proxy_mode()
                );
                self.fallback = None;
                self.engine.set_config(config);
            }
            Err(error) => tracing::debug!(%error, "iptables mode still stands in"),
        }
    }

    /// What is left of a plan that would take away addresses from which this node itself has connections to Services, if
    /// it would: a layout that binds none has found them bound, and such a connection ends with its address. They go with
    /// the first sync that finds no connection; until then each plan names them again.
    pub(super) fn without_addresses_in_use(&mut self, plan: &Plan) -> Option<Plan> {
        if self.engine.config().layout.has_ipset() {
            return None;
        }
        let unbinds = |operation: &Operation| match operation {
            Operation::UnbindAddress(address) => Some(address.ip()),
            _ => None,
        };
        let mut kept: BTreeSet<_> = plan.iter().filter_map(|(_, op)| unbinds(op)).collect();
        if kept.is_empty() {
            return None;
        }
        let used = self.machine.addresses_in_use();
        let served = self.engine.servers().filter_map(|id| match id {
            VirtualServerId::Address { address, .. } => Some(*address),
            VirtualServerId::FirewallMark { .. } => None,
        });
        let served: BTreeSet<_> = served.collect();
        kept.retain(|address| used.contains(address) && served.contains(address));
        if kept.is_empty() {
            return None;
        }
        tracing::info!(
            addresses = ?kept,
            "stay on {} for as long as connections of this node from them are open",
            proxier::LINK
        );
        Some(plan.without(|operation| match operation {
            Operation::DeleteLink => true,
            operation => unbinds(operation).is_some_and(|address| kept.contains(&address)),
        }))
    }
}
