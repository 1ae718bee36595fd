//! What can go wrong with flows.

use crate::{DecodeError, Target};

/// Why flows could not be listed or deleted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// This kernel does not speak of its flows.
    #[error(
        "this kernel has no connection tracking over netlink: \
         load its module `nf_conntrack_netlink`"
    )]
    NoConntrack,
    /// The kernel refuses for lack of permission.
    #[error(
        "listing and deleting flows takes the capability CAP_NET_ADMIN \
         in the user namespace that owns the network namespace"
    )]
    NotPermitted,
    /// A flow could not be deleted, and it is not because it is gone.
    #[error(
        "cannot delete the flow {target}{}: {reason}",
        if *.others == 0 { String::new() } else { format!(" and {} others", .others) }
    )]
    NotDeleted {
        /// The first of them.
        target: Box<Target>,
        /// How many more there are.
        others: usize,
        /// What the transport says of the first.
        reason: netlink_batch::Error,
    },
    /// A flow could not be read.
    #[error("cannot read the kernel's description of a flow: {0}")]
    Malformed(#[from] DecodeError),
    /// The socket failed, or a listing did.
    #[error("cannot list flows: {0}")]
    Netlink(#[source] netlink_batch::Error),
}
