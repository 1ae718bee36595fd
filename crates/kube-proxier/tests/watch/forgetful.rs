//! A kernel that takes everything and keeps nothing: what is left in memory is the daemon's own.

use ipvs_netlink::{DestinationId, VirtualServerId};
use kube_proxier::Machine;
use proxier::cluster::Host;
use proxier::kernel::Applied;
use proxier::{Kernel, KernelError, MemoryKernel, Observed, Plan, ServerConnections};
use proxier_linux::{Signs, Touched};

pub(crate) struct Forgetful;

impl Kernel for Forgetful {
    fn observe(&mut self) -> Result<Observed, KernelError> {
        Ok(MemoryKernel::new().state())
    }

    fn connections(
        &mut self,
        _: &[VirtualServerId],
    ) -> Result<Vec<ServerConnections>, KernelError> {
        Ok(Vec::new())
    }

    fn apply(&mut self, plan: &Plan) -> Applied {
        Applied::complete(plan.len())
    }
}

impl Machine for Forgetful {
    fn host(&mut self, node_name: &str) -> Result<Host, KernelError> {
        Ok(Host::new(node_name))
    }

    fn signs(&mut self, _: &Touched) -> Signs {
        Signs::default()
    }

    fn forget_flows(
        &mut self,
        _: &[(VirtualServerId, Vec<DestinationId>)],
    ) -> Result<usize, KernelError> {
        Ok(0)
    }
}
