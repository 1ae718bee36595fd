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
/// which wrap around. The kernel brings them up to date every two seconds; connections are counted
/// at once.
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
