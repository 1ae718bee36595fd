//! Whether the proxy keeps up: what `/healthz` and `/livez` answer, and by which rules.
//!
//! The rules are kube-proxy's (`pkg/proxy/healthcheck/proxy_health.go` in kubernetes/kubernetes): unhealthy once a
//! change has waited for longer than the timeout without a sync, and `/healthz` also while the Node is about to be
//! deleted. One rule is ours: syncs that keep failing as a whole count as a change that waits. What the kernel refuses
//! for a single object does not count: that is for metrics and the log.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use axum::body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use serde::Serialize;

/// The time of day, which tests set.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> SystemTime;
}

/// This machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }
}

/// The state that the loop updates and the servers read. A clone shares it.
#[derive(Clone)]
pub struct HealthState {
    clock: Arc<dyn Clock>,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    timeout: Duration,
    /// Whether IPv6 is served.
    ipv6: bool,
    /// Whether an operation failed that has not succeeded since.
    pending: bool,
    last_updated: Option<SystemTime>,
    oldest_queued: Option<SystemTime>,
    /// Of the changes that no sync was made for, successful or not.
    oldest_waiting: Option<SystemTime>,
    failing_since: Option<SystemTime>,
    node_deleting: bool,
}

/// The health at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Health {
    /// Whether the proxy keeps up.
    pub healthy: bool,
    /// Whether it makes syncs, even if not all of them is done: starting it again would not help.
    pub alive: bool,
    /// Whether the Node is to stay.
    pub node_eligible: bool,
    /// Whether an operation failed that has not succeeded since.
    pub pending: bool,
    /// Whether IPv6 is served.
    pub ipv6: bool,
    /// When the kernel was last brought up to date; now, while healthy, as kube-proxy has it.
    pub last_updated: Option<SystemTime>,
    /// The moment.
    pub now: SystemTime,
}

impl HealthState {
    /// A healthy state. Changes may wait for twice `sync_period`, as with kube-proxy.
    #[must_use]
    pub fn new(sync_period: Duration) -> Self {
        Self::with_clock(sync_period, SystemClock)
    }

    /// The same, by another clock.
    #[must_use]
    pub fn with_clock(sync_period: Duration, clock: impl Clock + 'static) -> Self {
        Self {
            clock: Arc::new(clock),
            state: Arc::new(Mutex::new(State {
                timeout: timeout(sync_period),
                ipv6: true,
                ..State::default()
            })),
        }
    }

    /// Changes may wait for twice this period from here on.
    pub fn set_sync_period(&self, sync_period: Duration) {
        self.lock().timeout = timeout(sync_period);
    }

    /// Whether IPv6 is served, and so is shown.
    pub fn set_ipv6(&self, ipv6: bool) {
        self.lock().ipv6 = ipv6;
    }

    /// Whether operations failed that are still to be done. That is shown, and makes nothing unhealthy.
    pub fn pending(&self, pending: bool) {
        self.lock().pending = pending;
    }

    /// A change was seen that the kernel does not have yet.
    pub fn queued_update(&self) {
        let now = self.clock.now();
        let mut state = self.lock();
        state.oldest_queued.get_or_insert(now);
        state.oldest_waiting.get_or_insert(now);
    }

    /// A sync was made, though perhaps not all of it was done.
    pub fn attempted(&self) {
        self.lock().oldest_waiting = None;
    }

    /// The kernel has all that was seen.
    pub fn updated(&self) {
        let now = self.clock.now();
        let mut state = self.lock();
        state.last_updated = Some(now);
        state.oldest_queued = None;
        state.oldest_waiting = None;
    }

    /// Whether the Node is about to be deleted.
    pub fn node_deleting(&self, deleting: bool) {
        self.lock().node_deleting = deleting;
    }

    /// Whether syncs fail as a whole.
    pub fn failing(&self, failing: bool) {
        let now = self.clock.now();
        let mut state = self.lock();
        if failing {
            state.failing_since.get_or_insert(now);
        } else {
            state.failing_since = None;
        }
    }

    /// The health now.
    #[must_use]
    pub fn health(&self) -> Health {
        let now = self.clock.now();
        let state = self.lock();
        // A clock that was set back makes nothing late.
        let late = |since: Option<SystemTime>| {
            since
                .is_some_and(|since| now.duration_since(since).unwrap_or_default() >= state.timeout)
        };
        // Until the first sync the API is being listed, which may take as long as it takes.
        let starting = state.last_updated.is_none();
        let healthy = !late(state.failing_since) && (starting || !late(state.oldest_queued));
        Health {
            healthy,
            alive: starting || !late(state.oldest_waiting),
            node_eligible: !state.node_deleting,
            pending: state.pending,
            ipv6: state.ipv6,
            last_updated: state.last_updated,
            now,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing here can leave the state half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn timeout(sync_period: Duration) -> Duration {
    sync_period.saturating_mul(2)
}

/// Shows pending failures to people; load balancers do not read it.
const PENDING: HeaderName = HeaderName::from_static("x-kube-proxier-pending-failures");

/// A body of `/healthz` and `/livez`, fields and names as kube-proxy v1.36 has them.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    last_updated: String,
    current_time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    node_eligible: Option<bool>,
    healthy: bool,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    status: BTreeMap<&'static str, FamilyStatus>,
}

/// The status of one family. Both are synced together here.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FamilyStatus {
    last_updated: String,
    healthy: bool,
}

/// What `/healthz` answers.
pub(super) fn healthz(health: Health) -> Response {
    let good = health.healthy && health.node_eligible;
    answer(&health, good, health.healthy, Some(health.node_eligible))
}

/// What `/livez` answers: the same, whatever becomes of the Node. What the kernel refuses does not count either:
/// it would refuse it to the next process too.
pub(super) fn livez(health: Health) -> Response {
    answer(&health, health.alive, health.alive, None)
}

fn answer(health: &Health, good: bool, healthy: bool, node_eligible: Option<bool>) -> Response {
    let now = go_time(health.now);
    let mut status = BTreeMap::new();
    if let Some(updated) = health.last_updated {
        let families = [("IPv4", true), ("IPv6", health.ipv6)];
        for (family, _) in families.into_iter().filter(|(_, served)| *served) {
            let last_updated = go_time(updated);
            status.insert(
                family,
                FamilyStatus {
                    last_updated,
                    healthy,
                },
            );
        }
    }
    let body = Body {
        last_updated: match health.last_updated {
            // kube-proxy calls a good answer's last update "now".
            _ if good => now.clone(),
            Some(last) => go_time(last),
            // Go's zero time.
            None => "0001-01-01T00:00:00Z".to_owned(),
        },
        current_time: now,
        node_eligible,
        healthy,
        status,
    };
    let mut response = json(good, serde_json::to_string(&body).unwrap_or_default());
    if health.pending {
        let headers = response.headers_mut();
        headers.insert(PENDING, HeaderValue::from_static("true"));
    }
    response
}

/// A time as Go writes it in JSON: RFC 3339 without zeros at the end of the fraction.
fn go_time(time: SystemTime) -> String {
    let text = humantime::format_rfc3339_nanos(time).to_string();
    let text = text.trim_end_matches('Z').trim_end_matches('0');
    format!("{}Z", text.trim_end_matches('.'))
}

/// 200 or 503, with the headers of all health answers.
pub(super) fn json(good: bool, text: String) -> Response {
    let mut response = Response::new(body::Body::from(text));
    *response.status_mut() = if good {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    response
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A clock that stands until it is moved.
    #[derive(Clone)]
    pub(crate) struct TestClock(Arc<Mutex<SystemTime>>);

    impl TestClock {
        pub(crate) fn new() -> Self {
            Self(Arc::new(Mutex::new(
                SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000),
            )))
        }

        pub(crate) fn pass(&self, seconds: u64) {
            *self.0.lock().unwrap() += Duration::from_secs(seconds);
        }
    }

    impl Clock for TestClock {
        fn now(&self) -> SystemTime {
            *self.0.lock().unwrap()
        }
    }

    fn state() -> (HealthState, TestClock) {
        let clock = TestClock::new();
        let state = HealthState::with_clock(Duration::from_secs(30), clock.clone());
        (state, clock)
    }

    #[test]
    fn a_change_may_wait_for_two_periods_from_the_first_on() {
        let (state, clock) = state();
        state.updated();
        clock.pass(1000);
        assert!(state.health().healthy, "nothing waits");
        state.queued_update();
        clock.pass(30);
        state.queued_update();
        clock.pass(29);
        assert!(state.health().healthy);
        clock.pass(1);
        assert!(!state.health().healthy);
        state.updated();
        assert!(state.health().healthy);
    }

    #[test]
    fn before_the_first_sync_nothing_is_late() {
        let (state, clock) = state();
        state.queued_update();
        clock.pass(3600);
        assert!(state.health().healthy);
    }

    #[test]
    fn what_keeps_failing_is_unhealthy_after_the_same_time() {
        let (state, clock) = state();
        state.failing(true);
        state.updated();
        clock.pass(59);
        state.failing(true);
        assert!(state.health().healthy);
        clock.pass(1);
        assert!(!state.health().healthy);
        state.failing(false);
        assert!(state.health().healthy);
    }

    #[test]
    fn what_fails_for_an_object_is_shown_and_never_unhealthy() {
        let (state, clock) = state();
        state.updated();
        state.pending(true);
        clock.pass(3600);
        let health = state.health();
        assert!(health.healthy && health.alive && health.pending);
    }

    #[test]
    fn another_sync_period_counts_at_once() {
        let (state, clock) = state();
        state.updated();
        state.queued_update();
        clock.pass(60);
        assert!(!state.health().healthy);
        state.set_sync_period(Duration::from_secs(60));
        assert!(state.health().healthy);
        clock.pass(60);
        assert!(!state.health().healthy);
    }

    #[test]
    fn times_are_printed_as_go_prints_them() {
        assert_eq!(
            go_time(SystemTime::UNIX_EPOCH + Duration::from_millis(1500)),
            "1970-01-01T00:00:01.5Z"
        );
        assert_eq!(go_time(SystemTime::UNIX_EPOCH), "1970-01-01T00:00:00Z");
    }
}
