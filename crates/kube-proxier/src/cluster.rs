//! The cluster as a command has it: listed by the API server, or from a file.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use proxier::Layout;
use proxier::cluster::{Change, Cluster};
use proxier_manifest::Content;
use tokio::runtime::Builder;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::event::Event;
use crate::options::Options;
use crate::watch::{self, ApiClient, ApiError, ApiSource, Counters, Interest, NodeScope, Timing};

/// How long the API server may take to list the cluster.
pub(crate) const LISTS: Duration = Duration::from_secs(30);
/// How many events may wait.
pub(crate) const EVENTS: usize = 64;
/// How large a file of manifests may be.
const MAX_FILE_BYTES: u64 = 1 << 30;

/// Why the cluster could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClusterError {
    /// The API server cannot be asked.
    #[error(
        "{0}; give the daemon's configuration with --config=FILE, or the cluster with --manifests=FILE"
    )]
    Api(#[from] ApiError),
    /// The file of manifests cannot be read.
    #[error("--manifests: {}: {error}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// The file of manifests holds no cluster.
    #[error("--manifests: {}: holds no Services, EndpointSlices or Nodes{reason}", path.display())]
    NoCluster {
        /// The file.
        path: PathBuf,
        /// The first thing that is wrong in it, after a colon.
        reason: String,
    },
    /// The system gave no means to wait for answers.
    #[error("cannot start: {0}")]
    Start(#[source] io::Error),
}

/// The cluster, and what else is known of its API server.
#[derive(Default)]
pub(crate) struct KnownCluster {
    pub(crate) cluster: Cluster,
    /// Where the API server is.
    pub(crate) api_servers: BTreeSet<SocketAddr>,
    /// Why it does not answer.
    pub(crate) away: Option<String>,
}

impl KnownCluster {
    /// Reads it from a file of manifests.
    pub(crate) fn in_file(path: &Path) -> Result<Self, ClusterError> {
        let mut bytes = Vec::new();
        let read = File::open(path).and_then(|file| {
            let read = file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
            if u64::try_from(read).is_ok_and(|read| read > MAX_FILE_BYTES) {
                return Err(io::Error::other("is larger than 1 GiB"));
            }
            Ok(())
        });
        let path = path.to_owned();
        if let Err(error) = read {
            return Err(ClusterError::File { path, error });
        }
        let manifests = proxier_manifest::read_cluster(&path.display().to_string(), &bytes);
        for diagnostic in &manifests.diagnostics {
            tracing::warn!("{diagnostic}");
        }
        match manifests.content {
            Content::Cluster => Ok(Self {
                cluster: manifests.cluster,
                ..Self::default()
            }),
            _ => {
                let first = manifests.diagnostics.first();
                let reason = first.map(|first| format!(": {first}")).unwrap_or_default();
                Err(ClusterError::NoCluster { path, reason })
            }
        }
    }

    /// Asks the API server for it, as the daemon does when it starts.
    pub(crate) fn listed(options: &Options) -> Result<Self, ClusterError> {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(ClusterError::Start)?;
        let known = runtime.block_on(async {
            let client = client(options).await?;
            let examined = watch::examine(&client, &options.node_name).await;
            let mut known = Self {
                api_servers: client.addresses(),
                ..Self::default()
            };
            if let Err(reason) = examined.ready {
                known.away = Some(format!("{}: {reason}", client.url()));
                return Ok(known);
            }
            let (events, received) = mpsc::channel(EVENTS);
            let url = client.url().to_owned();
            let listed = tokio::select! {
                () = follow(client, options, events) => false,
                listed = timeout(LISTS, listen(received, &mut known.cluster)) => listed.unwrap_or(false),
            };
            if !listed {
                let seconds = LISTS.as_secs();
                known.away = Some(format!("{url}: no list within {seconds} s"));
                known.cluster = Cluster::default();
            }
            Ok(known)
        });
        // A command that gives credentials, and hangs, is not waited for.
        runtime.shutdown_background();
        known
    }
}

/// A client of the API server that the options name.
pub(crate) async fn client(options: &Options) -> Result<ApiClient, ApiError> {
    let source = ApiSource {
        kubeconfig: options.process.kubeconfig.as_deref().map(PathBuf::from),
        master: options.master.as_deref().map(Into::into),
    };
    watch::client(&source).await
}

/// Lists the cluster and watches it, as the daemon does, until nobody receives the events.
pub(crate) async fn follow(client: ApiClient, options: &Options, events: mpsc::Sender<Event>) {
    let nodes = NodeScope::new(options.config.layout == Layout::Current);
    let interest = Interest {
        node_name: &options.node_name,
        node_addresses: &nodes,
    };
    let counters = Arc::new(Counters::default());
    watch::run(client, interest, Timing::default(), counters, events).await;
}

/// Of which kinds lists have come.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Listed {
    services: bool,
    slices: bool,
    nodes: bool,
}

impl Listed {
    pub(crate) const fn note(&mut self, change: &Change) {
        self.services |= matches!(change, Change::Services(_));
        self.slices |= matches!(change, Change::Slices(_));
        self.nodes |= matches!(change, Change::Nodes(_));
    }

    pub(crate) const fn all(self) -> bool {
        self.services && self.slices && self.nodes
    }
}

/// Receives the list of each kind. Returns whether all came.
async fn listen(mut events: mpsc::Receiver<Event>, cluster: &mut Cluster) -> bool {
    let mut listed = Listed::default();
    while !listed.all() {
        let Some(event) = events.recv().await else {
            return false;
        };
        if let Event::Cluster { change, .. } = event {
            listed.note(&change);
            cluster.change(change);
        }
    }
    true
}
