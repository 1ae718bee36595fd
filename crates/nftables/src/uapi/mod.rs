//! The kernel's constants of nf_tables, under the kernel's names.
//!
//! Sources:
//! [`linux/netfilter/nf_tables.h`](https://github.com/torvalds/linux/blob/v6.12/include/uapi/linux/netfilter/nf_tables.h),
//! for `NFNL_*` [`linux/netfilter/nfnetlink.h`](https://github.com/torvalds/linux/blob/v6.12/include/uapi/linux/netfilter/nfnetlink.h).
//! Numbers of several bytes in attributes are in network byte order.

/// Constants of one enumeration, which share their documentation.
macro_rules! constants {
    ($doc:literal: $type:ty; $($name:ident = $value:literal;)*) => {
        $(
            #[doc = $doc]
            pub const $name: $type = $value;
        )*
    };
}

mod expressions;
mod messages;
mod objects;

pub use expressions::*;
pub use messages::*;
pub use objects::*;

/// The subsystem of nfnetlink: the upper byte of the message type.
pub const NFNL_SUBSYS_NFTABLES: u16 = 10;
/// Message type that begins a transaction.
pub const NFNL_MSG_BATCH_BEGIN: u16 = 0x10;
/// Message type that ends a transaction.
pub const NFNL_MSG_BATCH_END: u16 = 0x11;
/// Of the begin of a transaction: the generation that must be the current one, `u32`.
pub const NFNL_BATCH_GENID: u16 = 1;
/// The multicast group of changes.
pub const NFNLGRP_NFTABLES: u32 = 7;

/// Bytes of a register of the old kind; `NFT_REG_1` to `NFT_REG_4` are such.
pub const NFT_REG_SIZE: usize = 16;
/// Bytes of a register of the new kind, to which parts of a concatenated key are padded.
pub const NFT_REG32_SIZE: usize = 4;
/// Number of the first register of the new kind.
pub const NFT_REG32_00: u32 = 8;
/// Number of the last register of the new kind.
pub const NFT_REG32_15: u32 = 23;
/// The longest name of a table, chain, set or object, its NUL included.
pub const NFT_NAME_MAXLEN: usize = 256;
/// The longest userdata of an object, in bytes.
pub const NFT_USERDATA_MAXLEN: usize = 256;
/// The longest value, in bytes.
pub const NFT_DATA_VALUE_MAXLEN: usize = 64;
/// The type of the data of a verdict map.
pub const NFT_DATA_VERDICT: u32 = 0xffff_ff00;
