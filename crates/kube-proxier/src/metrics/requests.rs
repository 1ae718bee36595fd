//! Requests to the API server, by the names that client-go's have.

use std::time::Duration;

use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry};

use super::make::registered;

/// Counts requests to the API server, and how long their answers took. A clone counts the same.
#[derive(Clone)]
pub struct RequestMetrics {
    total: IntCounterVec,
    duration: HistogramVec,
}

impl RequestMetrics {
    pub(super) fn register(registry: &Registry) -> prometheus::Result<Self> {
        let buckets = vec![
            0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0,
        ];
        let duration = HistogramOpts::new(
            "rest_client_request_duration_seconds",
            "From a request to the API server to the head of its answer, in seconds",
        );
        Ok(Self {
            total: registered(
                registry,
                IntCounterVec::new(
                    Opts::new(
                        "rest_client_requests_total",
                        "Requests to the API server, by status; <error> where there was no answer",
                    ),
                    &["code", "host", "method"],
                )?,
            )?,
            duration: registered(
                registry,
                HistogramVec::new(duration.buckets(buckets), &["host", "verb"])?,
            )?,
        })
    }

    /// A request was answered with this status, or not at all.
    pub(crate) fn record(&self, host: &str, method: &str, status: Option<u16>, took: Duration) {
        let code = status.map_or_else(|| "<error>".to_owned(), |status| status.to_string());
        self.total.with_label_values(&[&*code, host, method]).inc();
        let took = took.as_secs_f64();
        self.duration
            .with_label_values(&[host, method])
            .observe(took);
    }
}
