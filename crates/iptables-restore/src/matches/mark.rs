//! `-m mark`

use std::fmt;

use super::Options;
use crate::address::bang;

/// Whether the packet's mark, under the mask, equals a value: `--mark VALUE/MASK`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MarkMatch {
    /// What the masked mark is compared with.
    pub value: u32,
    /// The bits that are compared; `0xffff_ffff` for all of them.
    pub mask: u32,
    /// True for `!`: any other value.
    pub negated: bool,
}

impl MarkMatch {
    /// `--mark BITS/BITS`: all these bits are set.
    pub fn bits(bits: u32) -> Self {
        Self {
            value: bits,
            mask: bits,
            negated: false,
        }
    }

    /// `! --mark BITS/BITS`: not all of these bits are set.
    pub fn not_bits(bits: u32) -> Self {
        Self {
            negated: true,
            ..Self::bits(bits)
        }
    }

    pub(super) fn parse(mut options: Options<'_>) -> Option<Self> {
        let (negated, "--mark") = options.next_option()? else {
            return None;
        };
        let (value, mask) = mark_and_mask(options.value()?)?;
        options.finish()?;
        Some(Self {
            value,
            mask: mask.unwrap_or(u32::MAX),
            negated,
        })
    }

    pub(super) fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, " {}--mark {:#x}", bang(self.negated), self.value)?;
        if self.mask != u32::MAX {
            write!(f, "/{:#x}", self.mask)?;
        }
        Ok(())
    }
}

/// `VALUE` or `VALUE/MASK`, decimal or after `0x` hexadecimal.
pub(crate) fn mark_and_mask(text: &str) -> Option<(u32, Option<u32>)> {
    match text.split_once('/') {
        Some((value, mask)) => Some((number(value)?, Some(number(mask)?))),
        None => Some((number(text)?, None)),
    }
}

/// A number as strtoul(3) reads it; octal ones (`010`) are left alone.
pub(crate) fn number(text: &str) -> Option<u32> {
    let (digits, radix) = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(hex) => (hex, 16),
        None if text.len() > 1 && text.starts_with('0') => return None,
        None => (text, 10),
    };
    if digits.starts_with('+') {
        return None;
    }
    u32::from_str_radix(digits, radix).ok()
}
