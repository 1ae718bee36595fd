//! What identifies a virtual server.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;

use crate::{Family, Protocol};

/// What identifies a virtual server: the packets that it takes.
///
/// ```
/// use ipvs_netlink::VirtualServerId;
///
/// let id = VirtualServerId::tcp(([10, 0, 0, 1], 80));
/// assert_eq!(id.to_string(), "-t 10.0.0.1:80");
/// assert_eq!(format!("{id:#}"), "TCP 10.0.0.1:80");
/// assert_eq!("TCP 10.0.0.1:80".parse(), Ok(id));
/// assert_eq!("-t 10.0.0.1:80".parse(), Ok(id));
/// ```
///
/// Displays as the service argument of `ipvsadm`: `-t 10.0.0.1:80`, `-u [2001:db8::1]:53`,
/// `--sctp-service 1.2.3.4:5`, `-f 7`, `-f 7 -6`. A protocol that `ipvsadm` has no option for
/// displays as `--protocol-51-service`, which `ipvsadm` refuses (it shows `--xxx-service` itself).
/// With `#` in the format it displays as in the tables of `ipvsadm -Ln`: `TCP 10.0.0.1:80`, `FWM 7 IPv6`.
/// It parses from either.
///
/// Sorts as `ipvsadm` sorts its lists: addresses before marks; addresses by family, protocol,
/// address, port; marks by mark, family.
#[doc(alias = "service")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VirtualServerId {
    /// Packets to an address and port. Port 0 is every port, for persistent services only.
    Address {
        /// Transport protocol.
        protocol: Protocol,
        /// Address the packets are sent to.
        address: IpAddr,
        /// Port the packets are sent to.
        port: u16,
    },
    /// Packets that netfilter has marked with this number.
    #[doc(alias = "fwmark")]
    FirewallMark {
        /// Family of the packets; the same mark can be a service in each.
        family: Family,
        /// The mark. To the kernel, 0 means no mark.
        mark: NonZeroU32,
    },
}

impl VirtualServerId {
    /// TCP to an address and port. Port 0 is every port, for persistent services only.
    #[must_use]
    pub fn tcp(address: impl Into<SocketAddr>) -> Self {
        Self::address(Protocol::TCP, address)
    }

    /// UDP to an address and port.
    #[must_use]
    pub fn udp(address: impl Into<SocketAddr>) -> Self {
        Self::address(Protocol::UDP, address)
    }

    /// SCTP to an address and port.
    #[must_use]
    pub fn sctp(address: impl Into<SocketAddr>) -> Self {
        Self::address(Protocol::SCTP, address)
    }

    /// Any protocol to an address and port.
    #[must_use]
    pub fn address(protocol: Protocol, address: impl Into<SocketAddr>) -> Self {
        let address: SocketAddr = address.into();
        Self::Address {
            protocol,
            address: address.ip(),
            port: address.port(),
        }
    }

    /// Packets of a family with a firewall mark.
    #[must_use]
    pub const fn fwmark(family: Family, mark: NonZeroU32) -> Self {
        Self::FirewallMark { family, mark }
    }

    /// The family of its packets.
    #[must_use]
    pub const fn family(&self) -> Family {
        match self {
            Self::Address { address, .. } => Family::of(*address),
            Self::FirewallMark { family, .. } => *family,
        }
    }

    /// A number for each of IPv4 by address, in the order in which they sort.
    #[inline]
    const fn as_number(&self) -> Option<u64> {
        match *self {
            Self::Address {
                protocol,
                address: IpAddr::V4(address),
                port,
            } => {
                let address = (address.to_bits() as u64) << 16;
                Some((protocol.0 as u64) << 48 | address | port as u64)
            }
            _ => None,
        }
    }

    /// By what ids of all kinds sort.
    fn place(&self) -> (u8, u8, u128, u16) {
        match *self {
            Self::Address {
                protocol,
                address,
                port,
            } => {
                let (family, address) = match address {
                    IpAddr::V4(address) => (0, address.to_bits().into()),
                    IpAddr::V6(address) => (1, address.to_bits()),
                };
                (family, protocol.0, address, port)
            }
            Self::FirewallMark { family, mark } => {
                let family = u16::from(family == Family::V6);
                (2, 0, u128::from(mark.get()), family)
            }
        }
    }
}

impl Ord for VirtualServerId {
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        // Ids are kept sorted, and searched: those of IPv4, which most are, are compared as one number each.
        match (self.as_number(), other.as_number()) {
            (Some(one), Some(other)) => one.cmp(&other),
            _ => self.place().cmp(&other.place()),
        }
    }
}

impl PartialOrd for VirtualServerId {
    #[inline]
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Hash for VirtualServerId {
    /// In as few pieces as hold it: a program that keeps many virtual servers by id hashes ids all day.
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        let piece = |kind: u64, protocol: Protocol, port: u16, rest: u32| {
            kind << 56 | u64::from(protocol.0) << 48 | u64::from(port) << 32 | u64::from(rest)
        };
        match *self {
            Self::Address {
                protocol,
                address: IpAddr::V4(address),
                port,
            } => state.write_u64(piece(0, protocol, port, address.to_bits())),
            Self::Address {
                protocol,
                address: IpAddr::V6(address),
                port,
            } => {
                state.write_u64(piece(1, protocol, port, 0));
                state.write_u128(address.to_bits());
            }
            Self::FirewallMark { family, mark } => {
                let kind = match family {
                    Family::V4 => 2,
                    Family::V6 => 3,
                };
                state.write_u64(piece(kind, Protocol(0), 0, mark.get()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::hash::DefaultHasher;

    use super::*;
    use crate::text::id::tests::{address, mark};

    #[test]
    fn ids_of_ipv4_sort_among_themselves_as_ids_of_all_kinds_do() {
        let ids = [
            address(Protocol(0), "0.0.0.0", 0),
            address(Protocol(0), "0.0.0.1", 0),
            address(Protocol(0), "255.255.255.255", u16::MAX),
            address(Protocol::TCP, "0.0.0.0", u16::MAX),
            address(Protocol::TCP, "1.0.0.0", 0),
            address(Protocol(255), "255.255.255.255", u16::MAX),
            address(Protocol(0), "::", 0),
            mark(Family::V4, 1),
        ];
        for one in &ids {
            for other in &ids {
                assert_eq!(
                    one.cmp(other),
                    one.place().cmp(&other.place()),
                    "{one} {other}"
                );
            }
        }
        assert!(ids.is_sorted());
    }

    #[test]
    fn what_tells_ids_apart_goes_into_their_hashes() {
        let ids = [
            address(Protocol::TCP, "10.0.0.9", 81),
            address(Protocol::UDP, "10.0.0.9", 81),
            address(Protocol::TCP, "10.0.0.8", 81),
            address(Protocol::TCP, "10.0.0.9", 80),
            address(Protocol::TCP, "::10.0.0.9", 81),
            address(Protocol::TCP, "::ffff:10.0.0.9", 81),
            address(Protocol::TCP, "2001:db8::1", 81),
            // Numbers whose bits would meet if they were not kept apart.
            address(Protocol(6), "10.0.0.9", 1),
            address(Protocol(7), "10.0.0.9", 0),
            address(Protocol(6), "10.0.0.9", 0x0100),
            address(Protocol(6), "::", 0),
            mark(Family::V4, 81),
            mark(Family::V6, 81),
            mark(Family::V4, 0x0a00_0009),
        ];
        let hash = |id: &VirtualServerId| {
            let mut state = DefaultHasher::new();
            id.hash(&mut state);
            state.finish()
        };
        let hashes: HashSet<_> = ids.iter().map(hash).collect();
        assert_eq!(hashes.len(), ids.len());
        assert!(
            ids.map(|id| hash(&id))
                .iter()
                .all(|hash| hashes.contains(hash))
        );
    }
}
