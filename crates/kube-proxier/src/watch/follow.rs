//! List, watch, and again whichever of the two is needed.

use std::collections::BTreeSet;
use std::future::pending;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::Sender;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::super::Event;
use super::availability::Availability;
use super::backoff::{Backoff, lengthened, part};
use super::error::WatchError;
use super::intake::Intake;
use super::scope::{NodeScope, Scope};
use super::streamed::Streaming;
use super::{ApiClient, Counters, Kind, Timing};

/// After so many answers in a row that no watch can be had from a version, the cluster is listed anew. A
/// server restored from a backup does not know the version, and may not report that it is gone.
const WATCHES_REFUSED: u32 = 5;

/// Nobody receives any more.
pub(super) struct Closed;

/// How a watch ended.
pub(super) struct End {
    /// `Ok` where the server ended it in good order.
    pub(super) why: Result<(), WatchError>,
    /// Whether an event came.
    pub(super) was_useful: bool,
}

/// Follows one kind of objects.
pub(super) struct Follower {
    pub(super) client: ApiClient,
    pub(super) kind: Kind,
    pub(super) timing: Timing,
    pub(super) counters: Arc<Counters>,
    pub(super) availability: Arc<Availability>,
    pub(super) intake: Intake,
    /// The version that was last listed or watched; `None` before the first list.
    pub(super) version: Option<String>,
    /// What happens from the version on cannot be watched before a list.
    pub(super) needs_list: bool,
    /// The last list of no older than the version was refused because of the version.
    pub(super) version_is_unavailable: bool,
    /// Lists have to come in pages: the server has no cache, or the list is too large for one answer.
    pub(super) in_pages: bool,
    /// Whether protobuf is asked for: until it is not understood.
    pub(super) accepts_protobuf: bool,
    /// Whether lists are asked for in gzip: until one cannot be unpacked.
    pub(super) accepts_gzip: bool,
    /// The server has not refused the selector that not all servers know, since the last list.
    pub(super) knows_selector: bool,
    /// Whether lists are asked for as streams.
    pub(super) streaming: Streaming,
    scope: NodeScope,
    /// The API server's addresses that were last sent.
    addresses: BTreeSet<SocketAddr>,
    events: Sender<Event>,
    backoff: Backoff,
    /// A pause was cut short because the server was ready, and nothing has gone well since.
    resumed_early: bool,
    /// Everything is listed because the version was gone, and no watch has gone well since.
    relisting: bool,
}

impl Follower {
    pub(super) fn new(
        client: ApiClient,
        kind: Kind,
        timing: Timing,
        counters: Arc<Counters>,
        availability: Arc<Availability>,
        scope: NodeScope,
        events: Sender<Event>,
    ) -> Self {
        Self {
            client,
            intake: Intake::new(kind.clone(), Arc::clone(&counters)),
            kind,
            backoff: Backoff::new(timing.pause.clone()),
            timing,
            counters,
            availability,
            scope,
            addresses: BTreeSet::new(),
            events,
            version: None,
            needs_list: true,
            version_is_unavailable: false,
            in_pages: false,
            accepts_protobuf: true,
            accepts_gzip: true,
            knows_selector: true,
            streaming: Streaming::default(),
            resumed_early: false,
            relisting: false,
        }
    }

    /// Goes on until nobody receives any more.
    pub(super) async fn run(mut self) {
        let events = self.events.clone();
        tokio::select! {
            () = events.closed() => {}
            _closed = self.follow() => {}
        }
    }

    async fn follow(&mut self) -> Closed {
        let mut refused = 0;
        if self.kind.scope().is_some() {
            self.scope.first().await;
        }
        loop {
            self.follow_scope();
            let mut opened = None;
            if self.needs_list {
                let listed = self.list().await;
                // First: an address of the API server's must not be bound, and one that is must be freed again.
                if self.send_addresses().await.is_err() {
                    return Closed;
                }
                match listed {
                    Ok((events, watch)) => {
                        opened = watch;
                        self.answered();
                        if self.send(events).await.is_err() {
                            return Closed;
                        }
                        if let Some(scope) = self.kind.scope() {
                            self.scope.listed(scope);
                        }
                        refused = 0;
                    }
                    Err(error) if self.kind.scope() == Some(Scope::All) && error.is_forbidden() => {
                        tracing::warn!(
                            "this node may not list all Nodes: {error}; an external IP that is another Node's address may be \
                             bound here"
                        );
                        self.scope.forbid();
                        continue;
                    }
                    Err(error) => {
                        self.after(Some(&error)).await;
                        continue;
                    }
                }
            }
            let started = Instant::now();
            let (scopes, scope) = (self.scope.clone(), self.kind.scope());
            let widened = async {
                match scope {
                    Some(scope) => scopes.widened(scope).await,
                    None => pending().await,
                }
            };
            let ended = tokio::select! {
                ended = self.watch(opened) => ended,
                () = widened => continue,
            };
            let Ok(End { why, was_useful }) = ended else {
                return Closed;
            };
            if self.send_addresses().await.is_err() {
                return Closed;
            }
            let is_refused = matches!(why, Err(WatchError::Refused { .. }));
            // A server that is slow to refuse has not watched.
            let lasted = !is_refused && started.elapsed() >= *self.timing.pause.end();
            if was_useful || lasted {
                self.backoff.reset();
                (self.resumed_early, self.relisting) = (false, false);
                refused = 0;
            }
            if is_refused {
                refused += 1;
            }
            if !why.as_ref().is_err_and(WatchError::is_expired) {
                self.relisting = false;
            }
            let gone = why.as_ref().is_err_and(WatchError::needs_list);
            if gone || refused >= WATCHES_REFUSED {
                self.needs_list = true;
            }
            // Even a watch that ends in good order is not started again at once, where it was short: it
            // may go on that way.
            if why.is_err() || !lasted {
                self.after(why.err().as_ref()).await;
            }
        }
    }

    /// Waits after a list or a watch that ended, as long as its end asks for.
    async fn after(&mut self, error: Option<&WatchError>) {
        if error.is_some_and(WatchError::is_expired) && !self.relisting {
            // Every API server does that to old watches when it was restarted. It is not a failure, and the answer is
            // to list, at once but for a moment that differs from node to node.
            self.relisting = true;
            tracing::debug!(kind = self.kind.name(), "the version is gone; listing");
            return sleep(part(*self.timing.pause.start())).await;
        }
        let asked = error.and_then(WatchError::retry_after).unwrap_or_default();
        let asked = lengthened(asked, 0.25);
        let pause = self.backoff.pause().max(asked);
        let kind = self.kind.name();
        let Some(error) = error else {
            tracing::debug!(kind, "a watch ended; the next one in {pause:?}");
            return sleep(pause).await;
        };
        self.counters.count_failure();
        if error.is_away() {
            self.availability.failed(kind, error);
            self.counters.set_away_since(self.availability.away_since());
        } else {
            let next = if self.needs_list { "list" } else { "watch" };
            let again = humantime::format_duration(Duration::from_millis(
                u64::try_from(pause.as_millis()).unwrap_or(u64::MAX),
            ));
            tracing::warn!(kind, "{error}; what is known stays, next {next} in {again}");
            if !error.may_be_away() {
                self.answered();
            }
        }
        if error.may_be_away() {
            let now = Instant::now();
            self.until_ready(now + asked, now + pause).await;
        } else {
            sleep(pause).await;
        }
    }

    /// Waits until then, or until a server that was away is ready again. Asking whether it is ready is cheap for it, so
    /// that is done often; lists are not, so they wait for it. Before `begin` it is left alone.
    async fn until_ready(&mut self, begin: Instant, end: Instant) {
        let mut was_unready = false;
        loop {
            let next = begin.max(Instant::now() + lengthened(self.timing.probe, 1.0));
            if next >= end {
                return sleep_until(end).await;
            }
            sleep_until(next).await;
            let ready = self.client.is_ready(self.timing.probe / 2).await;
            if !ready {
                was_unready = true;
            } else if was_unready || !self.resumed_early {
                if was_unready {
                    self.backoff.reset();
                }
                self.resumed_early = true;
                // The nodes of a cluster see it within a second of each other.
                return sleep(part(self.timing.probe)).await;
            } else {
                return sleep_until(end).await;
            }
        }
    }

    /// The server answered with what was asked for.
    pub(super) fn answered(&self) {
        self.availability.answered(self.kind.name());
        self.counters.set_away_since(self.availability.away_since());
    }

    /// Which Nodes are wanted may have changed; then these have to be listed.
    fn follow_scope(&mut self) {
        let wanted = self.scope.wanted();
        if self.kind.scope().is_some_and(|scope| scope != wanted) {
            self.kind = self.kind.clone().with_scope(wanted);
            self.intake.set_kind(self.kind.clone());
            self.needs_list = true;
        }
    }

    /// Sends the API server's addresses where they are others than before.
    async fn send_addresses(&mut self) -> Result<(), Closed> {
        let known = self.client.addresses();
        if known == self.addresses {
            return Ok(());
        }
        self.addresses.clone_from(&known);
        self.send(vec![Event::ApiServers(known)]).await
    }

    pub(super) async fn send(&self, events: Vec<Event>) -> Result<(), Closed> {
        if self.kind == Kind::Services {
            self.scope.before(&events).await;
        }
        for event in events {
            self.events.send(event).await.map_err(|_| Closed)?;
        }
        Ok(())
    }

    pub(super) async fn within<T>(
        &self,
        answer: impl Future<Output = Result<T, WatchError>>,
    ) -> Result<T, WatchError> {
        let limit = self.timing.answer;
        timeout(limit, answer)
            .await
            .unwrap_or(Err(WatchError::Timeout(limit)))
    }
}
