//! The order to end.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

/// The order to end, as threads and tasks see it. A clone is the same order.
#[derive(Clone, Debug)]
pub struct Stop(Arc<watch::Sender<bool>>);

impl Default for Stop {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }
}

impl Stop {
    /// Gives the order.
    pub fn set(&self) {
        self.0.send_replace(true);
    }

    /// Whether it was given.
    #[must_use]
    pub fn is_set(&self) -> bool {
        *self.0.borrow()
    }

    /// Completes when it is given.
    pub async fn given(&self) {
        // The sender lives as long as this does.
        let _ = self.0.subscribe().wait_for(|stop| *stop).await;
    }

    /// Blocks the thread for that long, or until it is given.
    pub fn wait(&self, duration: Duration) {
        const STEP: Duration = Duration::from_millis(50);
        let mut left = duration;
        while !left.is_zero() && !self.is_set() {
            let step = left.min(STEP);
            std::thread::sleep(step);
            left -= step;
        }
    }
}
