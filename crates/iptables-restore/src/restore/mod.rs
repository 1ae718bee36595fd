//! Changes: the text for `iptables-restore --noflush`, and the tables after it.

mod apply;
mod edit;
mod ensure;
mod file;

use std::fmt;

pub use apply::{ApplyError, ApplyErrorKind, ApplyOptions, RestoreFileError};
pub use edit::{Edit, InvalidEdit};
pub use ensure::InsertAt;
pub use file::{RestoreCommand, RestoreFile, RestoreLine, RestoreSection};

use crate::name::{ChainName, Policy, TableName};
use crate::rule::Rule;
use crate::text::to_bytes;

/// A transaction for `iptables-restore --noflush`: for each table a list of edits, made in order.
///
/// Each table is committed on its own: what an earlier table changed stays when a later one fails. So order tables such
/// that stopping after any of them is safe; a table may come several times ([`append`](Self::append)). Displays as the text for the tool; what no edit mentions stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RestoreInput {
    tables: Vec<TableEdits>,
}

impl RestoreInput {
    /// No edits.
    pub fn new() -> Self {
        Self::default()
    }

    /// The edits of a table, to add to; tables come in the order in which they are first asked for. Of a table that is there
    /// several times, the first.
    pub fn table(&mut self, name: TableName) -> &mut TableEdits {
        let place = self
            .tables
            .iter()
            .position(|table| table.name == name)
            .unwrap_or_else(|| {
                self.tables.push(TableEdits {
                    name,
                    edits: Vec::new(),
                });
                self.tables.len() - 1
            });
        // The place is that of an element found or pushed just now.
        #[allow(
            clippy::indexing_slicing,
            reason = "the index was computed from this vector in the line above"
        )]
        &mut self.tables[place]
    }

    /// Begins a table that is committed on its own, also where the one before it is the same: with edits of another
    /// transaction.
    ///
    /// iptables-nft-restore (seen with 1.8.9) cannot delete a rule that was written since the last commit: `-D` says
    /// `RULE_DELETE failed (No such file or directory)`.
    pub fn begin(&mut self, edits: &TableEdits) -> &mut TableEdits {
        self.tables.push(edits.clone());
        // Of what was pushed just now.
        #[allow(
            clippy::indexing_slicing,
            reason = "the vector was pushed to in the line above"
        )]
        {
            let last = self.tables.len() - 1;
            &mut self.tables[last]
        }
    }

    /// Adds the edits of another transaction behind these. A table that comes again is committed again, unless its edits
    /// are the last ones here.
    pub fn append(&mut self, other: &Self) {
        for table in &other.tables {
            match self.tables.last_mut() {
                Some(last) if last.name == table.name => {
                    last.edits.extend(table.edits.iter().cloned());
                }
                _ => self.tables.push(table.clone()),
            }
        }
    }

    /// The tables with their edits, in order.
    pub fn tables(&self) -> &[TableEdits] {
        &self.tables
    }

    /// True if there is no edit at all.
    pub fn is_empty(&self) -> bool {
        self.tables.iter().all(|table| table.edits.is_empty())
    }

    /// The bytes of the text. A comment or name that was not UTF-8 when it was read has its own bytes here, and characters
    /// of a private-use block in what [`Display`](fmt::Display) prints; see [`Ruleset::parse_bytes`](crate::Ruleset::parse_bytes).
    pub fn to_bytes(&self) -> Vec<u8> {
        to_bytes(&self.to_string()).into_owned()
    }

    /// The edit on a line of the text, counted from 1, with its table; `None` for lines that are no edit.
    pub fn edit_at_line(&self, line: usize) -> Option<(&TableEdits, &Edit)> {
        let (table, place) = self.place_of_line(line)?;
        let edit = table.edits.get(place.checked_sub(1)?)?;
        Some((table, edit))
    }

    /// The edits that a line of the text is among, counted from 1, the line of the table and `COMMIT` included.
    pub fn section_at_line(&self, line: usize) -> Option<&TableEdits> {
        self.place_of_line(line).map(|(table, _)| table)
    }

    /// What is committed when a line of the text, counted from 1, is refused: the tables that end before it.
    #[must_use]
    pub fn before_line(&self, line: usize) -> Self {
        let mut lines = 0;
        let tables = self.tables.iter().filter(|table| !table.edits.is_empty());
        let tables = tables.take_while(|table| {
            lines += table.edits.len() + 2;
            lines < line
        });
        Self {
            tables: tables.cloned().collect(),
        }
    }

    /// The table that a line is of, and which of its lines it is, from 0.
    fn place_of_line(&self, line: usize) -> Option<(&TableEdits, usize)> {
        let mut left = line.checked_sub(1)?;
        for table in self.tables.iter().filter(|table| !table.edits.is_empty()) {
            let lines = table.edits.len() + 2;
            if left < lines {
                return Some((table, left));
            }
            left -= lines;
        }
        None
    }
}

impl From<TableEdits> for RestoreInput {
    fn from(table: TableEdits) -> Self {
        Self {
            tables: vec![table],
        }
    }
}

impl fmt::Display for RestoreInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.tables
            .iter()
            .filter(|table| !table.edits.is_empty())
            .try_for_each(|table| {
                writeln!(f, "*{}", table.name)?;
                table
                    .edits
                    .iter()
                    .try_for_each(|edit| writeln!(f, "{edit}"))?;
                writeln!(f, "COMMIT")
            })
    }
}

/// The edits of one table. Each method adds one edit at the end, or is an error if the tool would refuse it. A table name
/// that is not one word is an error of each of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableEdits {
    name: TableName,
    edits: Vec<Edit>,
}

impl TableEdits {
    /// Name of the table.
    pub fn name(&self) -> &TableName {
        &self.name
    }

    /// The edits, in order.
    pub fn edits(&self) -> &[Edit] {
        &self.edits
    }

    /// Adds the edits of another transaction behind these.
    pub fn extend(&mut self, other: &Self) -> &mut Self {
        self.edits.extend(other.edits.iter().cloned());
        self
    }

    /// `:CHAIN - [0:0]`: makes a user's chain, or empties the one that is there. A built-in chain is left as it is.
    ///
    /// # Errors
    /// [`InvalidEdit`] if the chain cannot have this name.
    pub fn declare_chain(&mut self, chain: impl AsRef<str>) -> Result<&mut Self, InvalidEdit> {
        self.push(Edit::DeclareChain {
            chain: name(chain)?,
        })
    }

    /// `:CHAIN POLICY [0:0]`: sets a built-in chain's policy and counters; its rules stay.
    ///
    /// # Errors
    /// [`InvalidEdit`] if the chain cannot have this name.
    pub fn set_policy(
        &mut self,
        chain: impl AsRef<str>,
        policy: Policy,
    ) -> Result<&mut Self, InvalidEdit> {
        self.push(Edit::SetPolicy {
            chain: name(chain)?,
            policy,
        })
    }

    /// `-F CHAIN`: removes all rules of a chain.
    ///
    /// # Errors
    /// [`InvalidEdit`] if the chain cannot have this name.
    pub fn flush(&mut self, chain: impl AsRef<str>) -> Result<&mut Self, InvalidEdit> {
        self.push(Edit::Flush {
            chain: name(chain)?,
        })
    }

    /// `-A CHAIN …`: adds a rule at the end.
    ///
    /// # Errors
    /// [`InvalidEdit`] if the chain cannot have this name or the rule does not pass [`Rule::validate`].
    pub fn append(&mut self, chain: impl AsRef<str>, rule: Rule) -> Result<&mut Self, InvalidEdit> {
        self.push(Edit::Append {
            chain: name(chain)?,
            rule,
        })
    }

    /// `-I CHAIN POSITION …`: adds a rule so that it is the one at `position`, counted from 1.
    ///
    /// In a chain that is emptied in the same transaction use position 1 or [`TableEdits::append`]: iptables-nft-restore
    /// 1.8.9 counts higher positions as if the old rules were still there.
    ///
    /// # Errors
    /// [`InvalidEdit`] if the position is 0, the chain cannot have this name, or the rule does not pass
    /// [`Rule::validate`].
    pub fn insert(
        &mut self,
        chain: impl AsRef<str>,
        position: usize,
        rule: Rule,
    ) -> Result<&mut Self, InvalidEdit> {
        self.push(Edit::Insert {
            chain: name(chain)?,
            position,
            rule,
        })
    }

    /// `-D CHAIN …`: removes the first rule equal to this one.
    ///
    /// # Errors
    /// [`InvalidEdit`] if the chain cannot have this name or the rule does not pass [`Rule::validate`].
    pub fn delete(&mut self, chain: impl AsRef<str>, rule: Rule) -> Result<&mut Self, InvalidEdit> {
        self.push(Edit::Delete {
            chain: name(chain)?,
            rule,
        })
    }

    /// `-X CHAIN`: removes a user's chain, which must be empty and not jumped to.
    ///
    /// # Errors
    /// [`InvalidEdit`] if the chain cannot have this name.
    pub fn delete_chain(&mut self, chain: impl AsRef<str>) -> Result<&mut Self, InvalidEdit> {
        self.push(Edit::DeleteChain {
            chain: name(chain)?,
        })
    }

    /// Adds an edit made elsewhere.
    ///
    /// # Errors
    /// [`InvalidEdit`] as the methods above.
    pub fn push(&mut self, edit: Edit) -> Result<&mut Self, InvalidEdit> {
        let name = self.name.as_str();
        if name.is_empty() || name.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(InvalidEdit::TableName {
                name: name.to_owned(),
            });
        }
        edit.validate()?;
        self.edits.push(edit);
        Ok(self)
    }

    /// Makes room for so many more edits and no others: a list that grows by itself may take twice the memory that it needs.
    pub fn reserve_exact(&mut self, more: usize) -> &mut Self {
        self.edits.reserve_exact(more);
        self
    }
}

fn name(chain: impl AsRef<str>) -> Result<ChainName, InvalidEdit> {
    Ok(ChainName::new(chain.as_ref())?)
}

#[cfg(test)]
mod tests;
