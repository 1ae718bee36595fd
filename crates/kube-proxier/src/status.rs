//! What the daemon shows of itself: health, metrics, logs.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use proxier::cluster::{Change, Family};
use proxier::kernel::{Failure, FailureReason};
use proxier::{Engine, NodePortAddresses, Operation};
use tokio::runtime::Handle;

use super::Event;
use super::health::HealthState;
use super::machine::Machine;
use super::metrics::{Holdings, Metrics, OperationResult};
use super::options::Options;
use super::service_health::ServiceHealthServers;
use super::sync::{Report, Status, Syncer, Task};
use super::watch::Counters;

/// How many failures of a sync are logged one by one.
const FAILURES_SAID: usize = 20;

/// Tells health checks, metrics and logs how the loop goes.
pub(super) struct Reporter {
    health: HealthState,
    metrics: Metrics,
    services: ServiceHealthServers,
    /// Where the servers of Services are run.
    runtime: Handle,
    /// Counting them costs what the cluster costs: done at full syncs.
    destinations: usize,
    failing: bool,
}

impl Reporter {
    /// Nothing has happened yet.
    ///
    /// # Errors
    ///
    /// [`prometheus::Error`], which only a metric that there is twice could cause.
    pub(super) fn new(options: &Options, runtime: Handle) -> prometheus::Result<Self> {
        let health = HealthState::new(options.config.sync_period);
        Ok(Self {
            services: ServiceHealthServers::new(health.clone()),
            health,
            metrics: Metrics::new()?,
            runtime,
            destinations: 0,
            failing: false,
        })
    }

    /// What `/healthz` tells.
    pub(super) const fn health(&self) -> &HealthState {
        &self.health
    }

    /// What `/metrics` tells.
    pub(super) const fn metrics(&self) -> &Metrics {
        &self.metrics
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
                self.metrics.restore_failed(change.family == Family::V6);
            }
        }
        let now = SystemTime::now();
        for (family, at) in &report.programmed {
            let after = now.duration_since(*at).unwrap_or_default();
            self.metrics.programmed(*family == Family::V6, after);
        }
        if report.task == Task::Full {
            let servers = engine.servers().filter_map(|id| engine.server(id));
            self.destinations = servers.map(|server| server.destinations.len()).sum();
        }
        self.metrics.no_local_endpoints(engine.no_local_endpoints());
        self.metrics.holdings(Holdings {
            virtual_servers: engine.servers().len(),
            destinations: self.destinations,
            draining_servers: report.draining,
            conflicts: engine.conflicts().count(),
            pending_failures: report.failures.len() + usize::from(report.unread.is_some()),
        });
        if report.task != Task::Drain {
            self.metrics
                .sync_took(report.took, report.task == Task::Full);
            if report.is_ok() {
                self.metrics.synced(now);
            }
        }
    }

    fn log(&mut self, report: &Report) {
        if let Some(error) = &report.unread {
            tracing::error!(%error, "the kernel cannot be looked at; trying again");
        }
        for failure in report.failures.iter().filter(refused).take(FAILURES_SAID) {
            tracing::error!("{failure}");
        }
        let (done, took) = (report.done(), report.took);
        if !report.failures.is_empty() {
            let failed = report.failures.len();
            tracing::warn!(
                done,
                failed,
                ?took,
                "synced in part; the rest is tried again"
            );
        } else if report.is_ok() && self.failing {
            tracing::info!(done, ?took, "synced; what had failed is done");
        } else if done > 0 {
            let (full, flows) = (report.task == Task::Full, report.flows);
            tracing::info!(
                done,
                full,
                flows,
                draining = report.draining,
                ?took,
                "synced"
            );
        } else {
            tracing::debug!(?took, "nothing to do");
        }
        self.failing = !report.is_ok();
    }

    fn serve_health_checks(&mut self, engine: &Engine) {
        let services: Vec<_> = engine.health().cloned().collect();
        let addresses: Vec<IpAddr> = match engine.config().node_port_addresses {
            NodePortAddresses::All => Vec::new(),
            _ => engine.node_port_addresses().collect(),
        };
        let _runtime = self.runtime.enter();
        self.services.update(&services, &addresses);
    }
}

fn refused(failure: &&Failure) -> bool {
    matches!(failure.reason, FailureReason::Refused(_))
}

impl<M: Machine> Status<M> for Reporter {
    fn heard(&mut self, event: &Event) {
        match event {
            Event::NodeDeleting(deleting) => self.health.node_deleting(*deleting),
            Event::Cluster { change, .. } => match change {
                Change::Service(_) | Change::ServiceGone(_) => self.metrics.service_change(),
                Change::Slice(_) | Change::SliceGone(_) => self.metrics.endpoint_change(),
                _ => {}
            },
            Event::Links | Event::Config(_) => {}
        }
    }

    fn queued(&mut self) {
        self.metrics.queued(SystemTime::now());
        self.health.queued_update();
    }

    fn synced(&mut self, report: &Report, syncer: &Syncer<M>) {
        let engine = syncer.engine();
        self.log(report);
        self.count(report, engine);
        self.health.failing(!report.is_ok());
        match report.task {
            Task::Drain => {}
            _ if report.is_ok() => self.health.updated(),
            _ if report.unread.is_none() => self.health.attempted(),
            _ => {}
        }
        self.serve_health_checks(engine);
    }
}
