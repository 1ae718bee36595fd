//! Of which Nodes the addresses are wanted.
//!
//! An external IP or load balancer address that is another Node's must not be bound, so the daemon has to know the addresses
//! of all Nodes, but only while a Service has such addresses. Where none does, which is so in many clusters, watching this
//! node's own Node alone spares the API server the updates that each kubelet makes to its Node, sent to every other node.

use std::sync::Arc;
use std::time::Duration;

use proxier::cluster::{Change, Service};
use tokio::sync::watch::{Receiver, Sender, channel};
use tokio::time::timeout;

use super::super::Event;

/// How long a change of Services waits for the addresses of all Nodes.
const PATIENCE: Duration = Duration::from_secs(30);

/// Which Nodes are to be watched, and which are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct State {
    /// `None` until the Services were listed: then the first list of Nodes is the right one.
    wanted: Option<Scope>,
    /// What was last listed, if anything.
    listed: Option<Scope>,
    /// All of them cannot be had.
    forbidden: bool,
    /// Whether addresses of other Nodes matter at all.
    matters: bool,
    /// Whether a Service was sent that has addresses which may be a Node's.
    binds: bool,
}

impl State {
    /// Services may bind addresses of Nodes that are not known.
    fn is_unsafe(&self) -> bool {
        self.matters && self.binds && self.listed == Some(Scope::Own) && !self.forbidden
    }
}

/// Which Nodes are watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Scope {
    /// This node's.
    Own,
    /// All of them.
    All,
}

/// What the followers of Services and of Nodes agree on. A clone is the same.
#[derive(Clone, Debug)]
pub struct NodeScope {
    state: Arc<Sender<State>>,
}

impl NodeScope {
    /// `matters`: whether addresses of other Nodes matter at all.
    #[must_use]
    pub fn new(matters: bool) -> Self {
        let state = State {
            wanted: None,
            listed: None,
            forbidden: false,
            matters,
            binds: false,
        };
        Self {
            state: Arc::new(channel(state).0),
        }
    }

    /// From now on addresses of other Nodes matter. Returns once they are known, if a Service has addresses that may be one
    /// of theirs.
    pub async fn widen(&self) {
        self.state.send_if_modified(|state| {
            state.matters = true;
            let wanted = state.wanted.map(|wanted| match state.binds {
                true => Scope::All,
                false => wanted,
            });
            std::mem::replace(&mut state.wanted, wanted) != wanted
        });
        self.until_safe().await;
    }

    /// Services are about to be sent. Those that may bind the address of a Node wait until all Nodes were listed.
    pub(super) async fn before(&self, events: &[Event]) {
        let binds = events.iter().any(binds);
        self.state.send_if_modified(|state| {
            state.binds |= binds;
            let now = if binds && state.matters {
                Scope::All
            } else {
                Scope::Own
            };
            let wanted = Some(now).max(state.wanted);
            std::mem::replace(&mut state.wanted, wanted) != wanted
        });
        if binds {
            self.until_safe().await;
        }
    }

    async fn until_safe(&self) {
        let mut state = self.state.subscribe();
        // Before the first list of Nodes nothing is programmed.
        let listed = state.wait_for(|state| !state.is_unsafe());
        if timeout(PATIENCE, listed).await.is_err() {
            tracing::warn!(
                "the addresses of other Nodes could not be listed for {PATIENCE:?}: an external IP that is a Node's may be \
                 bound here until they are"
            );
        }
    }

    /// Waits until it is known which Nodes to list.
    pub(super) async fn first(&self) -> Scope {
        let mut state = self.state.subscribe();
        // The sender is in `self`, so it is never closed.
        let _ = state.wait_for(|state| state.wanted.is_some()).await;
        self.wanted()
    }

    /// Which Nodes to list.
    pub(super) fn wanted(&self) -> Scope {
        let state = *self.state.borrow();
        match state.wanted {
            Some(Scope::All) if !state.forbidden => Scope::All,
            _ => Scope::Own,
        }
    }

    /// Waits until more than `now` is to be listed.
    pub(super) async fn widened(&self, now: Scope) {
        let mut state: Receiver<State> = self.state.subscribe();
        let wider =
            |state: &State| !state.forbidden && state.wanted.is_some_and(|wanted| wanted > now);
        let _ = state.wait_for(wider).await;
    }

    /// The Nodes were listed, and sent.
    pub(super) fn listed(&self, scope: Scope) {
        self.state
            .send_if_modified(|state| state.listed.replace(scope) != Some(scope));
    }

    /// The API server does not let this node list all Nodes.
    pub(super) fn forbid(&self) {
        self.state.send_modify(|state| state.forbidden = true);
    }
}

/// Whether a Service of these has an address that may be a Node's.
fn binds(event: &Event) -> bool {
    let has = |service: &Service| {
        !service.external_ips.is_empty() || !service.load_balancer_ips.is_empty()
    };
    match event {
        Event::Cluster { change, .. } => match change {
            Change::Service(service) => has(service),
            Change::Services(services) => services.iter().any(has),
            _ => false,
        },
        _ => false,
    }
}
