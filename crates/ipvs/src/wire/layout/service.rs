//! `IPVS_SVC_ATTR_*`. Attributes are written in the order of ipvsadm (libipvs).

use std::num::NonZeroU32;

use netlink_wire::{Attribute, DecodeError, Fault, Problem, Writer, require, walk};

use crate::model::{mask_of, prefix_of_any};
use crate::uapi::*;
use crate::wire::layout::statistics::{put_statistics, statistics};
use crate::wire::{address, family, name, optional_name, put_address, put_family};
use crate::{
    Family, Netmask, PersistenceEngine, Protocol, Scheduler, ServiceFlags, VirtualServer,
    VirtualServerConfig, VirtualServerId,
};

const NEST: &str = "IPVS_CMD_ATTR_SERVICE";

/// What identifies a service.
pub(crate) fn put_service_id(writer: &mut Writer<'_>, id: &VirtualServerId) {
    writer.nest(IPVS_CMD_ATTR_SERVICE, |writer| put_id(writer, id));
}

/// A service in full.
pub(crate) fn put_service(
    writer: &mut Writer<'_>,
    id: &VirtualServerId,
    config: &VirtualServerConfig,
) {
    writer.nest(IPVS_CMD_ATTR_SERVICE, |writer| {
        put_id(writer, id);
        put_config(writer, id.family(), config);
    });
}

/// A service in full with its statistics.
pub(crate) fn put_virtual_server(writer: &mut Writer<'_>, server: &VirtualServer) {
    writer.nest(IPVS_CMD_ATTR_SERVICE, |writer| {
        put_id(writer, &server.id);
        put_config(writer, server.id.family(), &server.config);
        put_statistics(writer, IPVS_SVC_ATTR_STATS64, &server.statistics);
    });
}

fn put_id(writer: &mut Writer<'_>, id: &VirtualServerId) {
    put_family(writer, IPVS_SVC_ATTR_AF, id.family());
    match *id {
        VirtualServerId::Address {
            protocol,
            address,
            port,
        } => {
            writer.u16(IPVS_SVC_ATTR_PROTOCOL, protocol.0.into());
            put_address(writer, IPVS_SVC_ATTR_ADDR, address);
            writer.u16_be(IPVS_SVC_ATTR_PORT, port);
        }
        VirtualServerId::FirewallMark { mark, .. } => {
            writer.u32(IPVS_SVC_ATTR_FWMARK, mark.get());
        }
    }
}

fn put_config(writer: &mut Writer<'_>, family: Family, config: &VirtualServerConfig) {
    writer.text(IPVS_SVC_ATTR_SCHED_NAME, config.scheduler.as_str());
    if let Some(engine) = &config.engine {
        writer.text(IPVS_SVC_ATTR_PE_NAME, engine.as_str());
    }
    // A new service that claims to be in the kernel's table already is not put there.
    let flags = config.flags - ServiceFlags::HASHED;
    let [a, b, c, d] = flags.bits().to_ne_bytes();
    writer.array(IPVS_SVC_ATTR_FLAGS, [a, b, c, d, 0xff, 0xff, 0xff, 0xff]);
    writer.u32(IPVS_SVC_ATTR_TIMEOUT, config.timeout);
    let prefix = config.netmask.prefix(family);
    match family {
        Family::V4 => writer.array(IPVS_SVC_ATTR_NETMASK, mask_of(prefix).octets()),
        Family::V6 => writer.u32(IPVS_SVC_ATTR_NETMASK, prefix.into()),
    }
}

/// Reads what identifies a service.
pub(crate) fn service_id(nest: &[u8]) -> Result<VirtualServerId, DecodeError> {
    Fields::read(nest)?.id()
}

/// Reads a service in full.
pub(crate) fn service(nest: &[u8]) -> Result<(VirtualServerId, VirtualServerConfig), DecodeError> {
    let fields = Fields::read(nest)?;
    let id = fields.id()?;
    Ok((id, fields.config(id.family())?))
}

/// Reads a service in full with its statistics.
pub(crate) fn virtual_server(nest: &[u8]) -> Result<VirtualServer, DecodeError> {
    let fields = Fields::read(nest)?;
    let id = fields.id()?;
    Ok(VirtualServer {
        id,
        config: fields.config(id.family())?,
        statistics: statistics(fields.stats, fields.stats64)?,
    })
}

/// Attributes as they came; what they mean together is found out when all are there.
#[derive(Default)]
struct Fields<'a> {
    family: Option<Family>,
    protocol: Option<Protocol>,
    address: Option<Attribute<'a>>,
    port: Option<u16>,
    mark: Option<NonZeroU32>,
    scheduler: Option<Scheduler>,
    flags: Option<ServiceFlags>,
    timeout: Option<u32>,
    netmask: Option<[u8; 4]>,
    engine: Option<PersistenceEngine>,
    stats: Option<&'a [u8]>,
    stats64: Option<&'a [u8]>,
}

impl<'a> Fields<'a> {
    fn read(nest: &'a [u8]) -> Result<Self, DecodeError> {
        let mut fields = Self::default();
        walk(nest, NEST, SVC_ATTRIBUTES, |attribute| {
            fields.take(attribute)
        })?;
        Ok(fields)
    }

    #[inline]
    fn take(&mut self, attribute: Attribute<'a>) -> Result<(), Fault> {
        match attribute.kind() {
            IPVS_SVC_ATTR_AF => self.family = Some(family(attribute)?),
            IPVS_SVC_ATTR_PROTOCOL => {
                let number = attribute.u16()?;
                let known = u8::try_from(number).map_err(|_| Problem::Unknown(number.into()))?;
                self.protocol = Some(Protocol(known));
            }
            IPVS_SVC_ATTR_ADDR => {
                address(attribute)?;
                self.address = Some(attribute);
            }
            IPVS_SVC_ATTR_PORT => self.port = Some(attribute.u16_be()?),
            // The kernel takes a mark of 0 for none; it sends none.
            IPVS_SVC_ATTR_FWMARK => self.mark = NonZeroU32::new(attribute.u32()?),
            IPVS_SVC_ATTR_SCHED_NAME => {
                // Requests for destinations made by ipvsadm have an empty one.
                self.scheduler = optional_name(attribute)?;
            }
            IPVS_SVC_ATTR_FLAGS => {
                let [a, b, c, d, ..] = attribute.array::<8>()?;
                let flags = ServiceFlags::from_bits_retain(u32::from_ne_bytes([a, b, c, d]));
                self.flags = Some(flags - ServiceFlags::HASHED);
            }
            IPVS_SVC_ATTR_TIMEOUT => self.timeout = Some(attribute.u32()?),
            IPVS_SVC_ATTR_NETMASK => self.netmask = Some(attribute.array()?),
            IPVS_SVC_ATTR_PE_NAME => {
                self.engine = Some(name(attribute)?);
            }
            IPVS_SVC_ATTR_STATS => self.stats = Some(attribute.value()),
            IPVS_SVC_ATTR_STATS64 => self.stats64 = Some(attribute.value()),
            _ => {}
        }
        Ok(())
    }

    fn id(&self) -> Result<VirtualServerId, DecodeError> {
        let family = require(self.family, "IPVS_SVC_ATTR_AF")?;
        if let Some(mark) = self.mark {
            return Ok(VirtualServerId::FirewallMark { family, mark });
        }
        let name = "IPVS_SVC_ATTR_ADDR";
        let address = address(require(self.address, name)?).map_err(|problem| problem.of(name))?;
        Ok(VirtualServerId::Address {
            protocol: require(self.protocol, "IPVS_SVC_ATTR_PROTOCOL")?,
            address: address.of(family),
            port: require(self.port, "IPVS_SVC_ATTR_PORT")?,
        })
    }

    fn config(&self, family: Family) -> Result<VirtualServerConfig, DecodeError> {
        let netmask = require(self.netmask, "IPVS_SVC_ATTR_NETMASK")?;
        let prefix = match family {
            Family::V4 => prefix_of_any(netmask.into()).into(),
            Family::V6 => u32::from_ne_bytes(netmask),
        };
        let netmask = u8::try_from(prefix)
            .ok()
            .and_then(|prefix| Netmask::new(family, prefix).ok())
            .ok_or(Problem::Unknown(prefix.into()).of("IPVS_SVC_ATTR_NETMASK"))?;
        Ok(VirtualServerConfig {
            scheduler: require(self.scheduler, "IPVS_SVC_ATTR_SCHED_NAME")?,
            flags: require(self.flags, "IPVS_SVC_ATTR_FLAGS")?,
            timeout: require(self.timeout, "IPVS_SVC_ATTR_TIMEOUT")?,
            netmask,
            engine: self.engine,
        })
    }
}
