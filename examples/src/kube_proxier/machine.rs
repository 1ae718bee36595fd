//! The machine that the daemon runs on.

use ipvs_netlink::{DestinationId, VirtualServerId};
use proxier::cluster::Host;
use proxier::{Kernel, KernelError, MemoryKernel};

/// A kernel, and what else the daemon has to do with its machine.
pub trait Machine: Kernel {
    /// What the machine is now: its links, its kernel, its tools.
    ///
    /// # Errors
    ///
    /// [`KernelError`] if its links cannot be listed.
    fn host(&mut self, node_name: &str) -> Result<Host, KernelError>;

    /// Deletes the connection-tracking entries of UDP by which packets to these virtual servers still go
    /// anywhere but to these destinations. How many there were.
    ///
    /// # Errors
    ///
    /// [`KernelError`] if connection tracking cannot be read or changed.
    fn forget_flows(
        &mut self,
        servers: &[(VirtualServerId, Vec<DestinationId>)],
    ) -> Result<usize, KernelError>;
}

impl Machine for MemoryKernel {
    fn host(&mut self, node_name: &str) -> Result<Host, KernelError> {
        Ok(Host::new(node_name))
    }

    /// It tracks no connections.
    fn forget_flows(
        &mut self,
        _: &[(VirtualServerId, Vec<DestinationId>)],
    ) -> Result<usize, KernelError> {
        Ok(0)
    }
}
