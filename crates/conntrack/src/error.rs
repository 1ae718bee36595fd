//! The errors of this crate.

use crate::DecodeError;
#[cfg(feature = "client")]
use crate::FlowKey;

/// Why flows could not be listed, read, changed, deleted or followed.
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
        "listing, changing and following flows takes the capability CAP_NET_ADMIN \
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
    /// A flow exists but could not be changed.
    #[cfg(feature = "client")]
    #[error(
        "cannot change the flow {flow}{}: {reason}",
        if *.others == 0 { String::new() } else { format!(" and {} more", .others) }
    )]
    NotUpdated {
        /// The first of them.
        flow: Box<FlowKey>,
        /// How many more there are.
        others: usize,
        /// The kernel's answer to the first, or why there is none: `EBUSY` for status bits that cannot be changed,
        /// `EPERM` for the timeout of a flow whose timeout is fixed.
        #[source]
        reason: netlink_batch::Error,
    },
    /// Not all flows could be deleted at once.
    #[cfg(feature = "client")]
    #[error("cannot flush the flows: {0}")]
    NotFlushed(#[source] netlink_batch::Error),
    /// The socket of a [`Monitor`](crate::Monitor) failed.
    #[cfg(feature = "client")]
    #[error("cannot receive events of flows: {0}")]
    Monitor(netlink_batch::Os),
    /// A flow could not be read.
    #[error("cannot read the kernel's description of a flow: {0}")]
    Malformed(#[from] DecodeError),
    /// The socket failed, or a listing did.
    #[cfg(feature = "client")]
    #[error("connection tracking over netlink failed: {0}")]
    Netlink(#[from] netlink_batch::Error),
}
