//! Families of tables.

use netlink_wire::Family;

use crate::wire::number;

number! {
    /// The family of a table: which packets its chains see.
    TableFamily(u8) {
        /// IPv4 and IPv6.
        INET = 1 "inet",
        /// IPv4.
        IPV4 = 2 "ip",
        /// ARP.
        ARP = 3 "arp",
        /// The packets of a device, at its ingress or egress.
        NETDEV = 5 "netdev",
        /// The frames of bridges.
        BRIDGE = 7 "bridge",
        /// IPv6.
        IPV6 = 10 "ip6",
    }
}

impl TableFamily {
    /// All families, for requests.
    pub const ANY: Self = Self(0);
}

impl From<Family> for TableFamily {
    fn from(family: Family) -> Self {
        Self(family.number())
    }
}
