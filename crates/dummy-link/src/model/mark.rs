//! Firewall marks.

use std::fmt;
use std::str::FromStr;

/// A condition on a packet's mark: it and `value` must agree in the bits of `mask`.
///
/// Displays and parses as `ip rule` and `iptables` write it: `0x2000/0x2000`, or `0x7` where the whole
/// mark is compared. Numbers are hexadecimal with `0x`, else decimal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Mark {
    /// What the compared bits must be. Routing rules ignore the others.
    pub value: u32,
    /// The bits that are compared.
    pub mask: u32,
}

impl Mark {
    /// The mark is this value.
    pub const fn whole(value: u32) -> Self {
        Self {
            value,
            mask: u32::MAX,
        }
    }

    /// The mark has all of these bits, whatever the others are.
    pub const fn bits(bits: u32) -> Self {
        Self {
            value: bits,
            mask: bits,
        }
    }

    /// Whether a packet with this mark meets the condition.
    #[must_use]
    pub const fn matches(self, mark: u32) -> bool {
        (mark ^ self.value) & self.mask == 0
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.mask == u32::MAX {
            write!(f, "{:#x}", self.value)
        } else {
            write!(f, "{:#x}/{:#x}", self.value, self.mask)
        }
    }
}

/// A text that is not a [`Mark`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a mark: expected a number, or value/mask, of 32 bits each")]
pub struct ParseMarkError {
    text: String,
}

impl FromStr for Mark {
    type Err = ParseMarkError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mark = match text.split_once('/') {
            None => number(text).map(Self::whole),
            Some((value, mask)) => number(value)
                .zip(number(mask))
                .map(|(value, mask)| Self { value, mask }),
        };
        mark.ok_or_else(|| ParseMarkError {
            text: text.to_owned(),
        })
    }
}

fn number(text: &str) -> Option<u32> {
    // `from_str_radix` takes a sign.
    let is_unsigned = |digits: &str| digits.starts_with(|c: char| c.is_ascii_hexdigit());
    match text.strip_prefix("0x") {
        Some(digits) if is_unsigned(digits) => u32::from_str_radix(digits, 16).ok(),
        None if is_unsigned(text) => text.parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn marks_are_written_as_ip_writes_them() {
        for (text, mark) in [
            ("0x2000/0x2000", Mark::bits(0x2000)),
            ("0x7", Mark::whole(7)),
            (
                "0x0/0xff",
                Mark {
                    value: 0,
                    mask: 0xff,
                },
            ),
        ] {
            assert_eq!(mark.to_string(), text);
            assert_eq!(text.parse(), Ok(mark));
        }
        assert_eq!("16384/0x4000".parse(), Ok(Mark::bits(0x4000)));
        for text in [
            "",
            "/",
            "1/",
            "0x",
            "0x+1",
            "+1",
            "-1",
            "0x100000000",
            "1/2/3",
            "f",
        ] {
            let error = text.parse::<Mark>().unwrap_err().to_string();
            assert!(
                error.starts_with(&format!("{text:?} is not a mark")),
                "{error}"
            );
        }
    }

    #[test]
    fn only_the_bits_of_the_mask_are_compared() {
        let bit = Mark::bits(0x2000);
        assert!(bit.matches(0x2000) && bit.matches(0x6001));
        assert!(!bit.matches(0x4000));
        assert!(Mark::whole(7).matches(7) && !Mark::whole(7).matches(0x107));
        // As `fib_rule_match` in net/core/fib_rules.c compares.
        assert!(Mark { value: 3, mask: 1 }.matches(5));
    }

    proptest! {
        #[test]
        fn marks_survive_as_text(value: u32, mask: u32) {
            let mark = Mark { value, mask };
            prop_assert_eq!(mark.to_string().parse(), Ok(mark));
        }
    }
}
