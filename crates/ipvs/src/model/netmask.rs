//! Persistence netmasks: dotted for IPv4, a prefix length for IPv6.

use std::fmt;
use std::net::Ipv4Addr;

use crate::{Error, Family, Result};

/// Which clients persistence takes together: those whose addresses have the same first bits.
///
/// It has a prefix length for each family, as a configuration fits virtual servers of both; a virtual
/// server uses the one of its own family. The default is 32 and 128 bits: each client alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Netmask {
    v4: u8,
    v6: u8,
}

impl Netmask {
    /// Each client alone.
    pub const HOST: Self = Self { v4: 32, v6: 128 };

    /// Clients of a family with the same first `prefix` bits together; clients of the other family alone.
    ///
    /// # Errors
    /// [`Error::InvalidNetmask`] unless the length is 0 to 32 (IPv4) or 1 to 128 (IPv6), which are the
    /// lengths that the kernel takes.
    pub const fn new(family: Family, prefix: u8) -> Result<Self> {
        Self::HOST.with(family, prefix)
    }

    /// The same with another prefix length for the clients of a family.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub const fn with(self, family: Family, prefix: u8) -> Result<Self> {
        match (family, prefix) {
            (Family::V4, 0..=32) => Ok(Self { v4: prefix, ..self }),
            (Family::V6, 1..=128) => Ok(Self { v6: prefix, ..self }),
            _ => Err(Error::InvalidNetmask { family, prefix }),
        }
    }

    /// The prefix length for clients of a family.
    #[must_use]
    pub const fn prefix(self, family: Family) -> u8 {
        match family {
            Family::V4 => self.v4,
            Family::V6 => self.v6,
        }
    }

    /// The netmask as far as a virtual server of this family uses it: the other family's prefix length
    /// is that of [`HOST`](Self::HOST).
    #[must_use]
    pub const fn of(self, family: Family) -> Self {
        match family {
            Family::V4 => Self {
                v4: self.v4,
                ..Self::HOST
            },
            Family::V6 => Self {
                v6: self.v6,
                ..Self::HOST
            },
        }
    }

    /// Reads a netmask of a family as `ipvsadm -M` takes it; `None` for another text, and for IPv4 masks
    /// with holes.
    pub(crate) fn parse(family: Family, text: &str) -> Option<Self> {
        let prefix = match family {
            Family::V4 => prefix_of(text.parse().ok()?)?,
            Family::V6 => text.parse().ok()?,
        };
        Self::new(family, prefix).ok()
    }

    /// Shows the part of a family as `ipvsadm` does; `None` if it takes each client alone.
    pub(crate) fn shown(self, family: Family) -> Option<impl fmt::Display> {
        let prefix = self.prefix(family);
        (prefix != family.bits()).then_some(Shown { family, prefix })
    }
}

impl Default for Netmask {
    fn default() -> Self {
        Self::HOST
    }
}

struct Shown {
    family: Family,
    prefix: u8,
}

impl fmt::Display for Shown {
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
fn prefix_of(mask: Ipv4Addr) -> Option<u8> {
    let prefix = prefix_of_any(mask);
    (mask_of(prefix) == mask).then_some(prefix)
}

/// The prefix length of a mask that the kernel reports. The kernel takes masks with holes, which no
/// prefix length can express; of such a mask, the length of the part before the first hole.
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

    #[test]
    fn only_lengths_that_the_kernel_takes_make_a_netmask() {
        for (family, lengths) in [(Family::V4, 0..=32), (Family::V6, 1..=128)] {
            for prefix in 0..=u8::MAX {
                let netmask = Netmask::new(family, prefix);
                assert_eq!(
                    netmask.is_ok(),
                    lengths.contains(&prefix),
                    "{family} {prefix}"
                );
                if let Ok(netmask) = netmask {
                    assert_eq!(netmask.prefix(family), prefix);
                    assert_eq!(netmask.of(family), netmask);
                }
            }
        }
        let error = Netmask::new(Family::V4, 64).unwrap_err().to_string();
        assert!(error.contains("IPv4") && error.contains("64"), "{error}");
    }

    #[test]
    fn a_virtual_server_uses_the_length_of_its_own_family() {
        let netmask = Netmask::new(Family::V6, 64).unwrap();
        assert_eq!(
            (netmask.prefix(Family::V4), netmask.prefix(Family::V6)),
            (32, 64)
        );
        assert_eq!(netmask.of(Family::V4), Netmask::HOST);
        assert!(netmask.shown(Family::V4).is_none());
        let shown = |family, prefix| {
            let netmask = Netmask::new(family, prefix).unwrap();
            netmask.shown(family).map(|shown| shown.to_string())
        };
        assert_eq!(shown(Family::V6, 64).as_deref(), Some("64"));
        assert_eq!(shown(Family::V4, 24).as_deref(), Some("255.255.255.0"));
        assert_eq!(shown(Family::V4, 32), None);
    }
}
