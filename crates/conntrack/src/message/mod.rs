//! The messages of connection tracking, without a socket.
//!
//! A [`Request`] is sent with [`Request::message_type`] and [`Request::flags`] in its netlink
//! header; what it emits begins with the header of nfnetlink. Flows are read with [`parse_flow`].
//!
//! ```
//! use conntrack_netlink::message::Request;
//! use conntrack_netlink::{Protocol, Tuple};
//! use netlink_packet_core::Emitable;
//!
//! let dns = Tuple::ports(
//!     Protocol::UDP,
//!     ("10.0.0.1".parse()?, 40000),
//!     ("10.96.0.10".parse()?, 53),
//! );
//! let request = Request::Delete(dns.into());
//! assert_eq!((request.message_type(), request.buffer_len()), (0x102, 56));
//! # Ok::<(), std::net::AddrParseError>(())
//! ```

use netlink_packet_core::{Emitable, NLM_F_DUMP};
use netlink_wire::{DecodeError, Family, Names, Problem, Writer, measure, require, walk};

use crate::uapi::{
    CTA_ID, CTA_TUPLE_ORIG, CTA_TUPLE_REPLY, CTA_ZONE, IPCTNL_MSG_CT_DELETE, IPCTNL_MSG_CT_GET,
    IPCTNL_MSG_CT_NEW, NFNL_SUBSYS_CTNETLINK,
};
use crate::wire::{decode_tuple, encode_tuple};
use crate::{Flow, FlowKey};

/// Length of the header of nfnetlink, `struct nfgenmsg`.
const HEADER_LEN: usize = 4;

const NAMES: &Names = &[
    (CTA_TUPLE_ORIG, "CTA_TUPLE_ORIG"),
    (CTA_TUPLE_REPLY, "CTA_TUPLE_REPLY"),
    (CTA_ZONE, "CTA_ZONE"),
    (CTA_ID, "CTA_ID"),
];

/// The message type of flows in a listing.
pub const FLOW: u16 = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_NEW;

/// A request.
///
/// There is none that deletes all flows, although the kernel has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Request {
    /// Lists all flows of a family.
    List(Family),
    /// Deletes one flow.
    Delete(FlowKey),
}

impl Request {
    /// `nlmsg_type`.
    #[must_use]
    pub const fn message_type(&self) -> u16 {
        let command = match self {
            Self::List(_) => IPCTNL_MSG_CT_GET,
            Self::Delete(_) => IPCTNL_MSG_CT_DELETE,
        };
        NFNL_SUBSYS_CTNETLINK << 8 | command
    }

    /// `nlmsg_flags`, beside `NLM_F_REQUEST` and `NLM_F_ACK`.
    #[must_use]
    pub const fn flags(&self) -> u16 {
        match self {
            Self::List(_) => NLM_F_DUMP,
            Self::Delete(_) => 0,
        }
    }

    fn encode(&self, writer: &mut Writer<'_>) {
        match self {
            Self::List(family) => encode_header(writer, *family),
            Self::Delete(key) => {
                encode_header(writer, key.original.family());
                encode_tuple(writer, CTA_TUPLE_ORIG, &key.original);
                encode_zone_and_id(writer, key.zone, key.id);
            }
        }
    }
}

impl Emitable for Request {
    fn buffer_len(&self) -> usize {
        measure(|writer| self.encode(writer))
    }

    fn emit(&self, buffer: &mut [u8]) {
        self.encode(&mut Writer::new(buffer));
    }
}

fn encode_flow(flow: &Flow, writer: &mut Writer<'_>) {
    encode_header(writer, flow.family());
    encode_tuple(writer, CTA_TUPLE_ORIG, &flow.original);
    encode_tuple(writer, CTA_TUPLE_REPLY, &flow.reply);
    encode_zone_and_id(writer, flow.zone, flow.id);
}

/// Flows emit what [`parse_flow`] reads.
impl Emitable for Flow {
    fn buffer_len(&self) -> usize {
        measure(|writer| encode_flow(self, writer))
    }

    fn emit(&self, buffer: &mut [u8]) {
        encode_flow(self, &mut Writer::new(buffer));
    }
}

/// Family, version 0 (`NFNETLINK_V0`), resource id 0.
fn encode_header(writer: &mut Writer<'_>, family: Family) {
    writer.header([family.number(), 0, 0, 0]);
}

/// The default zone is left out, as kernels without zones reject any.
fn encode_zone_and_id(writer: &mut Writer<'_>, zone: u16, id: Option<u32>) {
    if zone != 0 {
        writer.u16_be(CTA_ZONE, zone);
    }
    if let Some(id) = id {
        writer.u32_be(CTA_ID, id);
    }
}

/// Reads a flow from what follows the netlink header of a message of type [`FLOW`].
///
/// # Errors
/// [`DecodeError`]: the payload is cut off, or one of the two tuples is missing or malformed.
pub fn parse_flow(payload: &[u8]) -> Result<Flow, DecodeError> {
    let (mut original, mut reply, mut zone, mut id) = (None, None, 0, None);
    let cut = Problem::Length {
        expected: HEADER_LEN,
        found: payload.len(),
    };
    let attributes = payload.get(HEADER_LEN..).ok_or(cut.of("nfgenmsg"))?;
    walk(attributes, "the message", NAMES, |attribute| {
        let value = attribute.value();
        match attribute.kind() {
            CTA_TUPLE_ORIG => original = Some(decode_tuple(value, "CTA_TUPLE_ORIG")?),
            CTA_TUPLE_REPLY => reply = Some(decode_tuple(value, "CTA_TUPLE_REPLY")?),
            CTA_ZONE => zone = attribute.u16_be()?,
            CTA_ID => id = Some(attribute.u32_be()?),
            _ => {}
        }
        Ok(())
    })?;
    Ok(Flow {
        original: require(original, "CTA_TUPLE_ORIG")?,
        reply: require(reply, "CTA_TUPLE_REPLY")?,
        zone,
        id,
    })
}

#[cfg(test)]
mod tests;
