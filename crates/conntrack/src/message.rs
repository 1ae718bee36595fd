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

use crate::uapi::{
    CTA_ID, CTA_TUPLE_ORIG, CTA_TUPLE_REPLY, CTA_ZONE, IPCTNL_MSG_CT_DELETE, IPCTNL_MSG_CT_GET,
    IPCTNL_MSG_CT_NEW, NFNL_SUBSYS_CTNETLINK,
};
use crate::wire::{DecodeError, Write, attributes, decode_tuple, emit, length};
use crate::{Family, Flow, Target};

/// Length of the header of nfnetlink, `struct nfgenmsg`.
const HEADER_LEN: usize = 4;

/// The message type of flows in a listing.
pub const FLOW: u16 = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_NEW;

/// What can be asked of the kernel.
///
/// Deleting all flows, which it would also do, cannot be said here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Request {
    /// All flows of a family.
    List(Family),
    /// The end of one flow.
    Delete(Target),
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

    fn family(&self) -> Family {
        match self {
            Self::List(family) => *family,
            Self::Delete(target) => Family::of(target.original.source),
        }
    }

    fn attributes(&self) -> [Option<Write>; 4] {
        match self {
            Self::List(_) => [None; 4],
            Self::Delete(target) => [
                Some(Write::Tuple(CTA_TUPLE_ORIG, target.original)),
                zone(target.zone),
                target.id.map(|id| Write::U32(CTA_ID, id)),
                None,
            ],
        }
    }
}

impl Emitable for Request {
    fn buffer_len(&self) -> usize {
        HEADER_LEN + length(&self.attributes())
    }

    fn emit(&self, buffer: &mut [u8]) {
        emit_message(self.family(), &self.attributes(), buffer);
    }
}

/// Flows emit what [`parse_flow`] reads.
impl Emitable for Flow {
    fn buffer_len(&self) -> usize {
        HEADER_LEN + length(&flow_attributes(self))
    }

    fn emit(&self, buffer: &mut [u8]) {
        emit_message(self.family(), &flow_attributes(self), buffer);
    }
}

fn flow_attributes(flow: &Flow) -> [Option<Write>; 4] {
    [
        Some(Write::Tuple(CTA_TUPLE_ORIG, flow.original)),
        Some(Write::Tuple(CTA_TUPLE_REPLY, flow.reply)),
        zone(flow.zone),
        flow.id.map(|id| Write::U32(CTA_ID, id)),
    ]
}

/// The default zone is not mentioned: kernels without zones know no other.
fn zone(zone: u16) -> Option<Write> {
    (zone != 0).then_some(Write::U16(CTA_ZONE, zone))
}

fn emit_message(family: Family, attributes: &[Option<Write>], buffer: &mut [u8]) {
    // Family, version 0 (`NFNETLINK_V0`), resource id 0.
    if let Some((header, rest)) = buffer.split_first_chunk_mut::<HEADER_LEN>() {
        *header = [family.number(), 0, 0, 0];
        emit(attributes, rest);
    }
}

/// Reads a flow from what follows the netlink header of a message of type [`FLOW`].
///
/// # Errors
/// [`DecodeError`]: the payload is cut short, or one of the two tuples is missing or malformed.
pub fn parse_flow(payload: &[u8]) -> Result<Flow, DecodeError> {
    let (mut original, mut reply, mut zone, mut id) = (None, None, 0, None);
    let rest = payload.get(HEADER_LEN..).ok_or(DecodeError::Truncated {
        inside: "the message",
    })?;
    for attribute in attributes(rest, "the message") {
        let attribute = attribute?;
        let value = attribute.value();
        match attribute.kind() {
            CTA_TUPLE_ORIG => original = Some(decode_tuple(value, "CTA_TUPLE_ORIG")?),
            CTA_TUPLE_REPLY => reply = Some(decode_tuple(value, "CTA_TUPLE_REPLY")?),
            CTA_ZONE => zone = attribute.u16("CTA_ZONE")?,
            CTA_ID => id = Some(attribute.u32("CTA_ID")?),
            _ => {}
        }
    }
    let missing = |attribute| DecodeError::Missing { attribute };
    Ok(Flow {
        original: original.ok_or(missing("CTA_TUPLE_ORIG"))?,
        reply: reply.ok_or(missing("CTA_TUPLE_REPLY"))?,
        zone,
        id,
    })
}

#[cfg(test)]
mod tests;
