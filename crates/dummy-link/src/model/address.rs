//! Addresses.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use ipnetwork::IpNetwork;

use crate::{AddressLabel, AddressScope, Lifetimes};

/// The address with the prefix length 32 (IPv4) or 128 (IPv6), as a virtual address is bound.
pub fn host_address(address: IpAddr) -> IpNetwork {
    IpNetwork::from(address)
}

/// An address and the link it is bound to, as the kernel describes them.
///
/// Displays as `ip address` shows it: `10.1.1.1/24`, or `10.1.1.1 peer 10.1.1.2/32`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct BoundAddress {
    /// The index of the link.
    pub index: u32,
    /// The local address with its prefix length. Where there is a peer, the prefix is the peer's.
    pub address: IpNetwork,
    /// The address of the other end of a point-to-point link.
    pub peer: Option<IpAddr>,
    /// The broadcast address of an IPv4 subnet.
    pub broadcast: Option<Ipv4Addr>,
    /// The label of an IPv4 address.
    pub label: Option<AddressLabel>,
    /// Where it is valid.
    pub scope: AddressScope,
    /// How long it is still used, from when it was listed. Where `valid` has no end, the kernel lists none of
    /// `preferred` either: [`AddressFlags::DEPRECATED`] tells whether it is over.
    pub lifetimes: Lifetimes,
    /// Its flags.
    pub flags: AddressFlags,
    /// What added it, as far as that is known.
    pub protocol: AddressProtocol,
}

impl fmt::Display for BoundAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.peer {
            None => write!(f, "{}", self.address),
            Some(peer) => write!(
                f,
                "{} peer {peer}/{}",
                self.address.ip(),
                self.address.prefix()
            ),
        }
    }
}

bitflags::bitflags! {
    /// Flags of an address: `IFA_F_*` of
    /// [`linux/if_addr.h`](https://github.com/torvalds/linux/blob/v6.12/include/uapi/linux/if_addr.h).
    /// Unknown ones are kept.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
    pub struct AddressFlags: u32 {
        /// IPv4: not the first address of its subnet on the link. IPv6: a temporary address.
        const SECONDARY = 0x01;
        /// No duplicate address detection.
        const NODAD = 0x02;
        /// Usable while duplicate address detection runs.
        const OPTIMISTIC = 0x04;
        /// Duplicate address detection found another owner: not usable.
        const DADFAILED = 0x08;
        /// A home address of Mobile IPv6.
        const HOMEADDRESS = 0x10;
        /// Not to be used for new connections.
        const DEPRECATED = 0x20;
        /// Duplicate address detection is running: not usable yet.
        const TENTATIVE = 0x40;
        /// Without an end of its lifetime.
        const PERMANENT = 0x80;
        /// The kernel makes temporary addresses from it.
        const MANAGETEMPADDR = 0x100;
        /// Without a route to its prefix.
        const NOPREFIXROUTE = 0x200;
        /// Joins the multicast group that is this address.
        const MCAUTOJOIN = 0x400;
        /// Made by the kernel from a secret (RFC 7217).
        const STABLE_PRIVACY = 0x800;
        const _ = !0;
    }
}

/// What added an address: `IFA_PROTO`, which Linux keeps since 5.18. Programs choose numbers of their
/// own to recognise their addresses, from 4; `ip` reads names for them from
/// `/etc/iproute2/rt_addrprotos`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct AddressProtocol(pub u8);

impl AddressProtocol {
    /// Unknown; also on older kernels.
    pub const UNSPEC: Self = Self(0);
    /// The kernel: an address of the loopback link.
    pub const KERNEL_LO: Self = Self(1);
    /// The kernel: from a router advertisement.
    pub const KERNEL_RA: Self = Self(2);
    /// The kernel: a link-local address.
    pub const KERNEL_LL: Self = Self(3);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_addresses_have_full_length() {
        for (address, expected) in [("10.96.0.1", "10.96.0.1/32"), ("fd00::1", "fd00::1/128")] {
            let address = host_address(address.parse().unwrap());
            assert_eq!(address.to_string(), expected);
        }
    }
}
