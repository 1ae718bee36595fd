//! Routes.

use std::fmt;

use ipnetwork::IpNetwork;
use netlink_wire::Family;

use crate::{RoutingProtocol, Table};

/// The kind of a route: `RTN_*` of
/// [`linux/rtnetlink.h`](https://github.com/torvalds/linux/blob/v6.12/include/uapi/linux/rtnetlink.h).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct RouteKind(pub u8);

impl RouteKind {
    /// Through a gateway or a link.
    pub const UNICAST: Self = Self(1);
    /// To this machine: packets are delivered here.
    pub const LOCAL: Self = Self(2);
    /// To all machines of a network.
    pub const BROADCAST: Self = Self(3);
    /// To this machine, as one of several.
    pub const ANYCAST: Self = Self(4);
    /// To a group.
    pub const MULTICAST: Self = Self(5);
    /// Nowhere, silently.
    pub const BLACKHOLE: Self = Self(6);
    /// Nowhere: the destination is unreachable.
    pub const UNREACHABLE: Self = Self(7);
    /// Nowhere: communication is prohibited.
    pub const PROHIBIT: Self = Self(8);
    /// The search goes on with the next rule.
    pub const THROW: Self = Self(9);
}

/// Every address of a family, as a default route has it for its destination.
pub fn every_address(family: Family) -> IpNetwork {
    let address = family.unspecified();
    // The length 0 is one of every family.
    IpNetwork::new(address, 0).unwrap_or(IpNetwork::from(address))
}

/// A local route: packets to these addresses are delivered to this machine, although no link has the
/// addresses.
///
/// Displays as the arguments of `ip route`: `local 0.0.0.0/0 table 8192 proto 77`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct LocalRoute {
    /// The addresses. Bits after the prefix must be 0, else the kernel refuses the route (IPv4) or
    /// clears them (IPv6).
    pub destination: IpNetwork,
    /// The index of the link, usually that of `lo`. IPv6 demands that the link is up.
    pub link: u32,
    /// The table.
    pub table: Table,
    /// Whose route it is.
    pub protocol: RoutingProtocol,
}

impl fmt::Display for LocalRoute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            destination,
            link: _,
            table,
            protocol,
        } = self;
        write!(f, "local {destination} table {table} proto {}", protocol.0)
    }
}

/// A route as the kernel describes it, of whatever kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Route {
    /// The addresses.
    pub destination: IpNetwork,
    /// Its table.
    pub table: Table,
    /// Its kind.
    pub kind: RouteKind,
    /// Whose route it is.
    pub protocol: RoutingProtocol,
    /// The index of the link; `None` where there is none or several.
    pub link: Option<u32>,
    /// Its metric; of several routes to the same addresses that with the lowest is used. `None` is 0.
    pub metric: Option<u32>,
}

impl Route {
    /// The local route that this is, whatever its metric; `None` if it is of another kind.
    #[must_use]
    pub fn local(&self) -> Option<LocalRoute> {
        let is_local = self.kind == RouteKind::LOCAL;
        let link = self.link.filter(|_| is_local)?;
        Some(LocalRoute {
            destination: self.destination,
            link,
            table: self.table,
            protocol: self.protocol,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_default_route_is_to_every_address() {
        assert_eq!(every_address(Family::V4).to_string(), "0.0.0.0/0");
        assert_eq!(every_address(Family::V6).to_string(), "::/0");
    }
}
