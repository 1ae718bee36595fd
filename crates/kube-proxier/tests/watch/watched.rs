//! A watch that is running, and what came of it.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use kube_proxier::Event;
use kube_proxier::watch::{self, ApiSource, Counters, Interest, NodeScope, Timing, Transport};
use proxier::cluster::{Change, Cluster};
use tempfile::TempDir;
use tokio::sync::oneshot;

use crate::api_server::ApiServer;
use crate::objects::NODE;

pub(crate) const MILLIS: Duration = Duration::from_millis(1);

/// As the real one, with pauses that a test has time for.
pub(crate) fn timing() -> Timing {
    Timing {
        pause: 20 * MILLIS..=200 * MILLIS,
        ..Timing::default()
    }
}

pub(crate) struct Watched {
    received: Receiver<Event>,
    pub(crate) counters: Arc<Counters>,
    /// What the events come to.
    pub(crate) cluster: Cluster,
    pub(crate) events: Vec<Event>,
    /// Where the server is.
    pub(crate) api_servers: BTreeSet<SocketAddr>,
    thread: JoinHandle<()>,
    /// Where its kubeconfig is.
    folder: Option<TempDir>,
    /// The watch ends when this is dropped.
    _end: oneshot::Sender<()>,
}

/// Where a server is, and the folder of the kubeconfig that it takes to believe it, if it takes one.
pub(crate) fn source(server: &ApiServer) -> (ApiSource, Option<TempDir>) {
    let Some(authority) = server.authority() else {
        let source = ApiSource {
            kubeconfig: None,
            master: Some(server.url()),
        };
        return (source, None);
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kubeconfig");
    fs::write(&path, server.kubeconfig_of(Some(authority), "")).unwrap();
    let source = ApiSource {
        kubeconfig: Some(path),
        master: None,
    };
    (source, Some(folder))
}

/// Whether there is still someone who takes it. Waits for room without holding up the runtime.
async fn hand_over(forward: &SyncSender<Event>, mut event: Event) -> bool {
    loop {
        match forward.try_send(event) {
            Ok(()) => return true,
            Err(TrySendError::Disconnected(_)) => return false,
            Err(TrySendError::Full(again)) => event = again,
        }
        tokio::time::sleep(MILLIS).await;
    }
}

impl Watched {
    pub(crate) fn start(server: &ApiServer, timing: Timing) -> Self {
        // Room enough for all that a test does not take at once.
        Self::start_slow(server, timing, 1_000_000)
    }

    /// The same, where so many events wait between the watch and the test before the watch does.
    pub(crate) fn start_slow(server: &ApiServer, timing: Timing, room: usize) -> Self {
        let (source, folder) = source(server);
        let mut watched = Self::start_from(source, timing, room);
        watched.folder = folder;
        watched
    }

    /// The same, told otherwise where the server is.
    pub(crate) fn start_from(source: ApiSource, timing: Timing, room: usize) -> Self {
        Self::start_over(source, timing, room, Transport::default())
    }

    /// The same, over connections that are used like this.
    pub(crate) fn start_over(
        source: ApiSource,
        timing: Timing,
        room: usize,
        transport: Transport,
    ) -> Self {
        let (forward, received) = sync_channel(room);
        let counters = Arc::<Counters>::default();
        let counts = Arc::clone(&counters);
        let (end, ended) = oneshot::channel::<()>();
        // A runtime of its own, so that a test may wait without holding it up.
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime.unwrap().block_on(async {
                let client = watch::client_over(&source, transport).await.unwrap();
                let (sender, mut events) = tokio::sync::mpsc::channel(room.min(16));
                let forward = async move {
                    while let Some(event) = events.recv().await {
                        if !hand_over(&forward, event).await {
                            break;
                        }
                    }
                };
                let interest = Interest {
                    node_name: NODE,
                    node_addresses: &NodeScope::new(true),
                };
                let run = async {
                    tokio::join!(
                        watch::run(client, interest, timing, counts, sender),
                        forward
                    )
                };
                tokio::select! {
                    _ = run => {}
                    _ = ended => {}
                }
            });
        });
        Self {
            received,
            counters,
            cluster: Cluster::default(),
            events: Vec::new(),
            api_servers: BTreeSet::new(),
            thread,
            folder: None,
            _end: end,
        }
    }

    /// Starts one, and waits until everything is listed and watched.
    pub(crate) fn settled(server: &ApiServer, timing: Timing) -> Self {
        let mut watched = Self::start(server, timing);
        watched.settle(server);
        watched
    }

    /// Waits until everything is listed and watched.
    pub(crate) fn settle(&mut self, server: &ApiServer) {
        // Whether its own Node is about to go comes behind the Nodes, where that is one of them.
        let told = |event: &Event| matches!(event, Event::NodeDeleting(_));
        self.until("the lists", |watched| {
            let has = |is: fn(&Change) -> bool| watched.changes().any(is);
            has(|c| matches!(c, Change::Services(_)))
                && has(|c| matches!(c, Change::Slices(_)))
                && has(|c| matches!(c, Change::Nodes(_)))
                && (!watched.cluster.nodes.contains_key(NODE) || watched.events.iter().any(told))
        });
        server.wait_for_watches(3);
        self.take_in();
    }

    pub(crate) fn changes(&self) -> impl Iterator<Item = &Change> {
        self.events.iter().filter_map(|event| match event {
            Event::Cluster { change, .. } => Some(change),
            _ => None,
        })
    }

    /// Names of the Services, with their ports.
    pub(crate) fn services(&self) -> Vec<(&str, u16)> {
        let services = self.cluster.services.values();
        services
            .map(|s| (s.name.name(), s.ports[0].port.get()))
            .collect()
    }

    /// Takes events in until the cluster is as it should be.
    pub(crate) fn until(&mut self, what: &str, ready: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !ready(self) {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.received.recv_timeout(left) {
                Ok(event) => self.take(event),
                Err(error) => panic!("waited in vain for {what} ({error}): {:#?}", self.events),
            }
        }
    }

    /// Waits until a count is reached.
    pub(crate) fn until_counted(&self, what: &str, reached: impl Fn(&Counters) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !reached(&self.counters) {
            let counters = &self.counters;
            assert!(Instant::now() < deadline, "no {what} counted: {counters:?}");
            thread::sleep(MILLIS);
        }
    }

    /// Takes in what is there already, and says how much that was.
    pub(crate) fn take_in(&mut self) -> usize {
        let before = self.events.len();
        while let Ok(event) = self.received.try_recv() {
            self.take(event);
        }
        self.events.len() - before
    }

    fn take(&mut self, event: Event) {
        // Nothing that a server sent.
        if let Event::ApiServers(addresses) = event {
            self.api_servers = addresses;
            return;
        }
        if let Event::Cluster { change, .. } = &event {
            self.cluster.change(change.clone());
        }
        self.events.push(event);
    }

    /// Receives no more, and waits for it to end.
    pub(crate) fn stop(self, server: &ApiServer) {
        let Self {
            received, thread, ..
        } = self;
        drop(received);
        server.put(crate::objects::service("the-last-one", 1));
        thread.join().unwrap();
    }

    pub(crate) fn is_over(&self) -> bool {
        matches!(
            self.received.recv_timeout(Duration::ZERO),
            Err(RecvTimeoutError::Disconnected)
        )
    }
}
