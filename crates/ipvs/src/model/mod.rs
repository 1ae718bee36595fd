//! Virtual servers, destinations and settings as plain values: no wire format, no text.

mod destination;
mod flags;
mod name;
mod protocol;
mod settings;
mod virtual_server;

pub use self::destination::{
    Connections, Destination, DestinationConfig, DestinationId, ForwardingMethod, Tunnel,
    TunnelFlags, TunnelType,
};
pub use self::flags::{SchedulerFlags, ServiceFlags};
pub use self::name::{PersistenceEngine, Scheduler};
pub use self::protocol::{Family, Protocol};
pub use self::settings::{Info, Timeouts, Version};
pub use self::virtual_server::{VirtualServerConfig, VirtualServerId};
