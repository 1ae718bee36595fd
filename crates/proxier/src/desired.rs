//! What the kernel should hold.

use std::collections::{BTreeSet, HashSet};
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use ipnetwork::IpNetwork;
use ipset_netlink::{Entry, SetSpec};
use ipvs_netlink::{Destination, Timeouts, VirtualServerConfig, VirtualServerId};

use crate::cluster::{Family, ObjectName, PerFamily};
use crate::layout::{FamilyRules, Layout, Reach, SetId};
use crate::observed::Observed;
use crate::settings::Sysctl;

/// The link that service addresses are bound to. It is never brought up: IPVS only needs its addresses
/// to be local.
pub const LINK: &str = "kube-ipvs0";

/// All that a node's kernel should hold of a cluster, as [`translate`](crate::translate()) makes it.
///
/// Lists are sorted and free of duplicates, so that equal clusters give equal values.
#[derive(Clone, Debug, PartialEq)]
pub struct Desired {
    /// Which sets and chains are written.
    pub layout: Layout,
    /// The virtual servers, by id.
    pub servers: Vec<Server>,
    /// The sets and rules of each family that is written.
    pub families: PerFamily<Option<FamilyState>>,
    /// The addresses on [`LINK`].
    pub addresses: BTreeSet<IpAddr>,
    /// Values under `/proc/sys`.
    pub sysctls: Vec<(Sysctl, i64)>,
    /// IPVS's connection timeouts in seconds, 0 to leave one as it is.
    pub timeouts: Timeouts,
    /// Whether there is to be a [`LINK`] at all.
    pub link: bool,
    /// Which virtual servers that are not among `servers` are the proxy's to remove.
    pub ownership: Ownership,
    /// Claims that were not granted.
    pub conflicts: Vec<Conflict>,
}

impl Desired {
    /// The virtual server of an id.
    #[must_use]
    pub fn server(&self, id: &VirtualServerId) -> Option<&Server> {
        let at = self
            .servers
            .binary_search_by(|server| server.id.cmp(id))
            .ok()?;
        self.servers.get(at)
    }

    /// Nothing of the proxy's: what leads there removes all that any layout may have made, as far as it can
    /// be told in `observed`, and nothing else. Kernel settings stay.
    #[must_use]
    pub fn nothing(observed: &Observed) -> Self {
        Self {
            layout: Layout::default(),
            servers: Vec::new(),
            families: PerFamily::default(),
            addresses: BTreeSet::new(),
            sysctls: Vec::new(),
            timeouts: Timeouts::default(),
            link: false,
            ownership: Ownership::Only(made_by_proxy(observed)),
            conflicts: Vec::new(),
        }
    }

    /// Whether a virtual server that no Service wants is the proxy's to remove. Those by firewall mark never
    /// are.
    #[must_use]
    pub fn owns(&self, id: &VirtualServerId) -> bool {
        match (id, &self.ownership) {
            (VirtualServerId::FirewallMark { .. }, _) => false,
            (VirtualServerId::Address { address, .. }, Ownership::AllBut(excluded)) => {
                !excluded.iter().any(|cidr| cidr.contains(*address))
            }
            (_, Ownership::Only(own)) => own.contains(id),
        }
    }
}

/// Which virtual servers are the proxy's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ownership {
    /// All but those at addresses inside these networks (`excludeCIDRs`).
    AllBut(Vec<IpNetwork>),
    /// These.
    Only(BTreeSet<VirtualServerId>),
}

/// The virtual servers that members of the proxy's sets, or addresses on its link, are there for.
fn made_by_proxy(observed: &Observed) -> BTreeSet<VirtualServerId> {
    let reached: HashSet<_> = observed
        .sets
        .iter()
        .filter_map(|(name, set)| Some((SetId::owner(name)?.1, set)))
        .flat_map(|(id, set)| {
            set.entries
                .iter()
                .filter_map(move |entry| Reach::of_entry(id, entry))
        })
        .collect();
    let own = observed
        .servers
        .iter()
        .map(|server| server.id)
        .filter(|id| {
            let bound = match id {
                VirtualServerId::Address { address, .. } => observed.binds(*address),
                VirtualServerId::FirewallMark { .. } => false,
            };
            bound || Reach::of_server(id).any(|reach| reached.contains(&reach))
        });
    own.collect()
}

/// A virtual server and its destinations.
#[derive(Clone, Debug, PartialEq)]
pub struct Server {
    /// Protocol, address and port.
    pub id: VirtualServerId,
    /// Its settings.
    pub config: VirtualServerConfig,
    /// Its destinations, by id. Virtual servers of one Service port mostly share one list.
    pub destinations: Arc<[Destination]>,
}

/// The sets and rules of one address family.
#[derive(Clone, Debug, PartialEq)]
pub struct FamilyState {
    /// The sets of the layout, all of them, in the order of their ids.
    pub sets: Vec<DesiredSet>,
    /// The rules.
    pub rules: FamilyRules,
}

impl FamilyState {
    /// One of the sets.
    #[must_use]
    pub fn set(&self, id: SetId) -> Option<&DesiredSet> {
        self.sets.iter().find(|set| set.id == id)
    }
}

/// A set and its members.
#[derive(Clone, Debug, PartialEq)]
pub struct DesiredSet {
    /// Which of the proxy's sets it is.
    pub id: SetId,
    /// How it is made. One that is found with room for more members is left as it is.
    pub spec: SetSpec,
    /// Its members, sorted.
    pub entries: Vec<Entry>,
}

/// Two Service ports claim one virtual server; only one of them can have it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Conflict {
    /// The Service that goes without.
    pub service: ObjectName,
    /// The name of its port.
    pub port: Arc<str>,
    /// The address family.
    pub family: Family,
    /// What was claimed.
    pub server: VirtualServerId,
    /// The Service that has it, being older, or first by name.
    pub holder: ObjectName,
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Service {}, port {:?}: {} belongs to the older Service {}; \
             it is taken over when that one goes",
            self.service, self.port, self.server, self.holder
        )
    }
}
