//! Expressions that compare, compute and look up registers.

use crate::model::{Data, Name, Register};
use crate::wire::{attributes, number};

number! {
    /// How [`Cmp`] compares.
    CmpOp(u32) {
        /// Equal.
        EQ = 0 "==",
        /// Not equal.
        NEQ = 1 "!=",
        /// Less.
        LT = 2 "<",
        /// Less or equal.
        LTE = 3 "<=",
        /// Greater.
        GT = 4 ">",
        /// Greater or equal.
        GTE = 5 ">=",
    }
}

attributes! {
    /// Goes on with the rule if a register compares so, byte by byte.
    Cmp: "cmp" {
        /// The register.
        required source: Register = NFTA_CMP_SREG,
        /// How.
        required op: CmpOp = NFTA_CMP_OP,
        /// With what.
        required data: Data = NFTA_CMP_DATA,
    }
}

number! {
    /// How [`Range`] compares.
    RangeOp(u32) {
        /// Within.
        EQ = 0 "==",
        /// Not within.
        NEQ = 1 "!=",
    }
}

attributes! {
    /// Goes on with the rule if a register is within a range, or is not.
    Range: "range" {
        /// The register.
        required source: Register = NFTA_RANGE_SREG,
        /// Within or not.
        required op: RangeOp = NFTA_RANGE_OP,
        /// The first of the range.
        required from: Data = NFTA_RANGE_FROM_DATA,
        /// The last of the range.
        required to: Data = NFTA_RANGE_TO_DATA,
    }
}

number! {
    /// What [`Bitwise`] computes.
    BitwiseOp(u32) {
        /// `(source & mask) ^ xor`.
        MASK_XOR = 0 "mask-xor",
        /// `source << data`.
        LSHIFT = 1 "<<",
        /// `source >> data`.
        RSHIFT = 2 ">>",
        /// `source & second source`, from Linux 6.13.
        AND = 3 "&",
        /// `source | second source`, from Linux 6.13.
        OR = 4 "|",
        /// `source ^ second source`, from Linux 6.13.
        XOR = 5 "^",
    }
}

attributes! {
    /// Computes with the bits of a register.
    Bitwise: "bitwise" {
        /// From this register.
        required source: Register = NFTA_BITWISE_SREG,
        /// Into this register.
        required destination: Register = NFTA_BITWISE_DREG,
        /// What.
        written op: BitwiseOp = NFTA_BITWISE_OP,
        /// Of so many bytes.
        required length: u32 = NFTA_BITWISE_LEN,
        /// The bits that are kept.
        optional mask: Data = NFTA_BITWISE_MASK,
        /// The bits that are turned over then.
        optional xor: Data = NFTA_BITWISE_XOR,
        /// By how many bits it is shifted, a number in host byte order.
        optional data: Data = NFTA_BITWISE_DATA,
        /// The second register.
        optional second_source: Register = NFTA_BITWISE_SREG2,
    }
}

number! {
    /// The way of [`Byteorder`].
    ByteorderOp(u32) {
        /// From network to host byte order.
        NTOH = 0 "ntoh",
        /// From host to network byte order.
        HTON = 1 "hton",
    }
}

attributes! {
    /// Turns numbers in a register from one byte order into the other.
    Byteorder: "byteorder" {
        /// From this register.
        required source: Register = NFTA_BYTEORDER_SREG,
        /// Into this register.
        required destination: Register = NFTA_BYTEORDER_DREG,
        /// Which way.
        written op: ByteorderOp = NFTA_BYTEORDER_OP,
        /// Of so many bytes in all.
        required length: u32 = NFTA_BYTEORDER_LEN,
        /// Of so many bytes each.
        required size: u32 = NFTA_BYTEORDER_SIZE,
    }
}

attributes! {
    /// Goes on with the rule if a set has the register, or has not; loads what a map has for it.
    Lookup: "lookup" {
        /// The key.
        required source: Register = NFTA_LOOKUP_SREG,
        /// Where what the map has is loaded.
        optional destination: Register = NFTA_LOOKUP_DREG,
        /// The set or map.
        required set: Name = NFTA_LOOKUP_SET,
        /// The set by its number in this transaction.
        optional set_id: u32 = NFTA_LOOKUP_SET_ID,
        /// 1: if the set has it not.
        default flags: u32 = NFTA_LOOKUP_FLAGS,
    }
}

attributes! {
    /// Loads a constant, or gives a verdict.
    Immediate: "immediate" {
        /// Loaded into this register; [`Register::VERDICT`] ends the rule.
        required destination: Register = NFTA_IMMEDIATE_DREG,
        /// What.
        required data: Data = NFTA_IMMEDIATE_DATA,
    }
}
