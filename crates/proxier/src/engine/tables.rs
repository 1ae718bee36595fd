//! Tables of nf_tables: as last applied, and as part of a delta.

use std::collections::BTreeSet;

use super::delta::{Delta, DeltaBuilder};
use super::dirty::Dirty;
use super::last_applied::LastApplied;
use crate::cluster::Family;
use crate::desired::DesiredTable;
use crate::layout::Layout;
use crate::layout::nftables::{Difference, Element, Routing, Structure};
use crate::observed::ObservedTable;
use crate::plan::Operation;

/// A table as it was last observed, and as plans have changed it since.
#[derive(Debug)]
pub(super) struct AppliedTable {
    pub(super) structure: Structure,
    pub(super) elements: BTreeSet<Element>,
    pub(super) foreign_elements: usize,
}

impl AppliedTable {
    pub(super) fn of(found: &ObservedTable) -> Self {
        Self {
            structure: found.structure.clone(),
            elements: found.elements.iter().copied().collect(),
            foreign_elements: found.foreign_elements,
        }
    }

    /// Deletes an element as the kernel does: whatever mark a map has for it.
    fn delete(&mut self, element: &Element) {
        let (key, place) = (element.key(), element.place());
        let found = self.of_key(&key).find(|found| found.place() == place);
        if let Some(found) = found {
            self.elements.remove(&found);
        }
    }

    /// The elements of a key: one, unless somebody added others.
    fn of_key<'a>(&'a self, key: &'a Element) -> impl Iterator<Item = Element> + 'a {
        let from = self.elements.range(key..);
        from.copied().take_while(|element| element.key() == *key)
    }
}

impl LastApplied {
    /// Applies an operation on a table that was carried out.
    pub(super) fn take_of_table(&mut self, operation: &Operation) {
        match operation {
            Operation::WriteTable(write) => {
                let table = AppliedTable {
                    structure: write.rules.structure(),
                    elements: write.elements.iter().copied().collect(),
                    foreign_elements: 0,
                };
                *self.tables.get_mut(write.rules.family) = Some(table);
            }
            Operation::DeleteTable(family) => *self.tables.get_mut(*family) = None,
            Operation::AddTablePart(part) => {
                if let Some(table) = self.tables.get_mut(part.family) {
                    table.structure = table.structure.with(&part.structure);
                }
            }
            Operation::DeleteTablePart(part) => {
                if let Some(table) = self.tables.get_mut(part.family) {
                    table.structure = table.structure.without(&part.structure);
                    table.elements.retain(|element| !part.has(element));
                }
            }
            Operation::AddElement { family, element } => {
                if let Some(table) = self.tables.get_mut(*family) {
                    table.elements.insert(*element);
                }
            }
            Operation::ChangeElement {
                family,
                element,
                was,
            } => {
                if let Some(table) = self.tables.get_mut(*family) {
                    table.delete(was);
                    table.elements.insert(*element);
                }
            }
            Operation::DeleteElement { family, element } => {
                if let Some(table) = self.tables.get_mut(*family) {
                    table.delete(element);
                }
            }
            _ => {}
        }
    }
}

impl DeltaBuilder<'_> {
    /// The part of a family's table that is dirty; all of it where it has to be written whole.
    pub(super) fn table(&self, family: Family, dirty: &Dirty, delta: &mut Delta) {
        let found = self.last_applied.tables.get(family).as_ref();
        let compared = *dirty.rules.get(family);
        let is_wanted = self.config.layout == Layout::Nftables && self.writes(family);
        let mut observed = found.map(|found| {
            // Of one that goes it has to be known whether it guards loopback addresses.
            let structure = match compared || !is_wanted {
                true => found.structure.clone(),
                false => Structure::default(),
            };
            // Of a table that goes, those with marks say which virtual servers packets still come to.
            let marks = found
                .elements
                .iter()
                .filter(|element| element.mark().is_some());
            let elements = match is_wanted {
                true => Vec::new(),
                false => marks.copied().collect(),
            };
            ObservedTable {
                structure,
                elements,
                foreign_elements: found.foreign_elements,
            }
        });
        if is_wanted {
            let chooses = self.wanted.chooses_masquerade_addresses(family);
            let rules = self.context(family).table_rules(chooses);
            let differs = |found: &AppliedTable| {
                let differs = || rules.difference(&found.structure) == Difference::Whole;
                compared && (found.foreign_elements > 0 || differs())
            };
            let mut wanted = DesiredTable::new(rules.clone(), Vec::new());
            if *dirty.tables.get(family) || found.is_none_or(differs) {
                wanted.elements = self.wanted.elements(family);
                if let (Some(found), Some(observed)) = (found, &mut observed) {
                    observed.elements.extend(&found.elements);
                }
            } else {
                for key in dirty.elements.get(family) {
                    wanted.elements.extend(self.wanted.element(family, key));
                    if let (Some(found), Some(observed)) = (found, &mut observed) {
                        observed.elements.extend(found.of_key(key));
                    }
                }
            }
            *delta.desired.tables.get_mut(family) = Some(wanted);
        }
        *delta.observed.tables.get_mut(family) = observed;
    }

    /// Rules by mark and local routes, which are few.
    pub(super) fn routing(&self, delta: &mut Delta) {
        if self.config.layout == Layout::Nftables {
            let written = Family::ALL
                .into_iter()
                .filter(|family| self.writes(*family));
            delta.desired.routing = Routing::of(&self.config.nftables, written);
        }
        delta
            .observed
            .routing
            .clone_from(&self.last_applied.routing);
    }
}
