//! Events on Services that do not get what they claim, for those who look with `kubectl describe service`.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::time::{Duration, SystemTime};

use axum::http::Request;
use axum::http::header::CONTENT_TYPE;
use k8s_openapi::api::core::v1::Service;
use kube::Resource;
use kube::api::ListParams;
use proxier::Conflict;
use serde_json::{Value, json};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::{Instant, sleep, timeout};

use super::backoff::part;
use super::error::WatchError;
use super::kind::Kind;
use super::protocol::Page;
use super::{ApiClient, Limits};

/// How many conflicts may wait; those that are more are only logged.
const WAITING: usize = 256;
/// How many Events are sent without a pause, and how long one more takes to be allowed.
const BURST: u32 = 25;
const REFILL: Duration = Duration::from_secs(10);
/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(10);
/// How often an Event is tried while the API server is away, and the pause between.
const ATTEMPTS: u32 = 3;
const AGAIN: Duration = Duration::from_secs(10);
/// All nodes see a conflict at once. The first one to come creates the Event; the others come within this time.
const SPREAD: Duration = Duration::from_secs(3);
/// How much of a note is sent, in bytes; the API server lets it have 1024.
const NOTE: usize = 900;
const CONTROLLER: &str = "kube-proxier";
const REASON: &str = "AddressConflict";

/// Hands conflicts over to [`record`], without ever waiting for it.
#[derive(Clone, Debug)]
pub struct Recorder(Sender<Conflict>);

impl Recorder {
    /// A recorder, and what [`record`] takes the conflicts from.
    #[must_use]
    pub fn new() -> (Self, Receiver<Conflict>) {
        let (sender, receiver) = channel(WAITING);
        (Self(sender), receiver)
    }

    /// A Service does not get what it claims. Where too many wait already, or nobody takes them, no Event is made.
    pub fn conflict(&self, conflict: Conflict) {
        if self.0.try_send(conflict).is_err() {
            tracing::debug!("too many conflicts at once: no Event is made for one");
        }
    }
}

/// Creates an Event for each conflict, on the Service that goes without. Ends when the last recorder is dropped.
///
/// The name of an Event is made of the conflict, so the nodes of a cluster make one Event together: the others are told
/// that it exists. API servers forget Events after an hour.
pub async fn record(client: ApiClient, node_name: &str, mut conflicts: Receiver<Conflict>) {
    let mut budget = Budget::new(Instant::now());
    while let Some(conflict) = conflicts.recv().await {
        sleep(part(SPREAD)).await;
        sleep(budget.take(Instant::now())).await;
        if let Err(error) = create(&client, node_name, &conflict).await {
            if error.is_forbidden() {
                tracing::warn!(
                    "no Event can be made of a conflict: {error}; allow this user to create events in the API group \
                     events.k8s.io (deploy/base/rbac.yaml). Conflicts are logged only"
                );
                conflicts.close();
                return;
            }
            tracing::warn!(service = %conflict.service, "no Event could be made of a conflict: {error}");
        }
    }
}

async fn create(
    client: &ApiClient,
    node_name: &str,
    conflict: &Conflict,
) -> Result<(), WatchError> {
    let mut attempt = 1;
    loop {
        match try_to_create(client, node_name, conflict).await {
            Err(error) if error.is_away() && attempt < ATTEMPTS => attempt += 1,
            done => return done,
        }
        sleep(AGAIN).await;
    }
}

async fn try_to_create(
    client: &ApiClient,
    node_name: &str,
    conflict: &Conflict,
) -> Result<(), WatchError> {
    let (namespace, name) = (conflict.service.namespace(), conflict.service.name());
    // Both become parts of a path.
    if !is_label(namespace) || !is_label(name) {
        return Ok(());
    }
    // `kubectl describe` shows the Events of this uid only.
    let Some(uid) = uid(client, namespace, name).await? else {
        return Ok(());
    };
    let event = event(conflict, &uid, node_name, SystemTime::now());
    let path = format!("/apis/events.k8s.io/v1/namespaces/{namespace}/events");
    let request = Request::post(path)
        .header(CONTENT_TYPE, "application/json")
        .body(event.to_string().into_bytes())
        .map_err(|error| {
            kube::Error::BuildRequest(kube::core::request::Error::BuildRequest(error))
        })?;
    match body(client, request).await {
        Ok(_) => Ok(()),
        Err(error) if error.is_conflict() => Ok(()),
        Err(error) => Err(error),
    }
}

/// The uid of a Service, if there still is one of this name. It takes no right but to list Services.
async fn uid(
    client: &ApiClient,
    namespace: &str,
    name: &str,
) -> Result<Option<String>, WatchError> {
    let params = ListParams {
        field_selector: Some(format!("metadata.name={name}")),
        // All nodes ask at once: the server's cache will do.
        resource_version: Some("0".into()),
        ..ListParams::default()
    };
    let request = kube::core::Request::new(Service::url_path(&(), Some(namespace)))
        .list(&params)
        .map_err(kube::Error::BuildRequest)?;
    let text = body(client, request).await?;
    let page = Page::parse(&text, &Kind::Services)?;
    let uid = page.items.first().and_then(|item| {
        let item: Value = serde_json::from_str(item.get()).ok()?;
        Some(item.pointer("/metadata/uid")?.as_str()?.to_owned())
    });
    Ok(uid)
}

async fn body(client: &ApiClient, request: Request<Vec<u8>>) -> Result<Vec<u8>, WatchError> {
    let answer = client.body(request, Limits::default().line_bytes);
    timeout(ANSWER, answer)
        .await
        .unwrap_or(Err(WatchError::Timeout(ANSWER)))
}

/// An `Event` of `events.k8s.io/v1`.
fn event(conflict: &Conflict, uid: &str, node_name: &str, now: SystemTime) -> Value {
    let (namespace, name) = (conflict.service.namespace(), conflict.service.name());
    let mut hasher = DefaultHasher::new();
    (uid, conflict).hash(&mut hasher);
    json!({
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {
            "name": format!("{name}.{:016x}", hasher.finish()),
            "namespace": namespace,
        },
        "eventTime": humantime::format_rfc3339_micros(now).to_string(),
        "type": "Warning",
        "reason": REASON,
        "action": "Proxy",
        "note": proxier_manifest::printable_within(&conflict.to_string(), NOTE, &[]),
        "regarding": {
            "apiVersion": "v1",
            "kind": "Service",
            "namespace": namespace,
            "name": name,
            "uid": uid,
        },
        "reportingController": CONTROLLER,
        "reportingInstance": format!("{CONTROLLER}-{node_name}"),
    })
}

/// As names of namespaces and Services are (RFC 1123).
fn is_label(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !text.is_empty() && text.len() <= 63 && text.bytes().all(plain)
}

/// How many Events may be made now: a bucket of tokens.
#[derive(Debug)]
struct Budget {
    tokens: u32,
    since: Instant,
}

impl Budget {
    const fn new(now: Instant) -> Self {
        Self {
            tokens: BURST,
            since: now,
        }
    }

    /// Takes a token: how long to wait for it.
    fn take(&mut self, now: Instant) -> Duration {
        while self.tokens < BURST && now.saturating_duration_since(self.since) >= REFILL {
            self.tokens += 1;
            self.since += REFILL;
        }
        if self.tokens == BURST {
            self.since = now;
        }
        if let Some(left) = self.tokens.checked_sub(1) {
            self.tokens = left;
            return Duration::ZERO;
        }
        self.since += REFILL;
        self.since.saturating_duration_since(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_sent_and_then_one_at_a_time() {
        let start = Instant::now();
        let mut budget = Budget::new(start);
        for _ in 0..BURST {
            assert_eq!(budget.take(start), Duration::ZERO);
        }
        assert_eq!(budget.take(start), REFILL);
        assert_eq!(budget.take(start + REFILL), REFILL);
        assert_eq!(budget.take(start + 4 * REFILL), Duration::ZERO);
        // Never more than a burst at once, however long nothing was sent.
        let later = start + 1000 * REFILL;
        let free = (0..100).take_while(|_| budget.take(later).is_zero());
        assert_eq!(free.count(), BURST as usize);
    }

    #[test]
    fn names_that_are_none_go_into_no_path() {
        for good in ["a", "web-1", "0"] {
            assert!(is_label(good), "{good}");
        }
        for bad in ["", "A", "a/b", "..", "a?b", "a%2f", &"a".repeat(64)] {
            assert!(!is_label(bad), "{bad}");
        }
    }
}
