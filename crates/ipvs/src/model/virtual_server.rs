//! What identifies a virtual server and how it is configured.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;

use crate::{Family, PersistenceEngine, Protocol, Scheduler, ServiceFlags};

/// What identifies a virtual server: the packets that are its.
///
/// Displays as the service argument of `ipvsadm`: `-t 10.0.0.1:80`, `-u [2001:db8::1]:53`,
/// `--sctp-service 1.2.3.4:5`, `-f 7`, `-f 7 -6`. A protocol that `ipvsadm` has no option for
/// displays as `--protocol-51-service`, which it refuses (itself, it shows `--xxx-service`).
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
    /// Packets that netfilter has given this mark.
    #[doc(alias = "fwmark")]
    FirewallMark {
        /// Family of the packets; the same mark can be a service in each.
        family: Family,
        /// The mark. To the kernel, 0 means that there is none.
        mark: NonZeroU32,
    },
}

impl VirtualServerId {
    /// The family of its packets.
    #[must_use]
    pub const fn family(&self) -> Family {
        match self {
            Self::Address { address, .. } => Family::of(*address),
            Self::FirewallMark { family, .. } => *family,
        }
    }
}

impl Ord for VirtualServerId {
    fn cmp(&self, other: &Self) -> Ordering {
        let address = |id: &Self| match *id {
            Self::Address {
                protocol,
                address,
                port,
            } => (None, Some((id.family(), protocol, address, port))),
            Self::FirewallMark { family, mark } => (Some((mark, family)), None),
        };
        address(self).cmp(&address(other))
    }
}

impl PartialOrd for VirtualServerId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Hash for VirtualServerId {
    /// In as few pieces as hold it: a program that keeps many virtual servers by id hashes ids all day.
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

impl fmt::Display for VirtualServerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Address {
                protocol,
                address,
                port,
            } => {
                match protocol {
                    Protocol::TCP => f.write_str("-t")?,
                    Protocol::UDP => f.write_str("-u")?,
                    Protocol::SCTP => f.write_str("--sctp-service")?,
                    Protocol(number) => write!(f, "--protocol-{number}-service")?,
                }
                write!(f, " {}", SocketAddr::new(address, port))
            }
            Self::FirewallMark {
                family: Family::V4,
                mark,
            } => write!(f, "-f {mark}"),
            Self::FirewallMark {
                family: Family::V6,
                mark,
            } => write!(f, "-f {mark} -6"),
        }
    }
}

/// How a virtual server is configured: all that can be changed while it exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VirtualServerConfig {
    /// Chooses the destination of a connection.
    pub scheduler: Scheduler,
    /// Persistence, one-packet scheduling and the scheduler's flags. What the kernel reports comes
    /// without [`ServiceFlags::HASHED`], so that configurations read and written compare as equal.
    pub flags: ServiceFlags,
    /// Persistence timeout in seconds; of no effect without [`ServiceFlags::PERSISTENT`].
    pub timeout: u32,
    /// Prefix length by which clients are taken together for persistence: 32 (IPv4) or 128 (IPv6)
    /// is each client alone. IPv4 takes 0 to 32, IPv6 1 to 128; other values are refused by the
    /// kernel or, for IPv4, sent as 32. A mask with holes, which the kernel takes from other
    /// programs, is reported as the length of what comes before its first hole. Of no effect without [`ServiceFlags::PERSISTENT`].
    pub netmask: u8,
    /// Tells by other means than the address which connections belong together.
    pub engine: Option<PersistenceEngine>,
}

impl VirtualServerConfig {
    /// The plain configuration: no flags, no persistence, each client alone.
    #[must_use]
    pub const fn new(family: Family, scheduler: Scheduler) -> Self {
        Self {
            scheduler,
            flags: ServiceFlags::empty(),
            timeout: 0,
            netmask: family.bits(),
            engine: None,
        }
    }

    /// The same with persistence: a client keeps its destination until it has been silent for
    /// `timeout` seconds.
    #[must_use]
    pub const fn persistent(mut self, timeout: u32) -> Self {
        self.flags = self.flags.union(ServiceFlags::PERSISTENT);
        self.timeout = timeout;
        self
    }

    /// Whether clients keep their destination.
    #[must_use]
    pub const fn is_persistent(&self) -> bool {
        self.flags.contains(ServiceFlags::PERSISTENT)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::hash::DefaultHasher;

    use super::*;

    fn address(protocol: Protocol, address: &str, port: u16) -> VirtualServerId {
        VirtualServerId::Address {
            protocol,
            address: address.parse().unwrap(),
            port,
        }
    }

    fn mark(family: Family, mark: u32) -> VirtualServerId {
        VirtualServerId::FirewallMark {
            family,
            mark: mark.try_into().unwrap(),
        }
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

    #[test]
    fn ids_display_and_sort_as_in_ipvsadm() {
        // The order of `ipvsadm -Ln` 1.31.
        let sorted = [
            (address(Protocol::TCP, "10.0.0.9", 81), "-t 10.0.0.9:81"),
            (address(Protocol::TCP, "10.0.0.14", 0), "-t 10.0.0.14:0"),
            (address(Protocol::UDP, "10.0.0.5", 53), "-u 10.0.0.5:53"),
            (
                address(Protocol(51), "10.0.0.5", 53),
                "--protocol-51-service 10.0.0.5:53",
            ),
            (
                address(Protocol::SCTP, "10.0.0.3", 9),
                "--sctp-service 10.0.0.3:9",
            ),
            (
                address(Protocol::TCP, "2001:db8::80", 80),
                "-t [2001:db8::80]:80",
            ),
            (mark(Family::V4, 7), "-f 7"),
            (mark(Family::V6, 7), "-f 7 -6"),
            (mark(Family::V4, 4_000_000_000), "-f 4000000000"),
        ];
        for (id, text) in sorted {
            assert_eq!(id.to_string(), text);
        }
        assert!(sorted.is_sorted_by_key(|(id, _)| *id));
    }

    #[test]
    fn a_new_configuration_takes_each_client_alone() {
        let config = VirtualServerConfig::new(Family::V6, Scheduler::RR);
        assert_eq!((config.netmask, config.is_persistent()), (128, false));
        assert!(config.persistent(60).is_persistent());
    }
}
