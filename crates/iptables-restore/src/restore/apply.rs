//! The kernel's tables after a transaction.

use std::collections::{HashMap, HashSet};

use super::{Edit, RestoreInput, TableEdits};
use crate::name::{ChainName, TableName};
use crate::rule::Rule;
use crate::ruleset::{Chain, Ruleset, Table};
use crate::target::Target;
use crate::text::Shown;

impl RestoreInput {
    /// Makes of `ruleset` what the kernel's tables would be after this transaction.
    ///
    /// A table that is not there is made with its built-in chains, as the kernel does when it is first used.
    ///
    /// # Errors
    /// [`ApplyError`] with the edit that the kernel would refuse. Tables before that edit's own are changed by then, its
    /// own and later ones are not: the kernel commits each table whole, in order.
    pub fn apply(&self, ruleset: &mut Ruleset) -> Result<(), ApplyError> {
        self.tables
            .iter()
            .filter(|table| !table.edits.is_empty())
            .try_for_each(|edits| match ruleset.table_mut(&edits.name) {
                Some(table) => edits.apply(table),
                None => {
                    let mut table = Table::builtin(edits.name.clone());
                    if table.chains.is_empty() {
                        return Err(edits.error(0, ApplyErrorKind::NoSuchTable));
                    }
                    edits.apply(&mut table)?;
                    ruleset.tables.push(table);
                    Ok(())
                }
            })
    }
}

impl TableEdits {
    /// Makes of `table` what the kernel's would be after these edits, whatever its name.
    ///
    /// # Errors
    /// [`ApplyError`] with the edit that the kernel would refuse; the table is as it was then.
    pub fn apply(&self, table: &mut Table) -> Result<(), ApplyError> {
        let mut work = Work::new(table);
        for (index, edit) in self.edits.iter().enumerate() {
            work.edit(edit).map_err(|kind| self.error(index, kind))?;
        }
        work.check_loops()
            .map_err(|kind| self.error(self.edits.len(), kind))?;
        table.chains = work.into_chains();
        Ok(())
    }

    fn error(&self, index: usize, kind: ApplyErrorKind) -> ApplyError {
        let line = self
            .edits
            .get(index)
            .map_or_else(|| "COMMIT".to_owned(), ToString::to_string);
        ApplyError {
            table: self.name.clone(),
            index,
            line,
            kind,
        }
    }
}

/// An edit that the kernel would refuse, which leaves its table as it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[error("table {}: {kind}: {}", Shown(table.as_str()), Shown(line))]
pub struct ApplyError {
    /// The table.
    pub table: TableName,
    /// InsertAt of the edit in the table's list, from 0; its length for what only the commit shows.
    pub index: usize,
    /// The line.
    pub line: String,
    /// Why.
    pub kind: ApplyErrorKind,
}

/// Why the kernel would refuse an edit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ApplyErrorKind {
    /// There is no such table.
    #[error("there is no such table")]
    NoSuchTable,
    /// The chain to be changed is not there.
    #[error("there is no chain {0}")]
    NoSuchChain(ChainName),
    /// The rule jumps to a chain that is not there.
    #[error("the rule jumps to the chain {}, which does not exist: declare it first", Shown(.0))]
    NoSuchTarget(String),
    /// Rules cannot jump to built-in chains.
    #[error("the rule jumps to the built-in chain {}", Shown(.0))]
    BuiltinTarget(String),
    /// The tools refuse to drop packets in the nat table, which sees the first packet of a connection only.
    #[error("the nat table is not for filtering: drop in the filter table")]
    DropInNat,
    /// No such rule to delete.
    #[error("there is no such rule in {0}")]
    NoSuchRule(ChainName),
    /// The position is more than one after the last rule.
    #[error("the chain has {len} rules, too few to insert at position {position}")]
    PositionTooBig {
        /// The position asked for, from 1.
        position: usize,
        /// How many rules the chain has.
        len: usize,
    },
    /// Built-in chains cannot be removed.
    #[error("{0} is a built-in chain, which cannot be removed")]
    BuiltinChain(ChainName),
    /// Only built-in chains have a policy.
    #[error("{0} is not a built-in chain, and only these have a policy")]
    PolicyOfUserChain(ChainName),
    /// Only empty chains can be removed.
    #[error("{chain} still has {rules} rules: flush it first")]
    NotEmpty {
        /// The chain.
        chain: ChainName,
        /// How many rules it has.
        rules: usize,
    },
    /// Chains that rules jump to cannot be removed.
    #[error("{chain} is still jumped to from {from}: delete that rule first")]
    StillReferenced {
        /// The chain.
        chain: ChainName,
        /// A chain with such a rule.
        from: ChainName,
    },
    /// A chain jumps to itself, perhaps through others.
    #[error("the chain {0} jumps to itself, directly or through others")]
    Loop(ChainName),
}

/// A copy of the table with the places of its chains; removed chains leave a hole.
struct Work {
    is_nat: bool,
    chains: Vec<Option<Chain>>,
    places: HashMap<ChainName, usize>,
}

impl Work {
    fn new(table: &Table) -> Self {
        let places = table
            .chains
            .iter()
            .enumerate()
            .map(|(place, chain)| (chain.name.clone(), place))
            .collect();
        Self {
            is_nat: table.name == TableName::Nat,
            chains: table.chains.iter().cloned().map(Some).collect(),
            places,
        }
    }

    fn into_chains(self) -> Vec<Chain> {
        self.chains.into_iter().flatten().collect()
    }

    fn get(&self, name: &str) -> Option<&Chain> {
        self.chains.get(*self.places.get(name)?)?.as_ref()
    }

    fn chain(&mut self, name: &ChainName) -> Result<&mut Chain, ApplyErrorKind> {
        let place = self.places.get(name.as_str()).copied();
        let slot = place
            .and_then(|place| self.chains.get_mut(place))
            .and_then(Option::as_mut);
        slot.ok_or_else(|| ApplyErrorKind::NoSuchChain(name.clone()))
    }

    fn edit(&mut self, edit: &Edit) -> Result<(), ApplyErrorKind> {
        match edit {
            Edit::DeclareChain { chain } => match self.chain(chain) {
                Ok(found) if found.policy.is_none() => found.rules.clear(),
                Ok(_) => {}
                Err(_) => {
                    self.places.insert(chain.clone(), self.chains.len());
                    self.chains.push(Some(Chain::new(chain.clone())));
                }
            },
            Edit::SetPolicy { chain, policy } => {
                let found = self.chain(chain)?;
                if found.policy.is_none() {
                    return Err(ApplyErrorKind::PolicyOfUserChain(chain.clone()));
                }
                found.policy = Some(policy.clone());
            }
            Edit::Flush { chain } => self.chain(chain)?.rules.clear(),
            Edit::Append { chain, rule } => {
                self.check_target(chain, rule)?;
                self.chain(chain)?.rules.push(rule.clone());
            }
            Edit::Insert {
                chain,
                position,
                rule,
            } => {
                self.check_target(chain, rule)?;
                let rules = &mut self.chain(chain)?.rules;
                let index = position
                    .checked_sub(1)
                    .filter(|index| *index <= rules.len());
                let index = index.ok_or(ApplyErrorKind::PositionTooBig {
                    position: *position,
                    len: rules.len(),
                })?;
                rules.insert(index, rule.clone());
            }
            Edit::Delete { chain, rule } => {
                let rules = &mut self.chain(chain)?.rules;
                let index = rules.iter().position(|found| found == rule);
                rules.remove(index.ok_or_else(|| ApplyErrorKind::NoSuchRule(chain.clone()))?);
            }
            Edit::DeleteChain { chain } => self.delete_chain(chain)?,
        }
        Ok(())
    }

    fn check_target(&mut self, chain: &ChainName, rule: &Rule) -> Result<(), ApplyErrorKind> {
        self.chain(chain)?;
        if self.is_nat && rule.target == Some(Target::Drop) {
            return Err(ApplyErrorKind::DropInNat);
        }
        let Some(target) = rule.target.as_ref().and_then(|target| target.chain()) else {
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

    fn delete_chain(&mut self, chain: &ChainName) -> Result<(), ApplyErrorKind> {
        let found = self.chain(chain)?;
        if found.policy.is_some() {
            return Err(ApplyErrorKind::BuiltinChain(chain.clone()));
        }
        if !found.rules.is_empty() {
            return Err(ApplyErrorKind::NotEmpty {
                chain: chain.clone(),
                rules: found.rules.len(),
            });
        }
        let jumps = |from: &&Chain| targets(from).any(|target| target == chain.as_str());
        if let Some(from) = self.chains.iter().flatten().find(jumps) {
            return Err(ApplyErrorKind::StillReferenced {
                chain: chain.clone(),
                from: from.name.clone(),
            });
        }
        if let Some(slot) = self
            .places
            .remove(chain.as_str())
            .and_then(|place| self.chains.get_mut(place))
        {
            *slot = None;
        }
        Ok(())
    }

    /// Both back ends follow jumps from the built-in chains when a table is committed. This finds what nft finds; the
    /// legacy one (`mark_source_chains` in the kernel's ip_tables.c) looks no further than an unconditional verdict, so it
    /// takes circles that no packet can reach.
    fn check_loops(&self) -> Result<(), ApplyErrorKind> {
        let mut done: HashSet<&str> = HashSet::new();
        for root in self
            .chains
            .iter()
            .flatten()
            .filter(|chain| chain.policy.is_some())
        {
            let mut path = vec![(root, targets(root).collect::<Vec<_>>())];
            while let Some((chain, left)) = path.last_mut() {
                let chain: &Chain = chain;
                let Some(next) = left.pop() else {
                    done.insert(chain.name.as_str());
                    path.pop();
                    continue;
                };
                if let Some((again, _)) = path.iter().find(|(on_path, _)| on_path.name == next) {
                    return Err(ApplyErrorKind::Loop(again.name.clone()));
                }
                if let Some(chain) = self.get(next).filter(|_| !done.contains(next)) {
                    path.push((chain, targets(chain).collect()));
                }
            }
        }
        Ok(())
    }
}

fn targets(chain: &Chain) -> impl Iterator<Item = &str> {
    chain
        .rules
        .iter()
        .filter_map(|rule| rule.target.as_ref().and_then(|target| target.chain()))
}
