//! Whether the proxy keeps up: what `/healthz` and `/livez` answer, and by which rules.
//!
//! The rules are kube-proxy's (`pkg/proxy/healthcheck/proxy_health.go` in kubernetes/kubernetes): unhealthy once a
//! change has waited for longer than the timeout without a sync, and `/healthz` also while the Node is about to be
//! deleted. One rule is ours: an operation that keeps failing counts as a change that waits.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;

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

/// What the loop tells and the servers ask. A clone is the same state.
#[derive(Clone)]
pub struct HealthState {
    clock: Arc<dyn Clock>,
    timeout: Duration,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
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
    pub failing: bool,
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
            timeout: sync_period.saturating_mul(2),
            state: Arc::default(),
        }
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

    /// Whether operations failed that are still to be done.
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
            since.is_some_and(|since| now.duration_since(since).unwrap_or_default() >= self.timeout)
        };
        // Until the first sync the API is being listed, which may take as long as it takes.
        let starting = state.last_updated.is_none();
        let healthy = !late(state.failing_since) && (starting || !late(state.oldest_queued));
        Health {
            healthy,
            alive: starting || !late(state.oldest_waiting),
            node_eligible: !state.node_deleting,
            failing: state.failing_since.is_some(),
            last_updated: state.last_updated,
            now,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing here can leave the state half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Says of pending failures what a load balancer does not read.
const PENDING: HeaderName = HeaderName::from_static("x-kube-proxier-pending-failures");

/// What `/healthz` answers.
pub(super) fn healthz(health: Health) -> Response {
    let good = health.healthy && health.node_eligible;
    let [last, now] = times(&health, good);
    let eligible = health.node_eligible;
    let body = format!(
        "{{\"lastUpdated\": {last:?},\"currentTime\": {now:?}, \"nodeEligible\": {eligible}}}"
    );
    answer(good, health.failing, body)
}

/// What `/livez` answers: the same, whatever becomes of the Node. What the kernel refuses does not count either:
/// it would refuse it to the next process too.
pub(super) fn livez(health: Health) -> Response {
    let [last, now] = times(&health, health.alive);
    let body = format!("{{\"lastUpdated\": {last:?},\"currentTime\": {now:?}}}");
    answer(health.alive, health.failing, body)
}

/// The last update and now. kube-proxy calls a good answer's last update "now".
fn times(health: &Health, good: bool) -> [String; 2] {
    let now = go_time(health.now);
    let last = match health.last_updated {
        _ if good => now.clone(),
        Some(last) => go_time(last),
        // Go's zero time.
        None => "0001-01-01 00:00:00 +0000 UTC".to_owned(),
    };
    [last, now]
}

/// A time as Go prints it: RFC 3339 in words of its own, without zeros at the end of the fraction.
fn go_time(time: SystemTime) -> String {
    let text = humantime::format_rfc3339_nanos(time).to_string();
    let text = text.replace('T', " ");
    let text = text.trim_end_matches('Z').trim_end_matches('0');
    format!("{} +0000 UTC", text.trim_end_matches('.'))
}

fn answer(good: bool, failing: bool, body: String) -> Response {
    let mut response = json(good, body);
    if failing {
        let headers = response.headers_mut();
        headers.insert(PENDING, HeaderValue::from_static("true"));
    }
    response
}

/// 200 or 503, with the headers of all health answers.
pub(super) fn json(good: bool, body: String) -> Response {
    let mut response = Response::new(Body::from(body));
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
        let health = state.health();
        assert!(health.healthy && health.failing);
        clock.pass(1);
        assert!(!state.health().healthy);
        state.failing(false);
        let health = state.health();
        assert!(health.healthy && !health.failing);
    }

    #[test]
    fn times_are_printed_as_go_prints_them() {
        assert_eq!(
            go_time(SystemTime::UNIX_EPOCH + Duration::from_millis(1500)),
            "1970-01-01 00:00:01.5 +0000 UTC"
        );
        assert_eq!(
            go_time(SystemTime::UNIX_EPOCH),
            "1970-01-01 00:00:00 +0000 UTC"
        );
    }
}
