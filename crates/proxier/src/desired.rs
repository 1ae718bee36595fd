//! What the kernel should hold.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use ipset_netlink::{Entry, SetSpec};
use ipvs_netlink::{
    Destination, DestinationId, Protocol, ServiceFlags, Timeouts, VirtualServerConfig,
    VirtualServerId,
};

use crate::cluster::{Family, Host, PerFamily};
use crate::conflict::Conflict;
use crate::layout::nftables::{Element, OWN_FLAG, Routing, TableRules};
use crate::layout::{FamilyRules, Layout, SetId};
use crate::observed::Observed;
use crate::ownership::{Holdings, Ownership, recognizes};
use crate::settings::Sysctl;

/// All that a node's kernel should hold of a cluster, as [`translate`](crate::translate()) makes it.
///
/// Lists are sorted and free of duplicates, so that equal clusters give equal values.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Desired {
    /// Which sets and chains are written.
    pub layout: Layout,
    /// The virtual servers, by id.
    pub servers: Vec<Server>,
    /// The sets and rules of each family that is written.
    pub families: PerFamily<Option<FamilyState>>,
    /// The table of nf_tables of each family that is written ([`Layout::Nftables`]).
    pub tables: PerFamily<Option<DesiredTable>>,
    /// The proxy's rules by mark and local routes.
    pub routing: Routing,
    /// The addresses on [`LINK`](crate::LINK).
    pub addresses: BTreeSet<IpAddr>,
    /// Values under `/proc/sys`.
    pub sysctls: Vec<(Sysctl, i64)>,
    /// IPVS's connection timeouts in seconds, 0 to leave one as it is.
    pub timeouts: Timeouts,
    /// Whether there is to be a [`LINK`](crate::LINK) at all.
    pub link: bool,
    /// Which virtual servers that are not among `servers` are the proxy's to remove.
    pub ownership: Ownership,
    /// Whether virtual servers by firewall mark that are to be removed drain first: their destinations get weight 0, and
    /// they stay until the TCP connections through them have ended. What is open at an address and port goes
    /// on so when the Service's `externalTrafficPolicy` becomes `Cluster`, or the node moves to another layout.
    pub drain_marks: bool,
    /// Claims that were not granted.
    pub conflicts: Vec<Conflict>,
}

impl Desired {
    /// A state that wants nothing, with the proxy's link and without rules and sets, to be filled by a program that
    /// translates by itself. Lists must be sorted.
    #[must_use]
    pub const fn new(layout: Layout, ownership: Ownership) -> Self {
        Self {
            layout,
            servers: Vec::new(),
            families: PerFamily { v4: None, v6: None },
            tables: PerFamily { v4: None, v6: None },
            routing: Routing {
                rules: Vec::new(),
                routes: Vec::new(),
            },
            addresses: BTreeSet::new(),
            sysctls: Vec::new(),
            timeouts: Timeouts {
                tcp: 0,
                tcp_fin: 0,
                udp: 0,
            },
            link: true,
            ownership,
            drain_marks: true,
            conflicts: Vec::new(),
        }
    }

    /// The virtual server of an id.
    #[must_use]
    pub fn server(&self, id: &VirtualServerId) -> Option<&Server> {
        let at = self
            .servers
            .binary_search_by(|server| server.id.cmp(id))
            .ok()?;
        self.servers.get(at)
    }

    /// Nothing of the proxy's: what leads there removes all that any layout may have made on this machine, as far as it
    /// can be recognized in `observed` (see [`Ownership`]), and nothing else. Kernel settings stay.
    #[must_use]
    pub fn nothing(observed: &Observed, host: &Host) -> Self {
        let node_addresses = host.addresses().collect();
        let own = observed.servers.iter().filter(|server| {
            server.config.flags.contains(OWN_FLAG)
                || recognizes(&server.id, &node_addresses, observed)
        });
        let own = own.map(|server| server.id);
        Self {
            link: false,
            drain_marks: false,
            ..Self::new(Layout::default(), Ownership::Only(own.collect()))
        }
    }

    /// Whether a virtual server found in a kernel, which no Service wants, is the proxy's to remove.
    #[must_use]
    pub fn owns(&self, id: &VirtualServerId, observed: &Observed) -> bool {
        let found = observed.server(id);
        let flags = found.map_or(ServiceFlags::empty(), |found| found.config.flags);
        self.ownership.covers(id, flags, &(self, observed))
    }
}

impl Holdings for Desired {
    fn binds(&self, address: IpAddr) -> bool {
        self.addresses.contains(&address)
    }

    fn has(&self, family: Family, set: SetId, entry: &Entry) -> bool {
        let set = self
            .families
            .get(family)
            .as_ref()
            .and_then(|state| state.set(set));
        set.is_some_and(|set| set.entries.binary_search(entry).is_ok())
    }
}

/// What is held after a plan counts like what is held before it.
impl Holdings for (&Desired, &Observed) {
    fn binds(&self, address: IpAddr) -> bool {
        self.0.binds(address) || self.1.binds(address)
    }

    fn has(&self, family: Family, set: SetId, entry: &Entry) -> bool {
        self.0.has(family, set, entry) || self.1.has(family, set, entry)
    }
}

/// A virtual server and its destinations.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Server {
    /// Protocol, address and port.
    pub id: VirtualServerId,
    /// Its settings.
    pub config: VirtualServerConfig,
    /// Its destinations, by id. Virtual servers of one Service port mostly share one list.
    pub destinations: Arc<[Destination]>,
    /// How long a removed destination keeps its connections. Until then it has weight 0.
    pub drain: Drain,
}

/// How long a removed destination keeps its connections, with weight 0.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Drain {
    /// It goes at once.
    Never,
    /// Until its connections have ended.
    UntilIdle,
    /// Until its connections have ended, but no longer than so many seconds. A plan has no clock: who has one shows
    /// [`reconcile`](crate::reconcile()) a destination whose time is over as one without connections.
    Seconds(u32),
    /// Until its connections have ended, or it is none of these any more. Sorted.
    Of(Arc<Vec<DestinationId>>),
}

impl Drain {
    /// What destinations of a protocol do where nobody asks for anything else. Only connections of TCP end by themselves;
    /// those of UDP and SCTP would keep a dead destination.
    #[must_use]
    pub fn by_default(protocol: Protocol) -> Self {
        if protocol == Protocol::UDP || protocol == Protocol::SCTP {
            Self::Never
        } else {
            Self::UntilIdle
        }
    }

    /// Whether a destination with connections may stay.
    #[must_use]
    pub fn lets_stay(&self, id: &DestinationId) -> bool {
        match self {
            Self::Never => false,
            Self::UntilIdle | Self::Seconds(_) => true,
            Self::Of(these) => these.binary_search(id).is_ok(),
        }
    }
}

impl Server {
    /// A virtual server with these destinations, sorted by id. One by firewall mark is taken for one of TCP.
    #[must_use]
    pub fn new(
        id: VirtualServerId,
        config: VirtualServerConfig,
        destinations: impl Into<Arc<[Destination]>>,
    ) -> Self {
        let drain = match id {
            VirtualServerId::Address { protocol, .. } => Drain::by_default(protocol),
            VirtualServerId::FirewallMark { .. } => Drain::UntilIdle,
        };
        Self {
            id,
            config,
            destinations: destinations.into(),
            drain,
        }
    }
}

/// The sets and rules of one address family.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct FamilyState {
    /// The sets of the layout, all of them, in the order of their ids.
    pub sets: Vec<DesiredSet>,
    /// The rules.
    pub rules: FamilyRules,
}

impl FamilyState {
    /// Sets, in the order of their ids, and rules.
    #[must_use]
    pub const fn new(sets: Vec<DesiredSet>, rules: FamilyRules) -> Self {
        Self { sets, rules }
    }

    /// One of the sets.
    #[must_use]
    pub fn set(&self, id: SetId) -> Option<&DesiredSet> {
        self.sets.iter().find(|set| set.id == id)
    }
}

/// The table of nf_tables of one address family.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct DesiredTable {
    /// What its sets, chains and rules depend on.
    pub rules: TableRules,
    /// The elements of its sets and maps, sorted, each key once.
    pub elements: Vec<Element>,
}

impl DesiredTable {
    /// A table with these elements, sorted, each key once.
    #[must_use]
    pub const fn new(rules: TableRules, elements: Vec<Element>) -> Self {
        Self { rules, elements }
    }
}

/// A set and its members.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct DesiredSet {
    /// Which of the proxy's sets it is.
    pub id: SetId,
    /// How it is made. One that is found with room for more members is left as it is.
    pub spec: SetSpec,
    /// Its members, sorted.
    pub entries: Vec<Entry>,
}

impl DesiredSet {
    /// A set with these members, sorted.
    #[must_use]
    pub const fn new(id: SetId, spec: SetSpec, entries: Vec<Entry>) -> Self {
        Self { id, spec, entries }
    }
}
