//! Rules in chains that the caller does not own: made to be there once, or not at all.

use super::{Edit, InvalidEdit, TableEdits};
use crate::name::ChainName;
use crate::rule::Rule;
use crate::ruleset::Ruleset;

/// Where a missing rule is added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum InsertAt {
    /// Before all others, `-I CHAIN 1`.
    Start,
    /// After all others, `-A CHAIN`.
    End,
}

impl TableEdits {
    /// Makes a chain have a rule exactly once: a jump from a built-in chain, for one.
    ///
    /// Nothing is added where `found`, what was read from the kernel, has one equal rule in that chain, wherever it stands,
    /// and the edits so far keep it; or where they add one. Where there are several, all go and one is added, so that it
    /// is where `place` wants it. The kernel may have changed since it was read: the check and the change are one transaction
    /// only if nobody else changes these chains.
    ///
    /// # Errors
    /// [`InvalidEdit`] if the chain cannot have this name or the rule does not pass [`Rule::validate`].
    pub fn ensure_rule(
        &mut self,
        found: &Ruleset,
        chain: impl AsRef<str>,
        rule: Rule,
        place: InsertAt,
    ) -> Result<&mut Self, InvalidEdit> {
        let chain = ChainName::new(chain.as_ref())?;
        let copies = self.copies(found, &chain, &rule);
        if copies == 1 {
            return Ok(self);
        }
        // Of several all go: the one that a deletion leaves is the last, wherever that is.
        for _ in 0..copies {
            self.push(Edit::Delete {
                chain: chain.clone(),
                rule: rule.clone(),
            })?;
        }
        match place {
            InsertAt::Start => self.push(Edit::Insert {
                chain,
                position: 1,
                rule,
            }),
            InsertAt::End => self.push(Edit::Append { chain, rule }),
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
        nat.ensure_rule(&found, "OUTPUT", jump(), InsertAt::Start)
            .unwrap();
        assert!(lines(nat).is_empty());
        nat.ensure_rule(&found, "PREROUTING", jump(), InsertAt::Start)
            .unwrap();
        nat.ensure_rule(&found, "PREROUTING", jump(), InsertAt::Start)
            .unwrap();
        nat.ensure_rule(&found, "POSTROUTING", jump().comment("x"), InsertAt::End)
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
            .ensure_rule(&found, "OUTPUT", jump(), InsertAt::End)
            .unwrap();
        assert_eq!(lines(nat)[2..], ["-F OUTPUT", "-A OUTPUT -j X"]);
        let filter = input.table(TableName::Filter);
        filter
            .ensure_rule(&found, "OUTPUT", jump(), InsertAt::End)
            .unwrap();
        assert_eq!(lines(filter), ["-A OUTPUT -j X"]);
    }

    #[test]
    fn twice_becomes_once() {
        let text = "*nat\n:OUTPUT ACCEPT [0:0]\n:X - [0:0]\n-A OUTPUT -p tcp -j ACCEPT\n-A OUTPUT -j X\n-A OUTPUT -j X\n\
                    -A OUTPUT -j X\n-A OUTPUT -p udp -j ACCEPT\nCOMMIT\n";
        let jump = || Rule::new().jump("X");
        let tcp = Rule::new().protocol("tcp").jump("ACCEPT");
        let udp = Rule::new().protocol("udp").jump("ACCEPT");
        for (place, expected) in [
            (InsertAt::Start, [jump(), tcp.clone(), udp.clone()]),
            (InsertAt::End, [tcp, udp, jump()]),
        ] {
            let mut kernel = Ruleset::parse(text).unwrap();
            for _ in 0..2 {
                let found = kernel.clone();
                let mut input = RestoreInput::new();
                let nat = input.table(TableName::Nat);
                nat.ensure_rule(&found, "OUTPUT", jump(), place).unwrap();
                // Once more in the same transaction changes nothing more.
                let before = nat.edits().len();
                nat.ensure_rule(&found, "OUTPUT", jump(), place).unwrap();
                assert_eq!(nat.edits().len(), before);
                input.apply(&mut kernel).unwrap();
                let nat = kernel.table(&TableName::Nat).unwrap();
                assert_eq!(nat.chain("OUTPUT").unwrap().rules, expected);
            }
        }
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
