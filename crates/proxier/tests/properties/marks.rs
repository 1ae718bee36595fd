//! What must hold of tables of nf_tables at every moment while a plan is carried out.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;

use ipvs_netlink::{DestinationId, VirtualServerId};
use proxier::cluster::Family;
use proxier::nftables::{AddressPort, Element, NodePort};
use proxier::{Desired, Observed};

/// Looks at states on the way from one that was found to the one desired.
pub(crate) struct Watch<'a> {
    desired: &'a Desired,
    /// What was wrong when it was found.
    found: BTreeSet<String>,
    /// By mark, the destinations that packets could get when found.
    destinations: BTreeMap<VirtualServerId, BTreeSet<DestinationId>>,
    elements: BTreeSet<(Family, Element)>,
}

fn elements(state: &Observed) -> impl Iterator<Item = (Family, Element)> {
    Family::ALL.into_iter().flat_map(|family| {
        let table = state.tables.get(family).as_ref();
        let elements = table.map_or(&[][..], |table| &table.elements);
        elements.iter().map(move |element| (family, *element))
    })
}

fn by_mark(family: Family, mark: u32) -> VirtualServerId {
    VirtualServerId::FirewallMark {
        family,
        mark: NonZeroU32::new(mark).unwrap(),
    }
}

/// Destinations that get new connections.
fn active(state: &Observed, id: &VirtualServerId) -> BTreeSet<DestinationId> {
    let server = state.server(id);
    let destinations = server.iter().flat_map(|server| &server.destinations);
    let active = destinations.filter(|found| found.destination.config.weight > 0);
    active.map(|found| found.destination.id).collect()
}

/// Whether a table has packets for a virtual server taken there.
pub(crate) fn leads_to(state: &Observed, id: VirtualServerId) -> bool {
    let Some(at) = AddressPort::of(&id) else {
        return false;
    };
    let port = NodePort {
        protocol: at.protocol,
        port: at.port,
    };
    let mut own = elements(state).map(|(_, element)| element);
    own.any(|element| match element {
        Element::Service(of, _) | Element::PortMark(of, _) => of == at,
        Element::NodePort(of, _) => of == port,
        _ => false,
    })
}

impl<'a> Watch<'a> {
    pub(crate) fn new(desired: &'a Desired, found: &Observed) -> Self {
        let mut watch = Self {
            desired,
            found: BTreeSet::new(),
            destinations: BTreeMap::new(),
            elements: elements(found).collect(),
        };
        for (family, element) in elements(found) {
            if let Some(mark) = element.mark() {
                let id = by_mark(family, mark);
                watch.destinations.insert(id, active(found, &id));
            }
        }
        watch.found = watch.all(found).collect();
        watch
    }

    /// What is wrong with a state and was not wrong with the one found.
    pub(crate) fn problems(&self, state: &Observed) -> Vec<String> {
        let all = self.all(state);
        all.filter(|problem| !self.found.contains(problem))
            .collect()
    }

    fn all(&self, state: &Observed) -> impl Iterator<Item = String> {
        let all: Vec<_> = elements(state).collect();
        let present: BTreeSet<_> = all.iter().copied().collect();
        let mut problems = Vec::new();
        for (family, element) in all {
            for id in servers(&element, family, &present) {
                if state.server(&id).is_none() {
                    problems.push(format!(
                        "{family} {element} leads to {id}, which is missing"
                    ));
                }
            }
            if let Some(firewalled) = firewalled(&element) {
                self.restricted(family, (&element, firewalled), &present, &mut problems);
            }
            if element.mark().is_some() {
                self.right_endpoints(state, family, element, &mut problems);
            }
        }
        problems.into_iter()
    }

    /// A port that only some clients may use has no moment without its restriction.
    fn restricted(
        &self,
        family: Family,
        (element, firewalled): (&Element, Element),
        present: &BTreeSet<(Family, Element)>,
        problems: &mut Vec<String>,
    ) {
        let same = |other: &Element| match (element, other) {
            (Element::Service(at, _), Element::Service(of, _)) => at == of,
            _ => element == other,
        };
        let wanted = self.desired.tables.get(family).as_ref();
        let wanted = wanted.map_or(&[][..], |table| &table.elements);
        let is_wanted = wanted.iter().any(same);
        let (before, after) = (
            self.elements.contains(&(family, firewalled)),
            wanted.contains(&firewalled),
        );
        // Open where it is to be open, or was.
        let mut found = self.elements.iter();
        let is_new = !found.any(|(of, element)| *of == family && same(element));
        let must = match (is_wanted, is_new) {
            (true, true) => after,
            (true, false) => before && after,
            (false, _) => before,
        };
        if must && !present.contains(&(family, firewalled)) {
            problems.push(format!("{element} is not restricted"));
        }
    }

    /// Packets with a mark get endpoints of the Service that they are for.
    fn right_endpoints(
        &self,
        state: &Observed,
        family: Family,
        element: Element,
        problems: &mut Vec<String>,
    ) {
        let Some(mark) = element.mark() else { return };
        let id = by_mark(family, mark);
        let wanted = self.desired.tables.get(family).as_ref();
        // An element may go while others of the mark stay: ranges of ports have one for each address.
        let is_wanted =
            |element: &Element| wanted.is_some_and(|table| table.elements.contains(element));
        let mut found = self.elements.iter();
        let keeps_owner =
            found.any(|(of, one)| *of == family && one.mark() == Some(mark) && is_wanted(one));
        // Nor need any stay: a range goes, and its virtual server stays without packets.
        let someones = wanted.is_some_and(|table| {
            let mut elements = table.elements.iter();
            elements.any(|one| one.mark() == Some(mark))
        });
        let stays = keeps_owner || is_wanted(&element) || !someones;
        let was = self.elements.contains(&(family, element));
        let mut right = BTreeSet::new();
        if was {
            right.extend(self.destinations.get(&id).into_iter().flatten().copied());
        }
        if stays {
            let server = self.desired.server(&id);
            let destinations = server.iter().flat_map(|server| server.destinations.iter());
            right.extend(destinations.map(|destination| destination.id));
        }
        let wrong: Vec<_> = active(state, &id).difference(&right).copied().collect();
        if !wrong.is_empty() {
            problems.push(format!(
                "{family} {element} leads to endpoints of another: {wrong:?}"
            ));
        }
    }
}

/// What restricts the clients of an element by which packets are served.
const fn firewalled(element: &Element) -> Option<Element> {
    match *element {
        Element::Service(at, _) => Some(Element::Firewalled(at)),
        Element::PortMark(at, mark) => Some(Element::RangeFirewalled(at.address, mark)),
        Element::RangeMark(at, mark) => Some(Element::RangeFirewalled(at.address, mark)),
        _ => None,
    }
}

/// The virtual servers that an element leads to.
fn servers(
    element: &Element,
    family: Family,
    present: &BTreeSet<(Family, Element)>,
) -> Vec<VirtualServerId> {
    match element {
        Element::Service(at, _) => vec![at.server()],
        Element::NodePort(NodePort { protocol, port }, _) => {
            let addresses = present.iter().filter_map(|(of, other)| match other {
                Element::NodeAddress(address) if *of == family => Some(*address),
                _ => None,
            });
            let server = |address| AddressPort {
                address,
                protocol: *protocol,
                port: *port,
            };
            addresses.map(|ip| server(ip).server()).collect()
        }
        _ => element
            .mark()
            .into_iter()
            .map(|mark| by_mark(family, mark))
            .collect(),
    }
}
