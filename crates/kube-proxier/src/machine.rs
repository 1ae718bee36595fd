//! The machine that the daemon runs on.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use conntrack_netlink::Client as Flows;
use dummy_link::LinkName;
use ipset_netlink::SetName;
use ipvs_netlink::client::Reason;
use ipvs_netlink::{DestinationId, Scheduler, VirtualServerId};
use proxier::cluster::{Family, Host, PerFamily};
use proxier::kernel::Applied;
use proxier::nftables::AddressRange;
use proxier::{
    Config, Kernel, KernelError, Layout, MemoryKernel, Observed, Plan, ServerConnections,
};
use proxier_linux::{LinuxKernel, Parts, Signs, Touched};
use proxier_linux::{
    OpenError, addresses_in_use, conntrack_error, load_ipvs, stale_flows, untranslated_flows,
};

use super::doctor;

/// Why a machine cannot take a layout.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SwitchError {
    /// Checks of the doctor fail.
    #[error("{0}")]
    Lacks(String),
    /// A part of the kernel cannot be used.
    #[error(transparent)]
    Open(#[from] OpenError),
}

/// A kernel, and what else the daemon has to do with its machine.
pub trait Machine: Kernel {
    /// What the machine is now: its links, its kernel, its tools.
    ///
    /// # Errors
    ///
    /// [`KernelError`] if its links cannot be listed.
    fn host(&mut self, node_name: &str) -> Result<Host, KernelError>;

    /// Links that were ours until somebody renamed them, found when the host was last read.
    fn renamed_links(&self) -> BTreeSet<LinkName> {
        BTreeSet::new()
    }

    /// Signs of the state that others may change, of what is touched.
    fn signs(&mut self, touched: &Touched) -> Signs;

    /// These parts were changed here: what signs were had of them is nothing to compare with.
    fn note_changes(&mut self, _: Parts) {}

    /// Takes what the layout of a configuration needs, from now on, and goes on seeing what the one before has made. Where
    /// it cannot be had, all stays as it is. A machine that can program every layout has nothing to do.
    ///
    /// # Errors
    ///
    /// [`SwitchError`] with what is missing.
    fn switch_to(&mut self, _: &Config) -> Result<(), SwitchError> {
        Ok(())
    }

    /// Whether the kernel has a scheduler of IPVS. Where that cannot be found out, it is taken to have it.
    fn has_scheduler(&mut self, _: Scheduler) -> bool {
        true
    }

    /// The addresses from which connections of the machine itself are open.
    fn addresses_in_use(&mut self) -> BTreeSet<IpAddr> {
        BTreeSet::new()
    }

    /// The port by which it changes tables of nf_tables, if it can.
    fn nftables_port(&self) -> Option<u32> {
        None
    }

    /// A full sync was made without failures: of other layouts nothing is left.
    fn settled(&mut self) {}

    /// Why the last observation holds rules as they are believed to be: a tool hangs. All else in it was read.
    fn unread_rules(&self) -> Option<KernelError> {
        None
    }

    /// Of which families the last observation has no rules, since they have never been read.
    fn lacks_rules(&self) -> PerFamily<bool> {
        PerFamily::default()
    }

    /// How many rules and sets refer to each set.
    ///
    /// # Errors
    ///
    /// [`KernelError`] if the sets cannot be listed.
    fn set_references(&mut self) -> Result<BTreeMap<SetName, u32>, KernelError> {
        Ok(BTreeMap::new())
    }

    /// Whether rules that could not be read in time can be read now. Does not wait.
    fn rules_answered(&mut self) -> bool {
        false
    }

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

    /// Deletes the connection-tracking entries of UDP to these ranges that began when nothing served them. How many there
    /// were.
    ///
    /// # Errors
    ///
    /// As of [`forget_flows`](Self::forget_flows).
    fn forget_untranslated(&mut self, _: &[AddressRange]) -> Result<usize, KernelError> {
        Ok(0)
    }
}

impl Machine for MemoryKernel {
    fn host(&mut self, node_name: &str) -> Result<Host, KernelError> {
        Ok(Host::new(node_name))
    }

    fn signs(&mut self, touched: &Touched) -> Signs {
        let sign = |(all, parts): (usize, usize)| u64::try_from(all + parts).ok();
        let rules = |family| {
            let tables = &self.rules(family).tables;
            let chains = tables.iter().flat_map(|table| &table.chains);
            sign(chains.fold((0, 0), |(all, rules), chain| {
                (all + 1, rules + chain.rules.len())
            }))
        };
        let signs = Signs {
            servers: sign(self.server_counts()),
            listing: None,
            sets: sign(self.set_counts()),
            rules: PerFamily::from_fn(rules),
            settings: None,
        };
        signs.without(touched.parts().complement())
    }

    fn has_scheduler(&mut self, scheduler: Scheduler) -> bool {
        Self::SCHEDULERS.contains(&scheduler.as_str())
    }

    /// It tracks no connections.
    fn forget_flows(
        &mut self,
        _: &[(VirtualServerId, Vec<DestinationId>)],
    ) -> Result<usize, KernelError> {
        Ok(0)
    }
}

/// The machine that this process runs on.
pub struct ThisMachine {
    kernel: LinuxKernel,
    /// Opened once it is needed: without UDP Services nobody misses it.
    flows: Option<Flows>,
}

impl ThisMachine {
    /// Opens its kernel for a layout.
    ///
    /// # Errors
    ///
    /// [`OpenError`] with what is missing.
    pub fn open(layout: Layout) -> Result<Self, OpenError> {
        Ok(Self {
            kernel: LinuxKernel::open_for(layout)?.without_waiting_for_rules(),
            flows: None,
        })
    }

    fn flows(&mut self) -> Result<&mut Flows, KernelError> {
        match &mut self.flows {
            Some(open) => Ok(open),
            none => Ok(none.insert(Flows::open().map_err(conntrack_error)?)),
        }
    }

    /// The same for a command, which has nothing to do while a tool is slow, and is wrong without what it reads.
    #[must_use]
    pub fn for_a_command(self) -> Self {
        Self {
            kernel: self.kernel.for_a_command(),
            ..self
        }
    }

    /// Has the modules loaded at once that the first sync uses.
    pub(super) fn load_ahead(&self, config: &Config) {
        self.kernel.load_ahead(config.scheduler.as_str());
    }

    /// Whether a table of iptables could not be read whole when its tools were looked for.
    pub(super) fn has_incomplete_table(&self) -> bool {
        self.kernel.incomplete_table().is_some()
    }

    /// The iptables of each family, with version and back end, such as `IPv4: 1.8.9 (nf_tables), IPv6: none`. `None` where
    /// none is in use.
    #[must_use]
    pub fn iptables(&self) -> Option<String> {
        let PerFamily { v4, v6 } = self.kernel.tools();
        v4.or(v6)?;
        let of = |family| {
            let tools = *self.kernel.tools().get(family);
            tools.map_or_else(
                || "none".to_owned(),
                |tools| format!("{} ({})", tools.version(), tools.backend()),
            )
        };
        Some(format!(
            "IPv4: {}, IPv6: {}",
            of(Family::V4),
            of(Family::V6)
        ))
    }
}

impl Kernel for ThisMachine {
    fn observe(&mut self) -> Result<Observed, KernelError> {
        self.kernel.observe()
    }

    fn connections(
        &mut self,
        servers: &[VirtualServerId],
    ) -> Result<Vec<ServerConnections>, KernelError> {
        self.kernel.connections(servers)
    }

    fn apply(&mut self, plan: &Plan) -> Applied {
        self.kernel.apply(plan)
    }
}

impl Machine for ThisMachine {
    fn host(&mut self, node_name: &str) -> Result<Host, KernelError> {
        self.kernel.host(node_name)
    }

    fn renamed_links(&self) -> BTreeSet<LinkName> {
        self.kernel.renamed_links().clone()
    }

    fn signs(&mut self, touched: &Touched) -> Signs {
        self.kernel.signs(touched)
    }

    fn note_changes(&mut self, parts: Parts) {
        self.kernel.note_changes(parts);
    }

    fn switch_to(&mut self, config: &Config) -> Result<(), SwitchError> {
        let lacks = doctor::lacks(config);
        if !lacks.is_empty() {
            return Err(SwitchError::Lacks(lacks));
        }
        if config.layout.uses_ipvs() {
            // What can be loaded is not there yet. The scheduler's module is loaded by the kernel, for its first virtual server.
            load_ipvs()?;
            doctor::try_scheduler(config.scheduler).map_err(OpenError::Ipvs)?;
        }
        Ok(self.kernel.switch_to(config.layout)?)
    }

    fn has_scheduler(&mut self, scheduler: Scheduler) -> bool {
        match doctor::try_scheduler(scheduler) {
            Err(ipvs_netlink::Error::Refused(refusal)) => {
                !matches!(refusal.reason(), Reason::ModuleMissing { .. })
            }
            _ => true,
        }
    }

    fn addresses_in_use(&mut self) -> BTreeSet<IpAddr> {
        addresses_in_use()
    }

    fn nftables_port(&self) -> Option<u32> {
        self.kernel.nftables_port()
    }

    fn settled(&mut self) {
        self.kernel.release_unneeded();
    }

    fn unread_rules(&self) -> Option<KernelError> {
        self.kernel.unread_rules().cloned()
    }

    fn lacks_rules(&self) -> PerFamily<bool> {
        self.kernel.lacks_rules()
    }

    fn set_references(&mut self) -> Result<BTreeMap<SetName, u32>, KernelError> {
        self.kernel.set_references()
    }

    fn rules_answered(&mut self) -> bool {
        self.kernel.rules_answered()
    }

    fn forget_flows(
        &mut self,
        servers: &[(VirtualServerId, Vec<DestinationId>)],
    ) -> Result<usize, KernelError> {
        stale_flows(self.flows()?, servers).map_err(conntrack_error)
    }

    fn forget_untranslated(&mut self, ranges: &[AddressRange]) -> Result<usize, KernelError> {
        untranslated_flows(self.flows()?, ranges).map_err(conntrack_error)
    }
}
