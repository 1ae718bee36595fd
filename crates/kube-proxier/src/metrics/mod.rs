//! Metrics: kube-proxy's, by its names, labels and buckets, and our own.
//!
//! Source of the former: `pkg/proxy/metrics` in kubernetes/kubernetes, and its metrics reference. The label `ip_family` is on
//! those that kube-proxy counts for each family; a sync here is of both at once, and counts for both.

mod holdings;
mod make;
mod process;
mod registry;
mod requests;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use prometheus::{
    Encoder, Gauge, GaugeVec, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec,
    Registry, TextEncoder,
};
use proxier::{Layout, NoLocalEndpoints};

pub use self::holdings::{Holdings, OperationResult};
use self::make::{count, epoch, family};
pub use self::requests::RequestMetrics;
pub use super::traffic::TRAFFIC;
use super::watch::Counters;

/// The label of kube-proxy's for one family, and its values.
const FAMILY: &str = "ip_family";
const FAMILIES: [&str; 2] = ["IPv4", "IPv6"];

/// The metrics of the daemon. A clone is the same metrics.
#[derive(Clone)]
pub struct Metrics {
    registry: Registry,
    sync: HistogramVec,
    sync_full: HistogramVec,
    sync_partial: HistogramVec,
    last_sync: GaugeVec,
    last_queued: GaugeVec,
    programming: HistogramVec,
    endpoint_changes: Changes,
    service_changes: Changes,
    restore_failures: IntCounterVec,
    partial_restore_failures: IntCounterVec,
    rules_total: IntGaugeVec,
    rules_last: IntGaugeVec,
    no_local_endpoints: IntGaugeVec,
    healthz: IntCounterVec,
    livez: IntCounterVec,
    operations: IntCounterVec,
    virtual_servers: IntGauge,
    destinations: IntGauge,
    draining: IntGauge,
    draining_destinations: IntGauge,
    refused: IntGauge,
    conflicts: IntGauge,
    pending_failures: IntGauge,
    unhealthy: IntGaugeVec,
    api_away_since: Gauge,
    api_failures: IntCounter,
    requests: RequestMetrics,
    flows_deleted: IntCounterVec,
    flows_duration: HistogramVec,
    conflicting: IntGaugeVec,
    fallback: IntGaugeVec,
    iptables_mode: Arc<AtomicBool>,
    process: process::Process,
    watch: Arc<Counters>,
}

#[derive(Clone)]
struct Changes {
    pending: IntGauge,
    total: IntCounter,
}

impl Metrics {
    /// A sync took this long: one that compared everything with the kernel, or one of changes only.
    pub fn sync_took(&self, took: Duration, full: bool) {
        let kind = if full {
            &self.sync_full
        } else {
            &self.sync_partial
        };
        for family in &FAMILIES {
            for histogram in [&self.sync, kind] {
                histogram
                    .with_label_values(&[family])
                    .observe(took.as_secs_f64());
            }
        }
    }

    /// Everything known is in the kernel.
    pub fn synced(&self, now: SystemTime) {
        for family in &FAMILIES {
            self.last_sync.with_label_values(&[family]).set(epoch(now));
        }
        self.endpoint_changes.pending.set(0);
        self.service_changes.pending.set(0);
    }

    /// A sync was asked for.
    pub fn queued(&self, now: SystemTime) {
        for family in &FAMILIES {
            self.last_queued
                .with_label_values(&[family])
                .set(epoch(now));
        }
    }

    /// An EndpointSlice changed.
    pub fn endpoint_change(&self) {
        self.endpoint_changes.pending.inc();
        self.endpoint_changes.total.inc();
    }

    /// A Service changed.
    pub fn service_change(&self) {
        self.service_changes.pending.inc();
        self.service_changes.total.inc();
    }

    /// The kernel has a change to endpoints that was caused this long ago.
    pub fn programmed(&self, ipv6: bool, after: Duration) {
        self.programming
            .with_label_values(&[family(ipv6)])
            .observe(after.as_secs_f64());
    }

    /// `iptables-restore` failed: with all rules, or with changes only.
    pub fn restore_failed(&self, ipv6: bool, partial: bool) {
        let family = &[family(ipv6)];
        self.restore_failures.with_label_values(family).inc();
        if partial {
            let failures = &self.partial_restore_failures;
            failures.with_label_values(family).inc();
        }
    }

    /// How many rules of the proxy a table has, and how many the last sync wrote.
    pub fn rules(&self, table: &str, ipv6: bool, all: usize, written: usize) {
        let place = &[table, family(ipv6)];
        self.rules_total.with_label_values(place).set(count(all));
        self.rules_last.with_label_values(place).set(count(written));
    }

    /// How many Services of a family with a Local policy have endpoints, but none on this node.
    pub fn no_local_endpoints(&self, ipv6: bool, services: NoLocalEndpoints) {
        let by_policy = [
            ("internal", services.internal),
            ("external", services.external),
        ];
        for (policy, services) in by_policy {
            self.no_local_endpoints
                .with_label_values(&[policy, family(ipv6)])
                .set(count(services));
        }
    }

    /// The mode in force, and what the mode that was asked for lacks, if that is another.
    pub fn set_mode(&self, layout: Layout, missing: Option<&str>) {
        let iptables = layout == Layout::Iptables;
        self.iptables_mode.store(iptables, Ordering::Relaxed);
        self.fallback.reset();
        if let Some(missing) = missing {
            self.fallback.with_label_values(&[missing]).set(1);
        }
    }

    /// The mode in force, in kube-proxy's words.
    #[must_use]
    pub fn mode(&self) -> &'static str {
        match self.iptables_mode.load(Ordering::Relaxed) {
            true => Layout::Iptables.proxy_mode(),
            false => Layout::Current.proxy_mode(),
        }
    }

    /// `/healthz` was answered.
    pub fn healthz(&self, status: u16) {
        self.healthz.with_label_values(&[&status.to_string()]).inc();
    }

    /// `/livez` was answered.
    pub fn livez(&self, status: u16) {
        self.livez.with_label_values(&[&status.to_string()]).inc();
    }

    /// So many operations were to be done. `kind` is one of a handful of names, such as `ipvs`.
    pub fn operations(&self, kind: &str, result: OperationResult, count: usize) {
        let result = match result {
            OperationResult::Done => "done",
            OperationResult::Failed => "failed",
        };
        self.operations
            .with_label_values(&[kind, result])
            .inc_by(u64::try_from(count).unwrap_or(u64::MAX));
    }

    /// Where the watch is to count.
    #[must_use]
    pub const fn watch(&self) -> &Arc<Counters> {
        &self.watch
    }

    /// What the kernel is to hold.
    pub fn holdings(&self, holdings: Holdings) {
        self.virtual_servers.set(count(holdings.virtual_servers));
        self.destinations.set(count(holdings.destinations));
        self.draining.set(count(holdings.draining_servers));
        self.draining_destinations
            .set(count(holdings.draining_destinations));
        self.conflicts.set(count(holdings.conflicts));
        self.pending_failures.set(count(holdings.pending_failures));
    }

    /// What counts requests to the API server.
    #[must_use]
    pub const fn requests(&self) -> &RequestMetrics {
        &self.requests
    }

    /// Entries of connection tracking were looked for, and so many deleted.
    pub fn flows_deleted(&self, ipv6: bool, count: usize, took: Duration) {
        self.flows_deleted
            .with_label_values(&[family(ipv6)])
            .inc_by(u64::try_from(count).unwrap_or(u64::MAX));
        self.flows_duration
            .with_label_values(&[family(ipv6)])
            .observe(took.as_secs_f64());
    }

    /// How many virtual servers each of these Services goes without, and no others.
    pub fn conflicting<'a>(&self, services: impl IntoIterator<Item = (&'a str, &'a str, usize)>) {
        self.conflicting.reset();
        for (namespace, service, claims) in services {
            self.conflicting
                .with_label_values(&[namespace, service])
                .set(count(claims));
        }
    }

    /// The objects that the kernel refuses, and no others.
    pub fn unhealthy<'a>(&self, objects: impl IntoIterator<Item = &'a str>) {
        self.unhealthy.reset();
        for object in objects {
            self.unhealthy.with_label_values(&[object]).set(1);
        }
    }

    /// All of them, in Prometheus' text format.
    #[must_use]
    pub fn text(&self) -> String {
        self.process.look();
        self.refused.set(count(self.watch.refused_objects()));
        let away_since = self.watch.away_since();
        self.api_away_since.set(away_since.map_or(0.0, epoch));
        let failures = self.watch.failures();
        let new = failures.saturating_sub(self.api_failures.get());
        self.api_failures.inc_by(new);
        let mut text = Vec::new();
        if let Err(error) = TextEncoder::new().encode(&self.registry.gather(), &mut text) {
            tracing::error!(%error, "metrics cannot be written");
        }
        String::from_utf8_lossy(&text).into_owned()
    }
}

#[cfg(test)]
mod tests;
