//! A kernel in memory.

mod nftables;
mod routing;
mod rules;
mod servers;
mod sets;

use std::collections::{BTreeMap, BTreeSet};

use ipnetwork::IpNetwork;
use ipset_netlink::{Entry, Set, SetName, SetSpec};
use iptables_restore::Ruleset;
use ipvs_netlink::{
    Connections, DestinationConfig, DestinationId, Timeouts, VirtualServerConfig, VirtualServerId,
};

use self::nftables::MemoryTable;
use self::routing::MemoryRouting;
use super::{Applied, Kernel, KernelError, KernelErrorKind, KernelPart, carry_out};
use crate::cluster::LINK;
use crate::cluster::{Family, PerFamily};
use crate::hash::HashMap;
use crate::observed::{Observed, ObservedServer, ServerConnections};
use crate::plan::{Operation, Plan};
use crate::settings::{Sysctl, timeouts_after};

/// Decides which operations fail, and as what.
pub type Faults = Box<dyn FnMut(&Operation) -> Option<KernelError> + Send>;

/// A kernel in memory. It changes nothing but itself, needs no privileges, and refuses what a kernel
/// refuses: what is there already or is missing, sets and chains that are referred to, set members of the
/// wrong kind or too many of them, rules that name what is not there.
///
/// A new one is a network namespace that nobody has touched.
pub struct MemoryKernel {
    /// By a hash, as a kernel keeps them.
    servers: HashMap<VirtualServerId, Server>,
    /// How many destinations they have in all.
    destinations: usize,
    sets: BTreeMap<SetName, MemorySet>,
    rules: PerFamily<Ruleset>,
    tables: PerFamily<Option<MemoryTable>>,
    routing: MemoryRouting,
    /// Of the proxy's link; `None` while there is no such link.
    addresses: Option<BTreeSet<IpNetwork>>,
    sysctls: BTreeMap<Sysctl, i64>,
    timeouts: Timeouts,
    faults: Option<Faults>,
    /// Whether changes are allowed.
    permitted: bool,
}

#[derive(Clone)]
struct Server {
    config: VirtualServerConfig,
    destinations: BTreeMap<DestinationId, (DestinationConfig, Connections)>,
}

#[derive(Clone)]
struct MemorySet {
    spec: SetSpec,
    entries: BTreeSet<Entry>,
}

impl Default for MemoryKernel {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryKernel {
    /// How many virtual servers and destinations there are in all.
    #[must_use]
    pub fn server_counts(&self) -> (usize, usize) {
        (self.servers.len(), self.destinations)
    }

    /// How many sets there are, and entries in all.
    #[must_use]
    pub fn set_counts(&self) -> (usize, usize) {
        let entries = self.sets.values().map(|set| set.entries.len());
        (self.sets.len(), entries.sum())
    }

    /// The rules of iptables of a family.
    #[must_use]
    pub const fn rules(&self, family: Family) -> &Ruleset {
        self.rules.get(family)
    }

    /// An untouched kernel.
    #[must_use]
    pub fn new() -> Self {
        Self {
            servers: HashMap::default(),
            destinations: 0,
            sets: BTreeMap::new(),
            rules: PerFamily::default(),
            tables: PerFamily::default(),
            routing: MemoryRouting::default(),
            addresses: None,
            sysctls: Sysctl::ALL
                .into_iter()
                .map(|sysctl| (sysctl, sysctl.fresh()))
                .collect(),
            // The kernel's own (net/netfilter/ipvs/ip_vs_proto_tcp.c and _udp.c).
            timeouts: Timeouts {
                tcp: 900,
                tcp_fin: 120,
                udp: 300,
            },
            faults: None,
            permitted: true,
        }
    }

    /// A kernel that holds what was observed, whoever made it.
    #[must_use]
    pub fn holding(observed: &Observed) -> Self {
        let mut kernel = Self::new();
        for ObservedServer {
            id,
            config,
            destinations,
        } in &observed.servers
        {
            let destinations: BTreeMap<_, _> = destinations
                .iter()
                .map(|d| (d.destination.id, (d.destination.config, d.connections)))
                .collect();
            kernel.destinations += destinations.len();
            kernel.servers.insert(
                *id,
                Server {
                    config: *config,
                    destinations,
                },
            );
        }
        for (name, set) in &observed.sets {
            let entries = set.entries.iter().cloned().collect();
            kernel.sets.insert(
                *name,
                MemorySet {
                    spec: set.spec.clone(),
                    entries,
                },
            );
        }
        kernel.rules.clone_from(&observed.rules);
        kernel.tables = PerFamily::from_fn(|family| {
            let table = observed.tables.get(family).as_ref();
            table.map(MemoryTable::of)
        });
        kernel.routing = MemoryRouting::of(&observed.routing);
        kernel.addresses = observed
            .addresses
            .as_ref()
            .map(|a| a.iter().copied().collect());
        kernel.sysctls.extend(
            observed
                .sysctls
                .iter()
                .map(|(sysctl, value)| (*sysctl, *value)),
        );
        kernel.timeouts = observed.timeouts;
        kernel
    }

    /// Has every operation fail for which `faults` gives an error, or with `None` does as usual again.
    pub fn fail_with(&mut self, faults: Option<Faults>) {
        self.faults = faults;
    }

    /// Has every operation refused for want of CAP_NET_ADMIN while `permitted` is false.
    pub const fn permit_changes(&mut self, permitted: bool) {
        self.permitted = permitted;
    }

    /// Pretends that a destination has so many connections. Does nothing if there is no such destination.
    pub fn set_connections(
        &mut self,
        server: &VirtualServerId,
        destination: &DestinationId,
        connections: Connections,
    ) {
        let destination = self
            .servers
            .get_mut(server)
            .and_then(|s| s.destinations.get_mut(destination));
        if let Some((_, known)) = destination {
            *known = connections;
        }
    }

    /// What it holds.
    #[must_use]
    pub fn state(&self) -> Observed {
        let servers = self.servers.iter().map(|(id, server)| server.observed(*id));
        let mut servers: Vec<_> = servers.collect();
        servers.sort_unstable_by_key(|server| server.id);
        let sets = self.sets.iter().map(|(name, set)| {
            let mut whole = Set::new(set.spec.clone());
            whole.entries = set.entries.iter().cloned().collect();
            (*name, whole)
        });
        Observed {
            servers,
            sets: sets.collect(),
            rules: self.rules.clone(),
            tables: PerFamily::from_fn(|family| {
                let table = self.tables.get(family).as_ref();
                table.map(MemoryTable::observed)
            }),
            routing: self.routing.observed(),
            addresses: self.addresses.as_ref().map(|a| a.iter().copied().collect()),
            sysctls: self.sysctls.clone(),
            timeouts: self.timeouts,
        }
    }

    /// Carries out one operation, whether or not it is safe.
    ///
    /// The engine keeps the effect of what was carried out in another form (`engine::last_applied`), where it costs
    /// less; the test `operations_have_one_effect_in_both` there holds the two together.
    ///
    /// # Errors
    ///
    /// What a kernel would refuse it with; nothing has changed then.
    pub fn perform(&mut self, operation: &Operation) -> Result<(), KernelError> {
        self.allows(operation)?;
        match operation {
            Operation::SetSysctl { sysctl, value, .. } => self.set_sysctl(*sysctl, *value),
            Operation::SetTimeouts(request) => {
                self.timeouts = timeouts_after(self.timeouts, *request);
                Ok(())
            }
            Operation::CreateLink => match self.addresses {
                Some(_) => Err(KernelError::exists(
                    KernelPart::Links,
                    format_args!("link {LINK}"),
                )),
                None => {
                    self.addresses = Some(BTreeSet::new());
                    Ok(())
                }
            },
            Operation::DeleteLink => match self.addresses.take() {
                Some(_) => Ok(()),
                None => Err(no_link()),
            },
            Operation::CreateSet(spec) => self.create_set(spec),
            Operation::AddEntry { set, entry } => self.add_entry(set, entry),
            Operation::DeleteEntry { set, entry } => self.delete_entry(set, entry),
            Operation::SwapSets { set, with } => self.swap_sets(set, with),
            Operation::DestroySet(set) => self.destroy_set(set),
            Operation::RestoreRules(change) => self.restore_rules(change),
            Operation::AddServer { id, config } => self.add_server(id, config),
            Operation::SetServer { id, config, .. } => self.set_server(id, config),
            Operation::DeleteServer(id) => self.delete_server(id),
            Operation::AddDestination {
                server,
                destination,
            } => self.add_destination(server, destination),
            Operation::SetDestination {
                server,
                destination,
                ..
            } => self.set_destination(server, destination),
            Operation::DeleteDestination { server, id } => self.delete_destination(server, id),
            Operation::BindAddress(address) => {
                let prefix = Family::of(*address).host_prefix();
                let bound = IpNetwork::new(*address, prefix).map_err(|error| {
                    KernelError::invalid(KernelPart::Links, address, &error).caused_by(error)
                })?;
                if self.link()?.insert(bound) {
                    Ok(())
                } else {
                    Err(KernelError::exists(
                        KernelPart::Links,
                        format_args!("address {bound} of {LINK}"),
                    ))
                }
            }
            Operation::UnbindAddress(address) => {
                if self.link()?.remove(address) {
                    Ok(())
                } else {
                    Err(KernelError::missing(
                        KernelPart::Links,
                        format_args!("address {address} of {LINK}"),
                    ))
                }
            }
            Operation::WriteTable(_)
            | Operation::DeleteTable(_)
            | Operation::AddTablePart(_)
            | Operation::DeleteTablePart(_)
            | Operation::AddElement { .. }
            | Operation::ChangeElement { .. }
            | Operation::DeleteElement { .. } => self.transact(&[operation]),
            Operation::AddRoutingRule(_)
            | Operation::DeleteRoutingRule(_)
            | Operation::AddRoute(_)
            | Operation::DeleteRoute(_) => self.routing.perform(operation),
        }
    }

    /// Whether an operation is not to fail on purpose.
    fn allows(&mut self, operation: &Operation) -> Result<(), KernelError> {
        if let Some(error) = self.faults.as_mut().and_then(|faults| faults(operation)) {
            return Err(error);
        }
        if self.permitted {
            return Ok(());
        }
        Err(KernelError::new(
            KernelPart::of(operation),
            KernelErrorKind::Permission,
            format!("{}: needs CAP_NET_ADMIN", operation.summary()),
        ))
    }

    fn link(&mut self) -> Result<&mut BTreeSet<IpNetwork>, KernelError> {
        self.addresses.as_mut().ok_or_else(no_link)
    }

    /// The kernel's settings are of C's type `int`, whatever else their files take.
    fn set_sysctl(&mut self, sysctl: Sysctl, value: i64) -> Result<(), KernelError> {
        if i32::try_from(value).is_err() {
            return Err(KernelError::invalid(
                KernelPart::Sysctl,
                format_args!("{sysctl} = {value}"),
                "the value is out of range",
            ));
        }
        self.sysctls.insert(sysctl, value);
        Ok(())
    }
}

fn no_link() -> KernelError {
    KernelError::missing(KernelPart::Links, format_args!("link {LINK}"))
}

impl Kernel for MemoryKernel {
    fn observe(&mut self) -> Result<Observed, KernelError> {
        Ok(self.state())
    }

    fn connections(
        &mut self,
        servers: &[VirtualServerId],
    ) -> Result<Vec<ServerConnections>, KernelError> {
        let mut asked = servers.to_vec();
        asked.sort_unstable();
        asked.dedup();
        let found = asked.into_iter().filter_map(|id| {
            let destinations = self.servers.get(&id)?.destinations();
            Some(ServerConnections::new(id, destinations))
        });
        Ok(found.collect())
    }

    fn apply(&mut self, plan: &Plan) -> Applied {
        // Only those on tables of nf_tables go together: as one transaction.
        let together =
            |one: &Operation, next: &Operation| one.table().is_some() && next.table().is_some();
        carry_out(plan, together, |operations| match operations {
            [first, _, ..] if first.table().is_some() => self.transaction(operations),
            _ => operations
                .iter()
                .map(|operation| self.perform(operation))
                .collect(),
        })
    }
}
