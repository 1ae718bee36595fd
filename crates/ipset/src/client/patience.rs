//! Waiting for sets that are busy.

use std::time::Duration;

use crate::{Error, Refusal};

/// How long is waited for a set that somebody is listing: it can be neither swapped nor destroyed
/// until they are done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// How often is tried.
    pub attempts: u32,
    /// How long is waited after the first try; after each further one twice as long, up to a tenth
    /// of a second.
    pub first_wait: Duration,
}

impl Default for Patience {
    /// About two seconds in all.
    fn default() -> Self {
        Self {
            attempts: 25,
            first_wait: Duration::from_millis(1),
        }
    }
}

impl Patience {
    /// The longest wait.
    const LONGEST: Duration = Duration::from_millis(100);

    /// Tries until it is not [`Refusal::InUse`], or too often.
    pub(super) fn retry<R>(
        self,
        mut attempt: impl FnMut() -> Result<R, Error>,
    ) -> Result<R, Error> {
        let mut wait = self.first_wait;
        for _ in 1..self.attempts {
            match attempt() {
                Err(error) if error.refusal() == Some(Refusal::InUse) => {}
                result => return result,
            }
            std::thread::sleep(wait);
            wait = (wait * 2).min(Self::LONGEST);
        }
        attempt()
    }
}
