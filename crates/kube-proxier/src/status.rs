//! What the daemon shows of itself: health, metrics, logs.

mod listed;
mod log;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::SystemTime;

use iptables_restore::TableName;
use proxier::cluster::{Change, Family, ObjectName};
use proxier::kernel::FailureReason;
use proxier::{Engine, Layout, NodePortAddresses, Operation};
use tokio::runtime::Handle;

use self::listed::Listed;
use super::Event;
use super::health::HealthState;
use super::http::Connections;
use super::layout::InForce;
use super::local_ports::LocalPorts;
use super::machine::Machine;
use super::metrics::{Holdings, Metrics, OperationResult};
use super::options::Options;
use super::page::Recent;
use super::service_health::ServiceHealthServers;
use super::sync::{Observer, Report, Syncer, Task};
use super::traffic::SyncCount;
use super::watch::{Counters, Recorder};

/// Shows in health checks, metrics and logs what the loop does.
pub(super) struct Reporter {
    health: HealthState,
    metrics: Metrics,
    services: ServiceHealthServers,
    /// Where the servers of Services are run.
    runtime: Handle,
    /// Counting them takes time that grows with the cluster: done at full syncs.
    destinations: usize,
    failing: bool,
    /// What the kernel refused at the last sync, by object.
    unhealthy: BTreeSet<String>,
    synced_once: bool,
    /// Who is told of the first sync without a failure.
    first_sync: Option<SyncSender<()>>,
    listed: Listed,
    /// How many claims each Service goes without.
    conflicts: BTreeMap<ObjectName, usize>,
    /// Makes Events of conflicts.
    recorder: Recorder,
    /// As they were at the start.
    local_ports: Option<LocalPorts>,
    /// Node ports that were warned of.
    warned_ports: BTreeSet<u16>,
    in_force: InForce,
    syncs: SyncCount,
    recent: Recent,
}

impl Reporter {
    /// Nothing has happened yet.
    ///
    /// # Errors
    ///
    /// [`prometheus::Error`], which only a metric that there is twice could cause.
    pub(super) fn new(
        options: &Options,
        connections: Connections,
        runtime: Handle,
        recorder: Recorder,
        in_force: InForce,
    ) -> prometheus::Result<Self> {
        let health = HealthState::new(options.config.sync_period);
        let metrics = Metrics::new()?;
        metrics.set_mode(options.config.layout, None);
        Ok(Self {
            services: ServiceHealthServers::new(health.clone(), connections),
            health,
            metrics,
            runtime,
            destinations: 0,
            failing: false,
            unhealthy: BTreeSet::new(),
            synced_once: false,
            first_sync: None,
            listed: Listed::default(),
            conflicts: BTreeMap::new(),
            recorder,
            local_ports: LocalPorts::read(Path::new("/")),
            warned_ports: BTreeSet::new(),
            in_force,
            syncs: SyncCount::default(),
            recent: Recent::default(),
        })
    }

    /// Tells of the first sync without a failure.
    pub(super) fn after_first_sync(&mut self, tell: SyncSender<()>) {
        self.first_sync = Some(tell);
    }

    /// What `/healthz` shows.
    pub(super) const fn health(&self) -> &HealthState {
        &self.health
    }

    /// What `/metrics` shows.
    pub(super) const fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Counts syncs.
    pub(super) const fn syncs(&self) -> &SyncCount {
        &self.syncs
    }

    /// What the loop did of late.
    pub(super) const fn recent(&self) -> &Recent {
        &self.recent
    }

    /// What the watch counts.
    pub(super) const fn counters(&self) -> &Arc<Counters> {
        self.metrics.watch()
    }

    fn count(&mut self, report: &Report, engine: &Engine) {
        for (kind, tally) in &report.tally {
            self.metrics
                .operations(kind, OperationResult::Done, tally.done);
            self.metrics
                .operations(kind, OperationResult::Failed, tally.failed);
        }
        for failure in &report.failures {
            if let (Operation::RestoreRules(change), FailureReason::Refused(_)) =
                (&failure.operation, &failure.reason)
            {
                let partial = report.task == Task::Changes;
                self.metrics
                    .restore_failed(change.family == Family::V6, partial);
            }
        }
        if engine.config().layout == Layout::Iptables && report.task != Task::Drain {
            self.count_rules(report, engine);
        }
        let now = SystemTime::now();
        for (family, deleted, took) in &report.flows_by_family {
            self.metrics
                .flows_deleted(*family == Family::V6, *deleted, *took);
        }
        for (family, at) in &report.programmed {
            let after = now.duration_since(*at).unwrap_or_default();
            self.metrics.programmed(*family == Family::V6, after);
        }
        if report.task == Task::Full {
            let servers = engine.servers().filter_map(|id| engine.server(id));
            self.destinations = servers.map(|server| server.destinations.len()).sum();
        }
        let no_local = engine.no_local_endpoints();
        for family in Family::ALL {
            let services = *no_local.get(family);
            self.metrics
                .no_local_endpoints(family == Family::V6, services);
        }
        self.metrics.holdings(Holdings {
            virtual_servers: engine.servers().len(),
            destinations: self.destinations,
            draining_servers: report.draining,
            draining_destinations: report.draining_destinations,
            conflicts: engine.conflicts().count(),
            pending_failures: report.failures.len()
                + usize::from(report.unread.is_some())
                + usize::from(report.unread_rules.is_some()),
        });
        if report.task != Task::Drain {
            self.metrics
                .sync_took(report.took, report.task == Task::Full);
            if !report.blocked {
                self.metrics.synced(now);
            }
        }
    }

    /// How many rules there are, and how many were written.
    fn count_rules(&self, report: &Report, engine: &Engine) {
        let all = engine.rule_counts();
        for family in Family::ALL {
            let counts = all.get(family);
            for (table, count) in [
                (TableName::Nat, counts.nat),
                (TableName::Filter, counts.filter),
                (TableName::Mangle, counts.mangle),
            ] {
                let written = report.rules_written.get(&(family, table.clone()));
                let written = written.copied().unwrap_or_default();
                self.metrics
                    .rules(table.as_str(), family == Family::V6, count, written);
            }
        }
    }

    fn serve_health_checks(&mut self, engine: &Engine) {
        let services: Vec<_> = engine.health().cloned().collect();
        let addresses: Option<Vec<IpAddr>> = match engine.config().node_port_addresses {
            NodePortAddresses::All => None,
            _ => Some(engine.node_port_addresses().collect()),
        };
        let _runtime = self.runtime.enter();
        self.services.update(&services, addresses.as_deref());
    }
}

impl<M: Machine> Observer<M> for Reporter {
    fn received(&mut self, event: &Event) {
        match event {
            Event::NodeDeleting(deleting) => self.health.node_deleting(*deleting),
            Event::Cluster { change, .. } => {
                self.listed.note(change);
                self.warn_of_local_ports(change);
                match change {
                    Change::Service(_) | Change::ServiceGone(_) => self.metrics.service_change(),
                    Change::Slice(_) | Change::SliceGone(_) => self.metrics.endpoint_change(),
                    _ => {}
                }
            }
            Event::Config(config) => self.health.set_sync_period(config.sync_period),
            Event::ApiServers(_)
            | Event::Links
            | Event::Removed(_)
            | Event::Tampered(_)
            | Event::Asked(_) => {}
        }
    }

    fn queued(&mut self) {
        self.metrics.queued(SystemTime::now());
        self.health.queued_update();
    }

    fn synced(&mut self, report: &Report, syncer: &Syncer<M>) {
        let engine = syncer.engine();
        self.syncs.more();
        self.recent
            .note(report, syncer.missing(), SystemTime::now());
        self.metrics
            .set_mode(engine.config().layout, syncer.missing());
        let machine = syncer.machine();
        self.in_force.set(engine.config(), machine.nftables_port());
        self.log(report);
        self.count(report, engine);
        self.health.set_ipv6(engine.host().ipv6);
        if report.task != Task::Drain {
            self.health.pending(!report.is_ok());
            self.health.failing(report.blocked);
            if !report.blocked {
                self.health.updated();
            } else if report.unread.is_none() {
                self.health.attempted();
            }
        }
        self.log_conflicts(&report.conflicts);
        self.serve_health_checks(engine);
        if report.is_ok()
            && let Some(tell) = self.first_sync.take()
        {
            // Nobody may be left who waits.
            let _ = tell.try_send(());
        }
    }
}

#[cfg(test)]
mod tests;
