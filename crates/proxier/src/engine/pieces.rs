//! Plans in pieces: a first sync of a large cluster adds so many virtual servers and members of sets that the plan for all of them
//! takes more memory than the engine itself.
//!
//! All pieces together are the plan that would be made at once, in its order: the first ones fill sets, the next has what else comes
//! before virtual servers, each from there on adds some of these, then addresses are bound, and the last has what comes after.

use std::collections::BTreeSet;
use std::mem;
use std::net::IpAddr;

use ipvs_netlink::VirtualServerId;

use super::Engine;
use super::dirty::Dirty;
use crate::plan::{Phase, Plan};

#[derive(Debug, Default)]
pub(super) struct Pieces {
    /// How many operations of virtual servers that are added a piece has, how many members of sets, and how many addresses that
    /// are bound; `None`: no limit.
    limit: Option<usize>,
    /// The last piece has not filled the sets: the next one goes on with what is dirty.
    fills: bool,
    /// Virtual servers that later pieces add.
    later: BTreeSet<VirtualServerId>,
    /// Addresses that later pieces bind, once all virtual servers are there.
    unbound: BTreeSet<IpAddr>,
    /// What the last piece has.
    last: Dirty,
    /// What the last plan is about: dirty until it has been carried out.
    pub(super) planned: Dirty,
    /// How many operations the last plan has.
    operations: usize,
    /// To how many Services a plan goes of which the slices changed; `None`: no limit.
    changes: Option<usize>,
    /// There are more of these than the last plan goes to.
    pub(super) changes_wait: bool,
    /// The next piece has all that is left.
    all_at_once: bool,
}

impl Pieces {
    /// How many members the next piece may add to sets.
    pub(super) fn room_for_members(&self) -> usize {
        let limit = self.limit.filter(|_| !self.all_at_once);
        limit.map_or(usize::MAX, |limit| limit.max(1))
    }

    /// To how many Services the next plan may go of which the slices changed.
    pub(super) fn room_for_changes(&self) -> usize {
        let limit = self.changes.filter(|_| !self.all_at_once);
        limit.map_or(usize::MAX, |limit| limit.max(1))
    }

    /// Whether the next plan adds what the last one had no room for.
    fn adds_more(&self) -> bool {
        let Self {
            fills,
            later,
            unbound,
            all_at_once,
            ..
        } = self;
        *fills || !later.is_empty() || !unbound.is_empty() || *all_at_once
    }

    /// Whether this is the last plan that was made, and not a part of it, which would be shorter.
    pub(super) fn is_whole(&self, plan: &Plan) -> bool {
        plan.len() == self.operations
    }
}

impl Engine {
    /// Limits what one plan adds: virtual servers with so many destinations and themselves, so many members of sets, and so many
    /// addresses; always one of each. What a plan leaves out for that comes with the next ones, while [`has_more`](Self::has_more).
    /// Without a limit, as in the beginning, each plan is whole.
    pub const fn limit_plans(&mut self, operations: Option<usize>) {
        self.pieces.limit = operations;
    }

    /// Limits to how many Services one plan goes where nothing but slices changed, in layouts of IPVS. The others come with the next
    /// plans, while [`has_more`](Self::has_more): each is then made and carried out while what it is about is in the processor's
    /// caches. Between two of the plans the kernel serves a cluster in which some of the changes have not happened yet.
    pub const fn limit_changes(&mut self, services: Option<usize>) {
        self.pieces.changes = services;
    }

    /// Whether the last plan was a piece: the next one, which goes on, should be carried out at once. What is bound waits for the
    /// virtual servers, and what is mapped or deleted for the last piece of those that add.
    #[must_use]
    pub fn has_more(&self) -> bool {
        self.pieces.adds_more() || self.pieces.changes_wait
    }

    /// Leaves no more dirty than the next piece has. Whether others follow.
    pub(super) fn begin_piece(&mut self) -> bool {
        self.dirty.append(mem::take(&mut self.pieces.planned));
        if mem::take(&mut self.pieces.all_at_once) {
            return false;
        }
        if mem::take(&mut self.pieces.fills) {
            return self.pieces.adds_more();
        }
        if self.pieces.adds_more() {
            // What has changed meanwhile.
            let others = mem::take(&mut self.dirty);
            self.pieces.last.append(others);
        } else {
            self.pieces.later = self.additions();
            self.pieces.unbound = self.take_unbound();
        }
        let mut later = mem::take(&mut self.pieces.later);
        let mut room = self.pieces.limit.unwrap_or(usize::MAX);
        let rest = later.iter().find(|id| {
            let full = room == 0;
            let server = self.wanted.server(id);
            let destinations = server.map_or(0, |server| server.destinations.len());
            room = room.saturating_sub(1 + destinations);
            full
        });
        let rest = rest.copied();
        let rest = rest.map_or_else(BTreeSet::new, |first| later.split_off(&first));
        for id in &rest {
            self.dirty.servers.remove(id);
        }
        self.dirty.servers.append(&mut later);
        if rest.is_empty() {
            self.bind_some();
        }
        self.pieces.later = rest;
        let more = self.pieces.adds_more();
        if !more {
            self.dirty.append(mem::take(&mut self.pieces.last));
        }
        more
    }

    /// Makes a piece of a plan that lacks members of sets. It goes no further than these, and all stays dirty: what this piece
    /// adds will be found there.
    pub(super) fn fill_piece(&mut self, mut plan: Plan) -> Plan {
        plan.split_off(Phase::Rules);
        self.pieces.fills = true;
        self.pieces.operations = plan.len();
        plan
    }

    /// Leaves to the last piece what comes after virtual servers and bound addresses, if `more` pieces follow. What was dirty and is
    /// not in the plan is as it should be.
    pub(super) fn end_piece(&mut self, plan: &mut Plan, more: bool) {
        if more {
            let after = plan.split_off(Phase::Map);
            self.pieces.last.append(Dirty::of(&after));
        }
        self.dirty = Dirty::default();
        self.pieces.planned = Dirty::of(plan);
        self.pieces.operations = plan.len();
    }

    /// Something of a piece failed: all that is left comes at once, since only within a plan is it known what has to wait for
    /// what.
    pub(super) fn join_pieces(&mut self) {
        if self.has_more() {
            self.dirty.servers.append(&mut self.pieces.later);
            self.dirty.addresses.append(&mut self.pieces.unbound);
            self.dirty.append(mem::take(&mut self.pieces.last));
            (self.pieces.fills, self.pieces.all_at_once) = (false, true);
        }
    }

    /// Nothing is left of a plan in pieces.
    pub(super) fn drop_pieces(&mut self) {
        self.pieces = Pieces {
            limit: self.pieces.limit,
            changes: self.pieces.changes,
            ..Pieces::default()
        };
    }

    /// The dirty virtual servers by address that are only to be added, where a plan is limited.
    fn additions(&self) -> BTreeSet<VirtualServerId> {
        let last_applied = self.last_applied.as_ref();
        let (Some(_), Some(last_applied)) = (self.pieces.limit, last_applied) else {
            return BTreeSet::new();
        };
        let is_new = |id: &&VirtualServerId| {
            matches!(id, VirtualServerId::Address { .. })
                && self.wanted.has(id)
                && !last_applied.servers.contains_key(id)
        };
        self.dirty.servers.iter().filter(is_new).copied().collect()
    }

    /// Takes the dirty addresses that are only to be bound, where a plan is limited.
    fn take_unbound(&mut self) -> BTreeSet<IpAddr> {
        let last_applied = self.last_applied.as_ref();
        let (Some(_), Some(last_applied)) = (self.pieces.limit, last_applied) else {
            return BTreeSet::new();
        };
        let is_new = |address: &IpAddr| {
            self.wanted.binds(*address) && last_applied.bound(*address).next().is_none()
        };
        let dirty = mem::take(&mut self.dirty.addresses);
        let (new, others) = dirty.into_iter().partition(is_new);
        self.dirty.addresses = others;
        new
    }

    /// Leaves to later pieces all but the first addresses that are to be bound.
    fn bind_some(&mut self) {
        let limit = self.pieces.limit.map_or(usize::MAX, |limit| limit.max(1));
        let mut unbound = mem::take(&mut self.pieces.unbound);
        if let Some(first) = unbound.iter().nth(limit).copied() {
            self.pieces.unbound = unbound.split_off(&first);
        }
        self.dirty.addresses.append(&mut unbound);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use super::*;
    use crate::cluster::{Change, Family, Host, ObjectName, Service, ServicePort};
    use crate::config::Config;
    use crate::kernel::{Kernel as _, MemoryKernel};

    #[test]
    fn a_plan_is_compared_again_until_all_of_it_was_carried_out() {
        let mut kernel = MemoryKernel::new();
        let mut engine = Engine::new(Host::new("node-a"), Config::default());
        let address = "10.96.0.1".parse().unwrap();
        let name = ObjectName::new("default", "web");
        let mut service = Service::new(name, vec![address]);
        let port = 80.try_into().unwrap();
        service.ports = vec![ServicePort::new("", ipvs_netlink::Protocol::TCP, port)];
        engine.change(Change::Service(Box::new(service)));
        let no_sets = |planned: &Dirty| planned.sets.get(Family::V4).is_empty();

        let plan = engine.audit(&kernel.observe().unwrap());
        let part = plan.prefix(plan.len() - 1);
        engine.applied(&part, &kernel.apply(&part));
        let planned = &engine.pieces.planned;
        assert!(planned.servers.len() == 1 && !no_sets(planned));

        let rest = engine.plan();
        assert_eq!(
            (rest.len(), rest.phase(Phase::Bind).len()),
            (1, 1),
            "{rest}"
        );
        assert_eq!(engine.pieces.planned.addresses.len(), 1);
        engine.applied(&rest, &kernel.apply(&rest));
        let planned = &engine.pieces.planned;
        assert!(planned.servers.is_empty() && planned.addresses.is_empty() && no_sets(planned));
        assert!(engine.plan().is_empty());
    }
}
