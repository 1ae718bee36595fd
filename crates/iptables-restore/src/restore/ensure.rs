//! Rules in chains that are not ours: added where missing, removed where present.

use super::{Edit, InvalidEdit, TableEdits};
use crate::name::ChainName;
use crate::rule::Rule;
use crate::ruleset::Ruleset;

/// Where a missing rule goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Place {
    /// Before all others, `-I CHAIN 1`.
    First,
    /// After all others, `-A CHAIN`.
    Last,
}

impl TableEdits {
    /// Adds a rule to a chain unless it is there already: a jump from a built-in chain, for one.
    ///
    /// It is there if `found`, what was read from the kernel, has an equal rule in that chain, wherever it stands, and
    /// the edits so far keep it; or if they add one. The kernel may have changed since it was read: the check and the
    /// change are one transaction only if nobody else changes these chains.
    ///
    /// # Errors
    /// [`InvalidEdit`] if the chain cannot have this name or the rule does not pass [`Rule::validate`].
    pub fn ensure_rule(
        &mut self,
        found: &Ruleset,
        chain: impl AsRef<str>,
        rule: Rule,
        place: Place,
    ) -> Result<&mut Self, InvalidEdit> {
        let chain = ChainName::new(chain.as_ref())?;
        if self.copies(found, &chain, &rule) > 0 {
            return Ok(self);
        }
        match place {
            Place::First => self.push(Edit::Insert {
                chain,
                position: 1,
                rule,
            }),
            Place::Last => self.push(Edit::Append { chain, rule }),
        }
    }

    /// Removes a rule from a chain as often as it is there, as [`TableEdits::ensure_rule`] counts.
    ///
    /// # Errors
    /// [`InvalidEdit`] if the chain cannot have this name or the rule does not pass [`Rule::validate`].
    pub fn ensure_no_rule(
        &mut self,
        found: &Ruleset,
        chain: impl AsRef<str>,
        rule: &Rule,
    ) -> Result<&mut Self, InvalidEdit> {
        let chain = ChainName::new(chain.as_ref())?;
        for _ in 0..self.copies(found, &chain, rule) {
            self.push(Edit::Delete {
                chain: chain.clone(),
                rule: rule.clone(),
            })?;
        }
        Ok(self)
    }

    /// How many rules equal to `rule` the chain will have once the edits so far are made.
    fn copies(&self, found: &Ruleset, chain: &ChainName, rule: &Rule) -> usize {
        let found = found
            .table(&self.name)
            .and_then(|table| table.chain(chain.as_str()));
        let builtin = self.name.builtin_chains().contains(&chain.as_str());
        let before = found.map_or(0, |found| {
            found.rules.iter().filter(|other| *other == rule).count()
        });
        self.edits
            .iter()
            .filter(|edit| edit.chain() == chain)
            .fold(before, |copies, edit| match edit {
                Edit::Append { rule: other, .. } | Edit::Insert { rule: other, .. }
                    if other == rule =>
                {
                    copies + 1
                }
                Edit::Delete { rule: other, .. } if other == rule => copies.saturating_sub(1),
                Edit::Flush { .. } | Edit::DeleteChain { .. } => 0,
                Edit::DeclareChain { .. } if !builtin => 0,
                _ => copies,
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{RestoreInput, TableName};

    fn lines(edits: &TableEdits) -> Vec<String> {
        edits.edits().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn only_where_missing() {
        let found =
            Ruleset::parse("*nat\n:OUTPUT ACCEPT [0:0]\n:X - [0:0]\n-A OUTPUT -j X\nCOMMIT\n")
                .unwrap();
        let jump = || Rule::new().jump("X");
        let mut input = RestoreInput::new();
        let nat = input.table(TableName::Nat);
        nat.ensure_rule(&found, "OUTPUT", jump(), Place::First)
            .unwrap();
        assert!(lines(nat).is_empty());
        nat.ensure_rule(&found, "PREROUTING", jump(), Place::First)
            .unwrap();
        nat.ensure_rule(&found, "PREROUTING", jump(), Place::First)
            .unwrap();
        nat.ensure_rule(&found, "POSTROUTING", jump().comment("x"), Place::Last)
            .unwrap();
        assert_eq!(
            lines(nat),
            [
                "-I PREROUTING 1 -j X",
                "-A POSTROUTING -m comment --comment x -j X"
            ]
        );
        nat.flush("OUTPUT")
            .unwrap()
            .ensure_rule(&found, "OUTPUT", jump(), Place::Last)
            .unwrap();
        assert_eq!(lines(nat)[2..], ["-F OUTPUT", "-A OUTPUT -j X"]);
        let filter = input.table(TableName::Filter);
        filter
            .ensure_rule(&found, "OUTPUT", jump(), Place::Last)
            .unwrap();
        assert_eq!(lines(filter), ["-A OUTPUT -j X"]);
    }

    #[test]
    fn removed_as_often_as_there() {
        let found = Ruleset::parse(
            "*nat\n:OUTPUT ACCEPT [0:0]\n:X - [0:0]\n-A OUTPUT -j X\n-A OUTPUT\n-A OUTPUT -j X\nCOMMIT\n",
        );
        let found = found.unwrap();
        let mut input = RestoreInput::new();
        let nat = input.table(TableName::Nat);
        nat.ensure_no_rule(&found, "OUTPUT", &Rule::new().jump("X"))
            .unwrap();
        nat.ensure_no_rule(&found, "OUTPUT", &Rule::new().jump("X"))
            .unwrap();
        nat.ensure_no_rule(&found, "PREROUTING", &Rule::new().jump("X"))
            .unwrap();
        assert_eq!(lines(nat), ["-D OUTPUT -j X", "-D OUTPUT -j X"]);
    }
}
