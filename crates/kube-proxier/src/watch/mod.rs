//! Services, EndpointSlices and this Node, listed and then watched; where Services may bind addresses of other Nodes, all
//! Nodes.
//!
//! [`run`] sends an [`Event`] for whatever changes. The first one of each kind is the whole list
//! ([`Change::Services`], [`Change::Slices`], [`Change::Nodes`]), so after all three the cluster is known.
//! While the server is away nothing is sent: what was known stays in force.
//!
//! Requests are made with `kube`, what they answer is followed here and not with `kube::runtime::watcher`:
//! in release 5.0 that one asks again and again for a version that the server has reported gone, where it does so
//! by the status of its answer, and starts a watch that ends at once again without a pause.
//!
//! [`Change::Services`]: proxier::cluster::Change::Services
//! [`Change::Slices`]: proxier::cluster::Change::Slices
//! [`Change::Nodes`]: proxier::cluster::Change::Nodes

mod addresses;
mod availability;
mod backoff;
mod certificate;
mod client;
mod connect;
mod counters;
mod error;
mod examine;
mod follow;
mod intake;
mod item;
mod kind;
mod kubeconfig;
mod list;
mod protocol;
mod recorder;
mod request;
mod scope;
mod source;
mod stream;
mod streamed;
mod token;
mod transport;
mod unpack;

use std::ops::RangeInclusive;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::Sender;
use tokio::task::JoinSet;

use self::availability::Availability;
pub use self::client::{ApiError, client, client_over};
pub use self::counters::Counters;
pub use self::examine::{Examination, examine};
use self::follow::Follower;
use self::kind::Kind;
pub use self::recorder::{Recorder, record};
pub use self::request::ApiClient;
pub use self::scope::NodeScope;
pub use self::source::ApiSource;
pub use self::transport::Transport;
use super::Event;

/// When the API server is asked, how long it may take, and how much is read of its answers.
#[derive(Clone, Debug)]
pub struct Timing {
    /// How many objects a list is asked for at a time.
    pub page: u32,
    /// The first pause after a failure, and the longest one. A pause doubles with each failure in a row
    /// and is lengthened by up to as much again, so that a cluster's nodes do not come all at once.
    pub pause: RangeInclusive<Duration>,
    /// While the server is away: how often it is asked whether it is ready (`/readyz`), lengthened by up to as much
    /// again. As soon as it is, the pause is over.
    pub probe: Duration,
    /// How long an answer may take: a page of a list, whole, or the head of a watch.
    pub answer: Duration,
    /// How long a watch is asked to last (`timeoutSeconds`), which the server ends in good order; up to a
    /// quarter is added, so that not all nodes come again at once.
    pub watch: Duration,
    /// How long a watch that has had a bookmark may send nothing before its peer is taken for dead. API
    /// servers send a bookmark each minute. One that has had none may be silent until it should have ended.
    pub silence: Duration,
    /// How much is read.
    pub limits: Limits,
}

/// How much of what an API server sends is read. More is an error, which changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Pages of a list.
    pub pages: usize,
    /// Objects of a list.
    pub objects: usize,
    /// Bytes of a page of a list.
    pub page_bytes: usize,
    /// Bytes of a line of a watch, which is one object.
    pub line_bytes: usize,
}

impl Default for Limits {
    /// Many times what the largest clusters have. An object may have 1.5 MiB in etcd.
    fn default() -> Self {
        Self {
            pages: 10_000,
            objects: 1_000_000,
            page_bytes: 256 << 20,
            line_bytes: 16 << 20,
        }
    }
}

impl Default for Timing {
    /// Pages and pauses as client-go has them; an answer within the 60 s that an API server gives itself.
    fn default() -> Self {
        Self {
            page: 500,
            pause: Duration::from_millis(800)..=Duration::from_secs(30),
            probe: Duration::from_secs(1),
            answer: Duration::from_secs(60),
            watch: Duration::from_secs(300),
            silence: Duration::from_secs(150),
            limits: Limits::default(),
        }
    }
}

/// Whose cluster it is, and what of it is followed.
#[derive(Clone, Copy, Debug)]
pub struct Interest<'a> {
    /// The name of this node's own Node.
    pub node_name: &'a str,
    /// Whether the addresses of other Nodes are followed too, while a Service has external IPs or load balancer
    /// addresses. Of other Nodes nothing else is sent.
    pub node_addresses: &'a NodeScope,
}

/// Follows the cluster until nobody receives `events` any more.
pub async fn run(
    client: ApiClient,
    interest: Interest<'_>,
    timing: Timing,
    counters: Arc<Counters>,
    events: Sender<Event>,
) {
    let availability = Arc::new(Availability::new(client.url().to_owned()));
    let scope = interest.node_addresses;
    let follow = |kind| {
        let scope = scope.clone();
        let (timing, counters) = (timing.clone(), Arc::clone(&counters));
        let availability = Arc::clone(&availability);
        let (client, events) = (client.clone(), events.clone());
        Follower::new(client, kind, timing, counters, availability, scope, events).run()
    };
    // Tasks of their own: the future that a runtime was started with has it ask for I/O and timers each time that it is woken,
    // which is for each piece of a stream.
    let kinds = [
        Kind::Services,
        Kind::Slices,
        Kind::Node(interest.node_name.into()),
    ];
    let mut followers: JoinSet<()> = kinds.into_iter().map(follow).collect();
    while let Some(ended) = followers.join_next().await {
        if let Err(error) = ended
            && let Ok(panic) = error.try_into_panic()
        {
            resume_unwind(panic);
        }
    }
}
