//! What the kernel should hold.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use ipnetwork::IpNetwork;
use ipset_netlink::{Entry, SetSpec};
use ipvs_netlink::{Destination, Timeouts, VirtualServerConfig, VirtualServerId};

use crate::cluster::{Family, ObjectName, PerFamily};
use crate::layout::{FamilyRules, Layout, SetId};
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
    /// Virtual servers at these addresses are somebody else's unless they are among `servers`.
    pub exclude_cidrs: Vec<IpNetwork>,
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

    /// Whether a virtual server that no Service wants may be removed: not those by firewall mark, and
    /// not those at addresses that are excluded.
    #[must_use]
    pub fn owns(&self, id: &VirtualServerId) -> bool {
        match id {
            VirtualServerId::Address { address, .. } => !self
                .exclude_cidrs
                .iter()
                .any(|cidr| cidr.contains(*address)),
            VirtualServerId::FirewallMark { .. } => false,
        }
    }
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
    pub port: Box<str>,
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
