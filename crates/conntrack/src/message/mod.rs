//! The messages of connection tracking, without a socket.
//!
//! A [`Request`] is sent with [`Request::message_type`] and [`Request::flags`] in its netlink
//! header; what it emits begins with the header of nfnetlink. Flows are read with [`parse_flow`], events with
//! [`parse_event`].
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

mod event;
mod request;

use std::net::{IpAddr, Ipv4Addr};

use netlink_packet_core::Emitable;
use netlink_wire::{DecodeError, Family, Names, Problem, Writer, measure, require, walk};

#[allow(
    clippy::wildcard_imports,
    reason = "the kernel's names, all with a prefix of their own"
)]
use crate::uapi::*;
use crate::wire::{decode_detail, decode_tuple, encode_details, encode_tuple};
use crate::{Flow, Layer4, Protocol, Tuple};

pub use event::{FLOW_GONE, FlowEvent, parse_event};
pub use request::Request;

/// Length of the header of nfnetlink, `struct nfgenmsg`.
const HEADER_LEN: usize = 4;

const NAMES: &Names = &[
    (CTA_TUPLE_ORIG, "CTA_TUPLE_ORIG"),
    (CTA_TUPLE_REPLY, "CTA_TUPLE_REPLY"),
    (CTA_STATUS, "CTA_STATUS"),
    (CTA_PROTOINFO, "CTA_PROTOINFO"),
    (CTA_TIMEOUT, "CTA_TIMEOUT"),
    (CTA_MARK, "CTA_MARK"),
    (CTA_COUNTERS_ORIG, "CTA_COUNTERS_ORIG"),
    (CTA_COUNTERS_REPLY, "CTA_COUNTERS_REPLY"),
    (CTA_USE, "CTA_USE"),
    (CTA_ID, "CTA_ID"),
    (CTA_ZONE, "CTA_ZONE"),
    (CTA_TIMESTAMP, "CTA_TIMESTAMP"),
];

/// The message type of flows in a listing.
pub const FLOW: u16 = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_NEW;

fn encode_flow(flow: &Flow, writer: &mut Writer<'_>) {
    encode_header(writer, flow.family());
    encode_tuple(writer, CTA_TUPLE_ORIG, &flow.original);
    encode_tuple(writer, CTA_TUPLE_REPLY, &flow.reply);
    encode_zone_and_id(writer, flow.zone, flow.id);
    encode_details(writer, flow);
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
/// [`DecodeError`]: the payload is cut off, one of the two tuples is missing, or an attribute is malformed.
pub fn parse_flow(payload: &[u8]) -> Result<Flow, DecodeError> {
    let cut = Problem::Length {
        expected: HEADER_LEN,
        found: payload.len(),
    };
    let attributes = payload.get(HEADER_LEN..).ok_or(cut.of("nfgenmsg"))?;
    let (mut original, mut reply) = (None, None);
    let mut flow = Flow::new(NO_TUPLE, NO_TUPLE);
    walk(attributes, "the message", NAMES, |attribute| {
        let value = attribute.value();
        match attribute.kind() {
            CTA_TUPLE_ORIG => original = Some(decode_tuple(value, "CTA_TUPLE_ORIG")?),
            CTA_TUPLE_REPLY => reply = Some(decode_tuple(value, "CTA_TUPLE_REPLY")?),
            CTA_ZONE => flow.zone = attribute.u16_be()?,
            CTA_ID => flow.id = Some(attribute.u32_be()?),
            _ => decode_detail(attribute, &mut flow)?,
        }
        Ok(())
    })?;
    flow.original = require(original, "CTA_TUPLE_ORIG")?;
    flow.reply = require(reply, "CTA_TUPLE_REPLY")?;
    Ok(flow)
}

/// What stands for a tuple until it is read.
const NO_TUPLE: Tuple = Tuple::new(
    Protocol(0),
    IpAddr::V4(Ipv4Addr::UNSPECIFIED),
    IpAddr::V4(Ipv4Addr::UNSPECIFIED),
    Layer4::None,
);

#[cfg(test)]
mod detail_tests;
#[cfg(test)]
mod tests;
