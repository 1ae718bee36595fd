//! What the kernel holds.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnetwork::IpNetwork;
use ipset_netlink::{Entry, Set, SetName};
use iptables_restore::Ruleset;
use ipvs_netlink::{Connections, Destination, Timeouts, VirtualServerConfig, VirtualServerId};
use nftables_netlink::TableFamily;

use crate::cluster::{Family, PerFamily};
use crate::layout::SetId;
use crate::layout::nftables::{Element, Routing, Structure};
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
    /// The proxy's table of nf_tables of each family.
    pub tables: PerFamily<Option<ObservedTable>>,
    /// The rules by mark and local routes with the proxy's protocol number
    /// ([`ROUTING_PROTOCOL`](crate::nftables::ROUTING_PROTOCOL)), sorted.
    pub routing: Routing,
    /// The addresses on the proxy's link, sorted; `None` if there is no such link.
    pub addresses: Option<Vec<IpNetwork>>,
    /// Values under `/proc/sys`; those that this kernel does not have are missing.
    pub sysctls: BTreeMap<Sysctl, i64>,
    /// IPVS's connection timeouts, seconds.
    pub timeouts: Timeouts,
}

/// A table of the proxy's found in nf_tables.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct ObservedTable {
    /// Its sets, chains and rules, those of others included.
    pub structure: Structure,
    /// The elements of its sets and maps, sorted.
    pub elements: Vec<Element>,
    /// How many elements are none that the proxy makes. A table with any is written anew.
    pub foreign_elements: usize,
}

impl ObservedTable {
    /// A table with these elements, sorted.
    #[must_use]
    pub const fn new(structure: Structure, elements: Vec<Element>) -> Self {
        Self {
            structure,
            elements,
            foreign_elements: 0,
        }
    }

    /// The proxy's table of a family, in a listing.
    #[must_use]
    pub fn of(ruleset: &nftables_netlink::Ruleset, family: Family) -> Option<Self> {
        let of_family = TableFamily::from(family);
        let own = |family: TableFamily, table: &nftables_netlink::Name| {
            family == of_family && *table == crate::layout::nftables::TABLE
        };
        let table = |table: &&nftables_netlink::Table| own(table.family, &table.name);
        ruleset.tables.iter().find(table)?;
        let mut found = Self::default();
        let mut sets = Vec::new();
        for filled in &ruleset.sets {
            let set = &filled.set;
            // Sets without a name of their own are part of their rules.
            if !own(set.family, &set.table)
                || set.flags.contains(nftables_netlink::SetFlags::ANONYMOUS)
            {
                continue;
            }
            sets.push(set.clone());
            let id = Structure::set_id(set);
            for element in &filled.elements {
                match id.and_then(|id| Element::from_netlink(id, family, element)) {
                    Some(element) => found.elements.push(element),
                    None => found.foreign_elements += 1,
                }
            }
        }
        found.elements.sort_unstable();
        let chains = ruleset.chains.iter();
        let rules = ruleset.rules.iter();
        found.structure = Structure::new(
            sets,
            chains
                .filter(|chain| own(chain.family, &chain.table))
                .cloned(),
            rules.filter(|rule| own(rule.family, &rule.table)).cloned(),
        );
        Some(found)
    }
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

/// The connections of a virtual server's destinations, counted. Its own settings are not part of it: they would cost a question of
/// their own.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ServerConnections {
    /// The virtual server.
    pub server: VirtualServerId,
    /// Its destinations, sorted by id. Their settings come with the counts: one whose weight is 0 gets no more connections.
    pub destinations: Vec<ObservedDestination>,
}

impl ServerConnections {
    /// Those of these destinations, sorted by id.
    #[must_use]
    pub const fn new(server: VirtualServerId, destinations: Vec<ObservedDestination>) -> Self {
        Self {
            server,
            destinations,
        }
    }
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
