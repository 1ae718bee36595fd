//! What can go wrong, split by who is at fault.

use crate::DecodeError;
#[cfg(feature = "client")]
use crate::Request;

/// Result of this crate's fallible calls.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything this crate can complain about.
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
