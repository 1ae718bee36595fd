//! Daemons that synchronise the connections of two machines.

use std::fmt;
use std::net::IpAddr;

use crate::InterfaceName;

/// What a sync daemon does. One of each may run in a network namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "lowercase"))]
pub enum DaemonRole {
    /// Sends this machine's connections to others.
    Master,
    /// Takes over the connections that a master sends.
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

/// A sync daemon. To start one, `None` leaves a setting to the kernel. Of a running one the kernel
/// (from Linux 4.3) reports them all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Daemon {
    /// Whether it sends or receives.
    pub role: DaemonRole,
    /// The interface it uses.
    pub interface: InterfaceName,
    /// Number of the group of machines, 0 to 255; a backup with 0 takes messages of all groups.
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

    /// The same with the longest UDP payload, in bytes.
    #[must_use]
    pub const fn with_max_length(mut self, max_length: u16) -> Self {
        self.max_length = Some(max_length);
        self
    }

    /// The same with a multicast group.
    #[must_use]
    pub const fn with_group(mut self, group: IpAddr) -> Self {
        self.group = Some(group);
        self
    }

    /// The same with a UDP port.
    #[must_use]
    pub const fn with_port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// The same with a time to live.
    #[must_use]
    pub const fn with_ttl(mut self, ttl: u8) -> Self {
        self.ttl = Some(ttl);
        self
    }
}
