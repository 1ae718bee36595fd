//! `IPVS_DAEMON_ATTR_*`. Attributes are written in the order of ipvsadm (libipvs).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use netlink_wire::{Attribute, DecodeError, Fault, Problem, Writer, require, walk};

use crate::uapi::*;
use crate::wire::optional_name;
use crate::{Daemon, DaemonRole, InterfaceName};

const NEST: &str = "IPVS_CMD_ATTR_DAEMON";

/// Which daemon is meant.
pub(crate) fn put_daemon_role(writer: &mut Writer<'_>, role: DaemonRole) {
    writer.nest(IPVS_CMD_ATTR_DAEMON, |writer| put_role(writer, role));
}

/// A daemon in full.
pub(crate) fn put_daemon(writer: &mut Writer<'_>, daemon: &Daemon) {
    writer.nest(IPVS_CMD_ATTR_DAEMON, |writer| {
        put_role(writer, daemon.role);
        writer.text(IPVS_DAEMON_ATTR_MCAST_IFN, daemon.interface.as_str());
        writer.u32(IPVS_DAEMON_ATTR_SYNC_ID, daemon.sync_id);
        if let Some(length) = daemon.max_length {
            writer.u16(IPVS_DAEMON_ATTR_SYNC_MAXLEN, length);
        }
        if let Some(port) = daemon.port {
            writer.u16(IPVS_DAEMON_ATTR_MCAST_PORT, port);
        }
        if let Some(ttl) = daemon.ttl {
            writer.u8(IPVS_DAEMON_ATTR_MCAST_TTL, ttl);
        }
        match daemon.group {
            Some(IpAddr::V4(group)) => writer.array(IPVS_DAEMON_ATTR_MCAST_GROUP, group.octets()),
            Some(IpAddr::V6(group)) => writer.array(IPVS_DAEMON_ATTR_MCAST_GROUP6, group.octets()),
            None => {}
        }
    });
}

fn put_role(writer: &mut Writer<'_>, role: DaemonRole) {
    writer.u32(
        IPVS_DAEMON_ATTR_STATE,
        match role {
            DaemonRole::Master => IP_VS_STATE_MASTER,
            DaemonRole::Backup => IP_VS_STATE_BACKUP,
        },
    );
}

/// Reads which daemon is meant.
pub(crate) fn daemon_role(nest: &[u8]) -> Result<DaemonRole, DecodeError> {
    require(Fields::read(nest)?.role, "IPVS_DAEMON_ATTR_STATE")
}

/// Reads a daemon in full.
pub(crate) fn daemon(nest: &[u8]) -> Result<Daemon, DecodeError> {
    let fields = Fields::read(nest)?;
    Ok(Daemon {
        role: require(fields.role, "IPVS_DAEMON_ATTR_STATE")?,
        interface: require(fields.interface, "IPVS_DAEMON_ATTR_MCAST_IFN")?,
        sync_id: require(fields.sync_id, "IPVS_DAEMON_ATTR_SYNC_ID")?,
        max_length: fields.max_length,
        group: fields.group,
        port: fields.port,
        ttl: fields.ttl,
    })
}

/// Attributes as they came.
#[derive(Default)]
struct Fields {
    role: Option<DaemonRole>,
    interface: Option<InterfaceName>,
    sync_id: Option<u32>,
    max_length: Option<u16>,
    group: Option<IpAddr>,
    port: Option<u16>,
    ttl: Option<u8>,
}

impl Fields {
    fn read(nest: &[u8]) -> Result<Self, DecodeError> {
        let mut fields = Self::default();
        walk(nest, NEST, DAEMON_ATTRIBUTES, |attribute| {
            fields.take(attribute)
        })?;
        Ok(fields)
    }

    fn take(&mut self, attribute: Attribute<'_>) -> Result<(), Fault> {
        match attribute.kind() {
            IPVS_DAEMON_ATTR_STATE => {
                self.role = Some(match attribute.u32()? {
                    IP_VS_STATE_MASTER => DaemonRole::Master,
                    IP_VS_STATE_BACKUP => DaemonRole::Backup,
                    other => return Err(Problem::Unknown(other.into()).into()),
                });
            }
            IPVS_DAEMON_ATTR_MCAST_IFN => {
                // Requests to stop a daemon made by ipvsadm have an empty one.
                self.interface = optional_name(attribute)?;
            }
            IPVS_DAEMON_ATTR_SYNC_ID => self.sync_id = Some(attribute.u32()?),
            IPVS_DAEMON_ATTR_SYNC_MAXLEN => self.max_length = Some(attribute.u16()?),
            IPVS_DAEMON_ATTR_MCAST_GROUP => {
                self.group = Some(Ipv4Addr::from(attribute.array::<4>()?).into());
            }
            IPVS_DAEMON_ATTR_MCAST_GROUP6 => {
                self.group = Some(Ipv6Addr::from(attribute.array::<16>()?).into());
            }
            IPVS_DAEMON_ATTR_MCAST_PORT => self.port = Some(attribute.u16()?),
            IPVS_DAEMON_ATTR_MCAST_TTL => self.ttl = Some(attribute.u8()?),
            _ => {}
        }
        Ok(())
    }
}
