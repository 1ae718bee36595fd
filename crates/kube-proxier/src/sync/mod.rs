//! The loop that brings the kernel to what the cluster asks for.

mod believed;
mod carrying;
mod drains;
mod flows;
mod masquerade_addresses;
mod moving;
mod noticing;
mod others;
mod report;
mod run;
mod schedule;
mod schedulers;
mod triggers;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use dummy_link::LinkName;
use proxier::cluster::Change;
use proxier::{Config, Engine, KernelError, Layout, Operation, Plan};
use proxier_linux::Touched;

pub use moving::Fallback;
pub use report::{Differences, Report, Tally};
pub use run::{Observer, run};
pub use schedule::{Schedule, Task};

use self::drains::Drains;
use self::masquerade_addresses::MasqueradeAddresses;
use self::noticing::Own;
use self::others::{Due, Others};
use self::schedulers::Schedulers;
use self::triggers::Triggers;
use super::event::Event;
use super::machine::Machine;

/// How often it is looked whether a tool answers that did not.
const TOOLS: Duration = Duration::from_secs(1);

/// About how many operations for new virtual servers one plan has. So many take half a megabyte, in lists that grow to a power of
/// two; a first sync of 10,000 Services of ten endpoints would take fifteen as one plan.
const PIECE: usize = 4000;

/// To how many Services one plan goes of which the slices changed. What so many need is in a processor's caches from the first look
/// at them to the last; for thousands at once, a change takes nearly twice as long (benches/results/change.md).
const CHANGES: usize = 64;

/// The daemon's state: what is wanted, what the kernel holds of it, and when to sync next.
///
/// It has no clock and reads nothing but its machine's kernel: the caller passes in what happened and what
/// time it is.
pub struct Syncer<M> {
    machine: M,
    engine: Engine,
    schedule: Schedule,
    listed: Listed,
    links_changed: bool,
    api_servers: BTreeSet<SocketAddr>,
    /// What was taken away here, and whose removal has not been reported yet.
    taken: BTreeSet<Own>,
    triggers: Triggers,
    schedulers: Schedulers,
    masquerade_addresses: MasqueradeAddresses,
    drains: Drains,
    others: Others,
    /// What was changed here since signs were last taken.
    changed: Touched,
    renamed: BTreeSet<LinkName>,
    /// When to look whether a tool answers that did not, while anything has failed.
    awaits_tools: Option<Instant>,
    /// A configuration with another layout, until the machine was switched to that.
    moving: Option<Box<Config>>,
    /// The layout that iptables mode stands in for.
    fallback: Option<Fallback>,
    /// Whether virtual servers of ipvs mode stay while iptables mode is in force, for connections through them.
    servers_in_use: bool,
}

/// Of which kinds all objects have been listed once.
#[derive(Clone, Copy, Debug, Default)]
struct Listed {
    services: bool,
    slices: bool,
    nodes: bool,
}

impl Listed {
    const fn note(&mut self, change: &Change) {
        match change {
            Change::Services(_) => self.services = true,
            Change::Slices(_) => self.slices = true,
            Change::Nodes(_) => self.nodes = true,
            _ => {}
        }
    }

    const fn all(self) -> bool {
        self.services && self.slices && self.nodes
    }
}

impl<M: Machine> Syncer<M> {
    /// Nothing is known of the cluster yet, and nothing done.
    ///
    /// # Errors
    ///
    /// [`KernelError`] if the machine cannot be looked at.
    pub fn new(
        mut machine: M,
        node_name: &str,
        config: Config,
        now: Instant,
    ) -> Result<Self, KernelError> {
        let host = machine.host(node_name)?;
        let schedule = Schedule::new(config.min_sync_period, config.sync_period, now);
        let mut engine = Engine::new(host, config);
        engine.limit_plans(Some(PIECE));
        engine.limit_changes(Some(CHANGES));
        Ok(Self {
            machine,
            engine,
            schedule,
            listed: Listed::default(),
            links_changed: false,
            api_servers: BTreeSet::new(),
            taken: BTreeSet::new(),
            triggers: Triggers::default(),
            schedulers: Schedulers::default(),
            masquerade_addresses: MasqueradeAddresses::default(),
            drains: Drains::default(),
            others: Others::default(),
            changed: Touched::default(),
            renamed: BTreeSet::new(),
            awaits_tools: None,
            moving: None,
            fallback: None,
            servers_in_use: false,
        })
    }

    /// Takes in an event. Whether it is the first one since the last sync.
    pub fn take(&mut self, event: Event, now: Instant) -> bool {
        match event {
            Event::Cluster { change, triggered } => {
                self.listed.note(&change);
                self.schedulers.note(&change);
                self.masquerade_addresses.note(&change);
                self.triggers.take(&change, triggered);
                self.engine.change(change);
            }
            Event::ApiServers(addresses) => {
                if addresses == self.api_servers {
                    return false;
                }
                self.api_servers = addresses;
                self.links_changed = true;
            }
            Event::Links => self.links_changed = true,
            Event::Config(config) => {
                self.schedule
                    .set_periods(config.min_sync_period, config.sync_period, now);
                if config.layout == self.engine.config().layout {
                    self.moving = None;
                    // What stood in for another mode is asked for itself now.
                    self.fallback = None;
                    self.engine.set_config(*config);
                } else {
                    self.moving = Some(config);
                    self.schedule.want_full(now);
                }
            }
            Event::Removed(removed) => {
                self.removed(&removed, now);
                return false;
            }
            Event::Tampered(what) => {
                if self.listed.all() && self.engine.config().layout == Layout::Nftables {
                    tracing::warn!(
                        "others changed: {what}; everything is compared with the kernel"
                    );
                    self.schedule.want_full_at_once(now);
                }
                return false;
            }
            Event::NodeDeleting(_) => return false,
            Event::Asked(inquiry) => {
                inquiry.answer(&self.engine);
                return false;
            }
        }
        self.schedule.changed(now)
    }

    /// When [`step`](Self::step) has something to do; `None` while the cluster is not known.
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        let looks = self.others.next().into_iter().chain(self.awaits_tools);
        self.listed
            .all()
            .then(|| looks.fold(self.schedule.next(), Instant::min))
    }

    /// Until when changes that were taken in wait for more to come, if there are any.
    #[must_use]
    pub fn waits_until(&self) -> Option<Instant> {
        self.schedule.waits_until()
    }

    /// Does what is due, if anything. Before everything has been listed once nothing ever is.
    pub fn step(&mut self, clock: impl Fn() -> Instant) -> Option<Report> {
        let began = clock();
        self.next()?;
        self.look_for_tools(began);
        self.look_for_others(began);
        let mut report = Report::new(self.schedule.due(began)?);
        if let Err(error) = self.perform(began, &mut report) {
            report.unread = Some(error);
        }
        let task = report.task;
        report.blocked = report.blocks(self.engine.servers().len());
        if task != Task::Drain && !report.blocked {
            report.programmed = self.triggers.programmed(&report.failures, &self.engine);
        }
        if task != Task::Drain {
            report.conflicts = self.engine.conflict_changes();
        }
        report.draining = self.engine.draining().count();
        let now = clock();
        report.took = now - began;
        if task != Task::Drain {
            if task == Task::Full {
                self.others.compared(now, report.took, report.mended);
                if report.is_ok() && !self.servers_in_use {
                    self.machine.settled();
                }
            }
            self.awaits_tools = (!report.is_ok()).then(|| now + TOOLS);
        }
        if task != Task::Drain || !self.changed.parts().is_empty() {
            self.settle_signs(task, now);
        }
        report.draining_destinations = self.drains.follow(&self.engine, now);
        self.schedule
            .done(task, began, now, report.is_ok(), report.draining > 0);
        if let Some(at) = self.drains.next() {
            self.schedule.look_at_drains_by(at);
        }
        if self.engine.needs_audit() {
            self.schedule.want_full(now);
        }
        Some(report)
    }

    /// The engine, to be asked about what is in force.
    #[must_use]
    pub const fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The machine.
    #[must_use]
    pub const fn machine(&self) -> &M {
        &self.machine
    }

    /// Does the report's task; or compares everything instead, where others have changed what was to be changed.
    fn perform(&mut self, now: Instant, report: &mut Report) -> Result<(), KernelError> {
        let task = report.task;
        if task == Task::Full {
            self.switch_layout();
        }
        if task == Task::Full || self.links_changed {
            self.look_at_host()?;
            self.masquerade_addresses.note_all();
            // Where that failed, it is done at the next attempt.
            self.links_changed = false;
        }
        self.try_schedulers();
        self.tell_of_masquerade_addresses();
        match task {
            Task::Full => {
                // Reports that were lost must not pile up.
                self.taken.clear();
                let mut observed = self.machine.observe()?;
                report.unread_rules = self.machine.unread_rules();
                self.believe(&mut observed)?;
                for server in &mut observed.servers {
                    self.drains.end(server.id, &mut server.destinations, now);
                }
                // After a failure the kernel differs from what is known, and not by anybody else's doing.
                self.engine.limit_changes(None);
                let due = (!self.engine.needs_audit())
                    .then(|| Due::of(&self.engine.plan(), &self.engine));
                let plan = self.engine.audit(&observed);
                self.engine.limit_changes(Some(CHANGES));
                report.differences = due.map(|due| due.report(&plan)).unwrap_or_default();
                report.mended = report.differences.count > 0;
                if self.engine.config().layout.uses_ipvs() {
                    warn_of_loss(&plan, observed.servers.len());
                }
                self.carry_out_all(plan, now, report)
            }
            Task::Changes => {
                let plan = self.engine.plan();
                if self.look_ahead(&plan, now) {
                    report.task = Task::Full;
                    return self.perform(now, report);
                }
                self.carry_out_all(plan, now, report)
            }
            Task::Drain => {
                let servers: Vec<_> = self.engine.draining().collect();
                self.look_at_draining(&servers, now, report)
            }
        }
    }

    fn look_at_host(&mut self) -> Result<(), KernelError> {
        let mut host = self.machine.host(&self.engine.host().node_name)?;
        host.api_servers.clone_from(&self.api_servers);
        host.missing_schedulers
            .clone_from(self.schedulers.missing());
        let renamed = self.machine.renamed_links();
        for link in renamed.difference(&self.renamed) {
            tracing::warn!(
                remedy = format!("ip link delete {link}"),
                "{link} has addresses of Services: it was {} until somebody renamed it. They do not count as this node's, and a new \
                 link takes its place",
                proxier::LINK
            );
        }
        self.renamed = renamed;
        let same_server = self.engine.host().api_servers == host.api_servers;
        if self.engine.set_host(host) {
            if same_server {
                tracing::info!("this machine's addresses changed");
            } else {
                tracing::debug!(addresses = ?self.api_servers, "the API server's addresses are kept free");
            }
        }
        Ok(())
    }
}

/// A plan that removes most of what is programmed may be right, and is then what an engineer wants to know of.
fn warn_of_loss(plan: &Plan, programmed: usize) {
    let removed = plan
        .iter()
        .filter(|(_, operation)| matches!(operation, Operation::DeleteServer(_)))
        .count();
    if removed * 2 > programmed {
        tracing::warn!(
            programmed,
            removed,
            "more than half of the virtual servers that are programmed are removed: no Service wants them any more"
        );
    }
}

#[cfg(test)]
mod tests;
