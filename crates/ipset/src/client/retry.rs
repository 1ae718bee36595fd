//! Waiting for sets that are busy.

use std::time::Duration;

use crate::{Error, ErrorKind};

/// How often a request is sent again while its set is busy, and after which delays.
///
/// While any program lists a set, the kernel neither swaps nor destroys it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RetryPolicy {
    /// How often the request is sent, at least once.
    pub attempts: u32,
    /// The delay after the first attempt. Each delay is twice as long as the one before, up to a tenth
    /// of a second.
    pub first_delay: Duration,
}

impl Default for RetryPolicy {
    /// About two seconds in all.
    fn default() -> Self {
        Self {
            attempts: 25,
            first_delay: Duration::from_millis(1),
        }
    }
}

impl RetryPolicy {
    /// The longest delay.
    const LONGEST: Duration = Duration::from_millis(100);

    /// So many attempts, with this delay after the first.
    #[must_use]
    pub fn new(attempts: u32, first_delay: Duration) -> Self {
        Self {
            attempts,
            first_delay,
        }
    }

    /// Attempts until the result is not [`ErrorKind::InUse`], or until the attempts are used up.
    pub(super) fn retry<R>(
        self,
        mut attempt: impl FnMut() -> Result<R, Error>,
    ) -> Result<R, Error> {
        let mut wait = self.first_delay;
        for _ in 1..self.attempts {
            match attempt() {
                Err(error) if error.kind() == Some(ErrorKind::InUse) => {}
                result => return result,
            }
            std::thread::sleep(wait);
            wait = (wait * 2).min(Self::LONGEST);
        }
        attempt()
    }
}
