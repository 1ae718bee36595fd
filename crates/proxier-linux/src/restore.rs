//! Many changes of rules in one run of `iptables-restore`, and which of them a refused line belongs to.

use std::collections::BTreeSet;

use iptables_restore::{Edit, Match, RejectReason, Rejection, RestoreInput, TableEdits, Target};
use proxier::{KernelError, KernelErrorKind, KernelPart, RulesChange};

use crate::error::failed;

/// One run for several changes.
pub(crate) struct Run<'a> {
    changes: &'a [&'a RulesChange],
    input: RestoreInput,
    /// The tables of the text in order, each with the changes that it is made of and how many lines each has there.
    sections: Vec<Vec<(usize, usize)>>,
}

impl<'a> Run<'a> {
    pub(crate) fn of(changes: &'a [&'a RulesChange]) -> Self {
        let mut input = RestoreInput::new();
        let mut sections: Vec<Vec<(usize, usize)>> = Vec::new();
        for (n, change) in changes.iter().enumerate() {
            for table in change.input.tables() {
                let lines = table.edits().len();
                if lines == 0 {
                    continue;
                }
                let last = input.tables().last();
                let joins = last.is_some_and(|last| last.name() == table.name());
                match sections.last_mut().filter(|_| joins) {
                    Some(section) => section.push((n, lines)),
                    None => sections.push(vec![(n, lines)]),
                }
                input.append(&RestoreInput::from(table.clone()));
            }
        }
        Self {
            changes,
            input,
            sections,
        }
    }

    pub(crate) const fn input(&self) -> &RestoreInput {
        &self.input
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
        let (at, culprit) = self.place(line);
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
            let edits: usize = section.iter().map(|(_, lines)| lines).sum();
            if left >= edits + 2 {
                left -= edits + 2;
                continue;
            }
            let mut line = left.checked_sub(1);
            let change = section.iter().find_map(|(n, lines)| {
                let within = line?;
                line = within.checked_sub(*lines);
                line.is_none().then_some(*n)
            });
            let only = match section.as_slice() {
                [(n, _)] => Some(*n),
                _ => None,
            };
            return (at, change.or(only));
        }
        (self.sections.len(), None)
    }

    /// The changes that need the same extension as the refused line, which is not there.
    fn alike(&self, reason: &RejectReason) -> Vec<usize> {
        let needs = |edit: &Edit| {
            let rule = edit.rule();
            match reason {
                RejectReason::NoSuchMatch(name) => rule.is_some_and(|rule| {
                    rule.matches
                        .iter()
                        .any(|part| matches!(part, Match::Other(part) if part.name() == name))
                }),
                RejectReason::NoSuchTarget(name) => rule.is_some_and(|rule| {
                    matches!(&rule.target, Some(Target::Other(target)) if target.name() == name)
                }),
                _ => false,
            }
        };
        let changes = self.changes.iter().enumerate().filter(|(_, change)| {
            let mut edits = change.input.tables().iter().flat_map(TableEdits::edits);
            edits.any(needs)
        });
        changes.map(|(n, _)| n).collect()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use iptables_restore::{Rule, TableName};
    use proxier::cluster::Family;

    use super::*;

    fn change(table: &TableName, chains: &[&str]) -> RulesChange {
        let mut input = RestoreInput::new();
        for chain in chains {
            let rule = Rule::new().jump("RETURN");
            input.table(table.clone()).append(chain, rule).unwrap();
        }
        RulesChange::new(Family::V4, input)
    }

    /// `+` was committed, `!` is what was refused, `?` was not tried.
    fn outcome(changes: &[RulesChange], line: usize, reason: &RejectReason) -> String {
        let changes: Vec<_> = changes.iter().collect();
        let error = KernelError::new(KernelPart::Rules, KernelErrorKind::Invalid, "refused");
        let results = Run::of(&changes).refused(line, reason, &error);
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
        let all: Vec<_> = changes.iter().collect();
        let text = Run::of(&all).input().to_string();
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

    /// A match that this system lacks is looked for once, not once for each change that needs it.
    #[test]
    fn what_needs_a_missing_extension_fails_together() {
        let with = |name: &str| {
            let mut input = RestoreInput::new();
            let rule = Rule::new().matching(Match::new("recent", ["--set".into()]));
            input.table(TableName::Nat).append(name, rule).unwrap();
            RulesChange::new(Family::V4, input)
        };
        let changes = [with("A"), change(&TableName::Nat, &["B"]), with("C")];
        let reason = RejectReason::NoSuchMatch("recent".to_owned());
        assert_eq!(outcome(&changes, 2, &reason), "!?!");
    }
}
