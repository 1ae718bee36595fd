//! Persistence netmasks: dotted for IPv4, a prefix length for IPv6.

use std::fmt;
use std::net::Ipv4Addr;

use crate::Family;

/// Displays a prefix length as `ipvsadm` spells it.
#[derive(Clone, Copy)]
pub(crate) struct Netmask {
    pub(crate) family: Family,
    pub(crate) prefix: u8,
}

impl Netmask {
    /// Whether it takes each client alone, which is not printed.
    pub(crate) const fn is_single(self) -> bool {
        self.prefix == self.family.bits()
    }

    /// `None` for what is no netmask of the family, and for IPv4 masks with holes.
    pub(crate) fn parse(family: Family, text: &str) -> Option<Self> {
        let prefix = match family {
            Family::V4 => prefix_of(text.parse().ok()?)?,
            Family::V6 => text
                .parse()
                .ok()
                .filter(|prefix| (1..=128).contains(prefix))?,
        };
        Some(Self { family, prefix })
    }
}

impl fmt::Display for Netmask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.family {
            Family::V4 => fmt::Display::fmt(&mask_of(self.prefix), f),
            Family::V6 => fmt::Display::fmt(&self.prefix, f),
        }
    }
}

/// The mask of a prefix length; more than 32 counts as 32.
pub(crate) fn mask_of(prefix: u8) -> Ipv4Addr {
    let free = 32_u32.saturating_sub(prefix.into());
    Ipv4Addr::from_bits(u32::MAX.checked_shl(free).unwrap_or(0))
}

/// The prefix length of a mask; `None` if it has holes.
pub(crate) fn prefix_of(mask: Ipv4Addr) -> Option<u8> {
    let prefix = prefix_of_any(mask);
    (mask_of(prefix) == mask).then_some(prefix)
}

/// The prefix length of a mask as the kernel reports it. The kernel takes masks with holes, which
/// no prefix length tells: of such a one, the length of what comes before the first hole.
pub(crate) fn prefix_of_any(mask: Ipv4Addr) -> u8 {
    u8::try_from(mask.to_bits().leading_ones()).unwrap_or(32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_and_prefix_lengths_agree() {
        for prefix in 0..=32 {
            assert_eq!(prefix_of(mask_of(prefix)), Some(prefix));
        }
        assert_eq!(mask_of(24), Ipv4Addr::new(255, 255, 255, 0));
        assert_eq!(mask_of(200), Ipv4Addr::BROADCAST);
        let holed = Ipv4Addr::new(255, 255, 0, 255);
        assert_eq!((prefix_of(holed), prefix_of_any(holed)), (None, 16));
    }
}
