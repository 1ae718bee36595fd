//! The checks that a start does not wait for.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use super::{Check, log_found, rest};
use crate::options::Options;

/// How long the first sync is waited for: without an API server there is none.
const PATIENCE: Duration = Duration::from_secs(10);

/// Runs the checks that only warn, and run programs for it, in a thread of their own once the sender says so, or
/// that is late. The programs take time that a first sync has better use for.
pub(crate) fn rest_later(options: &Options) -> SyncSender<()> {
    let (sender, first_sync) = sync_channel(1);
    let options = options.clone();
    let check = move || {
        if is_due(&first_sync, PATIENCE) {
            let checks: Vec<Check> = rest(&options);
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
