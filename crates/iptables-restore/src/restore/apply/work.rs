//! A table that is being edited in place.

use std::collections::{HashMap, HashSet};
use std::mem;

use super::ApplyErrorKind;
use crate::name::{ChainName, Policy, TableName};
use crate::restore::Edit;
use crate::rule::Rule;
use crate::rules::Rules;
use crate::ruleset::{Chain, Table};
use crate::target::Target;

/// From how many edits on an index of the chains costs less than searching them.
const MANY: usize = 32;

/// A table with what undoes the edits so far. Its cost depends on the edits, not on how large the table is.
pub(super) struct Work<'t> {
    pub(super) table: &'t mut Table,
    /// The places of the chains, for many edits.
    pub(super) places: Option<HashMap<ChainName, usize>>,
    /// Chains that are deleted; they are taken out in the end.
    pub(super) removed: HashSet<usize>,
    /// How many rules jump to each chain, once that is needed.
    pub(super) references: Option<HashMap<String, usize>>,
    /// Each with the place of its chain.
    undo: Vec<(usize, Undo)>,
    /// The chains that rules were added for which jump to them.
    pub(super) jumps: Vec<String>,
}

/// How an edit of a chain is taken back. Chains that were deleted are still there.
enum Undo {
    /// A chain was made.
    Made,
    /// A chain was emptied: its rules.
    Emptied(Rules),
    /// It had another policy.
    Policy(Option<Policy>),
    /// A rule was added at this index.
    Added(usize),
    /// A rule was deleted from this index.
    Deleted(usize, Box<Rule>),
}

impl<'t> Work<'t> {
    pub(super) fn new(table: &'t mut Table, edits: usize) -> Self {
        let places = (edits >= MANY).then(|| {
            let chains = table.chains.iter().enumerate();
            chains
                .map(|(place, chain)| (chain.name.clone(), place))
                .collect()
        });
        Self {
            table,
            places,
            removed: HashSet::new(),
            references: None,
            undo: Vec::new(),
            jumps: Vec::new(),
        }
    }

    /// Takes all edits back.
    pub(super) fn undo(self) {
        let chains = &mut self.table.chains;
        for (place, undo) in self.undo.into_iter().rev() {
            let Some(chain) = chains.get_mut(place) else {
                continue;
            };
            match undo {
                Undo::Made => drop(chains.pop()),
                Undo::Emptied(rules) => chain.rules = rules,
                Undo::Policy(policy) => chain.policy = policy,
                Undo::Added(index) => drop(chain.rules.remove(index)),
                Undo::Deleted(index, rule) => chain.rules.insert(index, *rule),
            }
        }
    }

    /// Takes out the chains that were deleted.
    pub(super) fn finish(self) {
        if self.removed.is_empty() {
            return;
        }
        let mut place = 0;
        self.table.chains.retain(|_| {
            place += 1;
            !self.removed.contains(&(place - 1))
        });
    }

    pub(super) fn jumps(&self) -> &[String] {
        &self.jumps
    }

    pub(super) fn chains(&self) -> impl Iterator<Item = &Chain> {
        let chains = self.table.chains.iter().enumerate();
        chains
            .filter(|(place, _)| !self.removed.contains(place))
            .map(|(_, chain)| chain)
    }

    pub(super) fn get(&self, name: &str) -> Option<&Chain> {
        self.table.chains.get(self.find(name)?)
    }

    fn find(&self, name: &str) -> Option<usize> {
        if let Some(places) = &self.places {
            return places.get(name).copied();
        }
        let mut chains = self.table.chains.iter().enumerate();
        let found =
            |(place, chain): &(usize, &Chain)| chain.name == name && !self.removed.contains(place);
        chains.find(found).map(|(place, _)| place)
    }

    pub(super) fn place(&self, name: &ChainName) -> Result<usize, ApplyErrorKind> {
        self.find(name.as_str())
            .ok_or_else(|| ApplyErrorKind::NoSuchChain(name.clone()))
    }

    pub(super) fn at(
        &mut self,
        place: usize,
        name: &ChainName,
    ) -> Result<&mut Chain, ApplyErrorKind> {
        let chain = self.table.chains.get_mut(place);
        chain.ok_or_else(|| ApplyErrorKind::NoSuchChain(name.clone()))
    }

    pub(super) fn edit(&mut self, edit: &Edit) -> Result<(), ApplyErrorKind> {
        match edit {
            Edit::DeclareChain { chain } => match self.find(chain.as_str()) {
                Some(place) if self.at(place, chain)?.policy.is_none() => {
                    self.flush(place, chain)?;
                }
                Some(_) => {}
                None => self.make(chain),
            },
            Edit::SetPolicy { chain, policy } => {
                let place = self.place(chain)?;
                let found = self.at(place, chain)?;
                if found.policy.is_none() {
                    return Err(ApplyErrorKind::PolicyOfUserChain(chain.clone()));
                }
                let before = found.policy.replace(policy.clone());
                self.undo.push((place, Undo::Policy(before)));
            }
            Edit::Flush { chain } => {
                let place = self.place(chain)?;
                self.flush(place, chain)?;
            }
            Edit::Append { chain, rule } => {
                let place = self.place(chain)?;
                self.check_target(rule)?;
                let at = self.at(place, chain)?.rules.len();
                self.add(place, at, chain, rule)?;
            }
            Edit::Insert {
                chain,
                position,
                rule,
            } => {
                let place = self.place(chain)?;
                self.check_target(rule)?;
                let len = self.at(place, chain)?.rules.len();
                let index = position.checked_sub(1).filter(|index| *index <= len);
                let index = index.ok_or(ApplyErrorKind::PositionTooBig {
                    position: *position,
                    len,
                })?;
                self.add(place, index, chain, rule)?;
            }
            Edit::Delete { chain, rule } => {
                let place = self.place(chain)?;
                let rules = &mut self.at(place, chain)?.rules;
                let index = rules.iter().position(|found| found == rule);
                let index = index.ok_or_else(|| ApplyErrorKind::NoSuchRule(chain.clone()))?;
                let rule = rules.remove(index);
                self.count(&rule, |count| *count = count.saturating_sub(1));
                self.undo
                    .push((place, Undo::Deleted(index, Box::new(rule))));
            }
            Edit::DeleteChain { chain } => self.delete_chain(chain)?,
        }
        Ok(())
    }

    pub(super) fn make(&mut self, name: &ChainName) {
        if let Some(places) = &mut self.places {
            places.insert(name.clone(), self.table.chains.len());
        }
        self.table.chains.push(Chain::new(name.clone()));
        let place = self.table.chains.len() - 1;
        self.undo.push((place, Undo::Made));
    }

    fn flush(&mut self, place: usize, name: &ChainName) -> Result<(), ApplyErrorKind> {
        let rules = mem::take(&mut self.at(place, name)?.rules);
        for rule in &rules {
            self.count(rule, |count| *count = count.saturating_sub(1));
        }
        self.undo.push((place, Undo::Emptied(rules)));
        Ok(())
    }

    fn add(
        &mut self,
        place: usize,
        index: usize,
        name: &ChainName,
        rule: &Rule,
    ) -> Result<(), ApplyErrorKind> {
        self.at(place, name)?.rules.insert(index, rule.clone());
        self.undo.push((place, Undo::Added(index)));
        self.count(rule, |count| *count += 1);
        self.jumps_to(rule);
        Ok(())
    }

    /// Remembers where a rule that is added jumps to.
    pub(super) fn jumps_to(&mut self, rule: &Rule) {
        if let Some(target) = target(rule) {
            self.jumps.push(target.to_owned());
        }
    }

    fn count(&mut self, rule: &Rule, change: impl FnOnce(&mut usize)) {
        if let (Some(references), Some(target)) = (&mut self.references, target(rule)) {
            change(references.entry(target.to_owned()).or_default());
        }
    }

    pub(super) fn check_target(&self, rule: &Rule) -> Result<(), ApplyErrorKind> {
        if self.table.name == TableName::Nat && rule.target == Some(Target::Drop) {
            return Err(ApplyErrorKind::DropInNat);
        }
        let Some(target) = target(rule) else {
            return Ok(());
        };
        match self.get(target) {
            None => Err(ApplyErrorKind::NoSuchTarget(target.to_owned())),
            Some(found) if found.policy.is_some() => {
                Err(ApplyErrorKind::BuiltinTarget(target.to_owned()))
            }
            Some(_) => Ok(()),
        }
    }
}

fn target(rule: &Rule) -> Option<&str> {
    rule.target.as_ref().and_then(|target| target.chain())
}

/// The chains that a chain's rules jump to.
pub(super) fn targets(chain: &Chain) -> impl Iterator<Item = &str> {
    chain.rules.iter().filter_map(target)
}
