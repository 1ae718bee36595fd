//! The body of a rule.

mod statement;

use super::{Key, Operand, key};
use crate::expression::{
    Bitwise, Cmp, CmpOp, Ct, CtKey, Dynset, DynsetOp, Expression, Expressions, Immediate, Lookup,
    Meta, MetaKey, Range, RangeOp,
};
use crate::model::{Data, Name, Register};
use crate::uapi::NFT_REG32_SIZE;

/// The first register for data.
const FIRST: Register = Register::at(0);

/// What a rule does, statement by statement, as `nft` has them. Registers are chosen on the way.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Body {
    expressions: Vec<Expression>,
}

impl From<Body> for Expressions {
    fn from(body: Body) -> Self {
        Self(body.expressions)
    }
}

impl Body {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an expression as it is.
    #[must_use]
    pub fn push(mut self, expression: impl Into<Expression>) -> Self {
        self.expressions.push(expression.into());
        self
    }

    /// Loads keys one behind the other from register `slot` on; returns how many slots they take.
    fn load(&mut self, keys: &[Key], slot: u8) -> u8 {
        let mut next = slot;
        for key in keys {
            self.expressions
                .push(key.clone().into_register(Register::at(next)));
            next = next.saturating_add(slots(key.length));
        }
        next - slot
    }

    fn immediate(self, slot: u8, value: Operand) -> Self {
        self.push(Immediate {
            destination: Register::at(slot),
            data: Data::Value(value.0),
            ..Immediate::default()
        })
    }

    /// `key == value`, or another comparison. The bytes compare from the first on.
    #[must_use]
    pub fn compare(mut self, key: Key, op: CmpOp, value: impl Into<Operand>) -> Self {
        self.load(&[key], 0);
        self.push(Cmp {
            source: FIRST,
            op,
            data: Data::Value(value.into().0),
            ..Cmp::default()
        })
    }

    /// `key value`: goes on if they are equal.
    #[must_use]
    pub fn is(self, key: Key, value: impl Into<Operand>) -> Self {
        self.compare(key, CmpOp::EQ, value)
    }

    /// `key != value`.
    #[must_use]
    pub fn is_not(self, key: Key, value: impl Into<Operand>) -> Self {
        self.compare(key, CmpOp::NEQ, value)
    }

    /// `key & mask == value`, or another comparison.
    #[must_use]
    pub fn masked(
        mut self,
        key: Key,
        mask: impl Into<Operand>,
        op: CmpOp,
        value: impl Into<Operand>,
    ) -> Self {
        let length = key.length;
        self.load(&[key], 0);
        let mask = mask.into().0;
        let xor = vec![0; mask.len()];
        self.push(bitwise(length, mask, xor)).push(Cmp {
            source: FIRST,
            op,
            data: Data::Value(value.into().0),
            ..Cmp::default()
        })
    }

    /// Goes on if the key has any of these bits, as in `ct state established,related` with bits 2 and 4.
    #[must_use]
    pub fn any_bit(self, key: Key, bits: u32) -> Self {
        self.masked(key, bits, CmpOp::NEQ, 0_u32)
    }

    /// `key from-to`, or `key != from-to`.
    #[must_use]
    pub fn within(
        mut self,
        key: Key,
        op: RangeOp,
        from: impl Into<Operand>,
        to: impl Into<Operand>,
    ) -> Self {
        self.load(&[key], 0);
        self.push(Range {
            source: FIRST,
            op,
            from: Data::Value(from.into().0),
            to: Data::Value(to.into().0),
            ..Range::default()
        })
    }

    /// `tcp` and the like: the protocol of the transport layer.
    #[must_use]
    pub fn protocol(self, protocol: u8) -> Self {
        self.is(key::l4proto(), protocol)
    }

    fn lookup(
        mut self,
        keys: &[Key],
        set: &Name,
        destination: Option<Register>,
        flags: u32,
    ) -> Self {
        self.load(keys, 0);
        self.push(Lookup {
            source: FIRST,
            destination,
            set: set.clone(),
            flags,
            ..Lookup::default()
        })
    }

    /// `key . key @set`: goes on if the set has them.
    #[must_use]
    pub fn in_set(self, keys: &[Key], set: &Name) -> Self {
        self.lookup(keys, set, None, 0)
    }

    /// `key . key != @set`.
    #[must_use]
    pub fn not_in_set(self, keys: &[Key], set: &Name) -> Self {
        self.lookup(keys, set, None, 1)
    }

    /// `key . key vmap @map`: the verdict that the map has for them.
    #[must_use]
    pub fn verdict_map(self, keys: &[Key], map: &Name) -> Self {
        self.lookup(keys, map, Some(Register::VERDICT), 0)
    }

    fn store_meta(self, key: MetaKey) -> Self {
        self.push(Meta {
            key,
            source: Some(FIRST),
            ..Meta::default()
        })
    }

    fn store_ct(self, key: CtKey) -> Self {
        self.push(Ct {
            key,
            source: Some(FIRST),
            ..Ct::default()
        })
    }

    /// `meta mark set value`, or another key.
    #[must_use]
    pub fn set_meta(self, key: MetaKey, value: impl Into<Operand>) -> Self {
        self.immediate(0, value.into()).store_meta(key)
    }

    /// `meta mark set key . key map @map`, or another key.
    #[must_use]
    pub fn set_meta_by_map(self, key: MetaKey, keys: &[Key], map: &Name) -> Self {
        self.lookup(keys, map, Some(FIRST), 0).store_meta(key)
    }

    /// `meta mark set key`, or another key.
    #[must_use]
    pub fn set_meta_to(mut self, key: MetaKey, value: Key) -> Self {
        self.load(&[value], 0);
        self.store_meta(key)
    }

    /// `ct mark set value`, or another key.
    #[must_use]
    pub fn set_ct(self, key: CtKey, value: impl Into<Operand>) -> Self {
        self.immediate(0, value.into()).store_ct(key)
    }

    /// `ct mark set meta mark`, or other keys.
    #[must_use]
    pub fn set_ct_to(mut self, key: CtKey, value: Key) -> Self {
        self.load(&[value], 0);
        self.store_ct(key)
    }

    /// `meta mark set (meta mark & keep) ^ turn`.
    #[must_use]
    pub fn change_mark(mut self, keep: u32, turn: u32) -> Self {
        self.load(&[key::mark()], 0);
        self.push(bitwise(
            4,
            keep.to_ne_bytes().to_vec(),
            turn.to_ne_bytes().to_vec(),
        ))
        .store_meta(MetaKey::MARK)
    }

    /// `meta mark set meta mark | bits`.
    #[must_use]
    pub fn mark_or(self, bits: u32) -> Self {
        self.change_mark(!bits, bits)
    }

    /// `meta mark set meta mark & bits`.
    #[must_use]
    pub fn mark_and(self, bits: u32) -> Self {
        self.change_mark(bits, 0)
    }

    /// `add @set { key . key timeout … }`, or update, or delete. The timeout is in milliseconds, 0 for that
    /// of the set.
    #[must_use]
    pub fn change_set(mut self, op: DynsetOp, keys: &[Key], set: &Name, timeout: u64) -> Self {
        self.load(keys, 0);
        self.push(Dynset {
            key: FIRST,
            op,
            timeout,
            set: set.clone(),
            ..Dynset::default()
        })
    }
}

/// How many registers of four bytes so many bytes take.
fn slots(length: u32) -> u8 {
    let register = u32::try_from(NFT_REG32_SIZE).unwrap_or(4);
    u8::try_from(length.div_ceil(register)).unwrap_or(u8::MAX)
}

fn bitwise(length: u32, mask: Vec<u8>, xor: Vec<u8>) -> Bitwise {
    Bitwise {
        source: FIRST,
        destination: FIRST,
        length,
        mask: Some(Data::Value(mask)),
        xor: Some(Data::Value(xor)),
        ..Bitwise::default()
    }
}
