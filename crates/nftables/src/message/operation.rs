//! Changes.

use std::fmt;

use netlink_packet_core::{Emitable, NLM_F_APPEND, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE};
use netlink_wire::{Writer, measure};

use super::{Item, header, message_type};

/// What is done with an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verb {
    /// It is made, unless it exists. A rule is appended to its chain, or comes behind the rule of its
    /// `position`.
    Add,
    /// It is made, and must not exist.
    Create,
    /// A rule is put in front of its chain, or of the rule of its `position`.
    Insert,
    /// A rule takes the place of the one with its `handle`.
    Replace,
    /// It is deleted, and must exist. A rule without `handle` stands for all rules of its chain or table,
    /// a list of elements without any for all elements.
    Delete,
    /// It is deleted if it exists. From Linux 6.3.
    Destroy,
}

impl Verb {
    const fn word(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Create => "create",
            Self::Insert => "insert",
            Self::Replace => "replace",
            Self::Delete => "delete",
            Self::Destroy => "destroy",
        }
    }
}

/// One change: something done with an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// What is done.
    pub verb: Verb,
    /// With what.
    pub item: Item,
}

impl Operation {
    /// `nlmsg_type`.
    #[must_use]
    pub const fn message_type(&self) -> u16 {
        let (new, delete, destroy) = self.item.commands();
        message_type(match self.verb {
            Verb::Delete => delete,
            Verb::Destroy => destroy,
            _ => new,
        })
    }

    /// `nlmsg_flags`, beside `NLM_F_REQUEST` and `NLM_F_ACK`.
    #[must_use]
    pub const fn flags(&self) -> u16 {
        match (self.verb, &self.item) {
            (Verb::Add, Item::Rule(_)) => NLM_F_CREATE | NLM_F_APPEND,
            (Verb::Create, Item::Rule(_)) => NLM_F_CREATE | NLM_F_APPEND | NLM_F_EXCL,
            (Verb::Add | Verb::Insert, _) => NLM_F_CREATE,
            (Verb::Create, _) => NLM_F_CREATE | NLM_F_EXCL,
            (Verb::Replace, _) => NLM_F_REPLACE,
            (Verb::Delete | Verb::Destroy, _) => 0,
        }
    }

    /// Writes the attributes as far as the buffer reaches, behind the header of nfnetlink.
    fn encode(&self, writer: &mut Writer<'_>) {
        writer.header(header(self.item.family()));
        match self.verb {
            Verb::Delete | Verb::Destroy => self.item.identity().encode(writer),
            _ => self.item.encode_request(writer),
        }
    }

    /// Whether an attribute is too long for its header.
    pub(crate) fn overflows(&self) -> bool {
        let mut writer = Writer::new(&mut []);
        self.encode(&mut writer);
        writer.overflowed()
    }
}

/// Emits what follows the netlink header.
impl Emitable for Operation {
    fn buffer_len(&self) -> usize {
        measure(|writer| self.encode(writer))
    }

    fn emit(&self, buffer: &mut [u8]) {
        self.encode(&mut Writer::new(buffer));
    }
}

/// As `nft` would have it, without the details: `add chain ip t pre`.
impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.verb.word(), self.item)
    }
}
