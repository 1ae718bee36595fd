//! Expressions that keep something from one packet to the next.

use crate::model::expression::Stateful;
use crate::model::{Name, Register};
use crate::wire::{attributes, number};

attributes! {
    /// Counts packets and bytes.
    Counter: "counter" {
        /// Bytes so far.
        default bytes: u64 = NFTA_COUNTER_BYTES,
        /// Packets so far.
        default packets: u64 = NFTA_COUNTER_PACKETS,
    }
}

number! {
    /// What [`Limit`] counts.
    LimitKind(u32) {
        /// Packets.
        PACKETS = 0 "packets",
        /// Bytes.
        BYTES = 1 "bytes",
    }
}

attributes! {
    /// Goes on with the rule as long as packets come no faster than this.
    Limit: "limit" {
        /// How many packets or bytes.
        required rate: u64 = NFTA_LIMIT_RATE,
        /// In how many seconds.
        required unit: u64 = NFTA_LIMIT_UNIT,
        /// How many more at once.
        default burst: u32 = NFTA_LIMIT_BURST,
        /// What is counted.
        written kind: LimitKind = NFTA_LIMIT_TYPE,
        /// 1: when packets come faster, instead.
        written flags: u32 = NFTA_LIMIT_FLAGS,
    }
}

attributes! {
    /// Goes on with the rule until so many bytes came.
    Quota: "quota" {
        /// How many.
        required bytes: u64 = NFTA_QUOTA_BYTES,
        /// 1: when more came, instead. 2: they have come.
        default flags: u32 = NFTA_QUOTA_FLAGS,
        /// How many came so far.
        default consumed: u64 = NFTA_QUOTA_CONSUMED,
    }
}

attributes! {
    /// Goes on with the rule while there are no more connections than this.
    Connlimit: "connlimit" {
        /// How many.
        required count: u32 = NFTA_CONNLIMIT_COUNT,
        /// 1: when there are more, instead.
        default flags: u32 = NFTA_CONNLIMIT_FLAGS,
    }
}

attributes! {
    /// Keeps when it was last used.
    Last: "last" {
        /// Whether it was used.
        default set: u32 = NFTA_LAST_SET,
        /// How long ago, in milliseconds.
        default milliseconds: u64 = NFTA_LAST_MSECS,
    }
}

number! {
    /// What [`Dynset`] does.
    DynsetOp(u32) {
        /// Adds the element, if the set does not have it.
        ADD = 0 "add",
        /// Adds it, or makes its time begin again.
        UPDATE = 1 "update",
        /// Deletes it.
        DELETE = 2 "delete",
    }
}

attributes! {
    /// Changes a set by what the packet has.
    Dynset: "dynset" {
        /// The key.
        required key: Register = NFTA_DYNSET_SREG_KEY,
        /// What the map gets for it.
        optional data: Register = NFTA_DYNSET_SREG_DATA,
        /// What is done.
        written op: DynsetOp = NFTA_DYNSET_OP,
        /// How long the element lives, in milliseconds.
        default timeout: u64 = NFTA_DYNSET_TIMEOUT,
        /// The set or map.
        required set: Name = NFTA_DYNSET_SET_NAME,
        /// The set by its number in this transaction.
        optional set_id: u32 = NFTA_DYNSET_SET_ID,
        /// 1: goes on with the rule if that failed. 2: has several expressions.
        default flags: u32 = NFTA_DYNSET_FLAGS,
        /// What the element keeps, where that is one expression.
        optional expression: Stateful = NFTA_DYNSET_EXPR,
        /// What the element keeps.
        default expressions: Vec<Stateful> = NFTA_DYNSET_EXPRESSIONS,
    }
}
