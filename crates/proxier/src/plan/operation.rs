//! The operations that plans are made of.

use std::net::IpAddr;

use dummy_link::{LocalRoute, MarkRule};
use ipnetwork::IpNetwork;
use ipset_netlink::{Entry, SetName, SetSpec};
use iptables_restore::{Chain, RestoreInput};
use ipvs_netlink::{Destination, DestinationId, Timeouts, VirtualServerConfig, VirtualServerId};

use crate::cluster::{Family, ObjectName};
use crate::layout::Reach;
use crate::layout::nftables::{Element, Structure, TableRules};
use crate::settings::Sysctl;

/// One change of the kernel's state, done as a whole or not at all.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Operation {
    /// Write a value under `/proc/sys`.
    SetSysctl {
        /// Which.
        sysctl: Sysctl,
        /// The value that it gets.
        value: i64,
        /// The value that it had, where that is known.
        was: Option<i64>,
    },
    /// Set IPVS's connection timeouts; zeros leave one as it is.
    SetTimeouts(Timeouts),
    /// Make the proxy's link.
    CreateLink,
    /// Delete the proxy's link, with whatever addresses it has.
    DeleteLink,
    /// Make a set.
    CreateSet(Box<SetSpec>),
    /// Add a member to a set.
    AddEntry {
        /// The set.
        set: SetName,
        /// The member.
        entry: Entry,
    },
    /// Remove a member from a set.
    DeleteEntry {
        /// The set.
        set: SetName,
        /// The member.
        entry: Entry,
    },
    /// Exchange what two sets hold; rules follow the name.
    SwapSets {
        /// The set that rules match.
        set: SetName,
        /// The one made to replace it.
        with: SetName,
    },
    /// Destroy a set.
    DestroySet(SetName),
    /// Change the rules of one table in one transaction.
    RestoreRules(Box<RulesChange>),
    /// Add a virtual server.
    AddServer {
        /// What it is known by.
        id: VirtualServerId,
        /// Its settings.
        config: VirtualServerConfig,
    },
    /// Change the settings of a virtual server; its connections live on.
    SetServer {
        /// What it is known by.
        id: VirtualServerId,
        /// Its settings from now on.
        config: VirtualServerConfig,
        /// Its settings up to now.
        was: VirtualServerConfig,
    },
    /// Delete a virtual server and its destinations.
    DeleteServer(VirtualServerId),
    /// Add a destination.
    AddDestination {
        /// Its virtual server.
        server: VirtualServerId,
        /// Its address, port and settings.
        destination: Destination,
    },
    /// Change the settings of a destination. With weight 0 it gets no new connections.
    SetDestination {
        /// Its virtual server.
        server: VirtualServerId,
        /// Its address, port, and settings from now on.
        destination: Destination,
        /// Its weight up to now.
        was: u32,
    },
    /// Delete a destination.
    DeleteDestination {
        /// Its virtual server.
        server: VirtualServerId,
        /// Its address and port.
        id: DestinationId,
    },
    /// Bind a service address to the proxy's link.
    BindAddress(IpAddr),
    /// Unbind an address from the proxy's link.
    UnbindAddress(IpNetwork),
    /// Write a table of nf_tables whole, in the place of whatever is there of its name.
    WriteTable(Box<TableWrite>),
    /// Delete the table of a family, with all that is in it.
    DeleteTable(Family),
    /// Add sets and chains to a table, whose others stay as they are.
    AddTablePart(Box<TablePart>),
    /// Delete sets and chains of a table, with what is in them.
    DeleteTablePart(Box<TablePart>),
    /// Add an element to its set or map, which must not have its key.
    AddElement {
        /// Of which table.
        family: Family,
        /// The element.
        element: Element,
    },
    /// Change what a map has for a key: delete and add in one transaction.
    ChangeElement {
        /// Of which table.
        family: Family,
        /// The element from now on.
        element: Element,
        /// The element up to now, of the same key.
        was: Element,
    },
    /// Delete an element from its set or map.
    DeleteElement {
        /// Of which table.
        family: Family,
        /// The element.
        element: Element,
    },
    /// Add a routing rule by mark.
    AddRoutingRule(MarkRule),
    /// Delete a routing rule by mark.
    DeleteRoutingRule(MarkRule),
    /// Add a local route.
    AddRoute(LocalRoute),
    /// Delete a local route.
    DeleteRoute(LocalRoute),
}

impl Operation {
    /// The virtual server that it makes, changes or deletes, or whose destinations it does; `None` for all else.
    #[must_use]
    pub const fn server(&self) -> Option<&VirtualServerId> {
        match self {
            Self::AddServer { id, .. }
            | Self::SetServer { id, .. }
            | Self::DeleteServer(id)
            | Self::AddDestination { server: id, .. }
            | Self::SetDestination { server: id, .. }
            | Self::DeleteDestination { server: id, .. } => Some(id),
            Self::SetSysctl { .. }
            | Self::SetTimeouts(_)
            | Self::CreateLink
            | Self::DeleteLink
            | Self::CreateSet(_)
            | Self::AddEntry { .. }
            | Self::DeleteEntry { .. }
            | Self::SwapSets { .. }
            | Self::DestroySet(_)
            | Self::RestoreRules(_)
            | Self::BindAddress(_)
            | Self::UnbindAddress(_)
            | Self::WriteTable(_)
            | Self::DeleteTable(_)
            | Self::AddTablePart(_)
            | Self::DeleteTablePart(_)
            | Self::AddElement { .. }
            | Self::ChangeElement { .. }
            | Self::DeleteElement { .. }
            | Self::AddRoutingRule(_)
            | Self::DeleteRoutingRule(_)
            | Self::AddRoute(_)
            | Self::DeleteRoute(_) => None,
        }
    }

    /// The family whose table of nf_tables it changes. Such operations that follow one another can be one transaction.
    #[must_use]
    pub fn table(&self) -> Option<Family> {
        match self {
            Self::WriteTable(write) => Some(write.rules.family),
            Self::AddTablePart(part) | Self::DeleteTablePart(part) => Some(part.family),
            Self::DeleteTable(family)
            | Self::AddElement { family, .. }
            | Self::ChangeElement { family, .. }
            | Self::DeleteElement { family, .. } => Some(*family),
            _ => None,
        }
    }
}

/// A change of the rules of one table, and what there was before it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct RulesChange {
    /// iptables or ip6tables.
    pub family: Family,
    /// What `iptables-restore --noflush` is given.
    pub input: RestoreInput,
    /// The chains that are rewritten or deleted, as they are found.
    pub before: Vec<Chain>,
    /// In iptables mode: the Services whose rules and chains these are, sorted; none for what all Services share. Each
    /// Service has a change of its own, so that a line that is refused leads back to it and keeps no other waiting. Those
    /// between which an address moves have one together.
    pub services: Vec<ObjectName>,
    /// Which new virtual servers need it.
    pub(crate) dependents: Dependents,
}

/// The virtual servers that must not be added, nor addresses bound for them, until a change of rules has been made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Dependents {
    /// All of the family.
    All,
    /// Those at these ports.
    At(Vec<Reach>),
    /// Those by mark, where the change takes marks away. One that sets marks comes after them.
    Marks,
    /// None: in iptables mode the change opens ways to the rules of Services. It comes after what these share.
    Ways,
}

impl RulesChange {
    /// A change of which the chains before it are not known: it prints all that it adds.
    #[must_use]
    pub const fn new(family: Family, input: RestoreInput) -> Self {
        Self {
            family,
            input,
            before: Vec::new(),
            services: Vec::new(),
            dependents: Dependents::All,
        }
    }
}

/// A table of nf_tables that is written whole.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct TableWrite {
    /// What its sets, chains and rules are made of.
    pub rules: TableRules,
    /// The elements that it has from the beginning: those that were there and stay.
    pub elements: Vec<Element>,
    /// The table as it was found, without its elements; `None` if there was none.
    pub before: Option<Box<Structure>>,
}

impl TableWrite {
    /// A table in the place of which nothing is known.
    #[must_use]
    pub const fn new(rules: TableRules, elements: Vec<Element>) -> Self {
        Self {
            rules,
            elements,
            before: None,
        }
    }
}

/// Sets and chains of a table that come and go while its others stay.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct TablePart {
    /// Of which table.
    pub family: Family,
    /// The sets, the chains and their rules.
    pub structure: Structure,
}

impl TablePart {
    /// That by which Services choose the address that they are masqueraded with.
    #[must_use]
    pub fn of_masquerade_addresses(rules: &TableRules) -> Self {
        Self {
            family: rules.family,
            structure: rules.masquerade_address_part(),
        }
    }

    /// Whether an element is in one of its sets.
    pub(crate) fn has(&self, element: &Element) -> bool {
        let name = element.set().as_str();
        self.structure.sets.iter().any(|set| set.name == name)
    }
}
