//! The connection table, which netlink does not have.

use std::io;

use crate::{ConnectionEntry, Error, Result, parse_connections};

/// That of the network namespace of the calling thread.
const PATH: &str = "/proc/thread-self/net/ip_vs_conn";

/// Reads the connection table of the network namespace of the calling thread. There may be millions of
/// connections; the kernel prints them in no order, and one that comes or goes meanwhile may be
/// missing or there twice.
///
/// To watch it, read it again and compare: [`connection_changes`](crate::connection_changes).
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
