//! `-m limit`, and rates

use std::fmt;

use super::Options;
use super::options::put;

/// How often something may happen: `5/min`. Kept as the kernel keeps it, so that equal rates are equal: `120/min` is `2/sec`.
///
/// Displays as the tools print it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rate {
    /// What one costs: a fraction of a second, in parts of `scale`.
    cost: u64,
    /// Into how many parts a second is divided.
    scale: u64,
}

/// The units in which a rate is printed, and their seconds.
const UNITS: [(&str, u64); 4] = [("day", 86_400), ("hour", 3600), ("min", 60), ("sec", 1)];

impl Rate {
    /// As `-m limit` counts.
    pub(super) const LIMIT: u64 = 10_000;
    /// As `-m hashlimit` counts, revision 2 and later.
    pub(super) const HASHLIMIT: u64 = 1_000_000;

    /// `number` in so many seconds; `None` if that is not at all, or more often than can be counted.
    ///
    /// The tools print some rates with less than they were given: the kernel's 1/10,000 s do not divide `4838/min`, which they
    /// print as `80/sec`. Such a rate is the one that is printed, so that a rule that was read back is the rule that was written.
    pub(super) fn new(number: u64, seconds: u64, scale: u64) -> Option<Self> {
        let mut rate = Self::exact(number, seconds, scale)?;
        // The cost grows with each turn, up to that of one in the unit.
        loop {
            let (number, _, seconds) = rate.shown();
            let printed = Self::exact(number, seconds, scale)?;
            if printed == rate {
                return Some(rate);
            }
            rate = printed;
        }
    }

    fn exact(number: u64, seconds: u64, scale: u64) -> Option<Self> {
        let cost = (seconds * scale).checked_div(number)?;
        (cost > 0).then_some(Self { cost, scale })
    }

    /// `5/min`, as people write it: any start of a unit's whole name, seconds where there is none.
    pub(super) fn parse(text: &str, scale: u64) -> Option<(Self, u64)> {
        let (number, unit) = text.split_once('/').unwrap_or((text, "second"));
        let unit = unit.to_ascii_lowercase();
        let whole = ["second", "minute", "hour", "day"];
        let seconds = [1, 60, 3600, 86_400];
        let mut units = whole.into_iter().zip(seconds);
        let (_, seconds) =
            units.find(|(whole, _)| !unit.is_empty() && whole.starts_with(unit.as_str()))?;
        let plain = number.bytes().all(|byte| byte.is_ascii_digit());
        let number: u32 = plain.then(|| number.parse().ok())??;
        Some((Self::new(number.into(), seconds, scale)?, seconds))
    }

    /// The number and the unit, with its seconds, in which it is printed.
    pub(super) fn shown(self) -> (u64, &'static str, u64) {
        let Self { cost, scale } = self;
        let mut best = (86_400 * scale / cost, "day", 86_400);
        for (unit, seconds) in UNITS.into_iter().skip(1) {
            let whole = seconds * scale;
            if cost > whole || whole / cost < whole % cost {
                break;
            }
            best = (whole / cost, unit, seconds);
        }
        best
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (number, unit, _) = self.shown();
        write!(f, "{number}/{unit}")
    }
}

/// Packets up to a rate: `--limit 5/min --limit-burst 7`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct LimitMatch {
    /// `--limit`: how many match, on average.
    pub rate: Rate,
    /// `--limit-burst`: how many match one after the other at first, 1 to 10,000; 5 unless given.
    pub burst: u32,
}

impl LimitMatch {
    const BURST: u32 = 5;

    /// `--limit NUMBER/sec`; `None` unless 1 to 10,000.
    pub fn per_second(number: u32) -> Option<Self> {
        Self::new(number, 1)
    }

    /// `--limit NUMBER/minute`; `None` for 0, and for more than 10,000 a second.
    pub fn per_minute(number: u32) -> Option<Self> {
        Self::new(number, 60)
    }

    /// `--limit NUMBER/hour`; `None` for 0, and for more than 10,000 a second.
    pub fn per_hour(number: u32) -> Option<Self> {
        Self::new(number, 3600)
    }

    /// `--limit NUMBER/day`; `None` for 0, and for more than 10,000 a second.
    pub fn per_day(number: u32) -> Option<Self> {
        Self::new(number, 86_400)
    }

    fn new(number: u32, seconds: u64) -> Option<Self> {
        Some(Self {
            rate: Rate::new(number.into(), seconds, Rate::LIMIT)?,
            burst: Self::BURST,
        })
    }

    /// `--limit-burst`
    #[must_use]
    pub fn burst(mut self, packets: u32) -> Self {
        self.burst = packets;
        self
    }

    pub(super) fn parse(mut options: Options<'_>) -> Option<Self> {
        let (mut rate, mut burst) = (None, None);
        while !options.is_empty() {
            match options.next_option()? {
                (false, "--limit") => {
                    put(&mut rate, Rate::parse(options.value()?, Rate::LIMIT)?.0)?;
                }
                (false, "--limit-burst") => put(&mut burst, super::number(options.value()?)?)?,
                _ => return None,
            }
        }
        let limit = Self {
            // Three an hour is what the tool takes where no rate is given.
            rate: rate.or(Rate::new(3, 3600, Rate::LIMIT))?,
            burst: burst.unwrap_or(Self::BURST),
        };
        limit.problem().is_none().then_some(limit)
    }

    pub(super) fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, " --limit {}", self.rate)?;
        if self.burst != Self::BURST {
            write!(f, " --limit-burst {}", self.burst)?;
        }
        Ok(())
    }

    /// Why the tools would refuse it.
    pub(crate) fn problem(&self) -> Option<&'static str> {
        let burst = (1..=10_000).contains(&self.burst);
        (!burst).then_some("the burst of a limit is 1 to 10000 packets")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_the_one_that_is_printed() {
        let limit = LimitMatch::per_minute(4838).unwrap();
        assert_eq!(limit.rate.to_string(), "80/sec");
        assert_eq!(limit, LimitMatch::per_second(80).unwrap());
        for scale in [Rate::LIMIT, Rate::HASHLIMIT] {
            for (seconds, most) in [(1, 10_000), (60, 30_000), (3600, 30_000), (86_400, 30_000)] {
                for number in 1..=most {
                    let rate = Rate::new(number, seconds, scale).unwrap();
                    let (again, _) = Rate::parse(&rate.to_string(), scale).unwrap();
                    assert_eq!(again, rate, "{number} in {seconds} s");
                }
            }
        }
    }
}
