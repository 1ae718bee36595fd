//! Values and verdicts: what registers, elements and comparisons hold.

use netlink_wire::{Attribute, Fault, Writer};

use crate::model::{Name, Others};
use crate::uapi::{
    NFT_DATA_VALUE_MAXLEN, NFT_REG32_00, NFT_REG32_15, NFTA_DATA_VALUE, NFTA_DATA_VERDICT,
};
use crate::wire::{Value, attributes, number, too_long};

number! {
    /// What becomes of a packet.
    VerdictCode(i32) {
        /// It is dropped.
        DROP = 0 "drop",
        /// It goes on.
        ACCEPT = 1 "accept",
        /// The next rule sees it. A rule that decides nothing continues too.
        CONTINUE = -1 "continue",
        /// The next rule sees it, whatever stands behind this in the rule.
        BREAK = -2 "break",
        /// The rules of another chain see it, then the next rule here.
        JUMP = -3 "jump",
        /// The rules of another chain see it, then the next one of the chain that jumped here.
        GOTO = -4 "goto",
        /// The rule behind the jump that led here sees it.
        RETURN = -5 "return",
    }
}

attributes! {
    /// What becomes of a packet, with the chain where it is a jump.
    Verdict: "NFTA_DATA_VERDICT" {
        /// What becomes of it.
        required code: VerdictCode = NFTA_VERDICT_CODE,
        /// The chain to jump or go to.
        optional chain: Name = NFTA_VERDICT_CHAIN,
        /// The chain by its number in this transaction.
        optional chain_id: u32 = NFTA_VERDICT_CHAIN_ID,
    }
}

impl Verdict {
    /// A verdict without a chain.
    #[must_use]
    pub fn new(code: VerdictCode) -> Self {
        Self {
            code,
            ..Self::default()
        }
    }

    /// The rules of `chain` see the packet, then the next one here.
    #[must_use]
    pub fn jump(chain: Name) -> Self {
        Self {
            code: VerdictCode::JUMP,
            chain: Some(chain),
            ..Self::default()
        }
    }

    /// The rules of `chain` see the packet.
    #[must_use]
    pub fn goto(chain: Name) -> Self {
        Self {
            code: VerdictCode::GOTO,
            chain: Some(chain),
            ..Self::default()
        }
    }
}

/// What a register, an element or a comparison holds.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Data {
    /// Bytes: of packets in network byte order, of marks and the like in host byte order. The parts of a
    /// concatenation are padded to four bytes each. At most 64 bytes.
    Value(Vec<u8>),
    /// A verdict.
    Verdict(Verdict),
    /// Something that this crate does not know.
    Other(Others),
}

impl Data {
    /// The bytes of a value.
    #[must_use]
    pub fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Value(bytes) => Some(bytes),
            _ => None,
        }
    }
}

/// An empty value.
impl Default for Data {
    fn default() -> Self {
        Self::Value(Vec::new())
    }
}

impl Value for Data {
    fn read(attribute: &Attribute<'_>) -> Result<Self, Fault> {
        let mut others = Others::default();
        let mut data = None;
        for item in attribute.nested() {
            let item = item?;
            match item.kind() {
                NFTA_DATA_VALUE if item.value().len() > NFT_DATA_VALUE_MAXLEN => {
                    return Err(too_long("a value of at most 64 bytes"));
                }
                NFTA_DATA_VALUE if data.is_none() => {
                    data = Some(Self::Value(item.value().to_vec()));
                }
                NFTA_DATA_VERDICT if data.is_none() => {
                    data = Some(Self::Verdict(Value::read(&item)?));
                }
                _ => others.keep(&item),
            }
        }
        Ok(data.unwrap_or(Self::Other(others)))
    }

    fn write(&self, writer: &mut Writer<'_>, kind: u16) {
        writer.nest(kind, |writer| match self {
            Self::Value(bytes) => writer.bytes(NFTA_DATA_VALUE, bytes),
            Self::Verdict(verdict) => verdict.write(writer, NFTA_DATA_VERDICT),
            Self::Other(others) => others.encode(writer),
        });
    }
}

/// A register. The kernel has 16 of four bytes, or four of sixteen, in the same place.
///
/// It is kept as the kernel prints it: one that begins where a register of sixteen bytes does has the
/// number of that one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(transparent))]
pub struct Register(u32);

impl Register {
    /// Where verdicts are put.
    pub const VERDICT: Self = Self(0);

    /// The register that begins four times `slot` bytes behind the first; there are 16.
    #[must_use]
    pub const fn at(slot: u8) -> Self {
        let slot = slot as u32;
        if slot % 4 == 0 && slot < 16 {
            Self(1 + slot / 4)
        } else {
            Self(NFT_REG32_00 + slot)
        }
    }

    /// The register of this number in the kernel.
    #[must_use]
    pub const fn from_number(number: u32) -> Self {
        match number {
            NFT_REG32_00 | 12 | 16 | 20 => Self((number - NFT_REG32_00) / 4 + 1),
            _ => Self(number),
        }
    }

    /// Its number.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0
    }

    /// How many times four bytes behind the first register it begins, if it is one for data.
    #[must_use]
    pub const fn slot(self) -> Option<u8> {
        match self.0 {
            1 => Some(0),
            2 => Some(4),
            3 => Some(8),
            4 => Some(12),
            #[allow(clippy::cast_possible_truncation, reason = "at most 15")]
            NFT_REG32_00..=NFT_REG32_15 => Some((self.0 - NFT_REG32_00) as u8),
            _ => None,
        }
    }
}

impl Value for Register {
    fn read(attribute: &Attribute<'_>) -> Result<Self, Fault> {
        u32::read(attribute).map(Self::from_number)
    }

    fn write(&self, writer: &mut Writer<'_>, kind: u16) {
        self.0.write(writer, kind);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registers_have_one_number_each() {
        for slot in 0..16 {
            let register = Register::at(slot);
            assert_eq!(register.slot(), Some(slot));
            assert_eq!(
                Register::from_number(NFT_REG32_00 + u32::from(slot)),
                register
            );
        }
        assert_eq!(Register::at(1).number(), 9);
        assert_eq!(Register::at(4).number(), 2);
        assert_eq!(Register::VERDICT.slot(), None);
        assert_eq!(Register::from_number(24).slot(), None);
    }
}
