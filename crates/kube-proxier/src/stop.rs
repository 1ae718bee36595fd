//! The order to end.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

/// The order to end, as threads and tasks see it. A clone is the same order.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<Order>);

#[derive(Debug)]
struct Order {
    /// For tasks.
    given: watch::Sender<bool>,
    /// For threads.
    waiting: Mutex<()>,
    changed: Condvar,
}

impl Default for Order {
    fn default() -> Self {
        Self {
            given: watch::Sender::new(false),
            waiting: Mutex::new(()),
            changed: Condvar::new(),
        }
    }
}

impl Stop {
    /// Gives the order.
    pub fn set(&self) {
        self.0.given.send_replace(true);
        // A thread that has just seen no order is waiting once this can be locked.
        drop(self.0.waiting.lock());
        self.0.changed.notify_all();
    }

    /// Whether it was given.
    #[must_use]
    pub fn is_set(&self) -> bool {
        *self.0.given.borrow()
    }

    /// Completes when it is given.
    pub async fn given(&self) {
        // The sender lives as long as this does.
        let _ = self.0.given.subscribe().wait_for(|stop| *stop).await;
    }

    /// Blocks the thread for that long, or until it is given.
    pub fn wait(&self, duration: Duration) {
        let waiting = self.0.waiting.lock();
        let waiting = waiting.unwrap_or_else(PoisonError::into_inner);
        let ended = self
            .0
            .changed
            .wait_timeout_while(waiting, duration, |()| !self.is_set());
        drop(ended);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_waits_is_woken_by_the_order() {
        let stop = Stop::default();
        stop.wait(Duration::from_millis(1));
        assert!(!stop.is_set());
        let waiting = std::thread::spawn({
            let stop = stop.clone();
            move || stop.wait(Duration::from_secs(3600))
        });
        stop.set();
        waiting.join().unwrap();
        // Nothing is waited for any more.
        stop.wait(Duration::from_secs(3600));
    }
}
