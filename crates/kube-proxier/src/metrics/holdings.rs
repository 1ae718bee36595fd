//! What is counted of syncs.

/// How an operation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperationResult {
    /// The kernel did it.
    Done,
    /// The kernel refused it, or it was not tried after another that failed. It is tried again.
    Failed,
}

/// What the kernel is to hold now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Holdings {
    /// Virtual servers.
    pub virtual_servers: usize,
    /// Their destinations.
    pub destinations: usize,
    /// Virtual servers with destinations that are kept until their connections are gone.
    pub draining_servers: usize,
    /// Those destinations.
    pub draining_destinations: usize,
    /// Virtual servers that more than one Service claims.
    pub conflicts: usize,
    /// Operations that failed and are still to be done.
    pub pending_failures: usize,
}
