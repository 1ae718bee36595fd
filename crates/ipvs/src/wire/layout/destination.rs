//! `IPVS_DEST_ATTR_*`. Attributes are written in the order of ipvsadm (libipvs).

use netlink_wire::{Attribute, DecodeError, Fault, Problem, Writer, require, walk};

use crate::uapi::*;
use crate::wire::layout::statistics::{put_statistics, statistics};
use crate::wire::{UnionAddress, address, family, put_address, put_family};
use crate::{
    Connections, Destination, DestinationConfig, DestinationId, DestinationStatus, Family,
    ForwardingMethod, Tunnel, TunnelFlags, TunnelType,
};

const NEST: &str = "IPVS_CMD_ATTR_DEST";

/// What identifies a destination.
pub(crate) fn put_destination_id(writer: &mut Writer<'_>, id: &DestinationId) {
    writer.nest(IPVS_CMD_ATTR_DEST, |writer| put_id(writer, id));
}

/// A destination in full.
pub(crate) fn put_destination(writer: &mut Writer<'_>, destination: &Destination) {
    writer.nest(IPVS_CMD_ATTR_DEST, |writer| {
        put_id(writer, &destination.id);
        put_config(writer, &destination.config);
    });
}

/// A destination in full with its connections and statistics.
pub(crate) fn put_destination_status(writer: &mut Writer<'_>, status: &DestinationStatus) {
    writer.nest(IPVS_CMD_ATTR_DEST, |writer| {
        put_id(writer, &status.destination.id);
        put_config(writer, &status.destination.config);
        writer.u32(IPVS_DEST_ATTR_ACTIVE_CONNS, status.connections.active);
        writer.u32(IPVS_DEST_ATTR_INACT_CONNS, status.connections.inactive);
        writer.u32(IPVS_DEST_ATTR_PERSIST_CONNS, status.connections.persistent);
        put_statistics(writer, IPVS_DEST_ATTR_STATS64, &status.statistics);
    });
}

fn put_id(writer: &mut Writer<'_>, id: &DestinationId) {
    put_family(writer, IPVS_DEST_ATTR_ADDR_FAMILY, Family::of(id.address));
    put_address(writer, IPVS_DEST_ATTR_ADDR, id.address);
    writer.u16_be(IPVS_DEST_ATTR_PORT, id.port);
}

fn put_config(writer: &mut Writer<'_>, config: &DestinationConfig) {
    writer.u32(
        IPVS_DEST_ATTR_FWD_METHOD,
        forwarding_number(config.forwarding),
    );
    writer.u32(IPVS_DEST_ATTR_WEIGHT, config.weight);
    writer.u8(IPVS_DEST_ATTR_TUN_TYPE, config.tunnel.kind.0);
    writer.u16_be(IPVS_DEST_ATTR_TUN_PORT, config.tunnel.port);
    writer.u16(IPVS_DEST_ATTR_TUN_FLAGS, config.tunnel.flags.bits());
    writer.u32(IPVS_DEST_ATTR_U_THRESH, config.upper_threshold);
    writer.u32(IPVS_DEST_ATTR_L_THRESH, config.lower_threshold);
}

const fn forwarding_number(method: ForwardingMethod) -> u32 {
    match method {
        ForwardingMethod::Masquerade => IP_VS_CONN_F_MASQ,
        ForwardingMethod::Local => IP_VS_CONN_F_LOCALNODE,
        ForwardingMethod::Tunnel => IP_VS_CONN_F_TUNNEL,
        ForwardingMethod::DirectRoute => IP_VS_CONN_F_DROUTE,
        ForwardingMethod::Bypass => IP_VS_CONN_F_BYPASS,
    }
}

fn forwarding_method(number: u32) -> Result<ForwardingMethod, Problem> {
    match number {
        IP_VS_CONN_F_MASQ => Ok(ForwardingMethod::Masquerade),
        IP_VS_CONN_F_LOCALNODE => Ok(ForwardingMethod::Local),
        IP_VS_CONN_F_TUNNEL => Ok(ForwardingMethod::Tunnel),
        IP_VS_CONN_F_DROUTE => Ok(ForwardingMethod::DirectRoute),
        IP_VS_CONN_F_BYPASS => Ok(ForwardingMethod::Bypass),
        other => Err(Problem::Unknown(other.into())),
    }
}

/// Reads what identifies a destination.
pub(crate) fn destination_id(nest: &[u8]) -> Result<DestinationId, DecodeError> {
    Fields::read(nest)?.id()
}

/// Reads a destination in full.
pub(crate) fn destination(nest: &[u8]) -> Result<Destination, DecodeError> {
    Fields::read(nest)?.destination()
}

/// Reads a destination in full with its connections and statistics.
pub(crate) fn destination_status(nest: &[u8]) -> Result<DestinationStatus, DecodeError> {
    let fields = Fields::read(nest)?;
    Ok(DestinationStatus {
        destination: fields.destination()?,
        connections: fields.connections,
        statistics: statistics(fields.stats, fields.stats64)?,
    })
}

/// Attributes as they came.
#[derive(Default)]
struct Fields<'a> {
    family: Option<Family>,
    address: Option<UnionAddress>,
    port: Option<u16>,
    forwarding: Option<ForwardingMethod>,
    weight: Option<u32>,
    upper_threshold: Option<u32>,
    lower_threshold: Option<u32>,
    tunnel: Tunnel,
    connections: Connections,
    stats: Option<&'a [u8]>,
    stats64: Option<&'a [u8]>,
}

impl<'a> Fields<'a> {
    fn read(nest: &'a [u8]) -> Result<Self, DecodeError> {
        let mut fields = Self::default();
        walk(nest, NEST, DEST_ATTRIBUTES, |attribute| {
            fields.take(attribute)
        })?;
        Ok(fields)
    }

    #[inline]
    fn take(&mut self, attribute: Attribute<'a>) -> Result<(), Fault> {
        match attribute.kind() {
            IPVS_DEST_ATTR_ADDR => self.address = Some(address(attribute)?),
            IPVS_DEST_ATTR_PORT => self.port = Some(attribute.u16_be()?),
            IPVS_DEST_ATTR_FWD_METHOD => {
                self.forwarding = Some(forwarding_method(attribute.u32()?)?);
            }
            IPVS_DEST_ATTR_WEIGHT => self.weight = Some(attribute.u32()?),
            IPVS_DEST_ATTR_U_THRESH => self.upper_threshold = Some(attribute.u32()?),
            IPVS_DEST_ATTR_L_THRESH => self.lower_threshold = Some(attribute.u32()?),
            IPVS_DEST_ATTR_ACTIVE_CONNS => self.connections.active = attribute.u32()?,
            IPVS_DEST_ATTR_INACT_CONNS => self.connections.inactive = attribute.u32()?,
            IPVS_DEST_ATTR_PERSIST_CONNS => self.connections.persistent = attribute.u32()?,
            IPVS_DEST_ATTR_STATS => self.stats = Some(attribute.value()),
            IPVS_DEST_ATTR_ADDR_FAMILY => self.family = Some(family(attribute)?),
            IPVS_DEST_ATTR_STATS64 => self.stats64 = Some(attribute.value()),
            IPVS_DEST_ATTR_TUN_TYPE => self.tunnel.kind = TunnelType(attribute.u8()?),
            IPVS_DEST_ATTR_TUN_PORT => self.tunnel.port = attribute.u16_be()?,
            IPVS_DEST_ATTR_TUN_FLAGS => {
                self.tunnel.flags = TunnelFlags::from_bits_retain(attribute.u16()?);
            }
            _ => {}
        }
        Ok(())
    }

    fn id(&self) -> Result<DestinationId, DecodeError> {
        let address = require(self.address, "IPVS_DEST_ATTR_ADDR")?;
        let family = self.family.unwrap_or_else(|| address.guess());
        let port = require(self.port, "IPVS_DEST_ATTR_PORT")?;
        Ok(DestinationId {
            address: address.of(family),
            port,
        })
    }

    fn destination(&self) -> Result<Destination, DecodeError> {
        let config = DestinationConfig {
            forwarding: require(self.forwarding, "IPVS_DEST_ATTR_FWD_METHOD")?,
            weight: require(self.weight, "IPVS_DEST_ATTR_WEIGHT")?,
            upper_threshold: require(self.upper_threshold, "IPVS_DEST_ATTR_U_THRESH")?,
            lower_threshold: require(self.lower_threshold, "IPVS_DEST_ATTR_L_THRESH")?,
            tunnel: self.tunnel,
        };
        Ok(Destination {
            id: self.id()?,
            config,
        })
    }
}
