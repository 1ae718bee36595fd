//! IPVS, the Linux kernel's transport-layer load balancer: virtual servers and their destinations.
//!
//! - [`VirtualServerId`], [`VirtualServerConfig`], [`DestinationId`], [`DestinationConfig`]: what
//!   identifies an object and how it is configured, as small `Copy` values;
//! - [`SaveLine`]: a line of `ipvsadm -Sn`, printed and parsed;
//! - [`listing`]: the table of `ipvsadm -Ln`.
//!
//! ```
//! use ipvs_netlink::{Scheduler, SaveLine};
//!
//! let line: SaveLine = "-A -t 10.0.0.1:80 -s mh -b mh-port".parse()?;
//! let SaveLine::AddService { id, config } = line else { unreachable!() };
//! assert_eq!(config.scheduler, Scheduler::MH);
//! assert_eq!(id.to_string(), "-t 10.0.0.1:80");
//! assert_eq!(line.to_string(), "-A -t 10.0.0.1:80 -s mh -b mh-port");
//! # Ok::<(), ipvs_netlink::Error>(())
//! ```
#![forbid(unsafe_code)]

mod error;
#[doc(hidden)]
pub mod fuzz;
pub mod message;
mod model;
mod netmask;
mod text;
pub mod uapi;
pub mod wire;

pub use self::error::{Error, Result};
pub use self::message::{Message, Reply, Request};
pub use self::model::{
    Connections, Counters, Daemon, DaemonRole, Destination, DestinationConfig, DestinationId,
    DestinationStatus, Family, ForwardingMethod, Info, InterfaceName, PersistenceEngine, Protocol,
    Scheduler, SchedulerFlags, ServiceFlags, Statistics, Timeouts, Tunnel, TunnelFlags, TunnelType,
    Version, VirtualServer, VirtualServerConfig, VirtualServerId,
};
pub use self::text::{SaveLine, listing};
