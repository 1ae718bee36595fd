//! Many changes of rules in one run of `iptables-restore`, and which of them a refused line belongs to.

use std::collections::{BTreeSet, HashSet};
use std::fmt::Write as _;

use iptables_restore::{ChainName, Edit, RejectReason, Rejection, RestoreInput, TableEdits};
use proxier::{KernelError, KernelErrorKind, KernelPart};

use crate::error::failed;

/// One run for several changes.
///
/// All Services at once are ten thousands of lines, so this copies none of their edits: the text is made of the changes
/// themselves.
pub(crate) struct Run<'a> {
    changes: Vec<&'a RestoreInput>,
    /// The tables of the text in order, each with the edits of the changes that it is made of.
    sections: Vec<Vec<(usize, &'a TableEdits)>>,
}

impl<'a> Run<'a> {
    pub(crate) fn of(changes: impl IntoIterator<Item = &'a RestoreInput>) -> Self {
        let changes: Vec<_> = changes.into_iter().collect();
        let mut sections: Vec<Vec<(usize, &TableEdits)>> = Vec::new();
        // The chains that the last section writes rules into.
        let mut written = HashSet::new();
        for (n, change) in changes.iter().enumerate() {
            for table in change.tables() {
                if table.edits().is_empty() {
                    continue;
                }
                let last = sections.last_mut();
                let joins = |section: &&mut Vec<(usize, &TableEdits)>| {
                    let (_, last) = section.last()?;
                    Some(last.name() == table.name() && !deletes_from(table, &written))
                };
                match last.filter(|section| joins(section) == Some(true)) {
                    Some(section) => section.push((n, table)),
                    None => {
                        sections.push(vec![(n, table)]);
                        written.clear();
                    }
                }
                written.extend(table.edits().iter().filter_map(written_by));
            }
        }
        Self { changes, sections }
    }

    /// The changes, one after the other.
    pub(crate) fn changes(&self) -> &[&'a RestoreInput] {
        &self.changes
    }

    /// How many lines the edits are.
    pub(crate) fn lines(&self) -> usize {
        let tables = self.sections.iter().flatten();
        tables.map(|(_, table)| table.edits().len()).sum()
    }

    /// The text for the tool: that of [`input`](Self::input).
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        for section in &self.sections {
            let name = section.first().map(|(_, table)| table.name());
            let edits = section.iter().flat_map(|(_, table)| table.edits());
            // Nothing fails that is written to a string.
            let _ = name.map_or(Ok(()), |name| writeln!(text, "*{name}"));
            edits.for_each(|edit| {
                let _ = writeln!(text, "{edit}");
            });
            text.push_str("COMMIT\n");
        }
        text
    }

    /// All changes as one.
    pub(crate) fn input(&self) -> RestoreInput {
        let mut input = RestoreInput::new();
        for section in &self.sections {
            let mut tables = section.iter().map(|(_, table)| table);
            if let Some(first) = tables.next() {
                let edits = input.begin(first);
                tables.for_each(|table| {
                    edits.extend(table);
                });
            }
        }
        input
    }

    /// What became of each change after a line was refused. The tool stops there: tables before it are committed, and the
    /// rest was not tried.
    pub(crate) fn rejected(&self, rejection: &Rejection) -> Vec<Result<(), KernelError>> {
        let error = failed(rejection.clone());
        self.refused(rejection.line, &rejection.reason, &error)
    }

    fn refused(
        &self,
        line: usize,
        reason: &RejectReason,
        error: &KernelError,
    ) -> Vec<Result<(), KernelError>> {
        let (at, mut culprit) = self.place(line);
        if *reason == RejectReason::TooLong {
            // No single line is at fault.
            culprit = self.only(at);
        }
        let culprits = culprit.into_iter().chain(self.alike(reason));
        let culprits: BTreeSet<usize> = culprits.collect();
        let left = self.sections.get(at..).unwrap_or_default().iter().flatten();
        let left: BTreeSet<usize> = left.map(|(n, _)| *n).collect();
        let unattempted = KernelError::new(
            KernelPart::Rules,
            KernelErrorKind::Unattempted,
            format!("not tried, since another line was refused: {error}"),
        );
        let one = self.changes.len() == 1;
        let result = |n| match () {
            () if !left.contains(&n) => Ok(()),
            () if one || culprits.contains(&n) => Err(error.clone()),
            () => Err(unattempted.clone()),
        };
        (0..self.changes.len()).map(result).collect()
    }

    /// The section of a line of the text, counted from 1, and the change that the line is of. Where the kernel refused a
    /// table as a whole the change is known only if it is the only one.
    fn place(&self, line: usize) -> (usize, Option<usize>) {
        let mut left = line.saturating_sub(1);
        for (at, section) in self.sections.iter().enumerate() {
            let edits: usize = section.iter().map(|(_, table)| table.edits().len()).sum();
            if left >= edits + 2 {
                left -= edits + 2;
                continue;
            }
            let mut line = left.checked_sub(1);
            let change = section.iter().find_map(|(n, table)| {
                let within = line?;
                line = within.checked_sub(table.edits().len());
                line.is_none().then_some(*n)
            });
            return (at, change.or_else(|| self.only(at)));
        }
        (self.sections.len(), None)
    }

    /// The change that a section is all of.
    fn only(&self, section: usize) -> Option<usize> {
        match self.sections.get(section)?.as_slice() {
            [(n, _)] => Some(*n),
            _ => None,
        }
    }

    /// The changes that need the same extension as the refused line, which is not there.
    fn alike(&self, reason: &RejectReason) -> Vec<usize> {
        let needs = |edit: &Edit| {
            let rule = edit.rule();
            match reason {
                RejectReason::NoSuchMatch(name) => {
                    rule.is_some_and(|rule| rule.matches.iter().any(|part| part.name() == name))
                }
                RejectReason::NoSuchTarget(name) => rule.is_some_and(|rule| {
                    let target = rule.target.as_ref();
                    target.is_some_and(|target| target.name() == name)
                }),
                _ => false,
            }
        };
        let changes = self.changes.iter().enumerate().filter(|(_, change)| {
            let mut edits = change.tables().iter().flat_map(TableEdits::edits);
            edits.any(needs)
        });
        changes.map(|(n, _)| n).collect()
    }
}

/// The chain that an edit writes a rule into.
const fn written_by(edit: &Edit) -> Option<&ChainName> {
    match edit {
        Edit::Append { chain, .. } | Edit::Insert { chain, .. } => Some(chain),
        _ => None,
    }
}

/// Whether edits delete a rule of one of these chains: before that, what was written there has to be committed
/// ([`RestoreInput::begin`]).
fn deletes_from(table: &TableEdits, written: &HashSet<&ChainName>) -> bool {
    table
        .edits()
        .iter()
        .any(|edit| matches!(edit, Edit::Delete { chain, .. } if written.contains(chain)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use iptables_restore::{Match, Rule, TableName};

    use super::*;

    fn change(table: &TableName, chains: &[&str]) -> RestoreInput {
        let mut input = RestoreInput::new();
        for chain in chains {
            let rule = Rule::new().jump("RETURN");
            input.table(table.clone()).append(chain, rule).unwrap();
        }
        input
    }

    /// `+` was committed, `!` is what was refused, `?` was not tried.
    fn outcome(changes: &[RestoreInput], line: usize, reason: &RejectReason) -> String {
        let error = KernelError::new(KernelPart::Rules, KernelErrorKind::Invalid, "refused");
        let results = Run::of(changes).refused(line, reason, &error);
        let sign = |result: &Result<(), KernelError>| match result {
            Ok(()) => '+',
            Err(error) if error.kind == KernelErrorKind::Unattempted => '?',
            Err(_) => '!',
        };
        results.iter().map(sign).collect()
    }

    #[test]
    fn a_refused_line_leads_back_to_its_change() {
        let changes = [
            change(&TableName::Filter, &["A", "B"]),
            change(&TableName::Nat, &["C"]),
            change(&TableName::Nat, &["D", "E"]),
            change(&TableName::Nat, &["F"]),
            change(&TableName::Filter, &["G"]),
        ];
        let run = Run::of(&changes);
        let text = run.text();
        assert_eq!(text, run.input().to_string());
        assert_eq!(run.lines() + 2 * 3, text.lines().count());
        let line = |of: &str| text.lines().position(|line| line.contains(of)).unwrap() + 1;
        for (chain, expected) in [
            ("-A A", "!????"),
            ("-A B", "!????"),
            ("-A C", "+!???"),
            ("-A D", "+?!??"),
            ("-A E", "+?!??"),
            ("-A F", "+??!?"),
            ("-A G", "++++!"),
        ] {
            assert_eq!(
                outcome(&changes, line(chain), &RejectReason::Unexplained),
                expected,
                "{chain}"
            );
        }
        // The nat table as a whole, and the last one, which is that of one change.
        let commits: Vec<_> = text
            .lines()
            .enumerate()
            .filter(|(_, line)| *line == "COMMIT")
            .collect();
        let at = |n: usize| commits.get(n).unwrap().0 + 1;
        assert_eq!(outcome(&changes, at(1), &RejectReason::Commit), "+????");
        assert_eq!(outcome(&changes, at(2), &RejectReason::Commit), "++++!");
        assert_eq!(outcome(&changes[..1], at(0), &RejectReason::Commit), "!");
    }

    /// The tool names the last line of a table that is too long, which is as good as any other.
    #[test]
    fn what_is_too_long_is_no_changes_fault() {
        let changes = [
            change(&TableName::Filter, &["A"]),
            change(&TableName::Nat, &["B", "C"]),
            change(&TableName::Nat, &["D"]),
        ];
        assert_eq!(outcome(&changes, 7, &RejectReason::TooLong), "+??");
        assert_eq!(outcome(&changes, 2, &RejectReason::TooLong), "!??");
        assert_eq!(outcome(&changes[1..2], 3, &RejectReason::TooLong), "!");
    }

    /// A match that this system lacks is looked for once, not once for each change that needs it.
    #[test]
    fn what_needs_a_missing_extension_fails_together() {
        let with = |name: &str| {
            let mut input = RestoreInput::new();
            let rule = Rule::new().matching(Match::new("recent", ["--set".into()]));
            input.table(TableName::Nat).append(name, rule).unwrap();
            input
        };
        let changes = [with("A"), change(&TableName::Nat, &["B"]), with("C")];
        let reason = RejectReason::NoSuchMatch("recent".to_owned());
        assert_eq!(outcome(&changes, 2, &reason), "!?!");
    }

    /// The nft back end deletes no rule that was written since the last commit.
    #[test]
    fn a_rule_is_deleted_after_a_commit_of_what_was_written_to_its_chain() {
        let rule = || Rule::new().jump("RETURN");
        let mut written = RestoreInput::new();
        let table = written.table(TableName::Nat);
        table.declare_chain("A").unwrap();
        table.append("A", rule()).unwrap();
        let deleted = |chain: &str| {
            let mut input = RestoreInput::new();
            input.table(TableName::Nat).delete(chain, rule()).unwrap();
            input
        };
        let changes = [written, deleted("B"), deleted("A")];
        let run = Run::of(&changes);
        assert_eq!(
            run.text(),
            "*nat\n:A - [0:0]\n-A A -j RETURN\n-D B -j RETURN\nCOMMIT\n*nat\n-D A -j RETURN\nCOMMIT\n"
        );
        assert_eq!(run.text(), run.input().to_string());
        assert_eq!(outcome(&changes, 4, &RejectReason::Unexplained), "?!?");
        assert_eq!(outcome(&changes, 7, &RejectReason::Unexplained), "++!");
    }
}
