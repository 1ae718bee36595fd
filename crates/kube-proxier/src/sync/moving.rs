//! Moves from one layout to another, and iptables mode that stands in for another for a while.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipvs_netlink::VirtualServerId;
use proxier::{Layout, Operation, Plan, ServerConnections};

use super::Syncer;
use crate::fallback;
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
        let (from, to) = (self.engine.config().layout, config.layout);
        match self.machine.switch_to(&config) {
            Ok(()) => {
                self.fallback = None;
                tracing::info!(
                    from = from.as_str(),
                    to = to.as_str(),
                    "moving to another layout: what it needs is made, then what the other made is removed"
                );
                if from.proxy_mode() != to.proxy_mode() {
                    tracing::info!("Using {} Proxier.", to.proxy_mode());
                }
            }
            Err(error) if from == Layout::Iptables => {
                config.layout = from;
                self.stand_in(to, error.to_string());
            }
            Err(error) => {
                config.layout = from;
                tracing::error!(
                    %error,
                    "this machine cannot take layout {}; {} stays. Everything else that is configured is followed",
                    to.as_str(),
                    from.as_str()
                );
            }
        }
        self.engine.set_config(*config);
    }

    /// Has iptables mode, which is in force, stand in for a layout that this machine cannot take.
    fn stand_in(&mut self, layout: Layout, missing: String) {
        let fallback = Fallback { layout, missing };
        if self.fallback.as_ref() == Some(&fallback) {
            return;
        }
        fallback::warn(&fallback.missing);
        tracing::info!("Using {} Proxier.", Layout::Iptables.proxy_mode());
        self.fallback = Some(fallback);
    }

    /// Takes the layout that was asked for, if this machine can by now. What iptables mode made is removed after that one's
    /// state is there.
    fn leave_fallback(&mut self) {
        let Some(fallback) = &mut self.fallback else {
            return;
        };
        let mut config = self.engine.config().clone();
        config.layout = fallback.layout;
        match self.machine.switch_to(&config) {
            Ok(()) => {
                tracing::info!(
                    layout = fallback.layout.as_str(),
                    "what was missing is there: Using {} Proxier.",
                    fallback.layout.proxy_mode()
                );
                self.fallback = None;
                self.engine.set_config(config);
            }
            Err(error) => {
                let missing = error.to_string();
                if missing != fallback.missing {
                    tracing::warn!(missing, "iptables mode still stands in for ipvs mode");
                    fallback.missing = missing;
                }
            }
        }
    }

    /// What is left of a plan of which something must wait for connections to end, if anything must.
    pub(super) fn without_what_is_in_use(&mut self, plan: &Plan) -> Option<Plan> {
        match self.engine.config().layout {
            Layout::Iptables => self.without_servers_in_use(plan),
            layout if layout.has_ipset() => None,
            _ => self.without_addresses_in_use(plan),
        }
    }

    /// What is left of a plan of iptables mode that would take away virtual servers with open connections, if it would: to
    /// the connections through them only IPVS knows the way. Packets of new connections never get to them, since rules
    /// translate their destination first. Such a server, and its address, go with the first sync that finds no connection.
    fn without_servers_in_use(&mut self, plan: &Plan) -> Option<Plan> {
        let removed: Vec<_> = plan.iter().filter_map(|(_, op)| removes(op)).collect();
        self.servers_in_use = false;
        if removed.is_empty() {
            return None;
        }
        // Where they cannot be counted, they go: nothing would ever find them unused.
        let found = self.machine.connections(&removed).unwrap_or_default();
        let is_open = |of_server: &&ServerConnections| {
            let mut open = of_server.destinations.iter().map(|found| found.connections);
            open.any(|connections| connections.active > 0)
        };
        let kept = found.iter().filter(is_open);
        let kept: BTreeSet<_> = kept.map(|of_server| of_server.server).collect();
        if kept.is_empty() {
            return None;
        }
        self.servers_in_use = true;
        let addresses = kept.iter().filter_map(|id| match id {
            VirtualServerId::Address { address, .. } => Some(*address),
            VirtualServerId::FirewallMark { .. } => None,
        });
        let addresses: BTreeSet<_> = addresses.collect();
        tracing::info!(
            servers = kept.len(),
            "virtual servers with open connections stay until these end; new connections go the way of iptables mode"
        );
        Some(plan.without(|operation| match operation {
            Operation::DeleteLink => true,
            Operation::DeleteDestination { server, .. } => kept.contains(server),
            operation => {
                removes(operation).is_some_and(|id| kept.contains(&id))
                    || unbinds(operation).is_some_and(|address| addresses.contains(&address))
            }
        }))
    }

    /// What is left of a plan that would take away addresses from which this node itself has connections to Services, if
    /// it would: a layout that binds none has found them bound, and such a connection ends with its address. They go with
    /// the first sync that finds no connection; until then each plan names them again.
    fn without_addresses_in_use(&mut self, plan: &Plan) -> Option<Plan> {
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

fn unbinds(operation: &Operation) -> Option<IpAddr> {
    match operation {
        Operation::UnbindAddress(address) => Some(address.ip()),
        _ => None,
    }
}

const fn removes(operation: &Operation) -> Option<VirtualServerId> {
    match operation {
        Operation::DeleteServer(id) => Some(*id),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
