//! What the kernel holds.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnetwork::IpNetwork;
use ipset_netlink::{Entry, Set, SetName};
use iptables_restore::Ruleset;
use ipvs_netlink::{Connections, Destination, Timeouts, VirtualServerConfig, VirtualServerId};

use crate::cluster::{Family, PerFamily};
use crate::layout::SetId;
use crate::ownership::Holdings;
use crate::settings::Sysctl;

/// The state of a kernel at one moment, as far as a service proxy can change it.
///
/// It holds what is somebody else's too: that is how it is known to be.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Observed {
    /// The virtual servers, sorted by id.
    pub servers: Vec<ObservedServer>,
    /// The sets with their members sorted.
    pub sets: BTreeMap<SetName, Set>,
    /// The iptables and ip6tables rules.
    pub rules: PerFamily<Ruleset>,
    /// The addresses on the proxy's link, sorted; `None` if there is no such link.
    pub addresses: Option<Vec<IpNetwork>>,
    /// Values under `/proc/sys`; those that this kernel does not have are missing.
    pub sysctls: BTreeMap<Sysctl, i64>,
    /// IPVS's connection timeouts, seconds.
    pub timeouts: Timeouts,
}

/// A virtual server found in the kernel.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ObservedServer {
    /// What it is known by.
    pub id: VirtualServerId,
    /// Its settings.
    pub config: VirtualServerConfig,
    /// Its destinations, sorted by id.
    pub destinations: Vec<ObservedDestination>,
}

/// A destination found in the kernel.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct ObservedDestination {
    /// Its address, port and settings.
    pub destination: Destination,
    /// Its connections at the time.
    pub connections: Connections,
}

impl ObservedServer {
    /// A virtual server without destinations.
    #[must_use]
    pub const fn new(id: VirtualServerId, config: VirtualServerConfig) -> Self {
        Self {
            id,
            config,
            destinations: Vec::new(),
        }
    }
}

impl ObservedDestination {
    /// A destination without connections.
    #[must_use]
    pub fn new(destination: Destination) -> Self {
        Self {
            destination,
            connections: Connections::default(),
        }
    }
}

impl Observed {
    /// Whether an address is on the proxy's link, with whatever prefix length.
    #[must_use]
    pub fn binds(&self, address: IpAddr) -> bool {
        self.addresses
            .iter()
            .flatten()
            .any(|bound| bound.ip() == address)
    }

    /// The virtual server of an id.
    #[must_use]
    pub fn server(&self, id: &VirtualServerId) -> Option<&ObservedServer> {
        let at = self
            .servers
            .binary_search_by(|server| server.id.cmp(id))
            .ok()?;
        self.servers.get(at)
    }
}

impl Holdings for Observed {
    fn binds(&self, address: IpAddr) -> bool {
        Self::binds(self, address)
    }

    fn has(&self, family: Family, set: SetId, entry: &Entry) -> bool {
        let set = self.sets.get(&set.name(family));
        set.is_some_and(|set| set.entries.binary_search(entry).is_ok())
    }
}
