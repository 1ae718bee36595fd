//! A whole rule set.

use crate::model::{Chain, Element, Flowtable, Name, Object, Rule, Set, Table, TableFamily};

/// A set or map with its elements.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct FilledSet {
    /// The set.
    pub set: Set,
    /// Its elements, in the kernel's order.
    pub elements: Vec<Element>,
}

/// All that is in the tables of a network namespace, or of one family or table, at one generation.
///
/// It displays as `nft list ruleset` prints it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Ruleset {
    /// The generation.
    pub generation: u32,
    /// The tables.
    pub tables: Vec<Table>,
    /// The chains of all tables.
    pub chains: Vec<Chain>,
    /// The rules of all chains, in order within each.
    pub rules: Vec<Rule>,
    /// The sets and maps of all tables.
    pub sets: Vec<FilledSet>,
    /// The objects of all tables.
    pub objects: Vec<Object>,
    /// The flowtables of all tables.
    pub flowtables: Vec<Flowtable>,
}

impl Ruleset {
    /// The set or map of this name.
    #[must_use]
    pub fn set(&self, family: TableFamily, table: &Name, name: &Name) -> Option<&FilledSet> {
        self.sets.iter().find(|filled| {
            let set = &filled.set;
            set.family == family && set.table == *table && set.name == *name
        })
    }

    /// The rules of a chain, in order.
    pub fn rules_of(&self, chain: &Chain) -> impl Iterator<Item = &Rule> {
        self.rules.iter().filter(move |rule| {
            rule.family == chain.family && rule.table == chain.table && rule.chain == chain.name
        })
    }
}
