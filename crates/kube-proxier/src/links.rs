//! Changes of this machine's links and addresses.

use std::convert::Infallible;
use std::io;
use std::time::Duration;

use dummy_link::{LinkName, Monitor};
use proxier::LINK;
use tokio::sync::mpsc::Sender;

use super::Event;
use super::notices::{Readable, send};

/// How long a burst of changes is waited for.
const SETTLE: Duration = Duration::from_millis(100);

/// Why changes cannot be followed.
#[derive(Debug, thiserror::Error)]
pub(super) enum WatchError {
    /// The kernel does not report them.
    #[error(transparent)]
    Monitor(#[from] dummy_link::Error),
    /// The socket cannot be waited for.
    #[error("waiting for a socket: {0}")]
    Wait(#[from] io::Error),
}

/// Reports changes of links and addresses.
pub(super) async fn watch(events: &Sender<Event>) -> Result<Infallible, WatchError> {
    let mut monitor = Monitor::open()?;
    if let Ok(ours) = LinkName::new(LINK) {
        monitor = monitor.watching(ours);
    }
    let readable = Readable::of(&monitor)?;
    loop {
        readable.wait().await?;
        tokio::time::sleep(SETTLE).await;
        while let Some(changes) = monitor.wait(Duration::ZERO)? {
            if changes.links || changes.addresses || changes.lost {
                send(events, Event::Links).await;
            }
            if !changes.removed.is_empty() {
                send(events, Event::Removed(changes.removed)).await;
            }
        }
    }
}
