//! The errors of this crate.

use crate::DecodeError;

/// Why something could not be read, listed or changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// This kernel has no nf_tables.
    #[cfg(feature = "client")]
    #[error("this kernel has no nf_tables: load its module `nf_tables`")]
    NoNftables,
    /// The process lacks a capability.
    #[cfg(feature = "client")]
    #[error(
        "nf_tables takes the capability CAP_NET_ADMIN \
         in the user namespace that owns the network namespace"
    )]
    NotPermitted,
    /// The kernel refused a transaction. Nothing was changed.
    #[cfg(feature = "client")]
    #[error(
        "the kernel refused the transaction, at its change {}: cannot {operation}: {reason}{}", index + 1,
        if *.others == 0 { String::new() } else { format!(" (and {} more changes)", .others) }
    )]
    Refused {
        /// The place of the change at fault in the transaction, from 0.
        index: usize,
        /// The change, as text.
        operation: String,
        /// The kernel's answer to it.
        #[source]
        reason: netlink_batch::KernelError,
        /// How many more changes the kernel refused.
        others: usize,
    },
    /// The kernel refused a transaction as a whole. Nothing was changed.
    #[cfg(feature = "client")]
    #[error("the kernel refused the transaction as a whole: {0}")]
    NotCommitted(#[source] netlink_batch::KernelError),
    /// The generation is not the one that the transaction asked for: somebody changed something meanwhile.
    /// Nothing was changed. Read the state again.
    #[cfg(feature = "client")]
    #[error("the rule set has changed since generation {expected}: read it again")]
    GenerationChanged {
        /// The generation that was asked for.
        expected: u32,
    },
    /// A listing was begun this many times, and the rule set changed each time.
    #[cfg(feature = "client")]
    #[error("the rule set changed during each of {attempts} attempts to read it: try later")]
    AlwaysChanging {
        /// How often it was begun.
        attempts: u32,
    },
    /// A change does not fit a message.
    #[error("cannot {operation}: its description does not fit a netlink message")]
    TooLong {
        /// The change, as text.
        operation: String,
    },
    /// A message could not be read.
    #[error("cannot read the kernel's message: {0}")]
    Malformed(#[from] DecodeError),
    /// The socket failed, or a request did.
    #[cfg(feature = "client")]
    #[error("cannot talk to nf_tables: {0}")]
    Netlink(#[source] netlink_batch::Error),
}
