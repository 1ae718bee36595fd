//! Attributes as they are on the wire: reading and writing them.

use std::net::IpAddr;

use netlink_packet_core::{Emitable, NLA_F_NESTED, Nla, NlaBuffer, NlasIterator};

#[allow(
    clippy::wildcard_imports,
    reason = "the kernel's names, all with a prefix of their own"
)]
use crate::uapi::*;
use crate::{Family, Layer4, Protocol, Tuple};

/// A reply that is not what the kernel's interface says. Kernels do not send such.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// Bytes that are cut off, or lengths that lead outside.
    #[error("the attributes of {inside} are cut off or have a wrong length")]
    Truncated {
        /// The kernel's name of the attribute that they are in, or `the message`.
        inside: &'static str,
    },
    /// An attribute that should be there.
    #[error("attribute {attribute} is missing")]
    Missing {
        /// The kernel's name of it.
        attribute: &'static str,
    },
    /// An attribute whose value is not of its type.
    #[error("attribute {attribute} has a value that is not of its type")]
    Value {
        /// The kernel's name of it.
        attribute: &'static str,
    },
    /// Two addresses of which one is IPv4 and one IPv6.
    #[error("{from} and {to} are not of one family")]
    Families {
        /// Where the packets come from.
        from: IpAddr,
        /// Where the packets go to.
        to: IpAddr,
    },
}

/// One attribute: its type, without flags, and its value.
pub(crate) struct Attribute<'a>(NlaBuffer<&'a [u8]>);

impl Attribute<'_> {
    pub(crate) fn kind(&self) -> u16 {
        self.0.kind()
    }

    pub(crate) fn value(&self) -> &[u8] {
        self.0.value()
    }

    fn array<const N: usize>(&self, attribute: &'static str) -> Result<[u8; N], DecodeError> {
        self.value()
            .try_into()
            .map_err(|_| DecodeError::Value { attribute })
    }

    fn u8(&self, attribute: &'static str) -> Result<u8, DecodeError> {
        self.array(attribute).map(u8::from_be_bytes)
    }

    pub(crate) fn u16(&self, attribute: &'static str) -> Result<u16, DecodeError> {
        self.array(attribute).map(u16::from_be_bytes)
    }

    pub(crate) fn u32(&self, attribute: &'static str) -> Result<u32, DecodeError> {
        self.array(attribute).map(u32::from_be_bytes)
    }

    fn ip<const N: usize>(&self, attribute: &'static str) -> Result<Option<IpAddr>, DecodeError>
    where
        IpAddr: From<[u8; N]>,
    {
        self.array::<N>(attribute).map(|octets| Some(octets.into()))
    }
}

/// The attributes in `bytes`, in order; after an error nothing more.
pub(crate) fn attributes<'a>(
    bytes: &'a [u8],
    inside: &'static str,
) -> impl Iterator<Item = Result<Attribute<'a>, DecodeError>> {
    NlasIterator::new(bytes).map(move |attribute| {
        attribute
            .map(Attribute)
            .map_err(|_| DecodeError::Truncated { inside })
    })
}

/// Reads a tuple, of which `inside` is the name.
pub(crate) fn decode_tuple(bytes: &[u8], inside: &'static str) -> Result<Tuple, DecodeError> {
    let (mut addresses, mut protocol, mut zone) = (None, None, None);
    for attribute in attributes(bytes, inside) {
        let attribute = attribute?;
        match attribute.kind() {
            CTA_TUPLE_IP => addresses = Some(decode_addresses(attribute.value())?),
            CTA_TUPLE_PROTO => protocol = Some(decode_protocol(attribute.value())?),
            CTA_TUPLE_ZONE => zone = Some(attribute.u16("CTA_TUPLE_ZONE")?),
            _ => {}
        }
    }
    let missing = |attribute| DecodeError::Missing { attribute };
    let (source, destination) = addresses.ok_or(missing("CTA_TUPLE_IP"))?;
    let (protocol, layer4) = protocol.ok_or(missing("CTA_TUPLE_PROTO"))?;
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
    for attribute in attributes(bytes, "CTA_TUPLE_IP") {
        let attribute = attribute?;
        match attribute.kind() {
            CTA_IP_V4_SRC => source = attribute.ip::<4>("CTA_IP_V4_SRC")?,
            CTA_IP_V4_DST => destination = attribute.ip::<4>("CTA_IP_V4_DST")?,
            CTA_IP_V6_SRC => source = attribute.ip::<16>("CTA_IP_V6_SRC")?,
            CTA_IP_V6_DST => destination = attribute.ip::<16>("CTA_IP_V6_DST")?,
            _ => {}
        }
    }
    let missing = |attribute| DecodeError::Missing { attribute };
    let source = source.ok_or(missing("CTA_IP_V4_SRC or CTA_IP_V6_SRC"))?;
    let destination = destination.ok_or(missing("CTA_IP_V4_DST or CTA_IP_V6_DST"))?;
    if Family::of(source) != Family::of(destination) {
        return Err(DecodeError::Families {
            from: source,
            to: destination,
        });
    }
    Ok((source, destination))
}

fn decode_protocol(bytes: &[u8]) -> Result<(Protocol, Layer4), DecodeError> {
    let (mut number, mut source, mut destination) = (None, None, None);
    let (mut id, mut kind, mut code) = (None, None, None);
    for attribute in attributes(bytes, "CTA_TUPLE_PROTO") {
        let attribute = attribute?;
        match attribute.kind() {
            CTA_PROTO_NUM => number = Some(attribute.u8("CTA_PROTO_NUM")?),
            CTA_PROTO_SRC_PORT => source = Some(attribute.u16("CTA_PROTO_SRC_PORT")?),
            CTA_PROTO_DST_PORT => destination = Some(attribute.u16("CTA_PROTO_DST_PORT")?),
            CTA_PROTO_ICMP_ID => id = Some(attribute.u16("CTA_PROTO_ICMP_ID")?),
            CTA_PROTO_ICMP_TYPE => kind = Some(attribute.u8("CTA_PROTO_ICMP_TYPE")?),
            CTA_PROTO_ICMP_CODE => code = Some(attribute.u8("CTA_PROTO_ICMP_CODE")?),
            CTA_PROTO_ICMPV6_ID => id = Some(attribute.u16("CTA_PROTO_ICMPV6_ID")?),
            CTA_PROTO_ICMPV6_TYPE => kind = Some(attribute.u8("CTA_PROTO_ICMPV6_TYPE")?),
            CTA_PROTO_ICMPV6_CODE => code = Some(attribute.u8("CTA_PROTO_ICMPV6_CODE")?),
            _ => {}
        }
    }
    let number = number.ok_or(DecodeError::Missing {
        attribute: "CTA_PROTO_NUM",
    })?;
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

/// An attribute to be written.
#[derive(Clone, Copy)]
pub(crate) enum Write {
    Tuple(u16, Tuple),
    Addresses(IpAddr, IpAddr),
    Protocol(Family, Protocol, Layer4),
    Ip(u16, IpAddr),
    U8(u16, u8),
    U16(u16, u16),
    U32(u16, u32),
}

impl Write {
    /// Of a nest: what is in it.
    fn inside(&self) -> [Option<Self>; 4] {
        match *self {
            Self::Tuple(_, tuple) => [
                Some(Self::Addresses(tuple.source, tuple.destination)),
                Some(Self::Protocol(
                    Family::of(tuple.source),
                    tuple.protocol,
                    tuple.layer4,
                )),
                tuple.zone.map(|zone| Self::U16(CTA_TUPLE_ZONE, zone)),
                None,
            ],
            Self::Addresses(source, destination) => {
                let by_family = |ip, v4, v6| match Family::of(ip) {
                    Family::Inet => Some(Self::Ip(v4, ip)),
                    Family::Inet6 => Some(Self::Ip(v6, ip)),
                };
                [
                    by_family(source, CTA_IP_V4_SRC, CTA_IP_V6_SRC),
                    by_family(destination, CTA_IP_V4_DST, CTA_IP_V6_DST),
                    None,
                    None,
                ]
            }
            Self::Protocol(family, protocol, layer4) => {
                let [first, second, third] = match (layer4, family) {
                    (
                        Layer4::Ports {
                            source,
                            destination,
                        },
                        _,
                    ) => [
                        Some(Self::U16(CTA_PROTO_SRC_PORT, source)),
                        Some(Self::U16(CTA_PROTO_DST_PORT, destination)),
                        None,
                    ],
                    // In the order that the kernel has them in.
                    (Layer4::Icmp { kind, code, id }, Family::Inet) => [
                        Some(Self::U8(CTA_PROTO_ICMP_CODE, code)),
                        Some(Self::U8(CTA_PROTO_ICMP_TYPE, kind)),
                        Some(Self::U16(CTA_PROTO_ICMP_ID, id)),
                    ],
                    (Layer4::Icmp { kind, code, id }, Family::Inet6) => [
                        Some(Self::U8(CTA_PROTO_ICMPV6_CODE, code)),
                        Some(Self::U8(CTA_PROTO_ICMPV6_TYPE, kind)),
                        Some(Self::U16(CTA_PROTO_ICMPV6_ID, id)),
                    ],
                    (Layer4::None, _) => [None; 3],
                };
                [
                    Some(Self::U8(CTA_PROTO_NUM, protocol.0)),
                    first,
                    second,
                    third,
                ]
            }
            Self::Ip(..) | Self::U8(..) | Self::U16(..) | Self::U32(..) => [None; 4],
        }
    }
}

impl Nla for Write {
    fn value_len(&self) -> usize {
        match self {
            Self::Tuple(..) | Self::Addresses(..) | Self::Protocol(..) => length(&self.inside()),
            Self::Ip(_, IpAddr::V4(_)) | Self::U32(..) => 4,
            Self::Ip(_, IpAddr::V6(_)) => 16,
            Self::U8(..) => 1,
            Self::U16(..) => 2,
        }
    }

    fn kind(&self) -> u16 {
        match *self {
            Self::Tuple(kind, _) => kind | NLA_F_NESTED,
            Self::Addresses(..) => CTA_TUPLE_IP | NLA_F_NESTED,
            Self::Protocol(..) => CTA_TUPLE_PROTO | NLA_F_NESTED,
            Self::Ip(kind, _) | Self::U8(kind, _) | Self::U16(kind, _) | Self::U32(kind, _) => kind,
        }
    }

    fn emit_value(&self, buffer: &mut [u8]) {
        match *self {
            Self::Tuple(..) | Self::Addresses(..) | Self::Protocol(..) => {
                emit(&self.inside(), buffer);
            }
            Self::Ip(_, IpAddr::V4(ip)) => buffer.copy_from_slice(&ip.octets()),
            Self::Ip(_, IpAddr::V6(ip)) => buffer.copy_from_slice(&ip.octets()),
            Self::U8(_, value) => buffer.copy_from_slice(&value.to_be_bytes()),
            Self::U16(_, value) => buffer.copy_from_slice(&value.to_be_bytes()),
            Self::U32(_, value) => buffer.copy_from_slice(&value.to_be_bytes()),
        }
    }
}

/// Bytes of those attributes that are there.
pub(crate) fn length(attributes: &[Option<Write>]) -> usize {
    attributes.iter().flatten().map(Emitable::buffer_len).sum()
}

/// Writes those attributes that are there, one after the other.
pub(crate) fn emit(attributes: &[Option<Write>], buffer: &mut [u8]) {
    let mut rest = buffer;
    for attribute in attributes.iter().flatten() {
        let Some((room, after)) = rest.split_at_mut_checked(attribute.buffer_len()) else {
            return;
        };
        attribute.emit(room);
        rest = after;
    }
}
