//! What a monitor reports, and how notifications become it.

use std::collections::{BTreeMap, BTreeSet};

use ipnetwork::IpNetwork;
use netlink_batch::{Message, uapi::NLM_F_REPLACE};

use crate::message::{parse_address, parse_link, parse_route, parse_rule};
use crate::uapi::{
    AF_UNSPEC, RTM_DELADDR, RTM_DELLINK, RTM_DELROUTE, RTM_DELRULE, RTM_NEWADDR, RTM_NEWLINK,
    RTM_NEWROUTE, RTM_NEWRULE,
};
use crate::{Client, LinkName, Route, RoutingProtocol, Rule, Table};

/// Most removals that one report names. Beyond it they count as lost.
const MAX_REMOVED: usize = 4096;

/// What changed since the last report. Where `links`, `addresses` or `lost` is set, list links and
/// addresses again ([`Client::node_links`](crate::Client::node_links)).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Changes {
    /// A link was created, deleted or changed.
    pub links: bool,
    /// An address was added, removed or changed.
    pub addresses: bool,
    /// A rule was added or removed ([`Monitor::with_routing`](super::Monitor::with_routing)).
    pub rules: bool,
    /// A route was added, removed or changed (likewise), or may have been replaced in a
    /// [watched](super::Monitor::watching_table) table.
    pub routes: bool,
    /// Notifications were lost: anything may have changed, on watched and ignored links too.
    pub lost: bool,
    /// What was removed from [watched](super::Monitor::watching) links, [tables](super::Monitor::watching_table) and
    /// [protocols](super::Monitor::watching_protocol), in order.
    pub removed: Vec<Removal>,
}

/// Something that is gone from a watched link or table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Removal {
    /// The link was deleted, or was given another name.
    Link(LinkName),
    /// An address was removed from the link.
    Address {
        /// The link.
        link: LinkName,
        /// The address with its prefix length; where it had a peer, the local address.
        address: IpNetwork,
    },
    /// A rule that looks up a watched table, or of a watched protocol.
    Rule(Rule),
    /// A route of a watched table or protocol.
    Route(Route),
}

impl Changes {
    pub(super) fn is_any(&self) -> bool {
        let Self {
            links,
            addresses,
            rules,
            routes,
            lost,
            removed,
        } = self;
        *links || *addresses || *rules || *routes || *lost || !removed.is_empty()
    }

    fn remove(&mut self, removal: Removal) {
        if self.removed.len() < MAX_REMOVED {
            self.removed.push(removal);
        } else {
            self.lost = true;
        }
    }
}

/// What is reported of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Interest {
    /// Nothing.
    Ignored,
    /// What is removed.
    Watched,
}

/// Sorts notifications by what is of interest. Links are known by index, as notifications about
/// addresses do not have their names.
#[derive(Debug, Default)]
pub(super) struct Filter {
    /// The links of which not everything is reported.
    links: BTreeMap<LinkName, Interest>,
    /// Those of them that exist, by index; `None` if that is unknown.
    by_index: Option<BTreeMap<u32, LinkName>>,
    /// Whether rules and routes of other tables are reported.
    pub(super) routing: bool,
    /// The tables of which only removals are reported.
    pub(super) tables: BTreeSet<Table>,
    /// Whose rules and routes are reported as they are removed, whatever their table.
    pub(super) protocols: BTreeSet<RoutingProtocol>,
}

impl Filter {
    /// Adds a link of which not everything is reported.
    pub(super) fn add(&mut self, link: LinkName, interest: Interest) {
        self.links.insert(link, interest);
        self.by_index = None;
        self.refresh();
    }

    /// Looks up the indexes of links if they are unknown.
    fn refresh(&mut self) -> &mut BTreeMap<u32, LinkName> {
        let links = &self.links;
        self.by_index.get_or_insert_with(|| look_up(links))
    }

    /// Takes note of lost notifications. They may have been about any link.
    pub(super) fn lose(&mut self, changes: &mut Changes) {
        changes.lost = true;
        self.by_index = None;
    }

    /// Adds what a notification is about.
    pub(super) fn record(&mut self, message: &Message<'_>, changes: &mut Changes) {
        let is_removal = matches!(
            message.message_type,
            RTM_DELLINK | RTM_DELADDR | RTM_DELRULE | RTM_DELROUTE
        );
        match message.message_type {
            RTM_NEWLINK | RTM_DELLINK => match parse_link(message.payload) {
                Ok(link) => {
                    // A port that leaves a bridge is deleted from the bridge alone (AF_BRIDGE).
                    let exists = !is_removal || message.payload.first() != Some(&AF_UNSPEC);
                    self.record_link(link.index, link.name, exists, changes);
                }
                Err(_) => self.lose(changes),
            },
            RTM_NEWADDR | RTM_DELADDR => match parse_address(message.payload) {
                Ok(Some(bound)) => {
                    self.record_address(bound.index, bound.address, is_removal, changes);
                }
                // Of another family.
                Ok(None) => {}
                Err(_) => self.lose(changes),
            },
            RTM_NEWRULE | RTM_DELRULE => match parse_rule(message.payload) {
                Ok(Some(rule)) if self.watches(rule.table, rule.protocol) => {
                    if is_removal {
                        changes.remove(Removal::Rule(rule));
                    }
                }
                Ok(Some(_)) => changes.rules |= self.routing,
                Ok(None) => {}
                Err(_) => self.lose(changes),
            },
            RTM_NEWROUTE | RTM_DELROUTE => match parse_route(message.payload) {
                Ok(Some(route)) if self.watches(route.table, route.protocol) => {
                    if is_removal {
                        changes.remove(Removal::Route(route));
                    } else if message.flags & NLM_F_REPLACE != 0 {
                        // Nobody is told about the route that was there before.
                        changes.routes = true;
                    }
                }
                Ok(Some(_)) => changes.routes |= self.routing,
                Ok(None) => {}
                Err(_) => self.lose(changes),
            },
            _ => {}
        }
    }

    fn watches(&self, table: Table, protocol: RoutingProtocol) -> bool {
        self.tables.contains(&table) || self.protocols.contains(&protocol)
    }

    fn record_address(
        &mut self,
        index: u32,
        address: IpNetwork,
        is_removal: bool,
        changes: &mut Changes,
    ) {
        let link = self.refresh().get(&index).copied();
        let known = link.and_then(|link| Some((link, *self.links.get(&link)?)));
        match known {
            None => changes.addresses = true,
            Some((link, Interest::Watched)) if is_removal => {
                changes.remove(Removal::Address { link, address });
            }
            Some(_) => {}
        }
    }

    fn record_link(&mut self, index: u32, name: LinkName, exists: bool, changes: &mut Changes) {
        let before = self.refresh().get(&index).copied();
        // The name it had until now, unless it keeps that; where it was not known, the name it had last.
        let gone = match before {
            Some(before) => (!exists || before != name).then_some(before),
            None => (!exists).then_some(name),
        };
        let is_watched = |link: &LinkName| self.links.get(link) == Some(&Interest::Watched);
        if let Some(gone) = gone.filter(is_watched) {
            changes.remove(Removal::Link(gone));
        }
        let is_filtered = self.links.contains_key(&name);
        changes.links |= !is_filtered;
        if exists && is_filtered {
            self.refresh().insert(index, name);
        } else {
            self.refresh().remove(&index);
        }
    }
}

/// Those of these links that exist, by index. One that cannot be looked up is missing, so that too much
/// is reported rather than too little.
fn look_up(links: &BTreeMap<LinkName, Interest>) -> BTreeMap<u32, LinkName> {
    let Some(mut client) = (!links.is_empty()).then(Client::open).and_then(Result::ok) else {
        return BTreeMap::new();
    };
    let found = links.keys().filter_map(|link| client.link(*link).ok());
    found.map(|link| (link.index, link.name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_removals_than_are_named_count_as_lost() {
        let link = LinkName::new("ours").unwrap();
        let mut changes = Changes::default();
        for _ in 0..MAX_REMOVED {
            changes.remove(Removal::Link(link));
        }
        assert!(!changes.lost);
        changes.remove(Removal::Link(link));
        assert!(changes.lost);
        assert_eq!(changes.removed.len(), MAX_REMOVED);
    }
}
