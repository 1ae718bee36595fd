//! Types of keys and data, by the numbers that `nft` gave them. The kernel keeps the numbers and does not
//! know what they mean.

use crate::wire::number;

/// Bits of a part's type within the number of a concatenation.
const PART_BITS: u32 = 6;
const PART_MASK: u32 = (1 << PART_BITS) - 1;

number! {
    /// The type of a key or of a map's data; of a concatenation, six bits for each part.
    ///
    /// Source: nft's `include/datatype.h`.
    DataType(u32) {
        /// A verdict.
        VERDICT = 0xffff_ff00 "verdict",
        /// A family.
        NF_PROTO = 2 "nf_proto",
        /// A number.
        INTEGER = 4 "integer",
        /// Text.
        STRING = 5 "string",
        /// An address of a link layer.
        LL_ADDR = 6 "ll_addr",
        /// An IPv4 address.
        IPV4_ADDR = 7 "ipv4_addr",
        /// An IPv6 address.
        IPV6_ADDR = 8 "ipv6_addr",
        /// An Ethernet address.
        ETHER_ADDR = 9 "ether_addr",
        /// A protocol of the network layer.
        ETHER_TYPE = 10 "ether_type",
        /// A protocol of the transport layer.
        INET_PROTO = 12 "inet_proto",
        /// A port.
        INET_SERVICE = 13 "inet_service",
        /// A type of ICMP.
        ICMP_TYPE = 14 "icmp_type",
        /// Flags of TCP.
        TCP_FLAG = 15 "tcp_flag",
        /// A mark, in host byte order.
        MARK = 19 "mark",
        /// The index of a link, in host byte order.
        IFACE_INDEX = 20 "iface_index",
        /// A realm.
        REALM = 22 "realm",
        /// A handle of traffic control.
        CLASSID = 23 "classid",
        /// A user.
        UID = 24 "uid",
        /// A group.
        GID = 25 "gid",
        /// A state of connections, in host byte order.
        CT_STATE = 26 "ct_state",
        /// A side of connections.
        CT_DIR = 27 "ct_dir",
        /// A status of connections, in host byte order.
        CT_STATUS = 28 "ct_status",
        /// A type of ICMPv6.
        ICMPV6_TYPE = 29 "icmpv6_type",
        /// Whom a packet is for.
        PKT_TYPE = 31 "pkt_type",
        /// A code of ICMP.
        ICMP_CODE = 32 "icmp_code",
        /// A code of ICMPv6.
        ICMPV6_CODE = 33 "icmpv6_code",
        /// A code for ICMP and ICMPv6.
        ICMPX_CODE = 34 "icmpx_code",
        /// A group of links.
        DEVGROUP = 35 "devgroup",
        /// A DSCP value.
        DSCP = 36 "dscp",
        /// An ECN value.
        ECN = 37 "ecn",
        /// A type of address.
        FIB_ADDRTYPE = 38 "fib_addrtype",
        /// Yes or no.
        BOOLEAN = 39 "boolean",
        /// The name of a link.
        IFNAME = 41 "ifname",
    }
}

impl DataType {
    /// The type of keys that consist of these parts. Of one part it is that part's own.
    #[must_use]
    pub fn concat(parts: &[Self]) -> Self {
        Self(
            parts
                .iter()
                .fold(0, |all, part| all << PART_BITS | part.0 & PART_MASK),
        )
    }

    /// The types of the parts, first to last; of a type that is not a concatenation, itself.
    #[must_use]
    pub fn parts(self) -> Vec<Self> {
        if self == Self::VERDICT {
            return vec![self];
        }
        let mut parts = Vec::new();
        let mut rest = self.0;
        while rest != 0 {
            parts.push(Self(rest & PART_MASK));
            rest >>= PART_BITS;
        }
        parts.reverse();
        parts
    }

    /// How many bytes a value has, if that depends on the type alone.
    #[must_use]
    pub const fn byte_len(self) -> Option<u32> {
        Some(match self {
            Self::NF_PROTO
            | Self::INET_PROTO
            | Self::ICMP_TYPE
            | Self::TCP_FLAG
            | Self::ICMPV6_TYPE
            | Self::PKT_TYPE
            | Self::ICMP_CODE
            | Self::ICMPV6_CODE
            | Self::ICMPX_CODE
            | Self::DSCP
            | Self::ECN
            | Self::BOOLEAN
            | Self::CT_DIR => 1,
            Self::ETHER_TYPE | Self::INET_SERVICE => 2,
            Self::ETHER_ADDR => 6,
            Self::IPV6_ADDR | Self::IFNAME => 16,
            Self::IPV4_ADDR => 4,
            host if host.is_host_order() => 4,
            _ => return None,
        })
    }

    /// Whether values are numbers in host byte order.
    #[must_use]
    pub const fn is_host_order(self) -> bool {
        matches!(
            self,
            Self::MARK
                | Self::IFACE_INDEX
                | Self::REALM
                | Self::CLASSID
                | Self::UID
                | Self::GID
                | Self::CT_STATE
                | Self::CT_STATUS
                | Self::DEVGROUP
                | Self::FIB_ADDRTYPE
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The number is that of the set `plain` in the captured rule set.
    #[test]
    fn concatenations_have_six_bits_for_each_part() {
        let parts = [
            DataType::IPV4_ADDR,
            DataType::INET_PROTO,
            DataType::INET_SERVICE,
        ];
        assert_eq!(DataType::concat(&parts), DataType(0x730d));
        assert_eq!(DataType(0x730d).parts(), parts);
        assert_eq!(DataType::MARK.parts(), [DataType::MARK]);
        assert_eq!(DataType::VERDICT.parts(), [DataType::VERDICT]);
        assert_eq!(DataType(0).parts(), []);
    }
}
