//! The connection table, which netlink does not have.

use std::io;
use std::time::Duration;

use crate::{ConnectionChange, ConnectionEntry, ConnectionLog, Error, Result, parse_connections};

/// That of the network namespace of the calling thread.
const PATH: &str = "/proc/thread-self/net/ip_vs_conn";

/// Reads the connection table of the network namespace of the calling thread. There may be millions of
/// connections; the kernel prints them in no order, and one that comes or goes meanwhile may be
/// missing or there twice.
///
/// To follow it: [`ConnectionMonitor`].
///
/// # Errors
/// [`Error::NotLoaded`] if the kernel has no IPVS, [`Error::ConnectionTable`], [`Error::Line`].
pub fn connections() -> Result<Vec<ConnectionEntry>> {
    let table = std::fs::read(PATH).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Error::NotLoaded,
        _ => Error::ConnectionTable(error.into()),
    })?;
    parse_connections(&String::from_utf8_lossy(&table))
}

/// Follows the connection table: reads it when it is asked, and reports what changed since it read it last.
///
/// IPVS has no events of connections, neither over netlink nor in `/proc`. So a connection that comes and goes between
/// two readings stays unnoticed, of several states only the last is seen, and every reading costs the kernel a line for
/// each connection. One that the kernel left out of a reading, as its table moved, is reported as gone and with the next
/// reading as new. Each reading is of the network namespace of the thread that makes it.
///
/// Reading blocks for as long as the table is long. An async program calls [`changes`](Self::changes) where it may block
/// (`tokio::task::spawn_blocking`).
///
/// ```no_run
/// use std::time::Duration;
/// use ipvs_netlink::ConnectionChange;
/// use ipvs_netlink::client::ConnectionMonitor;
///
/// let monitor = ConnectionMonitor::open()?;
/// for changes in monitor.every(Duration::from_secs(1)) {
///     for change in changes? {
///         match change {
///             ConnectionChange::Opened(entry) => println!("new: {entry}"),
///             ConnectionChange::Closed(entry) => println!("gone: {entry}"),
///             other => println!("{other:?}"),
///         }
///     }
/// }
/// # Ok::<(), ipvs_netlink::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct ConnectionMonitor {
    log: ConnectionLog,
}

impl ConnectionMonitor {
    /// Reads the table for the first time.
    ///
    /// # Errors
    /// As [`connections`].
    pub fn open() -> Result<Self> {
        let log = ConnectionLog::new(connections()?);
        Ok(Self { log })
    }

    /// Reads the table again, and returns what changed since it was read last, sorted.
    ///
    /// # Errors
    /// As [`connections`]. The next call then reports what changed since the last reading that succeeded.
    pub fn changes(&mut self) -> Result<Vec<ConnectionChange>> {
        Ok(self.log.advance(connections()?))
    }

    /// The connections of the last reading, sorted.
    pub fn connections(&self) -> impl Iterator<Item = &ConnectionEntry> {
        self.log.entries()
    }

    /// Reads the table again and again, with this time between the end of one reading and the begin of the next. Each
    /// item is what changed, maybe nothing; an error is an item too, after which it goes on. It never ends by itself, and
    /// sleeps in between.
    pub fn every(
        mut self,
        interval: Duration,
    ) -> impl Iterator<Item = Result<Vec<ConnectionChange>>> {
        std::iter::repeat_with(move || {
            std::thread::sleep(interval);
            self.changes()
        })
    }
}
