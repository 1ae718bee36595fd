//! What the API server says: Services, EndpointSlices and this Node, listed and then watched.
//!
//! [`run`] sends an [`Event`] for whatever changes. The first one of each kind is the whole list
//! ([`Change::Services`], [`Change::Slices`], [`Change::Nodes`]), so whoever has had all three knows the
//! cluster. While the server is away nothing is sent: what was known stays in force.
//!
//! Requests are made with `kube`, what they answer is followed here and not with `kube::runtime::watcher`:
//! in release 5.0 that one asks again and again for a version it was told is gone, where the server says so
//! by the status of its answer, and starts a watch that ends at once again without a pause.
//!
//! [`Change::Services`]: proxier::cluster::Change::Services
//! [`Change::Slices`]: proxier::cluster::Change::Slices
//! [`Change::Nodes`]: proxier::cluster::Change::Nodes

mod backoff;
mod client;
mod counters;
mod follow;
mod intake;
mod kind;
mod protocol;
mod token;
mod trouble;

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::Sender;

pub use self::client::{ApiClient, ApiError, ApiSource, client};
pub use self::counters::Counters;
use self::follow::Follower;
use self::kind::Kind;
use super::Event;

/// How the API server is asked.
#[derive(Clone, Debug)]
pub struct Pace {
    /// How many objects a list is asked for at a time.
    pub page: u32,
    /// The first pause after a failure, and the longest one. A pause doubles with each failure in a row
    /// and is lengthened by up to as much again, so that a cluster's nodes do not come all at once.
    pub pause: RangeInclusive<Duration>,
    /// How long an answer may take: a page of a list, whole, or the head of a watch.
    pub answer: Duration,
    /// How long a watch is asked to last (`timeoutSeconds`), which the server ends in good order; up to a
    /// quarter is added, so that not all nodes come again at once.
    pub watch: Duration,
    /// How long a watch that has had a bookmark may say nothing before its peer is taken for dead. API
    /// servers send a bookmark each minute. One that has had none may be silent until it should have ended.
    pub silence: Duration,
}

impl Default for Pace {
    /// Pages and pauses as client-go has them; an answer within the 60 s that an API server gives itself.
    fn default() -> Self {
        Self {
            page: 500,
            pause: Duration::from_millis(800)..=Duration::from_secs(30),
            answer: Duration::from_secs(60),
            watch: Duration::from_secs(300),
            silence: Duration::from_secs(150),
        }
    }
}

/// Follows the cluster for the node of that name until nobody receives `events` any more.
pub async fn run(
    client: ApiClient,
    node_name: &str,
    pace: Pace,
    counters: Arc<Counters>,
    events: Sender<Event>,
) {
    let follow = |kind| {
        let (pace, counters) = (pace.clone(), Arc::clone(&counters));
        Follower::new(client.clone(), kind, pace, counters, events.clone()).run()
    };
    tokio::join!(
        follow(Kind::Services),
        follow(Kind::Slices),
        follow(Kind::Node(node_name.into())),
    );
}
