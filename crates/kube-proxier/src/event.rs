//! What the daemon's loop receives.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::SystemTime;

use dummy_link::Removal;
use proxier::Config;
use proxier::cluster::Change;

use crate::inquiry::Inquiry;

/// Something that may change what the kernel should hold, or what the node reports about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The API reported a change of the cluster.
    Cluster {
        /// What.
        change: Change,
        /// When its cause came about, if the object has it (annotation
        /// `endpoints.kubernetes.io/last-change-trigger-time`).
        triggered: Option<SystemTime>,
    },
    /// Whether this Node is about to be deleted (taint `ToBeDeletedByClusterAutoscaler`).
    NodeDeleting(bool),
    /// The API server is reached at these addresses and ports.
    ApiServers(BTreeSet<SocketAddr>),
    /// This machine's links or their addresses changed.
    Links,
    /// This was removed from our own link or routing, perhaps by us.
    Removed(Vec<Removal>),
    /// Others changed tables, rules or routes of layout `nftables`: what, and who did.
    Tampered(String),
    /// The configuration was read again, and is another.
    Config(Box<Config>),
    /// Somebody wants to know what the loop knows. Changes nothing.
    Asked(Inquiry),
}
