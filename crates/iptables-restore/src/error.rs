//! What can be wrong with a text.

use crate::address::InvalidAddress;
use crate::name::InvalidChainName;

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
