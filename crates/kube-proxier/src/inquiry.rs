//! Questions to the loop, which alone has the engine.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use proxier::Engine;
use tokio::sync::oneshot;

/// A question about what the engine knows, which the loop answers between two syncs: [`Event::Asked`](crate::Event::Asked).
/// Answering takes the loop's time, so it should take little.
#[derive(Clone)]
pub struct Inquiry(Arc<dyn Fn(&Engine) + Send + Sync>);

impl Inquiry {
    /// A question, and where its answer comes. No answer comes where the loop has ended, or nobody waits for one any more.
    pub fn new<T: Send + 'static>(
        question: impl FnOnce(&Engine) -> T + Send + 'static,
    ) -> (Self, oneshot::Receiver<T>) {
        let (answer, answered) = oneshot::channel();
        let once = Mutex::new(Some((question, answer)));
        let ask = move |engine: &Engine| {
            let taken = once.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some((question, answer)) = taken.filter(|(_, answer)| !answer.is_closed()) {
                // Who asked may have gone meanwhile.
                let _ = answer.send(question(engine));
            }
        };
        (Self(Arc::new(ask)), answered)
    }

    /// Answers it. Once: a clone is the same question.
    pub fn answer(&self, engine: &Engine) {
        (self.0)(engine);
    }
}

impl fmt::Debug for Inquiry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Inquiry")
    }
}

/// Two are equal if one is a clone of the other.
impl PartialEq for Inquiry {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Inquiry {}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use proxier::Config;
    use proxier::cluster::Host;

    use super::*;

    #[test]
    fn a_question_is_answered_once_and_only_for_somebody_who_waits() {
        let engine = Engine::new(Host::new("node-a"), Config::default());
        let (inquiry, mut answer) =
            Inquiry::new(|engine: &Engine| engine.host().node_name.to_string());
        let clone = inquiry.clone();
        assert_eq!(inquiry, clone);
        inquiry.answer(&engine);
        clone.answer(&engine);
        assert_eq!(answer.try_recv().unwrap(), "node-a");

        let (inquiry, answer) = Inquiry::new(|_: &Engine| panic!("nobody waits"));
        drop(answer);
        inquiry.answer(&engine);
    }
}
