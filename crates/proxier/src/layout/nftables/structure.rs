//! A table without its elements.

use nftables_netlink::{Chain, ChainFlags, FilledSet, Name, Rule, Ruleset, Set, Table};

use super::{Element, SetId, TABLE, table};
use crate::cluster::Family;

/// The sets, chains and rules of a table, without elements, and without what the kernel numbers and counts: equal where
/// the table treats packets alike.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Structure {
    /// The sets and maps, by name.
    pub sets: Vec<Set>,
    /// The chains, by name.
    pub chains: Vec<Chain>,
    /// The rules, by chain; those of one chain in their order.
    pub rules: Vec<Rule>,
}

impl Structure {
    /// From the parts of a table, as they are made or as they are listed.
    #[must_use]
    pub fn new(
        sets: impl IntoIterator<Item = Set>,
        chains: impl IntoIterator<Item = Chain>,
        rules: impl IntoIterator<Item = Rule>,
    ) -> Self {
        let mut structure = Self {
            sets: sets.into_iter().map(plain_set).collect(),
            chains: chains.into_iter().map(plain_chain).collect(),
            rules: rules.into_iter().map(plain_rule).collect(),
        };
        structure
            .sets
            .sort_by(|one, other| one.name.cmp(&other.name));
        structure
            .chains
            .sort_by(|one, other| one.name.cmp(&other.name));
        structure
            .rules
            .sort_by(|one, other| one.chain.cmp(&other.chain));
        structure
    }

    /// With the sets, chains and rules of a part beside its own.
    #[must_use]
    pub(crate) fn with(&self, part: &Self) -> Self {
        let mut all = self.clone();
        all.sets.extend_from_slice(&part.sets);
        all.chains.extend_from_slice(&part.chains);
        all.rules.extend_from_slice(&part.rules);
        Self::new(all.sets, all.chains, all.rules)
    }

    /// Without the sets and chains of a part, and the rules in them.
    #[must_use]
    pub(crate) fn without(&self, part: &Self) -> Self {
        let has_set = |set: &Set| part.sets.iter().any(|other| other.name == set.name);
        let has = |chain: &Option<Name>| part.chains.iter().any(|other| other.name == *chain);
        let mut rest = self.clone();
        rest.sets.retain(|set| !has_set(set));
        rest.chains.retain(|chain| !has(&chain.name));
        rest.rules.retain(|rule| !has(&rule.chain));
        rest
    }

    /// The table of a family with these elements, as it is listed.
    #[must_use]
    pub fn ruleset<'a>(
        &self,
        family: Family,
        elements: impl IntoIterator<Item = &'a Element>,
    ) -> Ruleset {
        let sets = self.sets.iter().map(|set| FilledSet {
            set: set.clone(),
            elements: Vec::new(),
        });
        let mut sets: Vec<_> = sets.collect();
        for element in elements {
            let name = element.set().as_str();
            if let Some(filled) = sets.iter_mut().find(|filled| filled.set.name == name) {
                filled.elements.push(element.to_netlink());
            }
        }
        Ruleset {
            tables: vec![Table::new(family, table())],
            chains: self.chains.clone(),
            rules: self.rules.clone(),
            sets,
            ..Ruleset::default()
        }
    }

    /// The set of the proxy's that a set is, by its name.
    #[must_use]
    pub fn set_id(set: &Set) -> Option<SetId> {
        set.name.as_str().and_then(SetId::from_name)
    }

    /// Whether a table is the proxy's.
    #[must_use]
    pub fn is_own(table: &Table) -> bool {
        table.name == TABLE
    }
}

fn plain_set(set: Set) -> Set {
    Set {
        id: None,
        handle: None,
        backend: None,
        count: None,
        ..set
    }
}

fn plain_chain(mut chain: Chain) -> Chain {
    chain.flags.remove(ChainFlags::BASE);
    Chain {
        id: None,
        handle: None,
        uses: None,
        counters: None,
        ..chain
    }
}

fn plain_rule(rule: Rule) -> Rule {
    Rule {
        handle: None,
        position: None,
        id: None,
        position_id: None,
        chain_id: None,
        ..rule
    }
}
