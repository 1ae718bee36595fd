//! The kernel's tables after a transaction.

mod chains;
mod file;
mod loops;
mod work;

pub use file::{ApplyOptions, RestoreFileError};

use self::work::Work;
use super::{RestoreInput, TableEdits};
use crate::name::{ChainName, Policy, TableName};
use crate::ruleset::{Ruleset, Table};
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
        let mut tables = self.tables.iter().filter(|table| !table.edits.is_empty());
        tables.try_for_each(|table| apply_run(&[table], ruleset))
    }

    /// Applies transactions one after the other. The chains of a table are indexed, and searched for loops, once for all
    /// of its edits that follow one another: many small transactions cost no more than one large one.
    ///
    /// # Errors
    /// As for [`apply`](Self::apply), but that edits of one table that follow one another, in whatever transactions, are
    /// made as a whole or not at all.
    pub fn apply_all<'a>(
        all: impl IntoIterator<Item = &'a Self>,
        ruleset: &mut Ruleset,
    ) -> Result<(), ApplyError> {
        let tables = all.into_iter().flat_map(|input| &input.tables);
        let tables: Vec<_> = tables.filter(|table| !table.edits.is_empty()).collect();
        tables
            .chunk_by(|one, next| one.name == next.name)
            .try_for_each(|run| apply_run(run, ruleset))
    }
}

/// Makes all edits of one table, or none.
fn apply_run(run: &[&TableEdits], ruleset: &mut Ruleset) -> Result<(), ApplyError> {
    let Some(first) = run.first() else {
        return Ok(());
    };
    if let Some(table) = ruleset.table_mut(&first.name) {
        return apply_to_table(run, table);
    }
    let mut table = Table::builtin(first.name.clone());
    if table.chains.is_empty() {
        return Err(first.error(0, ApplyErrorKind::NoSuchTable));
    }
    apply_to_table(run, &mut table)?;
    ruleset.tables.push(table);
    Ok(())
}

fn apply_to_table(run: &[&TableEdits], table: &mut Table) -> Result<(), ApplyError> {
    let mut work = Work::new(table, run.iter().map(|edits| edits.edits.len()).sum());
    for edits in run {
        for (index, edit) in edits.edits.iter().enumerate() {
            if let Err(kind) = work.edit(edit) {
                work.undo();
                return Err(edits.error(index, kind));
            }
        }
    }
    if let (Err(kind), Some(last)) = (loops::check(&work), run.last()) {
        work.undo();
        return Err(last.error(last.edits.len(), kind));
    }
    work.finish();
    Ok(())
}

impl TableEdits {
    /// Makes of `table` what the kernel's would be after these edits, whatever its name.
    ///
    /// # Errors
    /// [`ApplyError`] with the edit that the kernel would refuse; the table is as it was then.
    pub fn apply(&self, table: &mut Table) -> Result<(), ApplyError> {
        apply_to_table(&[self], table)
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
    /// Index of the edit in the table's list, from 0; its length for what only the commit shows.
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
    /// The position of a rule to delete, replace or zero is behind the last one.
    #[error("the chain has {len} rules, none at position {position}")]
    NoRuleAt {
        /// The position asked for, from 1.
        position: usize,
        /// How many rules the chain has.
        len: usize,
    },
    /// A chain that is to be made is there.
    #[error("there is a chain {0}")]
    ChainExists(ChainName),
    /// No kernel has this policy.
    #[error("there is no policy {}: wanted ACCEPT or DROP", Shown(.0.as_str()))]
    NoSuchPolicy(Policy),
    /// Built-in chains cannot be removed or renamed.
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

#[cfg(test)]
mod tests;
