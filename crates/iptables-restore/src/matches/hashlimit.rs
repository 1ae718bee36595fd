//! `-m hashlimit`

use std::fmt;

use super::limit::Rate;
use super::options::put;
use super::{Options, number};
use crate::rule::is_plain_word;

/// A rate for each address or port: `--hashlimit-upto 5/sec --hashlimit-mode srcip --hashlimit-name ssh`.
///
/// `--hashlimit-rate-match`, and rates of bytes with a burst, have no type here and are kept word by word.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct HashlimitMatch {
    /// How often.
    pub rate: HashlimitRate,
    /// `--hashlimit-above` in place of `--hashlimit-upto`: what is beyond the rate.
    pub above: bool,
    /// `--hashlimit-burst`: how many packets match one after the other at first; 5 unless given. Not for bytes.
    pub burst: u32,
    /// `--hashlimit-mode`: what has a rate of its own; empty for one rate in all.
    pub mode: HashlimitMode,
    /// `--hashlimit-name`: the table, one word of at most 254 bytes.
    pub name: String,
    /// `--hashlimit-htable-size`: how many buckets.
    pub size: Option<u32>,
    /// `--hashlimit-htable-max`: how many entries at most.
    pub max: Option<u32>,
    /// `--hashlimit-htable-gcinterval`: how often old entries are looked for, in milliseconds; 1,000 unless given.
    pub gc_interval: u32,
    /// `--hashlimit-htable-expire`: after how many milliseconds without a packet an entry goes; `None` for the unit of the
    /// rate as it is printed, and 15,000 for bytes.
    pub expire: Option<u32>,
    /// `--hashlimit-srcmask`: how much of a source counts, a prefix length.
    pub source_prefix: Option<u8>,
    /// `--hashlimit-dstmask`: how much of a destination counts, a prefix length.
    pub destination_prefix: Option<u8>,
}

/// How many packets or bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HashlimitRate {
    /// Packets: `5/min`.
    Packets(Rate),
    /// Bytes a second: `512kb/s`.
    Bytes(ByteRate),
}

/// Bytes a second, rounded as the tools round them: to steps of 16, and coarser the more they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ByteRate {
    /// What 16 bytes cost: a fraction of a second, in parts of 2³².
    cost: u32,
}

bitflags::bitflags! {
    /// What has a rate of its own, in the order in which `--hashlimit-mode` prints it.
    #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub struct HashlimitMode: u8 {
        /// `srcip`
        const SOURCE = 1;
        /// `srcport`
        const SOURCE_PORT = 1 << 1;
        /// `dstip`
        const DESTINATION = 1 << 2;
        /// `dstport`
        const DESTINATION_PORT = 1 << 3;
    }
}

const MODES: [(&str, HashlimitMode); 4] = [
    ("srcip", HashlimitMode::SOURCE),
    ("srcport", HashlimitMode::SOURCE_PORT),
    ("dstip", HashlimitMode::DESTINATION),
    ("dstport", HashlimitMode::DESTINATION_PORT),
];

impl ByteRate {
    /// So many bytes a second.
    pub fn per_second(bytes: u32) -> Self {
        Self::of(bytes.into())
    }

    fn of(bytes: u64) -> Self {
        let steps = bytes / 16 + 1;
        let cost = u64::from(u32::MAX) / steps;
        Self {
            cost: u32::try_from(cost).unwrap_or(u32::MAX).max(1),
        }
    }

    /// How many bytes a second.
    pub fn bytes(self) -> u64 {
        u64::from(u32::MAX / self.cost.max(1) - 1) * 16
    }

    /// `512kb/s`
    fn parse(text: &str) -> Option<Self> {
        let text = text.strip_suffix("b/s")?;
        let (digits, unit) = match text.strip_suffix(['k', 'm']) {
            Some(digits) if text.ends_with('k') => (digits, 1 << 10),
            Some(digits) => (digits, 1 << 20),
            None => (text, 1u32),
        };
        let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
        let number: u32 = plain.then(|| digits.parse().ok())??;
        Some(Self::per_second(number.checked_mul(unit)?))
    }
}

impl fmt::Display for ByteRate {
    /// In the largest unit that comes to the same when it is read.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.bytes();
        for (unit, size) in [("mb", 1u64 << 20), ("kb", 1 << 10)] {
            if bytes >= size && Self::of(bytes / size * size) == *self {
                return write!(f, "{}{unit}/s", bytes / size);
            }
        }
        write!(f, "{bytes}b/s")
    }
}

impl HashlimitRate {
    /// After how many milliseconds an entry goes unless it is given.
    fn expire(self) -> u64 {
        match self {
            Self::Packets(rate) => rate.shown().2 * 1000,
            Self::Bytes(_) => 15_000,
        }
    }
}

impl fmt::Display for HashlimitRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Packets(rate) => rate.fmt(f),
            Self::Bytes(rate) => rate.fmt(f),
        }
    }
}

impl HashlimitMatch {
    const BURST: u32 = 5;
    const GC_INTERVAL: u32 = 1000;

    /// `--hashlimit-upto NUMBER/sec`; `None` unless 1 to 1,000,000.
    pub fn per_second(number: u32, name: impl Into<String>) -> Option<Self> {
        Self::packets(number, 1, name)
    }

    /// `--hashlimit-upto NUMBER/minute`; `None` for 0, and for more than 1,000,000 a second.
    pub fn per_minute(number: u32, name: impl Into<String>) -> Option<Self> {
        Self::packets(number, 60, name)
    }

    /// `--hashlimit-upto NUMBERb/s`
    pub fn bytes_per_second(bytes: u32, name: impl Into<String>) -> Self {
        Self::new(HashlimitRate::Bytes(ByteRate::per_second(bytes)), name)
    }

    fn packets(number: u32, seconds: u64, name: impl Into<String>) -> Option<Self> {
        let rate = Rate::new(number.into(), seconds, Rate::HASHLIMIT)?;
        Some(Self::new(HashlimitRate::Packets(rate), name))
    }

    fn new(rate: HashlimitRate, name: impl Into<String>) -> Self {
        Self {
            rate,
            above: false,
            burst: Self::BURST,
            mode: HashlimitMode::empty(),
            name: name.into(),
            size: None,
            max: None,
            gc_interval: Self::GC_INTERVAL,
            expire: None,
            source_prefix: None,
            destination_prefix: None,
        }
    }

    /// `--hashlimit-above`
    #[must_use]
    pub fn above(mut self) -> Self {
        self.above = true;
        self
    }

    /// `--hashlimit-mode`
    #[must_use]
    pub fn mode(mut self, mode: HashlimitMode) -> Self {
        self.mode = mode;
        self
    }

    /// `--hashlimit-burst`
    #[must_use]
    pub fn burst(mut self, packets: u32) -> Self {
        self.burst = packets;
        self
    }

    pub(super) fn parse(mut options: Options<'_>) -> Option<Self> {
        let (mut rate, mut burst, mut mode, mut name) = (None, None, None, None);
        let (mut gc_interval, mut expire) = (None, None);
        let (mut size, mut max) = (None, None);
        let (mut source, mut destination) = (None, None);
        while !options.is_empty() {
            let (negated, option) = options.next_option()?;
            let value = options.value()?;
            match option {
                "--hashlimit-upto" | "--hashlimit" => put(&mut rate, (rate_of(value)?, negated))?,
                "--hashlimit-above" => put(&mut rate, (rate_of(value)?, !negated))?,
                _ if negated => return None,
                "--hashlimit-burst" => put(&mut burst, number(value)?)?,
                "--hashlimit-mode" => put(&mut mode, mode_of(value)?)?,
                "--hashlimit-name" => put(&mut name, value)?,
                "--hashlimit-htable-size" => put(&mut size, number(value)?)?,
                "--hashlimit-htable-max" => put(&mut max, number(value)?)?,
                "--hashlimit-htable-gcinterval" => put(&mut gc_interval, number(value)?)?,
                "--hashlimit-htable-expire" => put(&mut expire, number(value)?)?,
                "--hashlimit-srcmask" => put(&mut source, prefix(value)?)?,
                "--hashlimit-dstmask" => put(&mut destination, prefix(value)?)?,
                _ => return None,
            }
        }
        let ((rate, written), above) = rate?;
        if burst.is_some() && matches!(rate, HashlimitRate::Bytes(_)) {
            return None;
        }
        // What is printed is the unit of the rate as it is printed, which need not be the one that was written.
        let expire = expire.map_or(written, u64::from);
        let expire = (expire != rate.expire()).then_some(expire);
        let found = Self {
            above,
            burst: burst.unwrap_or(Self::BURST),
            mode: mode.unwrap_or_default(),
            size,
            max,
            gc_interval: gc_interval.unwrap_or(Self::GC_INTERVAL),
            expire: match expire {
                Some(expire) => Some(u32::try_from(expire).ok()?),
                None => None,
            },
            source_prefix: source,
            destination_prefix: destination,
            ..Self::new(rate, name?)
        };
        found.problem().is_none().then_some(found)
    }

    pub(super) fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = if self.above { "above" } else { "upto" };
        write!(f, " --hashlimit-{side} {}", self.rate)?;
        if let HashlimitRate::Packets(_) = self.rate {
            write!(f, " --hashlimit-burst {}", self.burst)?;
        }
        let modes = MODES.iter().filter(|(_, mode)| self.mode.contains(*mode));
        for (position, (name, _)) in modes.enumerate() {
            f.write_str(if position == 0 {
                " --hashlimit-mode "
            } else {
                ","
            })?;
            f.write_str(name)?;
        }
        write!(f, " --hashlimit-name {}", self.name)?;
        let gc_interval = Some(self.gc_interval).filter(|gc| *gc != Self::GC_INTERVAL);
        for (option, value) in [
            ("htable-size", self.size),
            ("htable-max", self.max),
            ("htable-gcinterval", gc_interval),
            ("htable-expire", self.expire),
            ("srcmask", self.source_prefix.map(u32::from)),
            ("dstmask", self.destination_prefix.map(u32::from)),
        ] {
            if let Some(value) = value {
                write!(f, " --hashlimit-{option} {value}")?;
            }
        }
        Ok(())
    }

    /// Why the tools would refuse it, or print another.
    pub(crate) fn problem(&self) -> Option<&'static str> {
        if !is_plain_word(&self.name) || self.name.len() > 254 {
            Some("the name of a hashlimit table is one word of 1 to 254 bytes")
        } else if !(1..=1_000_000).contains(&self.burst) {
            Some("the burst of a hashlimit is 1 to 1000000 packets")
        } else if matches!(self.rate, HashlimitRate::Bytes(rate) if rate.bytes() == 0) {
            Some("a rate of bytes is at least 16 bytes a second")
        } else if self.size == Some(0) || self.max == Some(0) {
            Some("a hashlimit table has at least one bucket and one entry")
        } else if self.gc_interval == 0 || self.expire == Some(0) {
            Some("the times of a hashlimit table are at least 1 ms")
        } else {
            None
        }
    }
}

/// A rate, and the expiry in milliseconds that its unit as it is written stands for.
fn rate_of(text: &str) -> Option<(HashlimitRate, u64)> {
    if let Some(rate) = ByteRate::parse(text) {
        return Some((HashlimitRate::Bytes(rate), 15_000));
    }
    let (rate, seconds) = Rate::parse(text, Rate::HASHLIMIT)?;
    Some((HashlimitRate::Packets(rate), seconds * 1000))
}

/// `srcip,dstport`; not empty.
fn mode_of(text: &str) -> Option<HashlimitMode> {
    text.split(',')
        .try_fold(HashlimitMode::empty(), |all, name| {
            let (_, mode) = MODES.iter().find(|(known, _)| *known == name)?;
            Some(all | *mode)
        })
}

fn prefix(text: &str) -> Option<u8> {
    u8::try_from(number(text)?)
        .ok()
        .filter(|prefix| *prefix <= 128)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Left what was given to iptables 1.8.9, right what it printed.
    #[test]
    fn bytes_print_as_the_tool_does() {
        for (given, printed) in [
            ("992b/s", "992b/s"),
            ("1023b/s", "1008b/s"),
            ("1024b/s", "1kb/s"),
            ("1040b/s", "1040b/s"),
            ("12345b/s", "12336b/s"),
            ("100000b/s", "100000b/s"),
            ("1500kb/s", "1500kb/s"),
            ("5000kb/s", "5000kb/s"),
            ("2mb/s", "2mb/s"),
            ("100mb/s", "100mb/s"),
            ("1025kb/s", "1025kb/s"),
            ("700mb/s", "704mb/s"),
            ("3000mb/s", "3120mb/s"),
            ("65000kb/s", "65027kb/s"),
            ("524288b/s", "512kb/s"),
            ("1b/s", "0b/s"),
        ] {
            let read = ByteRate::parse(given).unwrap();
            assert_eq!(read.to_string(), printed, "{given}");
            assert_eq!(ByteRate::parse(printed), Some(read), "{printed}");
        }
        for bad in ["10Kb/s", "10MB/s", "0x10kb/s", "kb/s", "1kb", "9999mb/s"] {
            assert_eq!(ByteRate::parse(bad), None, "{bad}");
        }
    }
}
