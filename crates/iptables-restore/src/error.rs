//! Errors.

#[cfg(feature = "tools")]
use std::{io, path::PathBuf, time::Duration};

use crate::address::InvalidAddress;
use crate::name::{InvalidChainName, TableName};
use crate::restore::{ApplyError, InvalidEdit, RestoreFileError};
use crate::text::Shown;
#[cfg(feature = "tools")]
use crate::tools::{Backend, IncompleteTable, Rejection};

/// Anything that can go wrong in this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A text is not what `iptables-save` prints.
    #[error(transparent)]
    Parse(#[from] ParseError),
    /// An edit that no kernel would take.
    #[error(transparent)]
    Edit(#[from] InvalidEdit),
    /// An edit that this rule set does not allow.
    #[error(transparent)]
    Apply(#[from] ApplyError),
    /// A line of a file that this rule set does not allow.
    #[error(transparent)]
    File(#[from] RestoreFileError),
    #[cfg(feature = "tools")]
    /// iptables-restore refused a line.
    #[error(transparent)]
    Rejected(Box<Rejection>),
    #[cfg(feature = "tools")]
    /// The tools were not found.
    #[error(
        "no {name}, {name}-save and {name}-restore{} in {}: install iptables",
        backend.map(|backend| format!(" ({backend})")).unwrap_or_default(),
        directories.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(":")
    )]
    ToolsNotFound {
        /// `iptables` or `ip6tables`.
        name: &'static str,
        /// The back end asked for.
        backend: Option<Backend>,
        /// The directories that were searched.
        directories: Vec<PathBuf>,
    },
    #[cfg(feature = "tools")]
    /// The tool does not print which version it is.
    #[error("{} -V printed `{}`, which names no version of iptables", program.display(), Shown(output))]
    Version {
        /// The tool.
        program: PathBuf,
        /// Its first line.
        output: String,
    },
    #[cfg(feature = "tools")]
    /// The tool lacks rights.
    #[error(
        "{} was not permitted: {} (run it with CAP_NET_ADMIN and CAP_NET_RAW)",
        program.display(),
        Shown(message)
    )]
    NotPermitted {
        /// The tool.
        program: PathBuf,
        /// What it printed.
        message: String,
    },
    #[cfg(feature = "tools")]
    /// Another program held the xtables lock all the time. Nothing was changed by the table that waited; try again.
    #[error("the xtables lock was held by another program for {} s: try again", waited.as_secs_f32())]
    LockHeld {
        /// How long it was waited for.
        waited: Duration,
    },
    #[cfg(feature = "tools")]
    /// The tool did not end in time and was killed. Any of the tables may have been committed: read them back.
    #[error("{} did not end within {} s and was killed", program.display(), limit.as_secs_f32())]
    TimedOut {
        /// The tool.
        program: PathBuf,
        /// The limit.
        limit: Duration,
    },
    #[cfg(feature = "tools")]
    /// The tool printed more than it may and was killed. Any of the tables may have been committed: read them back.
    #[error("{} printed more than {limit} bytes and was killed", program.display())]
    OutputTooLong {
        /// The tool.
        program: PathBuf,
        /// The limit, of its standard output or its standard error.
        limit: usize,
    },
    #[cfg(feature = "tools")]
    /// A table is in the kernel and was not printed whole.
    #[error(transparent)]
    IncompleteTable(Box<IncompleteTable>),
    #[cfg(feature = "tools")]
    /// The tool failed with a message that this crate does not know.
    #[error("{} failed ({status}): {}", program.display(), Shown(message))]
    Failed {
        /// The tool.
        program: PathBuf,
        /// Its exit status.
        status: String,
        /// What it printed.
        message: String,
    },
    #[cfg(feature = "tools")]
    /// The tool printed what this crate cannot parse.
    #[error("cannot parse the output of {}{}: {error}", program.display(), in_table(error.table.as_ref()))]
    Output {
        /// The tool.
        program: PathBuf,
        /// The line and what is wrong with it.
        #[source]
        error: ParseError,
    },
    #[cfg(feature = "tools")]
    /// A tool could not be started, its pipes failed, or the lock file could not be opened.
    #[error("{}: {source}", path.display())]
    Io {
        /// The tool or the file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

#[cfg(feature = "tools")]
pub(crate) fn in_table(table: Option<&TableName>) -> String {
    table
        .map(|table| format!(" (table {})", Shown(table.as_str())))
        .unwrap_or_default()
}

/// A line that could not be parsed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}: {}", Shown(text))]
#[non_exhaustive]
pub struct ParseError {
    /// Number of the line, from 1.
    pub line: usize,
    /// The line.
    pub text: String,
    /// The table it is in.
    pub table: Option<TableName>,
    /// What is wrong with it.
    pub reason: ParseReason,
}

/// Why a line could not be parsed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseReason {
    /// A line ends in CR LF; the tools take LF only.
    #[error("the line ends in a carriage return: convert the text to LF line ends")]
    CarriageReturn,
    /// A table starts inside another.
    #[error("a table starts before COMMIT ended the one before")]
    MissingCommit,
    /// The text ends inside a table.
    #[error("the text ends before COMMIT")]
    Truncated,
    /// A line that belongs into a table stands outside.
    #[error("there is no table: wanted `*TABLE` or a comment")]
    OutsideTable,
    /// A table, a chain or an option is there twice.
    #[error("{} is there twice", Shown(.0))]
    Repeated(String),
    /// A rule's chain was not declared.
    #[error("the chain {name} has no `:{name}` line in this table", name = Shown(.0))]
    UnknownChain(String),
    /// A name that no chain has.
    #[error(transparent)]
    ChainName(#[from] InvalidChainName),
    /// No name after `*`, or white space in it.
    #[error("the table has no proper name")]
    TableName,
    /// Not an address.
    #[error(transparent)]
    Address(#[from] InvalidAddress),
    /// `!` before several addresses, which the tools refuse.
    #[error("`!` takes one address, not {}", Shown(.0))]
    NegatedList(String),
    /// A list of addresses that is longer than an argument of the tools may be.
    #[error("the list of addresses has {0} bytes, the tools take at most 1023: make several rules")]
    LongList(usize),
    /// Several addresses make several rules, where one rule was wanted.
    #[error("the addresses make {0} rules, where one is wanted")]
    SeveralRules(usize),
    /// Not `PACKETS:BYTES`, in brackets where they are needed.
    #[error("`{}` are no counters: wanted [PACKETS:BYTES]", Shown(.0))]
    BadCounters(String),
    /// Not a name of an interface.
    #[error("`{}` is not an interface name: wanted 1 to 15 bytes without white space", Shown(.0))]
    BadInterface(String),
    /// Not the place of a rule.
    #[error("`{}` is not a position: wanted a number from 1", Shown(.0))]
    BadPosition(String),
    /// An option without its value.
    #[error("{} needs a value", Shown(.0))]
    MissingValue(String),
    /// A word in a place where it means nothing.
    #[error("`{}` is not understood here", Shown(.0))]
    UnexpectedWord(String),
    /// A double quote is not closed.
    #[error("a double quote is not closed")]
    OpenQuote,
}
