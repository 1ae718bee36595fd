//! Why a list or a watch failed.

use std::error::Error;
use std::io;
use std::time::Duration;

use thiserror::Error;

use super::unpack::UnpackError;

/// The unit of [`WatchError::TooLarge`] where one answer is too long.
pub(super) const BYTES: &str = "bytes";
/// The same of an answer in gzip.
const UNPACKED_BYTES: &str = "bytes when unpacked";
/// HTTP's "bad request".
const BAD_REQUEST: u16 = 400;
/// HTTP's "unauthorized".
const UNAUTHORIZED: u16 = 401;
/// HTTP's "not acceptable": there is no answer in a format that was asked for.
const NOT_ACCEPTABLE: u16 = 406;
/// HTTP's "gone": that version, or the rest of that list, is no longer kept.
const GONE: u16 = 410;
/// HTTP's "forbidden".
const FORBIDDEN: u16 = 403;
/// HTTP's "conflict".
const CONFLICT: u16 = 409;
/// HTTP's "too many requests".
const TOO_MANY_REQUESTS: u16 = 429;

/// In the message of a Status by which an API server reports that its cache has not come to a version: such a Status has the
/// code 504 (`NewTooLargeResourceVersionError` in apiserver's `pkg/storage/errors.go`).
const TOO_LARGE: &str = "Too large resource version";

/// How long a server is left alone at the most, whatever it asks for.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Why a list or a watch failed. Each is tried again.
#[derive(Debug, Error)]
pub(super) enum WatchError {
    #[error("the API server cannot be reached: {}", chain(.0))]
    Unreachable(#[source] kube::Error),
    #[error("the API server answers {code}: {message}")]
    Refused {
        code: u16,
        message: String,
        /// How long the server asks to be left alone (`Retry-After` of RFC 9110, in seconds).
        retry_after: Option<Duration>,
    },
    #[error(
        "the API server answers {code} and redirects to {to}, which is not followed, since what this node logs in with would go \
         there too: if that is the API server, its address belongs in the kubeconfig"
    )]
    Redirected { code: u16, to: String },
    #[error("the answer is encoded as {0}, which was not asked for; is there a proxy in between?")]
    Encoded(String),
    #[error("the answer is in gzip and cannot be unpacked: {0}")]
    NotUnpacked(#[source] UnpackError),
    #[error("the API server sent nothing for {}", humantime::format_duration(*.0))]
    Timeout(Duration),
    #[error("the answer breaks off: {}", chain(.0))]
    BrokenOff(#[source] io::Error),
    #[error("the answer is not the JSON that was expected: {0}")]
    Unreadable(#[source] serde_json::Error),
    #[error("the answer is not the protobuf that was expected: {0}")]
    Malformed(String),
    #[error("the answer is not a {expected}: {reason}")]
    NotTheList { expected: String, reason: String },
    #[error("the answer has more than {limit} {unit}; is this an API server?")]
    TooLarge { limit: usize, unit: &'static str },
    #[error("the list does not end: the server sent the same continue token twice")]
    RepeatedToken,
}

impl WatchError {
    /// Whether the version that is known, or the rest of a list, can no longer be had: everything has to be listed.
    pub(super) const fn is_expired(&self) -> bool {
        matches!(self, Self::Refused { code, .. } if *code == GONE)
    }

    /// Whether a list of no older than a version cannot be had: the version is gone, or one that this server never had, as
    /// after a restore from a backup.
    pub(super) fn is_version_unavailable(&self) -> bool {
        match self {
            Self::Refused { message, .. } => self.is_expired() || message.contains(TOO_LARGE),
            _ => false,
        }
    }

    /// Whether the answer of one request has more bytes than are read.
    pub(super) fn has_too_many_bytes(&self) -> bool {
        matches!(self, Self::TooLarge { unit, .. } if [BYTES, UNPACKED_BYTES].contains(unit))
    }

    /// Whether the server cannot answer in protobuf as it is understood here.
    pub(super) const fn is_of_format(&self) -> bool {
        match self {
            Self::Refused { code, .. } => *code == NOT_ACCEPTABLE,
            error => matches!(error, Self::Malformed(_)),
        }
    }

    /// Whether the server does not understand the request.
    pub(super) const fn is_bad_request(&self) -> bool {
        matches!(self, Self::Refused { code, .. } if *code == BAD_REQUEST)
    }

    /// Whether what was to be created exists.
    pub(super) const fn is_conflict(&self) -> bool {
        matches!(self, Self::Refused { code, .. } if *code == CONFLICT)
    }

    /// Whether this client has no right to what it asked for.
    pub(super) const fn is_forbidden(&self) -> bool {
        matches!(self, Self::Refused { code, .. } if *code == FORBIDDEN)
    }

    /// Whether it is about who asks, not about what is asked for.
    pub(super) const fn is_of_rights(&self) -> bool {
        matches!(self, Self::Refused { code, .. } if *code == FORBIDDEN || *code == UNAUTHORIZED)
    }

    /// Whether a watch that ended with this has to be preceded by a list.
    pub(super) const fn needs_list(&self) -> bool {
        // What could not be read would be sent again.
        self.is_expired()
            || matches!(
                self,
                Self::Unreadable(_) | Self::Malformed(_) | Self::TooLarge { .. }
            )
    }

    /// Whether the request was sent, and the connection or its stream ended before any answer.
    pub(super) fn is_without_answer(&self) -> bool {
        match self {
            Self::Unreachable(kube::Error::Service(error)) => error
                .downcast_ref::<hyper_util::client::legacy::Error>()
                .is_some_and(|error| !error.is_connect()),
            _ => false,
        }
    }

    /// Whether the server was not there to answer, or was not able to.
    pub(super) const fn is_away(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::Timeout(_) => true,
            Self::Refused { code, .. } => *code >= 500 || *code == TOO_MANY_REQUESTS,
            _ => false,
        }
    }

    /// How long the server asks to be left alone; never longer than [`LONGEST_PAUSE`].
    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { retry_after, .. } => retry_after.map(|after| after.min(LONGEST_PAUSE)),
            _ => None,
        }
    }

    /// Whether the server may be gone, so that it is worth to probe for its return.
    pub(super) const fn may_be_away(&self) -> bool {
        self.is_away() || matches!(self, Self::BrokenOff(_))
    }
}

impl From<kube::Error> for WatchError {
    fn from(error: kube::Error) -> Self {
        Self::Unreachable(error)
    }
}

impl From<io::Error> for WatchError {
    fn from(error: io::Error) -> Self {
        match error.downcast::<UnpackError>() {
            Ok(UnpackError::TooLarge(limit)) => Self::TooLarge {
                limit,
                unit: UNPACKED_BYTES,
            },
            Ok(error) => Self::NotUnpacked(error),
            Err(error) => Self::BrokenOff(error),
        }
    }
}

/// An error with its causes, of which the last explains most.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}
