//! Virtual servers, destinations and settings as plain values: no wire format, no text.

mod daemon;
mod destination;
mod flags;
mod name;
mod settings;
mod statistics;
mod virtual_server;

pub use self::daemon::{Daemon, DaemonRole};
pub use self::destination::{
    Connections, Destination, DestinationConfig, DestinationId, ForwardingMethod, Tunnel,
    TunnelFlags, TunnelType,
};
pub use self::flags::{SchedulerFlags, ServiceFlags};
pub use self::name::{InterfaceName, PersistenceEngine, Scheduler};
pub use self::settings::{Info, Timeouts, Version};
pub use self::statistics::{Counters, DestinationStatus, Statistics, TableEntry, VirtualServer};
pub use self::virtual_server::{VirtualServerConfig, VirtualServerId};
