//! What the kernel has counted, and objects together with it.

use crate::{Connections, Destination, VirtualServerConfig, VirtualServerId};

/// Connections, packets and bytes: totals, or per second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Counters {
    /// Connections scheduled.
    pub connections: u64,
    /// Packets from clients.
    pub incoming_packets: u64,
    /// Packets to clients, where they come back this way (masquerading).
    pub outgoing_packets: u64,
    /// Bytes from clients.
    pub incoming_bytes: u64,
    /// Bytes to clients, where they come back this way.
    pub outgoing_bytes: u64,
}

/// Statistics of a virtual server or destination.
///
/// From the kernel's 64-bit counters where it has them (Linux 4.1), else from its 32-bit ones,
/// which wrap around. The kernel brings all of them up to date every two seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Statistics {
    /// Since it was made, or since the counters were zeroed.
    pub totals: Counters,
    /// Per second, averaged over some seconds; 0 where sysctl `run_estimation` is 0.
    pub rates: Counters,
}

/// A virtual server as the kernel has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct VirtualServer {
    /// What identifies it.
    pub id: VirtualServerId,
    /// How it is configured.
    pub config: VirtualServerConfig,
    /// What it has counted.
    pub statistics: Statistics,
}

impl VirtualServer {
    /// One that has counted nothing, for tests and for tables that come from elsewhere.
    #[must_use]
    pub fn new(id: VirtualServerId, config: VirtualServerConfig) -> Self {
        Self {
            id,
            config,
            statistics: Statistics::default(),
        }
    }
}

/// A destination as the kernel has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct DestinationStatus {
    /// The destination.
    pub destination: Destination,
    /// Its connections.
    pub connections: Connections,
    /// What it has counted.
    pub statistics: Statistics,
}

impl DestinationStatus {
    /// One with these connections that has counted nothing, for tests and for tables that come from
    /// elsewhere.
    #[must_use]
    pub fn new(destination: Destination, connections: Connections) -> Self {
        Self {
            destination,
            connections,
            statistics: Statistics::default(),
        }
    }
}

/// A virtual server with its destinations.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct TableEntry {
    /// The virtual server.
    pub server: VirtualServer,
    /// Its destinations, sorted.
    pub destinations: Vec<DestinationStatus>,
}

impl TableEntry {
    /// A virtual server with these destinations, which are sorted here.
    #[must_use]
    pub fn new(server: VirtualServer, mut destinations: Vec<DestinationStatus>) -> Self {
        destinations.sort_by_key(|status| status.destination.id);
        Self {
            server,
            destinations,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DestinationConfig, Scheduler, Table};

    #[test]
    fn an_entry_can_be_made_without_a_kernel() {
        let id = VirtualServerId::tcp(([10, 0, 0, 1], 80));
        let server = VirtualServer::new(id, VirtualServerConfig::new(Scheduler::RR));
        let status = |host| {
            let config = DestinationConfig::masquerade(1);
            let id = ([10, 1, 0, host], 80).into();
            DestinationStatus::new(Destination { id, config }, Connections::default())
        };
        let entry = TableEntry::new(server, vec![status(2), status(1)]);
        assert_eq!(entry.destinations, [status(1), status(2)]);
        let table: Table = [entry].into_iter().collect();
        let lines = "-A -t 10.0.0.1:80 -s rr\n-a -t 10.0.0.1:80 -r 10.1.0.1:80 -m -w 1\n\
                     -a -t 10.0.0.1:80 -r 10.1.0.2:80 -m -w 1\n";
        assert_eq!(table.to_string(), lines);
    }
}
