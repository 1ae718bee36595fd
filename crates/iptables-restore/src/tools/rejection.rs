//! A line that iptables-restore refused.

use std::path::PathBuf;

use crate::error::in_table;
use crate::name::TableName;
use crate::restore::{ApplyErrorKind, Edit, RestoreInput};
use crate::ruleset::Table;
use crate::text::Shown;

/// iptables-restore refused a line. Its table is as it was, tables before it are committed, later ones are untouched.
///
/// # Where it comes from
/// The tools print seven kinds of messages; each becomes an [`Error`](crate::Error) that holds the line, its [`Edit`], its table and the tables
/// committed before it ([`Rejection`]). All were provoked with iptables 1.8.9, legacy and nft, in `tests/kernel`.
///
/// | What is printed | By | Becomes | Tests |
/// | --- | --- | --- | --- |
/// | `line N failed` | legacy | [`RejectReason::Inferred`] from the table as read back, at COMMIT [`RejectReason::Commit`] | `each_refusal_names_its_edit`, `what_only_the_commit_shows` |
/// | `line N failed: reason` | nft | [`RejectReason::Other`] | `each_refusal_names_its_edit` |
/// | `line N failed: Message too long` | nft | [`RejectReason::TooLong`] | `captured_messages` |
/// | `reason`, `Error occurred at line: N` | both | [`RejectReason::NoSuchSet`], [`NoSuchTarget`](RejectReason::NoSuchTarget), [`NoSuchMatch`](RejectReason::NoSuchMatch), [`TableUnavailable`](RejectReason::TableUnavailable), else [`Other`](RejectReason::Other) | `each_refusal_names_its_edit`, `texts_made_elsewhere` |
/// | `line N: CHAIN_DEL failed (…): chain X` | nft | [`RejectReason::Kernel`] | `each_refusal_names_its_edit`, `what_only_the_commit_shows` |
/// | `COMMIT expected at line N` | both | [`RejectReason::CommitMissing`] | `texts_made_elsewhere` |
/// | `Another app is currently holding the xtables lock` | legacy | [`Error::LockHeld`](crate::Error::LockHeld) | `the_lock`, `the_lock_of_old_tools` |
///
/// The back ends differ in more than their messages:
/// - The legacy kernel takes jumps in a circle behind an unconditional verdict, nft refuses them; so does
///   [`RestoreInput::apply`].
/// - The tools of nft 1.8.9 remove an empty built-in chain when asked to, take a policy for a user's chain and drop it, and
///   count positions in a chain that was emptied in the same transaction as if it had not been.
/// - A dry run of nft misses all that the kernel would refuse, jumps to missing chains among it; one of legacy misses what
///   the commit would show.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[error(
    "{} refused line {line}{}: {reason}: {}",
    program.display(),
    in_table(table.as_ref()),
    Shown(text)
)]
pub struct Rejection {
    /// The tool.
    pub program: PathBuf,
    /// Number of the line in the text, from 1.
    pub line: usize,
    /// The line.
    pub text: String,
    /// The table it is in.
    pub table: Option<TableName>,
    /// The edit it is; none for `COMMIT`, and for a text that was made elsewhere.
    pub edit: Option<Edit>,
    /// Why, as far as the tool prints it.
    pub reason: RejectReason,
    /// Tables that were committed before.
    pub committed: Vec<TableName>,
    /// All that the tool printed.
    pub message: String,
}

/// Why a line was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RejectReason {
    /// The legacy tool gave no reason; this is what the kernel's rules forbid, as the table was read back afterwards.
    #[error("{0}")]
    Inferred(ApplyErrorKind),
    /// The legacy tool gave no reason, and the table as read back afterwards shows none: somebody else may have changed
    /// it meanwhile.
    #[error(
        "the tool gives no reason (no such chain or rule, or a chain that is not empty or still in use)"
    )]
    Unexplained,
    /// The legacy tool, at the COMMIT line: the kernel refused the table as a whole, for a rule that an extension does
    /// not allow in this chain or table, for chains that jump in a circle, or for an extension it does not have.
    #[error(
        "the kernel refused the table (a rule not allowed where it is, a loop of jumps, or a missing module)"
    )]
    Commit,
    /// A rule matches on a set that does not exist.
    #[error("there is no set {}: create it first", Shown(.0))]
    NoSuchSet(String),
    /// A rule's target is neither a chain nor an extension.
    #[error("there is no chain or target {}", Shown(.0))]
    NoSuchTarget(String),
    /// There is no such match on this system.
    #[error("there is no match {} on this system", Shown(.0))]
    NoSuchMatch(String),
    /// This kernel does not have the table, its module is missing, or the tool lacks the rights: the legacy tools print the
    /// same for all three.
    #[error(
        "the table {} is not there or may not be used (module missing, or CAP_NET_ADMIN and CAP_NET_RAW)",
        Shown(.0)
    )]
    TableUnavailable(String),
    /// A chain is not empty or still in use, a rule is not there, or whatever else the kernel said: nft tools.
    #[error("{} failed: {} ({})", Shown(operation), Shown(error), Shown(object))]
    Kernel {
        /// What the kernel was to do, `CHAIN_DEL` for one.
        operation: String,
        /// The text of its errno.
        error: String,
        /// What with, `chain X` for one.
        object: String,
    },
    /// A table's edits do not fit into the netlink message that carries them, which is sent as a whole: nft tools. The line
    /// is the last one, whatever it says. The room is that of a socket's send buffer: `net.core.wmem_max`, unless the tool
    /// has CAP_NET_ADMIN in the first user namespace.
    #[error(
        "the edits of this table are too long for one netlink message: restore fewer lines at a time, or raise \
         net.core.wmem_max"
    )]
    TooLong,
    /// The text ended inside a table.
    #[error("the text ends without COMMIT")]
    CommitMissing,
    /// Anything else, in the tool's words: options it does not know, arguments too long, a position beyond the end.
    #[error("{}", Shown(.0))]
    Other(String),
}

impl Rejection {
    /// True if the tool gave no reason.
    pub(super) fn is_unexplained(&self) -> bool {
        matches!(
            self.reason,
            RejectReason::Unexplained | RejectReason::Commit
        )
    }

    /// Finds the reason in what the table is: its edits were taken back when one was refused, so that they can be gone
    /// through again.
    pub(super) fn infer(&mut self, input: &RestoreInput, mut table: Table) {
        // A table that comes several times was committed with the edits of all sections before this one.
        let edits = input
            .section_at_line(self.line)
            .filter(|edits| *edits.name() == table.name);
        let Some(Err(error)) = edits.map(|edits| edits.apply(&mut table)) else {
            return;
        };
        // Only if it is the same line that is refused.
        if error.line == self.text {
            self.reason = RejectReason::Inferred(error.kind);
        }
    }

    /// Fills in the edit. Where a jump to a missing chain is reported for the COMMIT line (nft), or the kernel refused
    /// the table as a whole for a reason that names the culprit, it is that of the culprit.
    pub(super) fn find_edit(&mut self, input: &RestoreInput) {
        if let Some((_, edit)) = input.edit_at_line(self.line) {
            self.edit = Some(edit.clone());
            return;
        }
        let RejectReason::NoSuchTarget(name) = &self.reason else {
            return;
        };
        let jumps = |edit: &Edit| {
            let target = edit
                .rule()
                .and_then(|rule| rule.target.as_ref())
                .and_then(|target| target.chain());
            target == Some(name)
        };
        let mut line = 1;
        for table in input
            .tables()
            .iter()
            .filter(|table| !table.edits().is_empty())
        {
            let culprit = table
                .edits()
                .iter()
                .position(jumps)
                .filter(|_| Some(table.name()) == self.table.as_ref());
            if let Some(place) = culprit {
                self.line = line + 1 + place;
                self.edit = table.edits().get(place).cloned();
                self.text = self
                    .edit
                    .as_ref()
                    .map(ToString::to_string)
                    .unwrap_or_default();
                return;
            }
            line += table.edits().len() + 2;
        }
    }
}
