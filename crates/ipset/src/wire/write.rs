//! How ipset wants numbers and addresses written.

use std::net::IpAddr;

use netlink_wire::{NLA_F_NET_BYTEORDER, Writer};

use crate::uapi::{IPSET_ATTR_IPADDR_IPV4, IPSET_ATTR_IPADDR_IPV6};

/// The attributes of ipset that [`Writer`] has no method for.
pub(crate) trait IpsetWriter {
    /// A number of 16 bits in network byte order, flagged as such.
    fn be16(&mut self, kind: u16, value: u16);
    /// A number of 32 bits in network byte order, flagged as such.
    fn be32(&mut self, kind: u16, value: u32);
    /// A number of 64 bits in network byte order, flagged as such.
    fn be64(&mut self, kind: u16, value: u64);
    /// An address in a nest, flagged as in network byte order.
    fn address(&mut self, kind: u16, address: IpAddr);
}

impl IpsetWriter for Writer<'_> {
    #[inline]
    fn be16(&mut self, kind: u16, value: u16) {
        self.u16_be(kind | NLA_F_NET_BYTEORDER, value);
    }

    #[inline]
    fn be32(&mut self, kind: u16, value: u32) {
        self.u32_be(kind | NLA_F_NET_BYTEORDER, value);
    }

    #[inline]
    fn be64(&mut self, kind: u16, value: u64) {
        self.u64_be(kind | NLA_F_NET_BYTEORDER, value);
    }

    #[inline]
    fn address(&mut self, kind: u16, address: IpAddr) {
        let inner = match address {
            IpAddr::V4(_) => IPSET_ATTR_IPADDR_IPV4,
            IpAddr::V6(_) => IPSET_ATTR_IPADDR_IPV6,
        };
        self.nest(kind, |writer| {
            writer.ip(inner | NLA_F_NET_BYTEORDER, address);
        });
    }
}
