//! Tables of nf_tables, and routing by mark.

use std::collections::BTreeSet;

use dummy_link::every_address;
use ipnetwork::IpNetwork;
use ipvs_netlink::Protocol;

use super::merge;
use crate::cluster::{Family, PortRange};
use crate::desired::{Desired, DesiredTable};
use crate::layout::nftables::{AddressRange, Difference, Element};
use crate::observed::Observed;
use crate::plan::{Operation, Phase, Plan, TablePart, TableWrite};

/// Plans the rules by mark and local routes: they come before any element and go after the last.
pub(super) fn routing(desired: &Desired, observed: &Observed, plan: &mut Plan) {
    let (wanted, found) = (&desired.routing, &observed.routing);
    for route in missing(&wanted.routes, &found.routes) {
        plan.push(Phase::Prepare, Operation::AddRoute(*route));
    }
    for rule in missing(&wanted.rules, &found.rules) {
        plan.push(Phase::Prepare, Operation::AddRoutingRule(*rule));
    }
    for rule in missing(&found.rules, &wanted.rules) {
        plan.push(Phase::Destroy, Operation::DeleteRoutingRule(*rule));
    }
    for route in missing(&found.routes, &wanted.routes) {
        plan.push(Phase::Destroy, Operation::DeleteRoute(*route));
    }
}

/// The ones of `these` that `those` lacks. There are few.
fn missing<'a, T: PartialEq>(these: &'a [T], those: &'a [T]) -> impl Iterator<Item = &'a T> {
    these.iter().filter(|one| !those.contains(one))
}

/// Plans the table of a family. Its sets, chains and rules are only compared where told to, or where there is none.
pub(super) fn plan(
    family: Family,
    desired: &Desired,
    observed: &Observed,
    structure: bool,
    plan: &mut Plan,
) {
    let found = observed.tables.get(family).as_ref();
    let Some(wanted) = desired.tables.get(family) else {
        if found.is_some() {
            plan.push(Phase::Map, Operation::DeleteTable(family));
        }
        return;
    };
    let difference = found.map_or(Difference::Whole, |found| match structure {
        true if found.foreign_elements > 0 => Difference::Whole,
        true => wanted.rules.difference(&found.structure),
        false => Difference::None,
    });
    let have = found.map_or(&[][..], |found| &found.elements);
    let differences = Differences::new(family, wanted, have);
    for element in &differences.released {
        let element = *element;
        plan.push(Phase::Fill, Operation::DeleteElement { family, element });
    }
    if difference == Difference::Whole {
        let kept = wanted.elements.iter();
        let kept = kept.filter(|element| have.binary_search(element).is_ok());
        let mut write = TableWrite::new(wanted.rules.clone(), kept.copied().collect());
        write.before = found.map(|found| Box::new(found.structure.clone()));
        plan.push(Phase::Map, Operation::WriteTable(Box::new(write)));
        for element in differences.come {
            let element = match element {
                Come::Add(element) | Come::Change(element, _) => element,
            };
            plan.push(Phase::Map, Operation::AddElement { family, element });
        }
        return;
    }
    for element in differences.make_room {
        plan.push(Phase::Map, Operation::DeleteElement { family, element });
    }
    let part = (difference == Difference::Part)
        .then(|| Box::new(TablePart::of_masquerade_addresses(&wanted.rules)));
    let (comes, goes) = match wanted.rules.masquerade_addresses {
        true => (part, None),
        false => (None, part),
    };
    if let Some(part) = comes {
        plan.push(Phase::Map, Operation::AddTablePart(part));
    }
    for element in differences.come {
        let operation = match element {
            Come::Add(element) => Operation::AddElement { family, element },
            Come::Change(element, was) => Operation::ChangeElement {
                family,
                element,
                was,
            },
        };
        plan.push(Phase::Map, operation);
    }
    for element in differences.go.into_iter().rev() {
        plan.push(Phase::Map, Operation::DeleteElement { family, element });
    }
    if let Some(part) = goes {
        plan.push(Phase::Map, Operation::DeleteTablePart(part));
    }
}

/// How the elements of a table differ.
#[derive(Default)]
struct Differences {
    /// Marks that go to another Service: their elements go before the virtual server of the mark changes, and what they
    /// are for is dropped until it has another mark.
    released: Vec<Element>,
    /// What goes before anything comes: node ports and node addresses, of which each new one would meet the old ones of
    /// the other without a virtual server; and ranges that overlap new ones, which the kernel would refuse.
    make_room: Vec<Element>,
    /// In order.
    come: Vec<Come>,
    /// In the order in which they would have come.
    go: Vec<Element>,
}

/// An element that comes.
enum Come {
    Add(Element),
    /// With the element of the same key before.
    Change(Element, Element),
}

impl Differences {
    fn new(family: Family, wanted: &DesiredTable, have: &[Element]) -> Self {
        debug_assert!(have.is_sorted(), "elements of {family} are sorted");
        let mut all = Self::default();
        let is_wanted = |found: &Element| wanted.elements.binary_search(found).is_ok();
        merge(
            &wanted.elements,
            have,
            |element| element.key(),
            |element| element.key(),
            |wanted, found| match (wanted, found) {
                (Some(wanted), None) => all.come.push(Come::Add(*wanted)),
                // Beside the one wanted, where somebody added another kind.
                (Some(wanted), Some(found))
                    if wanted != found && have.binary_search(wanted).is_ok() =>
                {
                    all.go.push(*found);
                }
                (None, Some(found)) if is_wanted(found) => {}
                (Some(wanted), Some(found)) if wanted != found => {
                    all.come.push(Come::Change(*wanted, *found));
                }
                (None, Some(found)) => all.go.push(*found),
                _ => {}
            },
        );
        all.release();
        all.make_room();
        all
    }

    /// Has the elements of marks that go to others go first.
    fn release(&mut self) {
        let coming: BTreeSet<_> = self
            .come
            .iter()
            .filter_map(|come| come.element().mark())
            .collect();
        if coming.is_empty() {
            return;
        }
        let taken = |element: &Element| element.mark().is_some_and(|mark| coming.contains(&mark));
        for come in &mut self.come {
            if let Come::Change(element, was) = *come {
                if taken(&was) {
                    self.released.push(was);
                    *come = Come::Add(element);
                }
            }
        }
        let released: Vec<_>;
        (released, self.go) = std::mem::take(&mut self.go).into_iter().partition(taken);
        self.released.extend(released);
    }

    fn make_room(&mut self) {
        let coming: Vec<Element> = self
            .come
            .iter()
            .map(|come| *come.element())
            .filter(|element| interval(element).is_some())
            .collect();
        let goes_first = |gone: &Element| {
            let Some(least) = interval(gone) else {
                return matches!(gone, Element::NodePort(..) | Element::NodeAddress(_));
            };
            let from = coming.partition_point(|element| *element < least);
            let alike = coming.iter().skip(from);
            let mut alike = alike.take_while(|element| interval(element) == Some(least));
            alike.any(|other| overlap(gone, other))
        };
        (self.make_room, self.go) = std::mem::take(&mut self.go)
            .into_iter()
            .partition(goes_first);
    }
}

impl Come {
    const fn element(&self) -> &Element {
        match self {
            Self::Add(element) | Self::Change(element, _) => element,
        }
    }
}

/// The least of the elements that one may overlap; `None` of one that is a single key.
pub(crate) fn interval(element: &Element) -> Option<Element> {
    let least = every_address(Family::V4);
    Some(match *element {
        Element::SourceRange(at, _) => Element::SourceRange(at, least),
        Element::RangeSource(address, mark, _) => Element::RangeSource(address, mark, least),
        Element::RangeMark(at, _) => {
            let ports = PortRange::all(Protocol(0));
            Element::RangeMark(AddressRange { ports, ..at }, 0)
        }
        _ => return None,
    })
}

/// Whether two elements have a key in common, so that the kernel takes only one of them.
pub(crate) fn overlap(one: &Element, other: &Element) -> bool {
    // Of two networks with addresses in common, one contains the other.
    let networks = |one: &IpNetwork, other: &IpNetwork| {
        one.contains(other.network()) || other.contains(one.network())
    };
    match (one, other) {
        (Element::SourceRange(at, one), Element::SourceRange(of, other)) => {
            at == of && networks(one, other)
        }
        (Element::RangeSource(at, mark, one), Element::RangeSource(of, other_mark, other)) => {
            (at, mark) == (of, other_mark) && networks(one, other)
        }
        (Element::RangeMark(one, _), Element::RangeMark(other, _)) => one.overlaps(other),
        _ => one == other,
    }
}
