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
        let mut work = Work::new(table, self.edits.len());
        for (index, edit) in self.edits.iter().enumerate() {
            if let Err(kind) = work.edit(edit) {
                work.undo();
                return Err(self.error(index, kind));
            }
        }
        if let Err(kind) = loops::check(&work) {
            work.undo();
            return Err(self.error(self.edits.len(), kind));
        }
        work.finish();
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
