//! How long an address is used.

use std::fmt;

/// Until when something about an address holds.
///
/// Displays as `ip` prints it: `forever`, `1200sec`. [`Forever`](Self::Forever) is the longest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Lifetime {
    /// For so many seconds from now. The kernel reads [`u32::MAX`] seconds as forever.
    Seconds(u32),
    /// Without an end.
    #[default]
    Forever,
}

impl Lifetime {
    /// Of the number in `struct ifa_cacheinfo`.
    #[cfg(feature = "message")]
    pub(crate) const fn from_wire(seconds: u32) -> Self {
        match seconds {
            u32::MAX => Self::Forever,
            seconds => Self::Seconds(seconds),
        }
    }

    /// The number in `struct ifa_cacheinfo`.
    #[cfg(feature = "message")]
    pub(crate) const fn to_wire(self) -> u32 {
        match self {
            Self::Seconds(seconds) => seconds,
            Self::Forever => u32::MAX,
        }
    }
}

impl fmt::Display for Lifetime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Seconds(seconds) => write!(f, "{seconds}sec"),
            Self::Forever => f.write_str("forever"),
        }
    }
}

/// The two lifetimes of an address (RFC 4862, 5.5.4), which the kernel keeps for IPv4 too.
///
/// Displays as `ip` prints them: `valid_lft 4000sec preferred_lft 3000sec`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Lifetimes {
    /// Until when new connections may use it. It is deprecated afterwards
    /// ([`AddressFlags::DEPRECATED`](crate::AddressFlags::DEPRECATED)), as it is from the start with 0 seconds.
    pub preferred: Lifetime,
    /// Until when it exists: the kernel removes it afterwards.
    pub valid: Lifetime,
}

impl Lifetimes {
    /// An address that stays until somebody removes it.
    pub const FOREVER: Self = Self {
        preferred: Lifetime::Forever,
        valid: Lifetime::Forever,
    };

    /// An address that the kernel removes after so many seconds, and that is preferred for so many of them.
    #[must_use]
    pub const fn seconds(preferred: u32, valid: u32) -> Self {
        Self {
            preferred: Lifetime::Seconds(preferred),
            valid: Lifetime::Seconds(valid),
        }
    }

    /// Whether the kernel takes them for an address: `valid` must not be 0, nor shorter than `preferred`.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        self.valid != Lifetime::Seconds(0) && self.preferred <= self.valid
    }
}

impl fmt::Display for Lifetimes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { preferred, valid } = self;
        write!(f, "valid_lft {valid} preferred_lft {preferred}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifetimes_end_with_valid() {
        let seconds = Lifetimes::seconds;
        for (lifetimes, is_valid) in [
            (Lifetimes::FOREVER, true),
            (Lifetimes::default(), true),
            (seconds(3000, 4000), true),
            (seconds(4000, 4000), true),
            (seconds(0, 1), true),
            (seconds(0, 0), false),
            (seconds(4001, 4000), false),
            (seconds(u32::MAX - 1, u32::MAX), true),
        ] {
            assert_eq!(lifetimes.is_valid(), is_valid, "{lifetimes}");
        }
        let preferred = Lifetimes {
            valid: Lifetime::Seconds(4000),
            ..Lifetimes::FOREVER
        };
        assert!(!preferred.is_valid());
        assert_eq!(
            preferred.to_string(),
            "valid_lft 4000sec preferred_lft forever"
        );
    }

    #[cfg(feature = "message")]
    #[test]
    fn the_greatest_number_is_forever() {
        for seconds in [0, 1, u32::MAX - 1, u32::MAX] {
            assert_eq!(Lifetime::from_wire(seconds).to_wire(), seconds);
        }
        assert_eq!(Lifetime::from_wire(u32::MAX), Lifetime::Forever);
    }
}
