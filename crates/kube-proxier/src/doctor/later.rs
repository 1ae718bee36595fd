//! The checks that a start does not wait for.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use super::{Check, Machine, log_found};
use crate::options::Options;

/// How long the first sync is waited for: without an API server there is none.
const PATIENCE: Duration = Duration::from_secs(10);

/// Leave to make something in the kernel for a moment, to see whether it can be made. A clone is the same.
///
/// A process that ends in the middle of that would leave it there: whoever ends the process takes leave back first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trials(Arc<Mutex<Taken>>);

/// Whether leave was taken back.
#[derive(Debug, Default)]
struct Taken(bool);

impl Trials {
    /// Does it, if there is leave. It is not taken back meanwhile.
    pub(super) fn attempt<T>(&self, trial: impl FnOnce() -> T) -> Option<T> {
        let taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (!taken.0).then(trial)
    }

    /// Takes leave back, once what is under way has come to its end.
    pub(crate) fn end(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0 = true;
    }
}

/// Runs the checks that only warn, and run programs for it, in a thread of their own once the sender says so, or
/// that is late. The programs take time that a first sync has better use for.
pub(crate) fn rest_later(options: &Options, trials: Trials) -> SyncSender<()> {
    let (sender, first_sync) = sync_channel(1);
    let options = options.clone();
    let check = move || {
        if is_due(&first_sync, PATIENCE) {
            let checks: Vec<Check> = Machine { root: "/".into() }.rest(&options, &trials);
            checks.iter().for_each(log_found);
        }
    };
    let thread = thread::Builder::new().name("checks".to_owned());
    if let Err(error) = thread.spawn(check) {
        tracing::warn!(
            %error,
            "cannot start the thread of the checks that only warn; `kube-proxier doctor` has them"
        );
    }
    sender
}

/// Waits for the word, or until it is late. False where nobody is left who could give it: the process ends.
fn is_due(first_sync: &Receiver<()>, patience: Duration) -> bool {
    first_sync.recv_timeout(patience) != Err(RecvTimeoutError::Disconnected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trial_is_brought_to_its_end_and_none_begins_after_that() {
        let trials = Trials::default();
        let (began, has_begun) = sync_channel(0);
        let (finish, may_finish) = sync_channel::<()>(0);
        let under_way = thread::spawn({
            let trials = trials.clone();
            move || {
                trials.attempt(|| {
                    began.send(()).unwrap();
                    may_finish.recv().unwrap();
                })
            }
        });
        has_begun.recv().unwrap();
        let (ended, has_ended) = sync_channel(1);
        let ending = thread::spawn({
            let trials = trials.clone();
            move || {
                trials.end();
                ended.send(()).unwrap();
            }
        });
        assert!(has_ended.try_recv().is_err());
        finish.send(()).unwrap();
        assert_eq!(under_way.join().unwrap(), Some(()));
        ending.join().unwrap();
        assert_eq!(trials.attempt(|| ()), None);
    }

    #[test]
    fn checks_are_due_after_the_first_sync_or_late_and_not_at_the_end() {
        let hour = Duration::from_secs(3600);
        let (sender, first_sync) = sync_channel(1);
        sender.try_send(()).unwrap();
        assert!(is_due(&first_sync, hour));
        assert!(is_due(&first_sync, Duration::ZERO));
        drop(sender);
        assert!(!is_due(&first_sync, hour));
    }
}
