//! Bounds of what a connection does.

use std::time::Duration;

/// Which requests of a batch ask for an acknowledgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Acknowledge {
    /// The last one sent at a time: the others are known to have succeeded when it arrives and no
    /// error did. Costs two system calls for up to [`Limits::window`] requests.
    #[default]
    Last,
    /// Each one: costs a system call more for each, and rests on no rule about errors.
    Each,
}

/// Bounds of what a connection does before it gives up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Most requests sent at a time. Fewer are, if they or their answers would not fit the socket's
    /// buffers. Default: 1024.
    pub window: usize,
    /// Which requests ask for an acknowledgement. Default: the last of each window.
    pub acknowledge: Acknowledge,
    /// How long to wait when no reply comes. The kernel replies while it is being asked, so that
    /// this never matters unless a reply is lost. Default: 5 s.
    pub reply_timeout: Duration,
    /// How often a dump, or a request that may be repeated, is tried. Default: 10.
    pub attempts: u32,
}

impl Limits {
    /// Sends at most so many requests at a time.
    #[must_use]
    pub fn window(self, window: usize) -> Self {
        Self { window, ..self }
    }

    /// Chooses which requests ask for an acknowledgement.
    #[must_use]
    pub fn acknowledge(self, acknowledge: Acknowledge) -> Self {
        Self {
            acknowledge,
            ..self
        }
    }

    /// Waits so long for a reply.
    #[must_use]
    pub fn reply_timeout(self, reply_timeout: Duration) -> Self {
        Self {
            reply_timeout,
            ..self
        }
    }

    /// Tries so often.
    #[must_use]
    pub fn attempts(self, attempts: u32) -> Self {
        Self { attempts, ..self }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            window: 1024,
            acknowledge: Acknowledge::Last,
            reply_timeout: Duration::from_secs(5),
            attempts: 10,
        }
    }
}
