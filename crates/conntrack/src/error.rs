//! The errors of this crate.

use crate::DecodeError;
#[cfg(feature = "client")]
use crate::FlowKey;

/// Why flows could not be listed, read or deleted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// This kernel cannot list its flows.
    #[cfg(feature = "client")]
    #[error(
        "this kernel has no connection tracking over netlink: \
         load its module `nf_conntrack_netlink`"
    )]
    NoConntrack,
    /// The process lacks a capability.
    #[cfg(feature = "client")]
    #[error(
        "listing and deleting flows takes the capability CAP_NET_ADMIN \
         in the user namespace that owns the network namespace"
    )]
    NotPermitted,
    /// A flow exists but could not be deleted.
    #[cfg(feature = "client")]
    #[error(
        "cannot delete the flow {flow}{}: {reason}",
        if *.others == 0 { String::new() } else { format!(" and {} more", .others) }
    )]
    NotDeleted {
        /// The first of them.
        flow: Box<FlowKey>,
        /// How many more there are.
        others: usize,
        /// The kernel's answer to the first, or why there is none.
        #[source]
        reason: netlink_batch::Error,
    },
    /// A flow could not be read.
    #[error("cannot read the kernel's description of a flow: {0}")]
    Malformed(#[from] DecodeError),
    /// The socket failed, or a listing did.
    #[cfg(feature = "client")]
    #[error("cannot list flows: {0}")]
    Netlink(#[source] netlink_batch::Error),
}
