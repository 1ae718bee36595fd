//! What messages are about, and reading them.

use std::fmt;

use netlink_packet_core::Emitable;
use netlink_wire::{DecodeError, Problem, Writer, measure};

use crate::model::{
    Chain, Elements, Flowtable, Generation, Name, Object, Rule, Set, Table, TableFamily,
};
#[allow(
    clippy::wildcard_imports,
    reason = "the kernel's names, all with a prefix of their own"
)]
use crate::uapi::*;
use crate::wire::Attributes;

/// Bytes of the header of nfnetlink, `struct nfgenmsg`.
const HEADER_LEN: usize = 4;

macro_rules! items {
    ($($variant:ident, $new:ident, $delete:ident, $destroy:ident;)*) => {
        /// What a message makes, deletes or describes.
        #[derive(Debug, Clone, PartialEq, Eq)]
        #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
        #[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
        pub enum Item {
            $(#[doc = concat!("See [`", stringify!($variant), "`].")] $variant($variant),)*
        }

        $(impl From<$variant> for Item {
            fn from(item: $variant) -> Self {
                Self::$variant(item)
            }
        })*

        impl Item {
            /// The family of its table.
            #[must_use]
            pub const fn family(&self) -> TableFamily {
                match self {
                    $(Self::$variant(item) => item.family,)*
                }
            }

            pub(super) fn encode(&self, writer: &mut Writer<'_>) {
                match self {
                    $(Self::$variant(item) => item.encode(writer),)*
                }
            }

            /// The commands that make, delete and destroy such an item.
            pub(super) const fn commands(&self) -> (u16, u16, u16) {
                match self {
                    $(Self::$variant(_) => ($new, $delete, $destroy),)*
                }
            }
        }

        /// Reads a message of nf_tables, by its type and by what follows its netlink header.
        ///
        /// # Errors
        /// [`DecodeError`]: the payload is cut off, or an attribute is missing or malformed.
        pub fn parse(message_type: u16, payload: &[u8]) -> Result<Reply, DecodeError> {
            let cut = Problem::Length { expected: HEADER_LEN, found: payload.len() };
            let (header, attributes) =
                payload.split_first_chunk::<HEADER_LEN>().ok_or(cut.of("nfgenmsg"))?;
            let family = TableFamily(header[0]);
            if message_type >> 8 != NFNL_SUBSYS_NFTABLES {
                return Ok(Reply::Other(message_type));
            }
            match message_type & 0xff {
                $($new | $delete => {
                    let mut item = $variant::decode(attributes)?;
                    item.family = family;
                    let item = Item::$variant(item);
                    Ok(if message_type & 0xff == $new { Reply::New(item) } else { Reply::Deleted(item) })
                })*
                NFT_MSG_NEWGEN => Generation::decode(attributes).map(Reply::Generation),
                _ => Ok(Reply::Other(message_type)),
            }
        }
    };
}

items! {
    Table, NFT_MSG_NEWTABLE, NFT_MSG_DELTABLE, NFT_MSG_DESTROYTABLE;
    Chain, NFT_MSG_NEWCHAIN, NFT_MSG_DELCHAIN, NFT_MSG_DESTROYCHAIN;
    Rule, NFT_MSG_NEWRULE, NFT_MSG_DELRULE, NFT_MSG_DESTROYRULE;
    Set, NFT_MSG_NEWSET, NFT_MSG_DELSET, NFT_MSG_DESTROYSET;
    Elements, NFT_MSG_NEWSETELEM, NFT_MSG_DELSETELEM, NFT_MSG_DESTROYSETELEM;
    Object, NFT_MSG_NEWOBJ, NFT_MSG_DELOBJ, NFT_MSG_DESTROYOBJ;
    Flowtable, NFT_MSG_NEWFLOWTABLE, NFT_MSG_DELFLOWTABLE, NFT_MSG_DESTROYFLOWTABLE;
}

/// A message of the kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reply {
    /// The item exists, or was made.
    New(Item),
    /// The item was deleted.
    Deleted(Item),
    /// The generation, or that it has changed.
    Generation(Generation),
    /// A message of another type.
    Other(u16),
}

/// Emits what follows the netlink header of the kernel's message about it.
impl Emitable for Item {
    fn buffer_len(&self) -> usize {
        measure(|writer| self.encode_reply(writer))
    }

    fn emit(&self, buffer: &mut [u8]) {
        self.encode_reply(&mut Writer::new(buffer));
    }
}

impl Item {
    fn encode_reply(&self, writer: &mut Writer<'_>) {
        writer.header(super::header(self.family()));
        self.encode(writer);
    }

    /// The message type of the kernel's message that it exists.
    #[must_use]
    pub const fn message_type(&self) -> u16 {
        super::message_type(self.commands().0)
    }

    /// Writes it without what the kernel reports and does not take back.
    pub(super) fn encode_request(&self, writer: &mut Writer<'_>) {
        match self {
            Self::Set(set) if set.backend.is_some() || set.count.is_some() => {
                let set = Set {
                    backend: None,
                    count: None,
                    ..set.clone()
                };
                set.encode(writer);
            }
            _ => self.encode(writer),
        }
    }

    /// What names the item, without what it has: for deleting it.
    pub(super) fn identity(&self) -> Self {
        match self {
            Self::Table(table) => Self::Table(Table {
                handle: table.handle,
                ..Table::new(table.family, table.name.clone())
            }),
            Self::Chain(chain) => Self::Chain(Chain {
                family: chain.family,
                table: chain.table.clone(),
                name: chain.name.clone(),
                handle: chain.handle,
                ..Chain::default()
            }),
            Self::Rule(rule) => Self::Rule(Rule {
                family: rule.family,
                table: rule.table.clone(),
                chain: rule.chain.clone(),
                handle: rule.handle,
                id: rule.id,
                ..Rule::default()
            }),
            Self::Set(set) => Self::Set(Set {
                family: set.family,
                table: set.table.clone(),
                name: set.name.clone(),
                handle: set.handle,
                ..Set::default()
            }),
            Self::Elements(elements) => Self::Elements(elements.keys()),
            Self::Object(object) => Self::Object(Object {
                family: object.family,
                table: object.table.clone(),
                name: object.name.clone(),
                kind: object.kind,
                handle: object.handle,
                ..Object::default()
            }),
            Self::Flowtable(flowtable) => Self::Flowtable(Flowtable {
                family: flowtable.family,
                table: flowtable.table.clone(),
                name: flowtable.name.clone(),
                handle: flowtable.handle,
                ..Flowtable::default()
            }),
        }
    }
}

/// What it is and its name, as `chain ip t pre`.
impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut named = |what: &str, table: &Name, name: Option<&Name>| {
            write!(f, "{what} {} {table}", self.family())?;
            name.map_or(Ok(()), |name| write!(f, " {name}"))
        };
        match self {
            Self::Table(table) => named("table", &table.name, None),
            Self::Chain(chain) => named("chain", &chain.table, chain.name.as_ref()),
            Self::Rule(rule) => {
                named("rule", &rule.table, rule.chain.as_ref())?;
                rule.handle
                    .map_or(Ok(()), |handle| write!(f, " handle {handle}"))
            }
            Self::Set(set) if set.data_type.is_some() => named("map", &set.table, Some(&set.name)),
            Self::Set(set) => named("set", &set.table, Some(&set.name)),
            Self::Elements(elements) => {
                named("element", &elements.table, Some(&elements.set))?;
                write!(f, " ({} of them)", elements.list.0.len())
            }
            Self::Object(object) => named(
                object.kind.name().unwrap_or("object"),
                &object.table,
                Some(&object.name),
            ),
            Self::Flowtable(table) => named("flowtable", &table.table, Some(&table.name)),
        }
    }
}
