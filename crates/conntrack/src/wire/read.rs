//! Reading tuples.

use std::net::IpAddr;

use netlink_wire::{DecodeError, Family, Names, Problem, Protocol, require, walk};

#[allow(
    clippy::wildcard_imports,
    reason = "the kernel's names, all with a prefix of their own"
)]
use crate::uapi::*;
use crate::{Layer4, Tuple};

const NAMES_IN_TUPLE: &Names = &[
    (CTA_TUPLE_IP, "CTA_TUPLE_IP"),
    (CTA_TUPLE_PROTO, "CTA_TUPLE_PROTO"),
    (CTA_TUPLE_ZONE, "CTA_TUPLE_ZONE"),
];

const NAMES_IN_IP: &Names = &[
    (CTA_IP_V4_SRC, "CTA_IP_V4_SRC"),
    (CTA_IP_V4_DST, "CTA_IP_V4_DST"),
    (CTA_IP_V6_SRC, "CTA_IP_V6_SRC"),
    (CTA_IP_V6_DST, "CTA_IP_V6_DST"),
];

const NAMES_IN_PROTO: &Names = &[
    (CTA_PROTO_NUM, "CTA_PROTO_NUM"),
    (CTA_PROTO_SRC_PORT, "CTA_PROTO_SRC_PORT"),
    (CTA_PROTO_DST_PORT, "CTA_PROTO_DST_PORT"),
    (CTA_PROTO_ICMP_ID, "CTA_PROTO_ICMP_ID"),
    (CTA_PROTO_ICMP_TYPE, "CTA_PROTO_ICMP_TYPE"),
    (CTA_PROTO_ICMP_CODE, "CTA_PROTO_ICMP_CODE"),
    (CTA_PROTO_ICMPV6_ID, "CTA_PROTO_ICMPV6_ID"),
    (CTA_PROTO_ICMPV6_TYPE, "CTA_PROTO_ICMPV6_TYPE"),
    (CTA_PROTO_ICMPV6_CODE, "CTA_PROTO_ICMPV6_CODE"),
];

/// Reads a tuple, of which `nest` is the name.
pub(crate) fn decode_tuple(bytes: &[u8], nest: &'static str) -> Result<Tuple, DecodeError> {
    let (mut addresses, mut protocol, mut zone) = (None, None, None);
    walk(bytes, nest, NAMES_IN_TUPLE, |attribute| {
        match attribute.kind() {
            CTA_TUPLE_IP => addresses = Some(decode_addresses(attribute.value())?),
            CTA_TUPLE_PROTO => protocol = Some(decode_protocol(attribute.value())?),
            CTA_TUPLE_ZONE => zone = Some(attribute.u16_be()?),
            _ => {}
        }
        Ok(())
    })?;
    let (source, destination) = require(addresses, "CTA_TUPLE_IP")?;
    let (protocol, layer4) = require(protocol, "CTA_TUPLE_PROTO")?;
    Ok(Tuple {
        source,
        destination,
        protocol,
        layer4,
        zone,
    })
}

fn decode_addresses(bytes: &[u8]) -> Result<(IpAddr, IpAddr), DecodeError> {
    let (mut source, mut destination) = (None, None);
    walk(bytes, "CTA_TUPLE_IP", NAMES_IN_IP, |attribute| {
        match attribute.kind() {
            CTA_IP_V4_SRC => source = Some(IpAddr::V4(attribute.ipv4()?)),
            CTA_IP_V4_DST => destination = Some(IpAddr::V4(attribute.ipv4()?)),
            CTA_IP_V6_SRC => source = Some(IpAddr::V6(attribute.ipv6()?)),
            CTA_IP_V6_DST => destination = Some(IpAddr::V6(attribute.ipv6()?)),
            _ => {}
        }
        Ok(())
    })?;
    let source = require(source, "CTA_IP_V4_SRC or CTA_IP_V6_SRC")?;
    let destination = require(destination, "CTA_IP_V4_DST or CTA_IP_V6_DST")?;
    if Family::of(source) != Family::of(destination) {
        let expected = "two addresses of one family";
        return Err(Problem::Invalid { expected }.of("CTA_TUPLE_IP"));
    }
    Ok((source, destination))
}

fn decode_protocol(bytes: &[u8]) -> Result<(Protocol, Layer4), DecodeError> {
    let (mut number, mut source, mut destination) = (None, None, None);
    let (mut id, mut kind, mut code) = (None, None, None);
    walk(bytes, "CTA_TUPLE_PROTO", NAMES_IN_PROTO, |attribute| {
        match attribute.kind() {
            CTA_PROTO_NUM => number = Some(attribute.u8()?),
            CTA_PROTO_SRC_PORT => source = Some(attribute.u16_be()?),
            CTA_PROTO_DST_PORT => destination = Some(attribute.u16_be()?),
            CTA_PROTO_ICMP_ID | CTA_PROTO_ICMPV6_ID => id = Some(attribute.u16_be()?),
            CTA_PROTO_ICMP_TYPE | CTA_PROTO_ICMPV6_TYPE => kind = Some(attribute.u8()?),
            CTA_PROTO_ICMP_CODE | CTA_PROTO_ICMPV6_CODE => code = Some(attribute.u8()?),
            _ => {}
        }
        Ok(())
    })?;
    let number = require(number, "CTA_PROTO_NUM")?;
    let layer4 = match (source, destination, kind, code, id) {
        (Some(source), Some(destination), ..) => Layer4::Ports {
            source,
            destination,
        },
        (_, _, Some(kind), Some(code), Some(id)) => Layer4::Icmp { kind, code, id },
        _ => Layer4::None,
    };
    Ok((Protocol(number), layer4))
}
