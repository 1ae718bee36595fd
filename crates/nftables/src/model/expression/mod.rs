//! Expressions: the instructions that rules consist of. They load into registers, compare registers, and
//! act on the packet.
//!
//! Each is a structure of its attributes. Those that have none of the names known here are kept as
//! [`RawExpression`].

mod act;
mod compare;
mod load;
mod state;
mod table;

pub use act::{
    Dup, Fwd, Log, LogFlags, Masq, Nat, NatFlags, NatKind, Notrack, Objref, Queue, QueueFlags,
    Redir, Reject, RejectKind, Tproxy,
};
pub use compare::{
    Bitwise, BitwiseOp, Byteorder, ByteorderOp, Cmp, CmpOp, Immediate, Lookup, Range, RangeOp,
};
pub use load::{
    Ct, CtDirection, CtKey, Exthdr, ExthdrOp, Fib, FibFlags, FibResult, Hash, HashKind, Meta,
    MetaKey, Numgen, NumgenKind, Payload, PayloadBase, Rt, RtKey, Socket, SocketKey,
};
pub use state::{Connlimit, Counter, Dynset, DynsetOp, Last, Limit, LimitKind, Quota};
pub use table::{Expression, Expressions, RawExpression, Stateful};
