//! Answers of iptables-save that leave something out, although it ends with status 0.

use std::path::{Path, PathBuf};

use super::process::Output;
use super::{SaveOptions, outcome};
use crate::error::Error;
use crate::name::TableName;
use crate::parse::Saved;
use crate::ruleset::Ruleset;
use crate::text::{self, Shown};

/// A table that is in the kernel and was not printed whole.
///
/// What is missing in the answer is not missing in the kernel: whoever adds what he does not find there adds it again each
/// time. `iptables-nft-save` 1.8.9 prints a comment in place of a table that has a single rule made by nft(8), and ends
/// with status 0.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} did not print table {} whole: {reason}{}", program.display(), Shown(table.as_str()), in_brackets(message))]
#[non_exhaustive]
pub struct IncompleteTable {
    /// The tool.
    pub program: PathBuf,
    /// The table, the first of them if there are several.
    pub table: TableName,
    /// Why.
    pub reason: IncompleteReason,
    /// The tool's words, if it had any.
    pub message: String,
}

fn in_brackets(message: &str) -> String {
    match message {
        "" => String::new(),
        _ => format!(" ({})", Shown(message)),
    }
}

/// Why a table was not printed whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum IncompleteReason {
    /// It has a rule, set or chain that only nft can express. Nothing of it is printed.
    #[error(
        "nft made something in it that iptables cannot express; find it with `nft list ruleset`, and move it to a table of \
         its own"
    )]
    NftOnly,
    /// It has base chains of nft with a hook or priority that iptables does not use.
    ///
    /// All else is printed, so that what is missing in the answer is missing in the kernel, and edits of all else leave
    /// these chains as they are. One that has the name of a chain to be edited cannot be overwritten by mistake: the tools
    /// add the chain that they do not see, and the kernel refuses that (`EEXIST`, `EOPNOTSUPP`) with all else of the
    /// transaction. A program that edits chains and rules of its own can therefore take such a table
    /// ([`SaveOptions::hidden_base_chains`]); one that shows people all that filters packets should not.
    #[error(
        "nft made base chains in it that iptables does not show; find them with `nft list ruleset`, and move them to a \
         table of their own"
    )]
    HiddenBaseChains,
    /// The text ends inside it.
    #[error("the output ends before its COMMIT; try again")]
    Truncated,
    /// It was asked for by name, and the tool printed nothing.
    #[error("the output does not have it; try again")]
    Absent,
}

/// Reads the answer of a tool that ended with status 0: all that could be read, and the first table that could not be
/// read whole.
pub(super) fn read(
    program: &Path,
    output: &Output,
    options: &SaveOptions,
) -> Result<(Ruleset, Option<IncompleteTable>), Error> {
    let text = text::from_bytes(&output.stdout);
    let saved = Saved::read(&text).map_err(|error| Error::Output {
        program: program.to_owned(),
        error,
    })?;
    let incomplete = |table, reason, message: &str| IncompleteTable {
        program: program.to_owned(),
        table,
        reason,
        message: message.trim_start_matches(['#', ' ']).to_owned(),
    };
    for line in saved.remarks.iter().copied().chain(output.stderr.lines()) {
        let Some(reason) = reason_in(line) else {
            continue;
        };
        if reason == IncompleteReason::HiddenBaseChains && options.hidden_base_chains {
            continue;
        }
        let Some(table) = quoted(line)
            .map(TableName::from)
            .or_else(|| options.table.clone())
        else {
            return Err(outcome::failure(program, output));
        };
        return Ok((saved.ruleset, Some(incomplete(table, reason, line))));
    }
    let message = output.stderr.trim();
    if let Some(table) = saved.open {
        let incomplete = incomplete(table, IncompleteReason::Truncated, message);
        return Ok((saved.ruleset, Some(incomplete)));
    }
    match &options.table {
        Some(table) if saved.ruleset.table(table).is_none() => {
            let incomplete = incomplete(table.clone(), IncompleteReason::Absent, message);
            Ok((saved.ruleset, Some(incomplete)))
        }
        // Nothing but an error's text.
        None if saved.ruleset.tables.is_empty() && message.lines().any(is_complaint) => {
            Err(outcome::failure(program, output))
        }
        _ => Ok((saved.ruleset, None)),
    }
}

/// "Table `nat' is incompatible, use 'nft' tool.", or "Table `nat' contains incompatible base-chains, use 'nft' tool to
/// list them." On standard output both stand after `# `.
fn reason_in(line: &str) -> Option<IncompleteReason> {
    if line.contains("incompatible base-chains") {
        Some(IncompleteReason::HiddenBaseChains)
    } else if line.contains("is incompatible") {
        Some(IncompleteReason::NftOnly)
    } else {
        None
    }
}

fn quoted(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once('`')?;
    Some(rest.split_once('\'')?.0)
}

/// Not one of the warnings that the tools print beside a good answer: that the other back end has tables too, or that a
/// module has an older revision of an extension.
fn is_complaint(line: &str) -> bool {
    let line = line.trim();
    !line.is_empty() && !line.starts_with('#') && !line.starts_with("Warning: ")
}
