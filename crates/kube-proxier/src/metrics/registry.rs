//! The metrics as they are registered: names, help, labels and buckets.

use std::sync::Arc;

use prometheus::{GaugeVec, IntGaugeVec, Opts, Registry};

use super::make::{
    counter, counters, gauge, histogram, programming_buckets, real_gauge, registered,
};
use super::{Changes, FAMILIES, FAMILY, Metrics, RequestMetrics, process};

impl Metrics {
    /// Metrics in a registry of their own, all at nothing.
    ///
    /// # Errors
    /// [`prometheus::Error`] if two of them had the same name.
    pub fn new() -> prometheus::Result<Self> {
        let registry = Registry::new();
        let r = &registry;
        let seconds = prometheus::exponential_buckets(0.001, 2.0, 15)?;
        let buckets = seconds.clone();
        let sync = |name: &str, help: &str| histogram(r, name, help, buckets.clone());
        let changes = |what: &str| -> prometheus::Result<Changes> {
            Ok(Changes {
                pending: gauge(
                    r,
                    &format!("kubeproxy_sync_proxy_rules_{what}_changes_pending"),
                    &format!("{what} changes that the kernel does not have yet"),
                )?,
                total: counter(
                    r,
                    &format!("kubeproxy_sync_proxy_rules_{what}_changes_total"),
                    &format!("{what} changes seen"),
                )?,
            })
        };
        let time = |name: &str, help: &str| {
            registered(r, GaugeVec::new(Opts::new(name, help), &[FAMILY])?)
        };
        let by_table = |name: &str, help: &str| {
            registered(
                r,
                IntGaugeVec::new(Opts::new(name, help), &["table", FAMILY])?,
            )
        };
        let metrics = Self {
            sync: sync(
                "kubeproxy_sync_proxy_rules_duration_seconds",
                "How long syncs took, in seconds",
            )?,
            sync_full: sync(
                "kubeproxy_sync_full_proxy_rules_duration_seconds",
                "How long syncs took that compared everything with the kernel, in seconds",
            )?,
            sync_partial: sync(
                "kubeproxy_sync_partial_proxy_rules_duration_seconds",
                "How long syncs took that were of changes only, in seconds",
            )?,
            last_sync: time(
                "kubeproxy_sync_proxy_rules_last_timestamp_seconds",
                "When the last sync succeeded, in seconds since 1970",
            )?,
            last_queued: time(
                "kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds",
                "When a sync was last asked for, in seconds since 1970",
            )?,
            programming: histogram(
                r,
                "kubeproxy_network_programming_duration_seconds",
                "From the cause of a change to endpoints until the kernel had it, in seconds",
                programming_buckets(),
            )?,
            endpoint_changes: changes("endpoint")?,
            service_changes: changes("service")?,
            restore_failures: counters(
                r,
                "kubeproxy_sync_proxy_rules_iptables_restore_failures_total",
                "Runs of iptables-restore that failed",
                &[FAMILY],
            )?,
            partial_restore_failures: counters(
                r,
                "kubeproxy_sync_proxy_rules_iptables_partial_restore_failures_total",
                "Runs of iptables-restore with changes only that failed",
                &[FAMILY],
            )?,
            rules_total: by_table(
                "kubeproxy_sync_proxy_rules_iptables_total",
                "Rules of the proxy in the kernel, by table",
            )?,
            rules_last: by_table(
                "kubeproxy_sync_proxy_rules_iptables_last",
                "Rules that the last sync wrote, by table",
            )?,
            no_local_endpoints: registered(
                r,
                IntGaugeVec::new(
                    Opts::new(
                        "kubeproxy_sync_proxy_rules_no_local_endpoints_total",
                        "Services whose policy is Local and that have no endpoint on this node",
                    ),
                    &["traffic_policy", FAMILY],
                )?,
            )?,
            healthz: counters(
                r,
                "kubeproxy_proxy_healthz_total",
                "Answers to /healthz, by status",
                &["code"],
            )?,
            livez: counters(
                r,
                "kubeproxy_proxy_livez_total",
                "Answers to /livez, by status",
                &["code"],
            )?,
            operations: counters(
                r,
                "kube_proxier_operations_total",
                "Operations on the kernel, by kind and result (done, failed)",
                &["kind", "result"],
            )?,
            virtual_servers: gauge(r, "kube_proxier_virtual_servers", "Virtual servers wanted")?,
            destinations: gauge(r, "kube_proxier_destinations", "Destinations wanted")?,
            draining: gauge(
                r,
                "kube_proxier_draining_virtual_servers",
                "Virtual servers with destinations that are kept for the connections that they have",
            )?,
            draining_destinations: gauge(
                r,
                "kube_proxier_draining_destinations",
                "Destinations that are kept for the connections that they have, and get no new ones",
            )?,
            refused: gauge(
                r,
                "kube_proxier_refused_objects",
                "Objects of the API there are whose last version cannot be used",
            )?,
            conflicts: gauge(
                r,
                "kube_proxier_conflicts",
                "Virtual servers that more than one Service claims",
            )?,
            pending_failures: gauge(
                r,
                "kube_proxier_pending_failures",
                "Operations that failed and are still to be done",
            )?,
            unhealthy: registered(
                r,
                IntGaugeVec::new(
                    Opts::new(
                        "kube_proxier_unhealthy_objects",
                        "1 for each of the first 100 objects that the kernel refuses",
                    ),
                    &["object"],
                )?,
            )?,
            api_away_since: real_gauge(
                r,
                "kube_proxier_api_away_since_timestamp_seconds",
                "When the API server was found to be away, in seconds since 1970; 0 while it answers",
            )?,
            api_failures: counter(
                r,
                "kube_proxier_api_failures_total",
                "Lists and watches that failed",
            )?,
            requests: RequestMetrics::register(r)?,
            flows_deleted: counters(
                r,
                "kubeproxy_conntrack_reconciler_deleted_entries_total",
                "Entries of the connection-tracking table that were deleted",
                &[FAMILY],
            )?,
            flows_duration: histogram(
                r,
                "kubeproxy_conntrack_reconciler_sync_duration_seconds",
                "How long it took to look for entries of the connection-tracking table to delete, in seconds",
                seconds,
            )?,
            conflicting: registered(
                r,
                IntGaugeVec::new(
                    Opts::new(
                        "kube_proxier_conflicting_claims",
                        "Virtual servers that a Service goes without because another has them, by Service; of the first \
                         100 Services",
                    ),
                    &["namespace", "service"],
                )?,
            )?,
            fallback: registered(
                r,
                IntGaugeVec::new(
                    Opts::new(
                        "kube_proxier_fallback",
                        "1 while iptables mode stands in for ipvs mode, which was asked for and lacks this",
                    ),
                    &["missing"],
                )?,
            )?,
            iptables_mode: Arc::default(),
            process: process::Process::register(r)?,
            watch: Arc::default(),
            registry,
        };
        for family in FAMILIES {
            metrics.restore_failures.with_label_values(&[family]);
            metrics
                .partial_restore_failures
                .with_label_values(&[family]);
        }
        Ok(metrics)
    }
}
