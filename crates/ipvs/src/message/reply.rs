//! Replies of the kernel.

use netlink_packet_core::{Emitable, ParseableParametrized};
use netlink_packet_generic::{GenlFamily, GenlHeader};
use netlink_wire::{DecodeError, Problem, Writer, attributes, require};

use crate::message::netlink_message;
use crate::uapi::*;
use crate::wire;
use crate::{Daemon, DestinationStatus, Info, Timeouts, VirtualServer};

/// A reply. Attributes that this crate does not know are passed over; [`netlink_wire::attributes`] has
/// them all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reply {
    /// A virtual server.
    #[doc(alias = "IPVS_CMD_NEW_SERVICE")]
    Service(VirtualServer),
    /// A destination of the requested virtual server.
    #[doc(alias = "IPVS_CMD_NEW_DEST")]
    Destination(DestinationStatus),
    /// A running sync daemon.
    #[doc(alias = "IPVS_CMD_NEW_DAEMON")]
    Daemon(Daemon),
    /// The timeouts; 0 for protocols the kernel was built without.
    #[doc(alias = "IPVS_CMD_SET_CONFIG")]
    Timeouts(Timeouts),
    /// Version and size of the connection table.
    #[doc(alias = "IPVS_CMD_SET_INFO")]
    Info(Info),
}

netlink_message!(Reply, without_nested_flag);

impl Reply {
    /// Reads a reply: its command and the attributes after the generic netlink header.
    ///
    /// # Errors
    /// [`DecodeError`] naming the attribute that is missing or wrong.
    #[inline]
    pub fn decode(command: u8, payload: &[u8]) -> Result<Self, DecodeError> {
        match command {
            IPVS_CMD_NEW_SERVICE => {
                let nest = nest(payload, IPVS_CMD_ATTR_SERVICE, "IPVS_CMD_ATTR_SERVICE")?;
                wire::virtual_server(nest).map(Self::Service)
            }
            IPVS_CMD_NEW_DEST => {
                let nest = nest(payload, IPVS_CMD_ATTR_DEST, "IPVS_CMD_ATTR_DEST")?;
                wire::destination_status(nest).map(Self::Destination)
            }
            IPVS_CMD_NEW_DAEMON => {
                let nest = nest(payload, IPVS_CMD_ATTR_DAEMON, "IPVS_CMD_ATTR_DAEMON")?;
                wire::daemon(nest).map(Self::Daemon)
            }
            IPVS_CMD_SET_CONFIG => wire::timeouts(payload).map(Self::Timeouts),
            IPVS_CMD_SET_INFO => wire::info(payload).map(Self::Info),
            other => Err(Problem::Unknown(other.into()).of("IPVS_CMD_*")),
        }
    }

    fn encode(&self, writer: &mut Writer<'_>) {
        match self {
            Self::Service(server) => wire::put_virtual_server(writer, server),
            Self::Destination(status) => wire::put_destination_status(writer, status),
            Self::Daemon(daemon) => wire::put_daemon(writer, daemon),
            Self::Timeouts(timeouts) => wire::put_timeouts(writer, timeouts),
            Self::Info(info) => wire::put_info(writer, info),
        }
    }

    const fn number(&self) -> u8 {
        match self {
            Self::Service(_) => IPVS_CMD_NEW_SERVICE,
            Self::Destination(_) => IPVS_CMD_NEW_DEST,
            Self::Daemon(_) => IPVS_CMD_NEW_DAEMON,
            Self::Timeouts(_) => IPVS_CMD_SET_CONFIG,
            Self::Info(_) => IPVS_CMD_SET_INFO,
        }
    }
}

/// The value of the one attribute a reply has.
#[inline]
fn nest<'a>(payload: &'a [u8], kind: u16, name: &'static str) -> Result<&'a [u8], DecodeError> {
    let mut found = None;
    for attribute in attributes(payload) {
        let attribute = attribute.map_err(|problem| problem.of(name))?;
        if attribute.kind() == kind {
            found = Some(attribute.value());
        }
    }
    require(found, name)
}
