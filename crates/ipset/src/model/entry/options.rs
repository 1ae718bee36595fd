//! Options of an entry.

use std::fmt;

use crate::{Comment, SetName};

/// Options of one entry. All are optional; the default is none of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct EntryOptions {
    /// Seconds until it expires, 0 for never; `None` for the set's default.
    pub timeout: Option<u32>,
    /// The exception to a larger network: packets that match this do not match the set.
    pub nomatch: bool,
    /// Packets and bytes counted so far.
    pub counters: Option<Counters>,
    /// Text for people.
    pub comment: Option<Comment>,
    /// What the `SET` target copies to packets; all zero for none.
    pub skbinfo: SkbInfo,
    /// Place in a `list:set`; only in requests, never read back.
    pub position: Option<Position>,
}

/// What an entry counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Counters {
    /// Packets that matched.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// What the `SET` target of iptables copies from an entry to packets (`--map-set`). A zero means:
/// not given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct SkbInfo {
    /// Bits of the packet mark to set.
    pub mark: u32,
    /// Bits of the packet mark to replace.
    pub mark_mask: u32,
    /// Traffic class (`skb->priority`): major in the high half, minor in the low half.
    pub priority: u32,
    /// Hardware queue.
    pub queue: u16,
}

/// Where in a `list:set` a member goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Position {
    /// Right before this member.
    Before(SetName),
    /// Right behind this member.
    After(SetName),
}

/// For entries without options.
pub(super) static NO_OPTIONS: EntryOptions = EntryOptions {
    timeout: None,
    nomatch: false,
    counters: None,
    comment: None,
    skbinfo: SkbInfo {
        mark: 0,
        mark_mask: 0,
        priority: 0,
        queue: 0,
    },
    position: None,
};

impl SkbInfo {
    /// With a packet mark: the bits of `mark` that are set in `mask` replace those of the packet's.
    #[must_use]
    pub fn with_mark(mut self, mark: u32, mask: u32) -> Self {
        (self.mark, self.mark_mask) = (mark, mask);
        self
    }

    /// With a traffic class.
    #[must_use]
    pub fn with_priority(mut self, major: u16, minor: u16) -> Self {
        self.priority = u32::from(major) << 16 | u32::from(minor);
        self
    }

    /// With a hardware queue.
    #[must_use]
    pub fn with_queue(mut self, queue: u16) -> Self {
        self.queue = queue;
        self
    }
}

impl fmt::Display for SkbInfo {
    /// As options of an entry, each with a space before it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.mark, self.mark_mask) {
            (0, 0) => {}
            (mark, u32::MAX) => write!(f, " skbmark {mark:#x}")?,
            (mark, mask) => write!(f, " skbmark {mark:#x}/{mask:#x}")?,
        }
        if self.priority != 0 {
            write!(
                f,
                " skbprio {:x}:{:x}",
                self.priority >> 16,
                self.priority & 0xffff
            )?;
        }
        if self.queue != 0 {
            write!(f, " skbqueue {}", self.queue)?;
        }
        Ok(())
    }
}
