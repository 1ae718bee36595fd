//! The order to end.

use std::sync::Arc;

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
}

#[cfg(test)]
mod tests {
    use std::thread;

    use tokio::runtime::Builder;

    use super::*;

    #[test]
    fn a_thread_that_waits_is_woken_by_the_order() {
        let stop = Stop::default();
        assert!(!stop.is_set());
        let waiting = thread::spawn({
            let stop = stop.clone();
            move || {
                let runtime = Builder::new_current_thread().build().unwrap();
                runtime.block_on(stop.given());
            }
        });
        stop.set();
        waiting.join().unwrap();
        assert!(stop.is_set());
    }
}
