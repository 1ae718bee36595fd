//! Questions.

use netlink_packet_core::Emitable;
use netlink_wire::{Writer, measure};

use super::{header, message_type};
use crate::model::{Name, TableFamily};
#[allow(
    clippy::wildcard_imports,
    reason = "the kernel's names, all with a prefix of their own"
)]
use crate::uapi::*;
use crate::wire::Value;

/// A question. All but that for the generation are dumps.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Get {
    /// The generation.
    Generation,
    /// The tables of a family.
    Tables(TableFamily),
    /// The chains of a family.
    Chains(TableFamily),
    /// The rules of a family, of one table or of one chain of it.
    Rules {
        /// The family.
        family: TableFamily,
        /// The table.
        table: Option<Name>,
        /// The chain, with its table.
        chain: Option<Name>,
    },
    /// The sets and maps of a family, or of one table.
    Sets {
        /// The family.
        family: TableFamily,
        /// The table.
        table: Option<Name>,
    },
    /// The elements of a set or map.
    Elements {
        /// The family.
        family: TableFamily,
        /// The table.
        table: Name,
        /// The set or map.
        set: Name,
    },
    /// The objects of a family, or of one table.
    Objects {
        /// The family.
        family: TableFamily,
        /// The table.
        table: Option<Name>,
    },
    /// The flowtables of a family.
    Flowtables(TableFamily),
}

impl Get {
    /// `nlmsg_type`.
    #[must_use]
    pub const fn message_type(&self) -> u16 {
        message_type(match self {
            Self::Generation => NFT_MSG_GETGEN,
            Self::Tables(_) => NFT_MSG_GETTABLE,
            Self::Chains(_) => NFT_MSG_GETCHAIN,
            Self::Rules { .. } => NFT_MSG_GETRULE,
            Self::Sets { .. } => NFT_MSG_GETSET,
            Self::Elements { .. } => NFT_MSG_GETSETELEM,
            Self::Objects { .. } => NFT_MSG_GETOBJ,
            Self::Flowtables(_) => NFT_MSG_GETFLOWTABLE,
        })
    }

    fn encode(&self, writer: &mut Writer<'_>) {
        let mut named = |family: TableFamily, names: &[(u16, Option<&Name>)]| {
            writer.header(header(family));
            for (kind, name) in names {
                if let Some(name) = name {
                    name.write(writer, *kind);
                }
            }
        };
        match self {
            Self::Generation => named(TableFamily::ANY, &[]),
            Self::Tables(family) | Self::Chains(family) | Self::Flowtables(family) => {
                named(*family, &[]);
            }
            Self::Rules {
                family,
                table,
                chain,
            } => named(
                *family,
                &[
                    (NFTA_RULE_TABLE, table.as_ref()),
                    (NFTA_RULE_CHAIN, chain.as_ref()),
                ],
            ),
            Self::Sets { family, table } => named(*family, &[(NFTA_SET_TABLE, table.as_ref())]),
            Self::Objects { family, table } => named(*family, &[(NFTA_OBJ_TABLE, table.as_ref())]),
            Self::Elements { family, table, set } => named(
                *family,
                &[
                    (NFTA_SET_ELEM_LIST_TABLE, Some(table)),
                    (NFTA_SET_ELEM_LIST_SET, Some(set)),
                ],
            ),
        }
    }
}

/// Emits what follows the netlink header.
impl Emitable for Get {
    fn buffer_len(&self) -> usize {
        measure(|writer| self.encode(writer))
    }

    fn emit(&self, buffer: &mut [u8]) {
        self.encode(&mut Writer::new(buffer));
    }
}
