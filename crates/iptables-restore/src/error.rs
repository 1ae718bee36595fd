//! What can go wrong.

#[cfg(feature = "tools")]
use std::{io, path::PathBuf, time::Duration};

use crate::address::InvalidAddress;
use crate::name::InvalidChainName;
use crate::restore::{ApplyError, InvalidEdit};
#[cfg(feature = "tools")]
use crate::tools::{Backend, Rejection};

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
    #[cfg(feature = "tools")]
    /// iptables-restore refused a line.
    #[error(transparent)]
    Rejected(Box<Rejection>),
    #[cfg(feature = "tools")]
    /// The tools are not there.
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
        /// Where they were looked for.
        directories: Vec<PathBuf>,
    },
    #[cfg(feature = "tools")]
    /// The tool does not say which version it is.
    #[error("{} -V says {output:?}, which names no version of iptables", program.display())]
    Version {
        /// The tool.
        program: PathBuf,
        /// Its first line.
        output: String,
    },
    #[cfg(feature = "tools")]
    /// The tool may not do what it was asked to.
    #[error("{} may not: {message} (CAP_NET_ADMIN and CAP_NET_RAW are needed)", program.display())]
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
    /// The tool failed with words that are not understood here.
    #[error("{} failed ({status}): {message}", program.display())]
    Failed {
        /// The tool.
        program: PathBuf,
        /// Its exit status.
        status: String,
        /// What it printed.
        message: String,
    },
    #[cfg(feature = "tools")]
    /// The tool printed a rule set that this crate cannot read.
    #[error("cannot read the output of {}: {error}", program.display())]
    Output {
        /// The tool.
        program: PathBuf,
        /// The line and what is wrong with it.
        #[source]
        error: ParseError,
    },
    #[cfg(feature = "tools")]
    /// A tool cannot be run, or the lock file not be opened.
    #[error("{}: {source}", path.display())]
    Io {
        /// The tool or the file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// A line that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}: {text}")]
pub struct ParseError {
    /// Number of the line, from 1.
    pub line: usize,
    /// The line.
    pub text: String,
    /// What is wrong with it.
    pub reason: ParseReason,
}

/// Why a line could not be read.
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
    /// A table or chain is there twice.
    #[error("{0} is there twice")]
    Repeated(String),
    /// A rule's chain was not declared.
    #[error("the chain {0} has no `:{0}` line in this table")]
    UnknownChain(String),
    /// A name the tools would not take.
    #[error(transparent)]
    ChainName(#[from] InvalidChainName),
    /// No name after `*`, or white space in it.
    #[error("the table has no proper name")]
    TableName,
    /// Not an address.
    #[error(transparent)]
    Address(#[from] InvalidAddress),
    /// Not `PACKETS:BYTES`, in brackets where they are needed.
    #[error("{0:?} are no counters: wanted [PACKETS:BYTES]")]
    BadCounters(String),
    /// Not a name of an interface.
    #[error("{0:?} is no interface name: wanted 1 to 15 bytes without white space")]
    BadInterface(String),
    /// An option without its value.
    #[error("{0} needs a value")]
    MissingValue(String),
    /// A word in a place where it means nothing.
    #[error("{0:?} is not understood here")]
    UnexpectedWord(String),
    /// A double quote is not closed.
    #[error("a double quote is not closed")]
    OpenQuote,
}
