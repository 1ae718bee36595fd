//! Waiting for sets that are busy.

use std::time::Duration;

use netlink_batch::AsyncTransport;

use crate::client::AsyncClient;
use crate::message::Request;
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

    /// The delays after all attempts but the last.
    pub(super) fn delays(self) -> impl Iterator<Item = Duration> {
        std::iter::successors(Some(self.first_delay), |delay| {
            Some((*delay * 2).min(Self::LONGEST))
        })
        .zip(1..self.attempts)
        .map(|(delay, _)| delay)
    }
}

impl<T: AsyncTransport> AsyncClient<T> {
    /// Sends a request until its result is not [`ErrorKind::InUse`], or until the attempts are used up.
    pub(super) async fn send_patiently(&mut self, request: &Request<'_>) -> Result<(), Error> {
        for delay in self.retry_policy.delays() {
            match self.send(request).await {
                Err(error) if error.kind() == Some(ErrorKind::InUse) => {}
                result => return result,
            }
            self.connection.sleep(delay).await;
        }
        self.send(request).await
    }
}
