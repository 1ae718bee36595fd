//! Events.

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};

use super::{FLOW, parse_flow};
use crate::uapi::{IPCTNL_MSG_CT_DELETE, NFNL_SUBSYS_CTNETLINK};
use crate::{DecodeError, Flow};

/// The message type of a flow that ends.
pub const FLOW_GONE: u16 = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE;

/// Something that happened to a flow.
///
/// Displays as a line of `conntrack -E -o id`, without the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum FlowEvent {
    /// It is new.
    New(Flow),
    /// Its state, status bits, mark or timeout changed. A packet that only prolongs its life is not an event.
    Updated(Flow),
    /// It is gone: it ended, nobody used it, or it was deleted.
    Destroyed(Flow),
}

impl FlowEvent {
    /// The flow.
    #[must_use]
    pub const fn flow(&self) -> &Flow {
        match self {
            Self::New(flow) | Self::Updated(flow) | Self::Destroyed(flow) => flow,
        }
    }
}

/// Reads an event from its message type, the flags of its netlink header, and what follows the header; `None` if it
/// is not about a flow.
///
/// # Errors
/// As [`parse_flow`].
pub fn parse_event(
    message_type: u16,
    flags: u16,
    payload: &[u8],
) -> Result<Option<FlowEvent>, DecodeError> {
    let event = match message_type {
        FLOW if flags & (NLM_F_CREATE | NLM_F_EXCL) != 0 => FlowEvent::New,
        FLOW => FlowEvent::Updated,
        FLOW_GONE => FlowEvent::Destroyed,
        _ => return Ok(None),
    };
    parse_flow(payload).map(|flow| Some(event(flow)))
}
