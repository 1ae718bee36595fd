//! Errors.

#[cfg(feature = "client")]
use crate::Request;
use crate::{DecodeError, Family, VirtualServerId};

/// Result of this crate's fallible calls.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that can go wrong in this crate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A name of a scheduler, persistence engine or interface that the kernel could not hold.
    #[error("{name:?} cannot be used as {what} name: it must have 1 to 15 bytes, without blanks")]
    InvalidName {
        /// What was to be named: "scheduler", "persistence engine", "interface".
        what: &'static str,
        /// The name as given.
        name: String,
    },
    /// A netmask that the kernel does not take.
    #[error("a persistence netmask of {prefix} bits is invalid for {family}: {}",
        match family { Family::V4 => "it has 0 to 32", Family::V6 => "it has 1 to 128" })]
    InvalidNetmask {
        /// The family of the clients.
        family: Family,
        /// The prefix length, in bits.
        prefix: u8,
    },
    /// Text that is not what it was taken for (a protocol, an address, a timeout line).
    #[error("`{text}` is not {expected}")]
    InvalidText {
        /// The text as given.
        text: String,
        /// What was expected, with an example.
        expected: &'static str,
    },
    /// A line in the format of `ipvsadm -S` that cannot be read.
    #[error("`{token}`: {reason}")]
    SaveLine {
        /// The word of the line at fault; the whole line where something is missing from it.
        token: String,
        /// What is wrong with it and what would be right.
        reason: &'static str,
    },
    /// A destination of a virtual server that the table does not have.
    #[error("the table has no virtual server {id}: add it before its destinations")]
    UnknownService {
        /// The virtual server.
        id: VirtualServerId,
    },
    /// A line of a saved table that cannot be read.
    #[error("line {line}: {error}")]
    Line {
        /// Its number, from 1.
        line: usize,
        /// What is wrong with it.
        #[source]
        error: Box<Error>,
    },
    /// The kernel sent what this crate cannot read.
    #[error("cannot read the kernel's message: {0}")]
    Decode(#[from] DecodeError),
    /// The kernel refused a request; [`Refusal::reason`](crate::client::Refusal::reason) says why.
    #[cfg(feature = "client")]
    #[error(transparent)]
    Refused(Box<crate::client::Refusal>),
    /// The kernel has no IPVS.
    #[cfg(feature = "client")]
    #[error("the kernel has no IPVS: load the module ip_vs (modprobe ip_vs), or install it")]
    NotLoaded,
    /// The connection table cannot be read.
    #[cfg(feature = "client")]
    #[error("cannot read /proc/net/ip_vs_conn: {0}")]
    ConnectionTable(netlink_batch::Os),
    /// No socket could be had, the request did not get to the kernel, or its answer did not come.
    #[cfg(feature = "client")]
    #[error("cannot {}: {error}", request.as_ref().map_or("talk to the kernel".to_owned(), ToString::to_string))]
    Transport {
        /// The request; `None` where it did not come to one.
        request: Option<Box<Request>>,
        /// What happened to it.
        #[source]
        error: netlink_batch::Error,
    },
}

impl Error {
    pub(crate) fn text(text: &str, expected: &'static str) -> Self {
        Self::InvalidText {
            text: text.to_owned(),
            expected,
        }
    }

    pub(crate) fn save_line(token: &str, reason: &'static str) -> Self {
        Self::SaveLine {
            token: token.to_owned(),
            reason,
        }
    }
}
