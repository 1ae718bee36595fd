//! Flows, and what identifies them.

use std::time::{Duration, SystemTime};

use netlink_wire::Family;

use crate::{ProtocolState, Status, Tuple};

/// A flow that the kernel tracks: a connection, or what comes nearest to one.
///
/// Displays as `conntrack` prints it, without counters, marks, states and timeouts; with them in the alternate form
/// (`{:#}`), which is a line of `conntrack -L -o id`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Flow {
    /// The packets of the side that began, as they were before any translation.
    pub original: Tuple,
    /// The packets of the other side, before they are translated back: their source is the address that
    /// the flow was sent to.
    pub reply: Tuple,
    /// The zone of both directions; 0 is the default.
    pub zone: u16,
    /// The kernel's number of the flow, which an earlier or later flow with the same tuples does not
    /// share.
    pub id: Option<u32>,
    /// Status bits.
    pub status: Option<Status>,
    /// In how long it is forgotten unless packets come, in whole seconds. An event of a flow that is gone may lack
    /// it.
    pub timeout: Option<Duration>,
    /// The state of its protocol, if it has one.
    pub state: Option<ProtocolState>,
    /// Its mark. Events lack it where it is 0.
    pub mark: Option<u32>,
    /// The packets of the original direction so far, if the kernel counts (sysctl
    /// `net.netfilter.nf_conntrack_acct`, at the time of the first packet).
    pub original_counters: Option<Counters>,
    /// The packets of the reply direction, likewise.
    pub reply_counters: Option<Counters>,
    /// When it began, if the kernel takes the time (sysctl `net.netfilter.nf_conntrack_timestamp`).
    pub started: Option<SystemTime>,
    /// When it ended: in the event of its end, if the kernel takes the time.
    pub ended: Option<SystemTime>,
    /// How many parts of the kernel refer to it. Events lack it.
    pub uses: Option<u32>,
}

/// What a flow has carried in one direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Counters {
    /// Packets.
    pub packets: u64,
    /// Bytes, with the headers of IP.
    pub bytes: u64,
}

impl Flow {
    /// A flow in the default zone, of which nothing else is known.
    #[must_use]
    pub const fn new(original: Tuple, reply: Tuple) -> Self {
        Self {
            original,
            reply,
            zone: 0,
            id: None,
            status: None,
            timeout: None,
            state: None,
            mark: None,
            original_counters: None,
            reply_counters: None,
            started: None,
            ended: None,
            uses: None,
        }
    }

    /// Its family.
    #[must_use]
    pub const fn family(&self) -> Family {
        self.original.family()
    }

    /// What identifies it.
    #[must_use]
    pub const fn key(&self) -> FlowKey {
        FlowKey {
            original: self.original,
            zone: self.zone,
            id: self.id,
        }
    }
}

/// What identifies a flow, for deleting it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct FlowKey {
    /// The original tuple.
    pub original: Tuple,
    /// The zone of both directions; 0 is the default.
    pub zone: u16,
    /// The kernel's number of the flow. Without it, a later flow with the same tuple matches too.
    pub id: Option<u32>,
}

impl FlowKey {
    /// Whatever flow has this original tuple, in the default zone.
    #[must_use]
    pub const fn new(original: Tuple) -> Self {
        Self {
            original,
            zone: 0,
            id: None,
        }
    }

    /// The same in another zone.
    #[must_use]
    pub const fn in_zone(mut self, zone: u16) -> Self {
        self.zone = zone;
        self
    }

    /// The same for the flow of this id only.
    #[must_use]
    pub const fn with_id(mut self, id: u32) -> Self {
        self.id = Some(id);
        self
    }
}

impl From<&Flow> for FlowKey {
    fn from(flow: &Flow) -> Self {
        flow.key()
    }
}

impl From<Tuple> for FlowKey {
    /// As [`FlowKey::new`].
    fn from(original: Tuple) -> Self {
        Self::new(original)
    }
}
