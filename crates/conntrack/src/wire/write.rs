//! Writing tuples.

use std::net::IpAddr;

use netlink_wire::{Family, Writer};

#[allow(
    clippy::wildcard_imports,
    reason = "the kernel's names, all with a prefix of their own"
)]
use crate::uapi::*;
use crate::{Layer4, Tuple};

/// Writes a tuple as the attribute of this type, in the kernel's order.
pub(crate) fn encode_tuple(writer: &mut Writer<'_>, kind: u16, tuple: &Tuple) {
    writer.nest(kind, |writer| {
        writer.nest(CTA_TUPLE_IP, |writer| {
            encode_address(writer, tuple.source, CTA_IP_V4_SRC, CTA_IP_V6_SRC);
            encode_address(writer, tuple.destination, CTA_IP_V4_DST, CTA_IP_V6_DST);
        });
        writer.nest(CTA_TUPLE_PROTO, |writer| encode_protocol(writer, tuple));
        if let Some(zone) = tuple.zone {
            writer.u16_be(CTA_TUPLE_ZONE, zone);
        }
    });
}

fn encode_address(writer: &mut Writer<'_>, address: IpAddr, v4: u16, v6: u16) {
    let kind = match Family::of(address) {
        Family::V4 => v4,
        Family::V6 => v6,
    };
    writer.ip(kind, address);
}

fn encode_protocol(writer: &mut Writer<'_>, tuple: &Tuple) {
    writer.u8(CTA_PROTO_NUM, tuple.protocol.0);
    match tuple.layer4 {
        Layer4::Ports {
            source,
            destination,
        } => {
            writer.u16_be(CTA_PROTO_SRC_PORT, source);
            writer.u16_be(CTA_PROTO_DST_PORT, destination);
        }
        Layer4::Icmp { kind, code, id } => {
            let (code_type, kind_type, id_type) = match tuple.family() {
                Family::V4 => (CTA_PROTO_ICMP_CODE, CTA_PROTO_ICMP_TYPE, CTA_PROTO_ICMP_ID),
                Family::V6 => (
                    CTA_PROTO_ICMPV6_CODE,
                    CTA_PROTO_ICMPV6_TYPE,
                    CTA_PROTO_ICMPV6_ID,
                ),
            };
            writer.u8(code_type, code);
            writer.u8(kind_type, kind);
            writer.u16_be(id_type, id);
        }
        Layer4::None => {}
    }
}
