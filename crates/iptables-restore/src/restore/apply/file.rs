//! The kernel's tables after a file for `iptables-restore`.

use super::loops;
use super::work::Work;
use super::{ApplyError, ApplyErrorKind};
use crate::name::Policy;
use crate::restore::{Edit, RestoreCommand, RestoreFile, RestoreLine, RestoreSection};
use crate::rule::Counters;
use crate::rules::Rules;
use crate::ruleset::{Chain, Ruleset, Table};

/// How a file is carried out: with which options `iptables-restore` is run. By default without any.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ApplyOptions {
    /// `--noflush`: what the file does not mention stays. Without it, each `*TABLE` line first removes all rules and all
    /// users' chains of that table; policies stay, as with the legacy tools. (Those of nft 1.8.9 remove the table, so that
    /// policies are ACCEPT again and a table without anything is missing.)
    pub noflush: bool,
    /// `--counters`: rules and policies have the counters that the file gives them. Without it, they have none.
    pub counters: bool,
}

impl ApplyOptions {
    /// Without any option: tables are flushed.
    pub fn new() -> Self {
        Self::default()
    }

    /// `--noflush`
    pub fn noflush() -> Self {
        Self {
            noflush: true,
            ..Self::default()
        }
    }

    /// `--counters`
    #[must_use]
    pub fn counters(mut self) -> Self {
        self.counters = true;
        self
    }
}

/// A line of a file that the kernel would refuse.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {number}: {error}")]
#[non_exhaustive]
pub struct RestoreFileError {
    /// The number of the line, from 1; that of `COMMIT` for what only the commit shows.
    pub number: usize,
    /// What would be refused.
    #[source]
    pub error: ApplyError,
}

impl RestoreFile {
    /// Makes of `ruleset` what the kernel's tables would be after this file.
    ///
    /// A table that is not there is made with its built-in chains, as the kernel does when it is first used.
    ///
    /// # Errors
    /// [`RestoreFileError`] with the line that the kernel would refuse. Sections before it are carried out by then, its own
    /// and later ones are not: the kernel commits each section whole, in order.
    pub fn apply(
        &self,
        ruleset: &mut Ruleset,
        options: ApplyOptions,
    ) -> Result<(), RestoreFileError> {
        self.sections
            .iter()
            .try_for_each(|section| section.apply(ruleset, options))
    }
}

impl RestoreSection {
    fn apply(&self, ruleset: &mut Ruleset, options: ApplyOptions) -> Result<(), RestoreFileError> {
        let mut table = match ruleset.table(&self.table) {
            Some(table) => table.clone(),
            None => Table::builtin(self.table.clone()),
        };
        if table.chains.is_empty() && ruleset.table(&self.table).is_none() {
            return Err(self.error(0, self.number, ApplyErrorKind::NoSuchTable));
        }
        if !options.noflush {
            table.chains.retain(|chain| chain.policy.is_some());
            for chain in &mut table.chains {
                chain.rules = Rules::default();
            }
        }
        let mut work = Work::new(&mut table, self.lines.len());
        for (index, line) in self.lines.iter().enumerate() {
            work.line(line, options)
                .map_err(|kind| self.error(index, line.number, kind))?;
        }
        loops::check(&work).map_err(|kind| self.error(self.lines.len(), self.commit, kind))?;
        work.finish();
        match ruleset.table_mut(&self.table) {
            Some(found) => *found = table,
            None => ruleset.tables.push(table),
        }
        Ok(())
    }

    fn error(&self, index: usize, number: usize, kind: ApplyErrorKind) -> RestoreFileError {
        let line = match &kind {
            ApplyErrorKind::NoSuchTable => format!("*{}", self.table),
            _ => self
                .lines
                .get(index)
                .map_or_else(|| "COMMIT".to_owned(), ToString::to_string),
        };
        let error = ApplyError {
            table: self.table.clone(),
            index,
            line,
            kind,
        };
        RestoreFileError { number, error }
    }
}

/// A table that lines of a file are carried out on is a copy: nothing here is taken back.
impl Work<'_> {
    fn line(&mut self, line: &RestoreLine, options: ApplyOptions) -> Result<(), ApplyErrorKind> {
        match &line.command {
            RestoreCommand::Edit(edit) => self.file_edit(edit, line.counters, options),
            RestoreCommand::NewChain { chain } => match self.get(chain.as_str()) {
                Some(_) => Err(ApplyErrorKind::ChainExists(chain.clone())),
                None => {
                    self.make(chain);
                    Ok(())
                }
            },
            RestoreCommand::DeleteAt { chain, position } => {
                let rules = &mut self.chain_mut(chain)?.rules;
                let index = index_of(*position, rules.len())?;
                rules.remove(index);
                self.forget_references();
                Ok(())
            }
            RestoreCommand::Replace {
                chain,
                position,
                rule,
            } => {
                let len = self.chain_mut(chain)?.rules.len();
                self.check_target(rule)?;
                let index = index_of(*position, len)?;
                self.jumps_to(rule);
                if let Some(found) = self.chain_mut(chain)?.rules.get_mut(index) {
                    *found = rule.clone();
                    found.counters = counted(rule.counters, options);
                }
                self.forget_references();
                Ok(())
            }
            RestoreCommand::Check { chain, rule } => {
                match self.chain_mut(chain)?.rules.contains(rule) {
                    true => Ok(()),
                    false => Err(ApplyErrorKind::NoSuchRule(chain.clone())),
                }
            }
            RestoreCommand::RenameChain { chain, to } => self.rename(chain, to),
            RestoreCommand::Zero {
                chain: Some(chain),
                position,
            } => {
                let found = self.chain_mut(chain)?;
                if let Some(position) = position {
                    let index = index_of(*position, found.rules.len())?;
                    let rule = found.rules.get_mut(index);
                    rule.into_iter().for_each(|rule| zero(&mut rule.counters));
                    return Ok(());
                }
                found.zero();
                Ok(())
            }
            RestoreCommand::Zero { chain: None, .. } => {
                self.chains_mut().for_each(Chain::zero);
                Ok(())
            }
            RestoreCommand::FlushAll => {
                self.chains_mut()
                    .for_each(|chain| chain.rules = Rules::default());
                self.forget_references();
                Ok(())
            }
            RestoreCommand::DeleteChains => {
                let users = self.chains().filter(|chain| chain.policy.is_none());
                let names: Vec<_> = users.map(|chain| chain.name.clone()).collect();
                names.iter().try_for_each(|name| self.delete_chain(name))
            }
        }
    }

    /// An edit as a file has it: with its counters, and stricter about what a flushed table should not have.
    fn file_edit(
        &mut self,
        edit: &Edit,
        counters: Option<Counters>,
        options: ApplyOptions,
    ) -> Result<(), ApplyErrorKind> {
        match edit {
            Edit::DeclareChain { chain } if !options.noflush => {
                let user = |found: &Chain| found.policy.is_none();
                if self.get(chain.as_str()).is_some_and(user) {
                    return Err(ApplyErrorKind::ChainExists(chain.clone()));
                }
            }
            Edit::SetPolicy { policy, .. } if !matches!(policy, Policy::Accept | Policy::Drop) => {
                return Err(ApplyErrorKind::NoSuchPolicy(policy.clone()));
            }
            Edit::Append { .. } | Edit::Insert { .. } if !options.counters => {
                let mut edit = edit.clone();
                if let Edit::Append { rule, .. } | Edit::Insert { rule, .. } = &mut edit {
                    rule.counters = None;
                }
                return self.edit(&edit);
            }
            _ => {}
        }
        self.edit(edit)?;
        if let Edit::SetPolicy { chain, .. } = edit {
            self.chain_mut(chain)?.counters = counted(counters, options);
        }
        Ok(())
    }
}

fn counted(counters: Option<Counters>, options: ApplyOptions) -> Option<Counters> {
    counters.filter(|_| options.counters)
}

/// The index of a rule by its place.
fn index_of(position: usize, len: usize) -> Result<usize, ApplyErrorKind> {
    position
        .checked_sub(1)
        .filter(|index| *index < len)
        .ok_or(ApplyErrorKind::NoRuleAt { position, len })
}

fn zero(counters: &mut Option<Counters>) {
    *counters = counters.map(|_| Counters::default());
}

impl Chain {
    /// Sets all counters that are known to zero.
    fn zero(&mut self) {
        zero(&mut self.counters);
        for rule in &mut self.rules {
            zero(&mut rule.counters);
        }
    }
}
