//! Requests to the kernel.

use std::fmt;

use netlink_packet_core::{Emitable, ParseableParametrized};
use netlink_packet_generic::{GenlFamily, GenlHeader};
use netlink_wire::{DecodeError, Problem, Writer, require, walk};

use crate::message::netlink_message;
use crate::uapi::*;
use crate::wire;
use crate::{
    Daemon, DaemonRole, Destination, DestinationId, SaveLine, Timeouts, VirtualServerConfig,
    VirtualServerId,
};

/// A request. Displays as its action and its object: `add destination 10.1.0.1:80 of -t 10.0.0.1:80`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Request {
    /// Add a virtual server.
    #[doc(alias = "IPVS_CMD_NEW_SERVICE")]
    NewService {
        /// What identifies it.
        id: VirtualServerId,
        /// How it is configured.
        config: VirtualServerConfig,
    },
    /// Replace the configuration of a virtual server, all of it: without an engine here, it loses its engine.
    #[doc(alias = "IPVS_CMD_SET_SERVICE")]
    SetService {
        /// What identifies it.
        id: VirtualServerId,
        /// How it is configured.
        config: VirtualServerConfig,
    },
    /// Delete a virtual server with its destinations.
    #[doc(alias = "IPVS_CMD_DEL_SERVICE")]
    DeleteService {
        /// What identifies it.
        id: VirtualServerId,
    },
    /// Get a virtual server.
    #[doc(alias = "IPVS_CMD_GET_SERVICE")]
    GetService {
        /// What identifies it.
        id: VirtualServerId,
    },
    /// Get all virtual servers (a dump).
    #[doc(alias = "IPVS_CMD_GET_SERVICE")]
    GetServices,
    /// Add a destination. One deleted shortly before comes back with its counters.
    #[doc(alias = "IPVS_CMD_NEW_DEST")]
    NewDestination {
        /// Its virtual server.
        service: VirtualServerId,
        /// The destination.
        destination: Destination,
    },
    /// Replace the configuration of a destination, all of it.
    #[doc(alias = "IPVS_CMD_SET_DEST")]
    SetDestination {
        /// Its virtual server.
        service: VirtualServerId,
        /// The destination.
        destination: Destination,
    },
    /// Delete a destination.
    #[doc(alias = "IPVS_CMD_DEL_DEST")]
    DeleteDestination {
        /// Its virtual server.
        service: VirtualServerId,
        /// What identifies it.
        id: DestinationId,
    },
    /// Get all destinations of a virtual server (a dump, empty where there is no such server).
    #[doc(alias = "IPVS_CMD_GET_DEST")]
    GetDestinations {
        /// The virtual server.
        service: VirtualServerId,
    },
    /// Start a sync daemon.
    #[doc(alias = "IPVS_CMD_NEW_DAEMON")]
    NewDaemon(Daemon),
    /// Stop a sync daemon.
    #[doc(alias = "IPVS_CMD_DEL_DAEMON")]
    DeleteDaemon(DaemonRole),
    /// Get the running sync daemons (a dump).
    #[doc(alias = "IPVS_CMD_GET_DAEMON")]
    GetDaemons,
    /// Set the timeouts that are not 0.
    #[doc(alias = "IPVS_CMD_SET_CONFIG")]
    SetTimeouts(Timeouts),
    /// Get the timeouts.
    #[doc(alias = "IPVS_CMD_GET_CONFIG")]
    GetTimeouts,
    /// Get version and size of the connection table.
    #[doc(alias = "IPVS_CMD_GET_INFO")]
    GetInfo,
    /// Zero the counters of a virtual server and its destinations; of all without one.
    #[doc(alias = "IPVS_CMD_ZERO")]
    Zero(Option<VirtualServerId>),
    /// Delete all virtual servers of the network namespace, whoever made them.
    #[doc(alias = "IPVS_CMD_FLUSH")]
    Flush,
}

netlink_message!(Request, new);

impl Request {
    /// Whether it has to be sent with `NLM_F_DUMP`.
    #[must_use]
    pub const fn is_dump(&self) -> bool {
        matches!(
            self,
            Self::GetServices | Self::GetDestinations { .. } | Self::GetDaemons
        )
    }

    /// Reads a request: its command and the attributes after the generic netlink header.
    ///
    /// # Errors
    /// [`DecodeError`] naming the attribute that is missing or wrong.
    pub fn decode(command: u8, attributes: &[u8]) -> Result<Self, DecodeError> {
        let mut fields = Fields::default();
        walk(attributes, "IPVS_CMD_*", CMD_ATTRIBUTES, |attribute| {
            match attribute.kind() {
                IPVS_CMD_ATTR_SERVICE => fields.service = Some(attribute.value()),
                IPVS_CMD_ATTR_DEST => fields.destination = Some(attribute.value()),
                IPVS_CMD_ATTR_DAEMON => fields.daemon = Some(attribute.value()),
                IPVS_CMD_ATTR_TIMEOUT_TCP => fields.timeouts.tcp = attribute.u32()?,
                IPVS_CMD_ATTR_TIMEOUT_TCP_FIN => fields.timeouts.tcp_fin = attribute.u32()?,
                IPVS_CMD_ATTR_TIMEOUT_UDP => fields.timeouts.udp = attribute.u32()?,
                _ => {}
            }
            Ok(())
        })?;
        fields.request(command)
    }

    fn encode(&self, writer: &mut Writer<'_>) {
        match self {
            Self::NewService { id, config } | Self::SetService { id, config } => {
                wire::put_service(writer, id, config);
            }
            Self::DeleteService { id } | Self::GetService { id } | Self::Zero(Some(id)) => {
                wire::put_service_id(writer, id);
            }
            Self::NewDestination {
                service,
                destination,
            }
            | Self::SetDestination {
                service,
                destination,
            } => {
                wire::put_service_id(writer, service);
                wire::put_destination(writer, destination);
            }
            Self::DeleteDestination { service, id } => {
                wire::put_service_id(writer, service);
                wire::put_destination_id(writer, id);
            }
            Self::GetDestinations { service } => wire::put_service_id(writer, service),
            Self::NewDaemon(daemon) => wire::put_daemon(writer, daemon),
            Self::DeleteDaemon(role) => wire::put_daemon_role(writer, *role),
            Self::SetTimeouts(timeouts) => wire::put_timeouts(writer, timeouts),
            Self::GetServices
            | Self::GetDaemons
            | Self::GetTimeouts
            | Self::GetInfo
            | Self::Zero(None)
            | Self::Flush => {}
        }
    }

    const fn number(&self) -> u8 {
        match self {
            Self::NewService { .. } => IPVS_CMD_NEW_SERVICE,
            Self::SetService { .. } => IPVS_CMD_SET_SERVICE,
            Self::DeleteService { .. } => IPVS_CMD_DEL_SERVICE,
            Self::GetService { .. } | Self::GetServices => IPVS_CMD_GET_SERVICE,
            Self::NewDestination { .. } => IPVS_CMD_NEW_DEST,
            Self::SetDestination { .. } => IPVS_CMD_SET_DEST,
            Self::DeleteDestination { .. } => IPVS_CMD_DEL_DEST,
            Self::GetDestinations { .. } => IPVS_CMD_GET_DEST,
            Self::NewDaemon(_) => IPVS_CMD_NEW_DAEMON,
            Self::DeleteDaemon(_) => IPVS_CMD_DEL_DAEMON,
            Self::GetDaemons => IPVS_CMD_GET_DAEMON,
            Self::SetTimeouts(_) => IPVS_CMD_SET_CONFIG,
            Self::GetTimeouts => IPVS_CMD_GET_CONFIG,
            Self::GetInfo => IPVS_CMD_GET_INFO,
            Self::Zero(_) => IPVS_CMD_ZERO,
            Self::Flush => IPVS_CMD_FLUSH,
        }
    }
}

impl From<SaveLine> for Request {
    /// The request that adds the object of the line.
    fn from(line: SaveLine) -> Self {
        match line {
            SaveLine::AddService { id, config } => Self::NewService { id, config },
            SaveLine::AddDestination {
                service,
                destination,
            } => Self::NewDestination {
                service,
                destination,
            },
        }
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NewService { id, .. } => write!(f, "add virtual server {id}"),
            Self::SetService { id, .. } => write!(f, "change virtual server {id}"),
            Self::DeleteService { id } => write!(f, "delete virtual server {id}"),
            Self::GetService { id } => write!(f, "get virtual server {id}"),
            Self::GetServices => f.write_str("get all virtual servers"),
            Self::NewDestination {
                service,
                destination,
            } => {
                write!(f, "add destination {} of {service}", destination.id)
            }
            Self::SetDestination {
                service,
                destination,
            } => {
                write!(f, "change destination {} of {service}", destination.id)
            }
            Self::DeleteDestination { service, id } => {
                write!(f, "delete destination {id} of {service}")
            }
            Self::GetDestinations { service } => write!(f, "get the destinations of {service}"),
            Self::NewDaemon(daemon) => {
                write!(
                    f,
                    "start the {} sync daemon on {}",
                    daemon.role, daemon.interface
                )
            }
            Self::DeleteDaemon(role) => write!(f, "stop the {role} sync daemon"),
            Self::GetDaemons => f.write_str("get the sync daemons"),
            Self::SetTimeouts(_) => f.write_str("set the timeouts"),
            Self::GetTimeouts => f.write_str("get the timeouts"),
            Self::GetInfo => f.write_str("get version and table size"),
            Self::Zero(Some(id)) => write!(f, "zero the counters of {id}"),
            Self::Zero(None) => f.write_str("zero all counters"),
            Self::Flush => f.write_str("delete all virtual servers"),
        }
    }
}

/// Top-level attributes as they came.
#[derive(Default)]
struct Fields<'a> {
    service: Option<&'a [u8]>,
    destination: Option<&'a [u8]>,
    daemon: Option<&'a [u8]>,
    timeouts: Timeouts,
}

impl Fields<'_> {
    fn request(&self, command: u8) -> Result<Request, DecodeError> {
        let id = || require(self.service, "IPVS_CMD_ATTR_SERVICE").and_then(wire::service_id);
        let service = || require(self.service, "IPVS_CMD_ATTR_SERVICE").and_then(wire::service);
        let destination = || require(self.destination, "IPVS_CMD_ATTR_DEST");
        let daemon = || require(self.daemon, "IPVS_CMD_ATTR_DAEMON");
        Ok(match command {
            IPVS_CMD_NEW_SERVICE => {
                let (id, config) = service()?;
                Request::NewService { id, config }
            }
            IPVS_CMD_SET_SERVICE => {
                let (id, config) = service()?;
                Request::SetService { id, config }
            }
            IPVS_CMD_DEL_SERVICE => Request::DeleteService { id: id()? },
            IPVS_CMD_GET_SERVICE if self.service.is_none() => Request::GetServices,
            IPVS_CMD_GET_SERVICE => Request::GetService { id: id()? },
            IPVS_CMD_NEW_DEST => {
                let destination = wire::destination(destination()?)?;
                Request::NewDestination {
                    service: id()?,
                    destination,
                }
            }
            IPVS_CMD_SET_DEST => {
                let destination = wire::destination(destination()?)?;
                Request::SetDestination {
                    service: id()?,
                    destination,
                }
            }
            IPVS_CMD_DEL_DEST => Request::DeleteDestination {
                service: id()?,
                id: wire::destination_id(destination()?)?,
            },
            IPVS_CMD_GET_DEST => Request::GetDestinations { service: id()? },
            IPVS_CMD_NEW_DAEMON => Request::NewDaemon(wire::daemon(daemon()?)?),
            IPVS_CMD_DEL_DAEMON => Request::DeleteDaemon(wire::daemon_role(daemon()?)?),
            IPVS_CMD_GET_DAEMON => Request::GetDaemons,
            IPVS_CMD_SET_CONFIG => Request::SetTimeouts(self.timeouts),
            IPVS_CMD_GET_CONFIG => Request::GetTimeouts,
            IPVS_CMD_GET_INFO => Request::GetInfo,
            IPVS_CMD_ZERO if self.service.is_none() => Request::Zero(None),
            IPVS_CMD_ZERO => Request::Zero(Some(id()?)),
            IPVS_CMD_FLUSH => Request::Flush,
            other => return Err(Problem::Unknown(other.into()).of("IPVS_CMD_*")),
        })
    }
}
