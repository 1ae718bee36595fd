//! Daemons that keep the connections of two machines in step.

use std::fmt;
use std::net::IpAddr;

use crate::InterfaceName;

/// What a sync daemon does. One of each may run in a network namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DaemonRole {
    /// Tells others of this machine's connections.
    Master,
    /// Takes over the connections that a master tells of.
    Backup,
}

impl fmt::Display for DaemonRole {
    /// As `ipvsadm --start-daemon` has it: `master`, `backup`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Master => "master",
            Self::Backup => "backup",
        })
    }
}

/// A sync daemon. To start one, `None` leaves a setting to the kernel; of a running one the kernel
/// (from Linux 4.3) tells them all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Daemon {
    /// Whether it sends or receives.
    pub role: DaemonRole,
    /// The interface it uses.
    pub interface: InterfaceName,
    /// Tells groups of machines apart, 0 to 255; 0 in a backup takes all.
    pub sync_id: u32,
    /// Longest UDP payload in bytes; by default what the interface's MTU has room for.
    pub max_length: Option<u16>,
    /// Multicast group; by default 224.0.0.81.
    pub group: Option<IpAddr>,
    /// UDP port; by default 8848.
    pub port: Option<u16>,
    /// Time to live of what is sent; by default 1.
    pub ttl: Option<u8>,
}

impl Daemon {
    /// A daemon with all settings left to the kernel.
    #[must_use]
    pub const fn new(role: DaemonRole, interface: InterfaceName, sync_id: u32) -> Self {
        Self {
            role,
            interface,
            sync_id,
            max_length: None,
            group: None,
            port: None,
            ttl: None,
        }
    }
}
