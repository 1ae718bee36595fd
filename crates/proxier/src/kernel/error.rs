//! What a kernel refuses.

/// Why a kernel refused an operation, or could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KernelError {
    /// It is there already (`EEXIST`).
    #[error("{0} exists already")]
    Exists(String),
    /// It is not there (`ENOENT`, `ESRCH`, `ENODEV`, `EADDRNOTAVAIL`).
    #[error("{0} does not exist")]
    Missing(String),
    /// Something else refers to it (`EBUSY`).
    #[error("{object} is in use by {by}: remove that first")]
    Busy {
        /// What is in use.
        object: String,
        /// What uses it.
        by: String,
    },
    /// A set has no room for another member (`IPSET_ERR_HASH_FULL`).
    #[error("set {set} is full: it holds {maxelem} members")]
    Full {
        /// The set.
        set: String,
        /// How many it holds.
        maxelem: u32,
    },
    /// The kernel does not take such a thing (`EINVAL` and its like).
    #[error("{object}: {reason}")]
    Invalid {
        /// What was given.
        object: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Anything else, in the words of the crate that speaks to that part of the kernel.
    #[error("{0}")]
    Other(String),
    /// Whatever was asked of a [`MemoryKernel`](super::MemoryKernel) to fail with.
    #[error("failed, as it was told to: {0}")]
    Injected(String),
}
