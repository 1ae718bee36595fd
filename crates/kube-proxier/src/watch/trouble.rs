//! Why the API server was of no help.

use std::error::Error;
use std::io;
use std::time::Duration;

use thiserror::Error;

/// HTTP's "gone": that version, or the rest of that list, is no longer kept.
const GONE: u16 = 410;

/// What went wrong with a list or a watch. All of it is tried again.
#[derive(Debug, Error)]
pub(super) enum Trouble {
    #[error("the API server cannot be reached: {}", chain(.0))]
    Unreachable(#[source] kube::Error),
    #[error("the API server answers {code}: {message}")]
    Refused { code: u16, message: String },
    #[error("the API server says nothing for {}", humantime::format_duration(*.0))]
    Silent(Duration),
    #[error("the answer breaks off: {}", chain(.0))]
    BrokenOff(#[source] io::Error),
    #[error("the answer is no JSON of the kind asked for: {0}")]
    Unreadable(#[source] serde_json::Error),
}

impl Trouble {
    /// Whether a new list is what it takes: what came after the version that is known cannot be had.
    pub(super) const fn needs_list(&self) -> bool {
        match self {
            Self::Refused { code, .. } => *code == GONE,
            // What could not be read would be sent again.
            Self::Unreadable(_) => true,
            Self::Unreachable(_) | Self::Silent(_) | Self::BrokenOff(_) => false,
        }
    }
}

impl From<kube::Error> for Trouble {
    fn from(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => Self::Refused {
                code: status.code,
                message: status.message,
            },
            other => Self::Unreachable(other),
        }
    }
}

/// An error with its causes, of which the last says most.
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
