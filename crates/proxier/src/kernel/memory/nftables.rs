//! Tables of nf_tables, as `net/netfilter/nf_tables_api.c` keeps them.

use std::collections::BTreeMap;

use nftables_netlink::{DataType, Expression, Set, Verdict};

use super::MemoryKernel;
use crate::cluster::Family;
use crate::kernel::{KernelError, KernelPart};
use crate::layout::nftables::{Element, SetId, Structure};
use crate::observed::ObservedTable;
use crate::plan::{Operation, TablePart, TableWrite};
use crate::reconcile::{interval, overlap};

/// A table with its elements.
#[derive(Clone, Debug)]
pub(super) struct MemoryTable {
    structure: Structure,
    /// By their place.
    elements: BTreeMap<Element, Element>,
    foreign_elements: usize,
}

impl MemoryTable {
    /// As it was observed.
    pub(super) fn of(found: &ObservedTable) -> Self {
        let elements = found.elements.iter();
        Self {
            structure: found.structure.clone(),
            elements: elements
                .map(|element| (element.place(), *element))
                .collect(),
            foreign_elements: found.foreign_elements,
        }
    }

    pub(super) fn observed(&self) -> ObservedTable {
        ObservedTable {
            structure: self.structure.clone(),
            elements: self.elements.values().copied().collect(),
            foreign_elements: self.foreign_elements,
        }
    }

    /// A table that is written whole: its sets and chains, then its rules and elements.
    fn written(write: &TableWrite) -> Result<Self, KernelError> {
        let structure = write.rules.structure();
        check(&structure)?;
        let mut table = Self {
            structure,
            elements: BTreeMap::new(),
            foreign_elements: 0,
        };
        for element in &write.elements {
            table.add(write.rules.family, element)?;
        }
        Ok(table)
    }

    /// Adds sets and chains that must not be there.
    fn add_part(&mut self, part: &Structure) -> Result<(), KernelError> {
        let own = &self.structure;
        let set = part
            .sets
            .iter()
            .find(|set| own.sets.iter().any(|own| own.name == set.name));
        let mut chains = part.chains.iter();
        let chain = chains.find(|chain| own.chains.iter().any(|own| own.name == chain.name));
        let there = |object: std::fmt::Arguments<'_>| {
            Err(KernelError::exists(KernelPart::Nftables, object))
        };
        match (set, chain.and_then(|chain| chain.name.as_ref())) {
            (Some(set), _) => return there(format_args!("set {}", set.name)),
            (None, Some(chain)) => return there(format_args!("chain {chain}")),
            (None, None) => {}
        }
        let structure = self.structure.with(part);
        check(&structure)?;
        self.structure = structure;
        Ok(())
    }

    /// Deletes sets and chains that must be there, and that no other rule names.
    fn delete_part(&mut self, part: &TablePart) -> Result<(), KernelError> {
        let rest = self.structure.without(&part.structure);
        let counts = |of: &Structure| (of.sets.len(), of.chains.len());
        let (all, left, gone) = (
            counts(&self.structure),
            counts(&rest),
            counts(&part.structure),
        );
        if (left.0 + gone.0, left.1 + gone.1) != all {
            return Err(missing(format_args!(
                "a set or chain that is to be deleted"
            )));
        }
        if check(&rest).is_err() {
            let reason = "other rules name it";
            return Err(invalid(
                format_args!("a set or chain that is to be deleted"),
                reason,
            ));
        }
        self.structure = rest;
        self.elements.retain(|_, element| !part.has(element));
        Ok(())
    }

    fn set(&self, family: Family, id: SetId) -> Result<&Set, KernelError> {
        let name = id.as_str();
        let set = self.structure.sets.iter().find(|set| set.name == name);
        let set = set.ok_or_else(|| missing(format_args!("set {name}")))?;
        let wanted = id.spec(family);
        let types = |set: &Set| (set.key_type, set.data_type, set.flags);
        if types(set) == types(&wanted) {
            Ok(set)
        } else {
            let reason = "its keys, data or flags are of other kinds";
            Err(invalid(format_args!("set {name}"), reason))
        }
    }

    /// Adds an element that must not be there (`NLM_F_EXCL`).
    fn add(&mut self, family: Family, element: &Element) -> Result<(), KernelError> {
        self.set(family, element.set())?;
        if self.elements.contains_key(&element.place()) {
            return Err(KernelError::exists(
                KernelPart::Nftables,
                format_args!("{element} in set {}", element.set().as_str()),
            ));
        }
        if self.overlaps(element) {
            // As `nft_add_set_elem` answers what pipapo finds.
            let object = format!("{element}, or a range that overlaps it,");
            return Err(KernelError::exists(KernelPart::Nftables, object));
        }
        self.elements.insert(element.place(), *element);
        Ok(())
    }

    /// Whether there is a range with a key in common.
    fn overlaps(&self, element: &Element) -> bool {
        let Some(least) = interval(element) else {
            return false;
        };
        let others = self.elements.range(least..).map(|(other, _)| other);
        let mut alike = others.take_while(|other| interval(other) == Some(least));
        alike.any(|other| overlap(element, other))
    }

    /// Deletes an element by its key, whatever data it has.
    fn delete(&mut self, element: &Element) -> Result<(), KernelError> {
        let gone = self.elements.remove(&element.place());
        gone.map(drop)
            .ok_or_else(|| missing(format_args!("{element} in set {}", element.set().as_str())))
    }
}

/// Whether rules name what is there: sets, and chains to jump to.
fn check(structure: &Structure) -> Result<(), KernelError> {
    let is_set = |name: &nftables_netlink::Name| structure.sets.iter().any(|set| set.name == *name);
    let is_chain = |name: &nftables_netlink::Name| {
        let names = structure
            .chains
            .iter()
            .filter_map(|chain| chain.name.as_ref());
        names.into_iter().any(|chain| chain == name)
    };
    for set in &structure.sets {
        if set.data_type.is_some() != set.flags.contains(nftables_netlink::SetFlags::MAP) {
            return Err(invalid(
                format_args!("set {}", set.name),
                "a map has data, and nothing else has",
            ));
        }
    }
    for rule in &structure.rules {
        let chain = rule.chain.clone().unwrap_or_default();
        if !is_chain(&chain) {
            return Err(missing(format_args!("chain {chain}, which a rule is for,")));
        }
        for expression in &rule.expressions.0 {
            check_expression(structure, expression, &is_set, &is_chain)?;
        }
    }
    Ok(())
}

fn check_expression(
    structure: &Structure,
    expression: &Expression,
    is_set: &dyn Fn(&nftables_netlink::Name) -> bool,
    is_chain: &dyn Fn(&nftables_netlink::Name) -> bool,
) -> Result<(), KernelError> {
    match expression {
        Expression::Lookup(lookup) if !is_set(&lookup.set) => Err(missing(format_args!(
            "set {}, which a rule names,",
            lookup.set
        ))),
        Expression::Lookup(lookup) => {
            let set = structure.sets.iter().find(|set| set.name == lookup.set);
            let data = set.and_then(|set| set.data_type);
            let to_verdict = lookup.destination == Some(nftables_netlink::Register::VERDICT);
            if lookup.destination.is_some() && data.is_none()
                || to_verdict != (lookup.destination.is_some() && data == Some(DataType::VERDICT))
            {
                let reason = "a rule looks up in it what it does not hold";
                return Err(invalid(format_args!("set {}", lookup.set), reason));
            }
            Ok(())
        }
        Expression::Immediate(immediate) => match &immediate.data {
            nftables_netlink::Data::Verdict(Verdict {
                chain: Some(chain), ..
            }) if !is_chain(chain) => Err(missing(format_args!(
                "chain {chain}, which a rule jumps to,"
            ))),
            _ => Ok(()),
        },
        _ => Ok(()),
    }
}

fn missing(object: impl std::fmt::Display) -> KernelError {
    KernelError::missing(KernelPart::Nftables, object)
}

fn invalid(object: impl std::fmt::Display, reason: &str) -> KernelError {
    KernelError::invalid(KernelPart::Nftables, object, reason)
}

/// What takes a change of a table back.
enum Undo {
    Table(Family, Option<MemoryTable>),
    Element(Family, Element, Option<Element>),
}

impl MemoryKernel {
    /// Carries operations on tables out as one transaction, and gives the result of each: that of all.
    pub(super) fn transaction(
        &mut self,
        operations: &[&Operation],
    ) -> Vec<Result<(), KernelError>> {
        let allowed = operations
            .iter()
            .try_for_each(|operation| self.allows(operation));
        let result = allowed.and_then(|()| self.transact(operations));
        operations.iter().map(|_| result.clone()).collect()
    }

    /// Carries operations on tables out, all or none.
    pub(super) fn transact(&mut self, operations: &[&Operation]) -> Result<(), KernelError> {
        let mut done = Vec::new();
        for operation in operations {
            if let Err(error) = self.change_table(operation, &mut done) {
                for undo in done.into_iter().rev() {
                    self.undo(undo);
                }
                return Err(error);
            }
        }
        Ok(())
    }

    fn change_table(
        &mut self,
        operation: &Operation,
        done: &mut Vec<Undo>,
    ) -> Result<(), KernelError> {
        match operation {
            Operation::WriteTable(write) => {
                let table = MemoryTable::written(write)?;
                let family = write.rules.family;
                let before = self.tables.get_mut(family).replace(table);
                done.push(Undo::Table(family, before));
                Ok(())
            }
            Operation::DeleteTable(family) => {
                let before = self.tables.get_mut(*family).take();
                let before = before.ok_or_else(|| no_table(*family))?;
                done.push(Undo::Table(*family, Some(before)));
                Ok(())
            }
            Operation::AddTablePart(part) => {
                self.change_part(part.family, done, |table| table.add_part(&part.structure))
            }
            Operation::DeleteTablePart(part) => {
                self.change_part(part.family, done, |table| table.delete_part(part))
            }
            Operation::AddElement { family, element } => {
                let table = self.table(*family)?;
                table.add(*family, element)?;
                done.push(Undo::Element(*family, element.place(), None));
                Ok(())
            }
            Operation::ChangeElement {
                family,
                element,
                was,
            } => {
                let table = self.table(*family)?;
                let before = table.elements.get(&was.place()).copied();
                table.delete(was)?;
                done.push(Undo::Element(*family, was.place(), before));
                let table = self.table(*family)?;
                table.add(*family, element)?;
                if element.place() != was.place() {
                    done.push(Undo::Element(*family, element.place(), None));
                }
                Ok(())
            }
            Operation::DeleteElement { family, element } => {
                let table = self.table(*family)?;
                let before = table.elements.get(&element.place()).copied();
                table.delete(element)?;
                done.push(Undo::Element(*family, element.place(), before));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Changes the sets and chains of a table that is there.
    fn change_part(
        &mut self,
        family: Family,
        done: &mut Vec<Undo>,
        change: impl FnOnce(&mut MemoryTable) -> Result<(), KernelError>,
    ) -> Result<(), KernelError> {
        let table = self.table(family)?;
        let mut changed = table.clone();
        change(&mut changed)?;
        let before = std::mem::replace(table, changed);
        done.push(Undo::Table(family, Some(before)));
        Ok(())
    }

    fn undo(&mut self, undo: Undo) {
        match undo {
            Undo::Table(family, table) => *self.tables.get_mut(family) = table,
            Undo::Element(family, key, element) => {
                if let Some(table) = self.tables.get_mut(family) {
                    match element {
                        Some(element) => table.elements.insert(key, element),
                        None => table.elements.remove(&key),
                    };
                }
            }
        }
    }

    fn table(&mut self, family: Family) -> Result<&mut MemoryTable, KernelError> {
        let table = self.tables.get_mut(family).as_mut();
        table.ok_or_else(|| no_table(family))
    }
}

fn no_table(family: Family) -> KernelError {
    missing(format_args!(
        "table {} of {family}",
        crate::layout::nftables::TABLE
    ))
}
