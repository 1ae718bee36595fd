//! The incremental form of [`translate`](crate::translate()) and [`reconcile`](crate::reconcile()).
//!
//! What each Service wants is made by the code that `translate` uses, once for each change of it. Who gets
//! what, and what is shared, is counted (`wanted`). The last-applied state is the kernel as last observed, changed since
//! by what was carried out (`last_applied`). What may differ between the two is noted as it comes up (`dirty`), and a
//! plan is what [`reconcile`](crate::reconcile()) makes of just that part of both (`delta`).

mod delta;
mod dirty;
mod draining;
mod held;
mod last_applied;
mod marks;
mod pieces;
mod queries;
mod queue;
mod ranks;
mod reserved;
mod rules;
mod shared;
mod stale;
mod store;
mod tables;
mod tracked;
mod wanted;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::mem;
use std::net::IpAddr;

use ipvs_netlink::VirtualServerId;

pub use self::draining::DrainingDestination;
pub use self::held::Held;
pub use self::rules::RuleCounts;

use self::delta::{DeltaBuilder, written};
use self::dirty::Dirty;
use self::draining::drains;
use self::last_applied::LastApplied;
use self::marks::MarkRegistry;
use self::pieces::Pieces;
use self::store::Store;
use self::wanted::Wanted;
use crate::cluster::{Change, Family, Host, Node, ObjectName, PerFamily};
use crate::config::Config;
use crate::conflict::Conflict;
use crate::desired::Server;
use crate::health::ServiceHealth;
use crate::kernel::{Applied, FailureReason};
use crate::layout::{SetId, SetIds};
use crate::observed::Observed;
use crate::ownership::Ownership;
use crate::plan::{Operation, Plan};

/// Keeps a kernel up to a cluster: changes go in, plans come out, at a cost that depends on what a change
/// touches and hardly on how large the cluster is.
///
/// Pure like the functions that it replaces: no clock, no input or output. Whatever changes it takes, in whatever
/// order, carrying out its plans leads to what [`translate`](crate::translate()) gives for the same cluster.
///
/// ```
/// use proxier::cluster::{Change, Host, ObjectName, Service};
/// use proxier::{Config, Engine, Kernel, MemoryKernel};
///
/// let mut kernel = MemoryKernel::new();
/// let mut engine = Engine::new(Host::new("node-a"), Config::default());
/// let plan = engine.audit(&kernel.observe()?);
/// engine.applied(&plan, &kernel.apply(&plan));
///
/// let web = Service::new(ObjectName::new("default", "web"), vec!["10.0.0.7".parse().unwrap()]);
/// engine.change(Change::Service(Box::new(web)));
/// let plan = engine.plan();
/// engine.applied(&plan, &kernel.apply(&plan));
/// assert!(engine.plan().is_empty());
/// # Ok::<(), proxier::KernelError>(())
/// ```
#[derive(Debug)]
pub struct Engine {
    host: Host,
    config: Config,
    store: Store,
    nodes: BTreeMap<Box<str>, Node>,
    node_ports: PerFamily<Vec<IpAddr>>,
    /// Whether something changed that all Services depend on.
    all_stale: bool,
    /// In the layout that needs them.
    marks: MarkRegistry,
    wanted: Wanted,
    health: BTreeMap<ObjectName, ServiceHealth>,
    last_applied: Option<LastApplied>,
    dirty: Dirty,
    pieces: Pieces,
    /// The sets with members, and the families written, when rules were last compared.
    seen: PerFamily<Option<SetIds>>,
    draining: BTreeSet<VirtualServerId>,
    /// Virtual servers that were wanted, are no longer, and have not been deleted yet: the proxy's, whatever else shows
    /// it.
    abandoned: BTreeSet<VirtualServerId>,
    /// Virtual servers that were found, that no Service wants, and that are not the proxy's so far. They become so with
    /// an address that is bound or a set's member that is added.
    foreign: BTreeSet<VirtualServerId>,
    doubtful: bool,
    /// Conflicts that have been reported and have not ended.
    reported: BTreeSet<Conflict>,
}

impl Engine {
    /// An engine for a cluster without objects, on a kernel of which nothing is known: its plans are empty until the
    /// first [`audit`](Self::audit).
    #[must_use]
    pub fn new(host: Host, config: Config) -> Self {
        let mut engine = Self {
            host,
            config,
            store: Store::default(),
            nodes: BTreeMap::new(),
            node_ports: PerFamily::default(),
            all_stale: true,
            marks: MarkRegistry::default(),
            wanted: Wanted::default(),
            health: BTreeMap::new(),
            last_applied: None,
            // Until all is compared for the first time.
            dirty: Dirty {
                all: true,
                ..Dirty::default()
            },
            pieces: Pieces::default(),
            seen: PerFamily::default(),
            draining: BTreeSet::new(),
            abandoned: BTreeSet::new(),
            foreign: BTreeSet::new(),
            doubtful: false,
            reported: BTreeSet::new(),
        };
        engine.refresh(usize::MAX);
        engine
    }

    /// Takes a change of the cluster. One that changes nothing costs a comparison.
    pub fn change(&mut self, change: Change) {
        if let Some(last_applied) = &mut self.last_applied {
            last_applied.forget_connections();
        }
        self.apply_change(change);
    }

    /// Sets what this machine is. Returns whether anything changed that Services depend on: links without addresses, and
    /// the proxy's own link, do not count.
    pub fn set_host(&mut self, host: Host) -> bool {
        let changed = !host.serves_like(&self.host);
        if changed {
            self.host = host;
            self.all_stale = true;
        }
        changed
    }

    /// Sets the configuration.
    pub fn set_config(&mut self, config: Config) {
        if self.config != config {
            self.config = config;
            self.all_stale = true;
        }
    }

    /// The plan for all that was taken in and not yet [`applied`](Self::applied), and for whatever failed. Empty as
    /// long as nothing is known of the kernel.
    ///
    /// A TCP destination that is no longer wanted gets weight 0 first, since its connections are not known; it goes
    /// when it is [`drained`](Self::drained).
    pub fn plan(&mut self) -> Plan {
        self.refresh(self.pieces.room_for_changes());
        self.plan_of_dirty()
    }

    /// The plan for what has been translated.
    fn plan_of_dirty(&mut self) -> Plan {
        for family in Family::ALL {
            let filled = self.filled(family);
            let before = mem::replace(self.seen.get_mut(family), filled);
            if before.is_some() != filled.is_some() {
                self.dirty.note_structure(family);
            }
            *self.dirty.rules.get_mut(family) |= before != filled;
        }
        let room = self.pieces.room_for_members();
        let more = self.begin_piece();
        let Some(last_applied) = &mut self.last_applied else {
            return Plan::default();
        };
        rules::prepare(&mut self.dirty, last_applied);
        let last_applied = &*last_applied;
        self.abandoned.extend(self.wanted.take_abandoned());
        self.abandoned
            .retain(|id| !self.wanted.has(id) && last_applied.servers.contains_key(id));
        if self.dirty.may_change_ownership() {
            self.dirty.servers.append(&mut self.foreign);
        }
        let builder = DeltaBuilder {
            abandoned: &self.abandoned,
            node: self.nodes.get(&self.host.node_name),
            host: &self.host,
            config: &self.config,
            node_ports: &self.node_ports,
            wanted: &self.wanted,
            last_applied,
        };
        let delta = builder.delta(&self.dirty, room);
        let mut plan = delta.plan(&self.wanted);
        if delta.lacks_members {
            return self.fill_piece(plan);
        }
        builder.services(&self.dirty, &mut plan);
        let own = |id: &VirtualServerId| matches!(&delta.desired.ownership, Ownership::Only(own) if own.contains(id));
        // The delta has the same order: no server is looked up by its id again.
        let mut desired = delta.desired.servers.iter().peekable();
        let mut observed = delta.observed.servers.iter().peekable();
        for id in &self.dirty.servers {
            let wanted = desired.next_if(|server| server.id == *id);
            let found = observed.next_if(|server| server.id == *id);
            let destinations = found.iter().flat_map(|found| &found.destinations);
            if drains(id, destinations.map(|found| &found.destination), wanted) {
                self.draining.insert(*id);
            } else {
                self.draining.remove(id);
            }
            if found.is_some() && wanted.is_none() && !own(id) {
                self.foreign.insert(*id);
            } else {
                self.foreign.remove(id);
            }
        }
        self.end_piece(&mut plan, more);
        plan
    }

    /// The result of a plan: what was carried out belongs to the last-applied state from now on, what failed is part of
    /// the next plan.
    pub fn applied(&mut self, plan: &Plan, applied: &Applied) {
        if self.last_applied.is_none() {
            return;
        }
        for failure in &applied.failures {
            self.dirty.note(&failure.operation);
            self.doubtful |= matches!(failure.reason, FailureReason::Refused(_));
        }
        if !applied.failures.is_empty() {
            self.join_pieces();
        } else if self.pieces.is_whole(plan) {
            self.pieces.planned = Dirty::default();
        }
        let Some(last_applied) = &mut self.last_applied else {
            return;
        };
        let failed: HashSet<usize> = applied
            .failures
            .iter()
            .map(|failure| failure.index)
            .collect();
        let all = plan.iter().enumerate();
        let done = all
            .filter(|(index, _)| !failed.contains(index))
            .map(|(_, (_, op))| op);
        let (wanted, draining) = (&self.wanted, &mut self.draining);
        for operation in done.clone() {
            if let Operation::DeleteServer(id) = operation {
                draining.remove(id);
            }
        }
        let changed = |id: &VirtualServerId, destinations: &[_], wanted: Option<&Server>| {
            if drains(id, destinations, wanted) {
                draining.insert(*id);
            } else {
                draining.remove(id);
            }
        };
        last_applied.take(done, |id| wanted.server(id), changed);
        if rules::changes_all(plan) {
            rules::settle(self.config.layout, last_applied);
        }
    }

    /// The kernel as it was just observed: the last-applied state from now on. Gives the plan that heals any difference:
    /// what [`plan`](Self::plan) would give.
    pub fn audit(&mut self, observed: &Observed) -> Plan {
        self.dirty.all = true;
        // Nothing is compared with what is to be forgotten.
        self.last_applied = None;
        self.refresh(usize::MAX);
        let servers = self.wanted.servers().len();
        let mut last_applied =
            LastApplied::new(observed, servers, |name| SetId::owner(name).is_some());
        self.dirty = Dirty::default();
        self.drop_pieces();
        self.draining.clear();
        self.foreign.clear();
        self.doubtful = false;
        for found in &observed.servers {
            let wanted = self.wanted.server(&found.id);
            if !last_applied.observe(found, wanted.as_ref()) {
                self.dirty.servers.insert(found.id);
            }
        }
        self.last_applied = Some(last_applied);
        self.compare();
        let plan = self.plan_of_dirty();
        if let Some(last_applied) = self
            .last_applied
            .as_mut()
            .filter(|_| !rules::changes_all(&plan))
        {
            rules::settle(self.config.layout, last_applied);
        }
        plan
    }

    /// Whether the kernel should be observed and [audited](Self::audit): it never was, or it refused something, so
    /// that it may differ from the last-applied state.
    #[must_use]
    pub const fn needs_audit(&self) -> bool {
        self.doubtful || self.last_applied.is_none()
    }

    /// What rules depend on apart from configuration and drops; `None` for a family that is not written.
    fn filled(&self, family: Family) -> Option<SetIds> {
        let written = written(family, &self.wanted, &self.host, &self.config);
        written.then(|| self.wanted.filled(family, self.config.layout))
    }
}
