//! `-m statistic`

use std::fmt;

use super::options::put;
use super::{Options, number};

/// Some packets of many: `--mode random --probability 0.5`, `--mode nth --every 3 --packet 0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct StatisticMatch {
    /// Which.
    pub mode: StatisticMode,
    /// True for `!`: the others.
    pub negated: bool,
}

/// How packets are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StatisticMode {
    /// `--mode random`: each with this probability.
    Random(Probability),
    /// `--mode nth`: one in so many, in turn.
    Nth {
        /// `--every`; not 0.
        every: u32,
        /// `--packet`: how many pass before the first one; less than `every`.
        packet: u32,
    },
}

/// A probability, in parts of 2³¹ as the kernel has it. Displays with eleven decimals, as the tools print it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Probability(u32);

impl Probability {
    const ONE: u32 = 1 << 31;
    const DECIMALS: u64 = 100_000_000_000;

    /// So many parts of 2³¹; `None` for more than all of them.
    pub fn from_parts(parts: u32) -> Option<Self> {
        (parts <= Self::ONE).then_some(Self(parts))
    }

    /// One in `number`, rounded; certain for 0 and 1.
    pub fn one_in(number: u32) -> Self {
        let number = number.max(1);
        let half = number / 2;
        Self((Self::ONE + half) / number)
    }

    /// Of 2³¹ parts so many.
    pub fn parts(self) -> u32 {
        self.0
    }

    /// A number from 0 to 1, without an exponent.
    fn parse(text: &str) -> Option<Self> {
        let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
        let plain = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        let readable = plain(whole) && plain(decimals) && whole.len() + decimals.len() > 0;
        // More than these decimals do not matter.
        let decimals: String = decimals.chars().take(18).collect();
        let digits: u128 = readable.then(|| format!("0{whole}{decimals}").parse().ok())??;
        let one = 10u128.checked_pow(u32::try_from(decimals.len()).ok()?)?;
        let parts = digits.checked_mul(2 * u128::from(Self::ONE))? / one;
        Self::from_parts(u32::try_from(parts.div_ceil(2)).ok()?)
    }
}

impl fmt::Display for Probability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // As printf(3) rounds: to the nearest, and to the even one of two.
        let exact = u128::from(self.0) * u128::from(Self::DECIMALS);
        let (down, rest) = (exact >> 31, exact & 0x7fff_ffff);
        let half = u128::from(Self::ONE) / 2;
        let up = rest > half || (rest == half && down % 2 == 1);
        let rounded = down + u128::from(up);
        let decimals = u128::from(Self::DECIMALS);
        write!(f, "{}.{:011}", rounded / decimals, rounded % decimals)
    }
}

impl StatisticMatch {
    /// `--mode random --probability P`
    pub fn random(probability: Probability) -> Self {
        Self {
            mode: StatisticMode::Random(probability),
            negated: false,
        }
    }

    /// `--mode nth --every EVERY --packet PACKET`
    pub fn nth(every: u32, packet: u32) -> Self {
        Self {
            mode: StatisticMode::Nth { every, packet },
            negated: false,
        }
    }

    pub(super) fn parse(mut options: Options<'_>) -> Option<Self> {
        let (mut mode, mut probability, mut every, mut packet) = (None, None, None, None);
        let mut negated = false;
        while !options.is_empty() {
            match options.next_option()? {
                (false, "--mode") => put(&mut mode, options.value()?)?,
                (no, "--probability") => {
                    put(&mut probability, Probability::parse(options.value()?)?)?;
                    negated |= no;
                }
                (no, "--every") => {
                    put(&mut every, number(options.value()?)?)?;
                    negated |= no;
                }
                (false, "--packet") => put(&mut packet, number(options.value()?)?)?,
                _ => return None,
            }
        }
        let mode = match (mode?, probability, every, packet) {
            ("random", Some(probability), None, None) => StatisticMode::Random(probability),
            // Before iptables 1.6.2 the packet could be left out.
            ("nth", None, Some(every), Some(packet)) => StatisticMode::Nth { every, packet },
            _ => return None,
        };
        let found = Self { mode, negated };
        found.problem().is_none().then_some(found)
    }

    pub(super) fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let not = crate::address::bang(self.negated);
        match self.mode {
            StatisticMode::Random(probability) => {
                write!(f, " --mode random {not}--probability {probability}")
            }
            StatisticMode::Nth { every, packet } => {
                write!(f, " --mode nth {not}--every {every} --packet {packet}")
            }
        }
    }

    /// Why the tools would refuse it.
    pub(crate) fn problem(&self) -> Option<&'static str> {
        match self.mode {
            StatisticMode::Nth { every, packet } if packet >= every => {
                Some("of every so many packets, the packet is one of them, counted from 0")
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Left what was given to iptables 1.8.9, right what it printed.
    #[test]
    fn probabilities_print_as_the_tools_do() {
        for (given, printed) in [
            ("0.5", "0.50000000000"),
            (".5", "0.50000000000"),
            ("0.3333333", "0.33333329996"),
            ("0.3333333333", "0.33333333349"),
            ("0.33333333349", "0.33333333349"),
            ("0.1", "0.10000000009"),
            ("0.00000000001", "0.00000000000"),
            ("0.99999999999", "1.00000000000"),
            ("1", "1.00000000000"),
            ("0", "0.00000000000"),
        ] {
            let read = Probability::parse(given).unwrap();
            assert_eq!(read.to_string(), printed, "{given}");
        }
        for bad in [
            "",
            ".",
            "1.5",
            "2",
            "1e-1",
            "-0.1",
            "+0.1",
            "0.5x",
            "1.00000001",
        ] {
            assert_eq!(Probability::parse(bad), None, "{bad}");
        }
        assert_eq!(Probability::one_in(3).to_string(), "0.33333333349");
        assert_eq!(Probability::one_in(0), Probability::one_in(1));
    }

    proptest! {
        #[test]
        fn probabilities_read_back(parts in 0..=Probability::ONE) {
            let probability = Probability(parts);
            prop_assert_eq!(Probability::parse(&probability.to_string()), Some(probability));
        }
    }
}
