//! Where an address or a route is valid.

use std::fmt;

/// Where an address is valid: `RT_SCOPE_*` of
/// [`linux/rtnetlink.h`](https://github.com/torvalds/linux/blob/v6.12/include/uapi/linux/rtnetlink.h).
///
/// The smaller the number, the wider the scope. Displays as `ip` prints it: `global`, `link`, `host`, or the
/// number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct AddressScope(pub u8);

impl AddressScope {
    /// Everywhere; `global` in the output of `ip`.
    pub const UNIVERSE: Self = Self(0);
    /// Within the site (IPv6, deprecated).
    pub const SITE: Self = Self(200);
    /// On this link.
    pub const LINK: Self = Self(253);
    /// Inside this host.
    pub const HOST: Self = Self(254);
    /// Nowhere.
    pub const NOWHERE: Self = Self(255);
}

impl fmt::Display for AddressScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match *self {
            Self::UNIVERSE => "global",
            Self::SITE => "site",
            Self::LINK => "link",
            Self::HOST => "host",
            Self::NOWHERE => "nowhere",
            Self(number) => return fmt::Display::fmt(&number, f),
        };
        f.pad(name)
    }
}
