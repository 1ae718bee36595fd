//! Virtual servers, destinations and settings as plain values: no wire format, no text.

mod daemon;
mod destination;
mod flags;
mod id;
mod name;
mod netmask;
#[cfg(feature = "serde")]
mod serde;
mod settings;
mod statistics;
mod virtual_server;

pub use daemon::{Daemon, DaemonRole};
pub use destination::{
    Connections, Destination, DestinationConfig, DestinationId, ForwardingMethod, Tunnel,
    TunnelFlags, TunnelType,
};
pub use flags::{SchedulerFlags, ServiceFlags};
pub use id::VirtualServerId;
pub use name::{InterfaceName, PersistenceEngine, Scheduler};
pub use netmask::Netmask;
pub(crate) use netmask::{mask_of, prefix_of_any};
pub use settings::{Info, Timeouts, Version};
pub use statistics::{Counters, DestinationStatus, Statistics, TableEntry, VirtualServer};
pub use virtual_server::VirtualServerConfig;
