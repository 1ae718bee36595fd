//! Timeouts and info: attributes of the command itself, without a nest.

use netlink_wire::{DecodeError, Writer, require, walk};

use crate::uapi::*;
use crate::{Info, Timeouts, Version};

pub(crate) fn put_timeouts(writer: &mut Writer<'_>, timeouts: &Timeouts) {
    writer.u32(IPVS_CMD_ATTR_TIMEOUT_TCP, timeouts.tcp);
    writer.u32(IPVS_CMD_ATTR_TIMEOUT_TCP_FIN, timeouts.tcp_fin);
    writer.u32(IPVS_CMD_ATTR_TIMEOUT_UDP, timeouts.udp);
}

/// Kernels without a protocol leave its timeouts out.
pub(crate) fn timeouts(payload: &[u8]) -> Result<Timeouts, DecodeError> {
    let mut timeouts = Timeouts::default();
    walk(
        payload,
        "IPVS_CMD_SET_CONFIG",
        CMD_ATTRIBUTES,
        |attribute| {
            match attribute.kind() {
                IPVS_CMD_ATTR_TIMEOUT_TCP => timeouts.tcp = attribute.u32()?,
                IPVS_CMD_ATTR_TIMEOUT_TCP_FIN => timeouts.tcp_fin = attribute.u32()?,
                IPVS_CMD_ATTR_TIMEOUT_UDP => timeouts.udp = attribute.u32()?,
                _ => {}
            }
            Ok(())
        },
    )?;
    Ok(timeouts)
}

pub(crate) fn put_info(writer: &mut Writer<'_>, info: &Info) {
    writer.u32(IPVS_INFO_ATTR_VERSION, info.version.0);
    writer.u32(IPVS_INFO_ATTR_CONN_TAB_SIZE, info.connection_table_size);
}

pub(crate) fn info(payload: &[u8]) -> Result<Info, DecodeError> {
    let (mut version, mut size) = (None, None);
    walk(payload, "IPVS_CMD_SET_INFO", INFO_ATTRIBUTES, |attribute| {
        match attribute.kind() {
            IPVS_INFO_ATTR_VERSION => version = Some(attribute.u32()?),
            IPVS_INFO_ATTR_CONN_TAB_SIZE => size = Some(attribute.u32()?),
            _ => {}
        }
        Ok(())
    })?;
    Ok(Info {
        version: Version(require(version, "IPVS_INFO_ATTR_VERSION")?),
        connection_table_size: require(size, "IPVS_INFO_ATTR_CONN_TAB_SIZE")?,
    })
}
