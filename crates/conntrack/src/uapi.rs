//! The kernel's constants of connection tracking, under the kernel's names.
//!
//! Sources:
//! [`linux/netfilter/nfnetlink_conntrack.h`](https://github.com/torvalds/linux/blob/v6.12/include/uapi/linux/netfilter/nfnetlink_conntrack.h),
//! for `NFNL_*` [`linux/netfilter/nfnetlink.h`](https://github.com/torvalds/linux/blob/v6.12/include/uapi/linux/netfilter/nfnetlink.h).
//! Numbers of several bytes in attributes are in network byte order.

/// The subsystem of nfnetlink: the upper byte of the message type.
pub const NFNL_SUBSYS_CTNETLINK: u16 = 1;

/// Make a flow; also what a listing consists of.
pub const IPCTNL_MSG_CT_NEW: u16 = 0;
/// List flows.
pub const IPCTNL_MSG_CT_GET: u16 = 1;
/// Delete a flow. Without a tuple: all of a family.
pub const IPCTNL_MSG_CT_DELETE: u16 = 2;

/// Nest: the packets of the side that began.
pub const CTA_TUPLE_ORIG: u16 = 1;
/// Nest: the packets that come back.
pub const CTA_TUPLE_REPLY: u16 = 2;
/// Tells flows apart that have the same tuple one after the other, 4 bytes.
pub const CTA_ID: u16 = 12;
/// The zone of both directions, `u16`; 0, the default, is left out.
pub const CTA_ZONE: u16 = 18;

/// In a tuple, nest: addresses.
pub const CTA_TUPLE_IP: u16 = 1;
/// In a tuple, nest: protocol and what it has for ports.
pub const CTA_TUPLE_PROTO: u16 = 2;
/// In a tuple: the zone of this direction alone, `u16`.
pub const CTA_TUPLE_ZONE: u16 = 3;

/// IPv4 source, 4 bytes.
pub const CTA_IP_V4_SRC: u16 = 1;
/// IPv4 destination, 4 bytes.
pub const CTA_IP_V4_DST: u16 = 2;
/// IPv6 source, 16 bytes.
pub const CTA_IP_V6_SRC: u16 = 3;
/// IPv6 destination, 16 bytes.
pub const CTA_IP_V6_DST: u16 = 4;

/// IP protocol number, `u8`.
pub const CTA_PROTO_NUM: u16 = 1;
/// Source port, `u16`; of GRE a key.
pub const CTA_PROTO_SRC_PORT: u16 = 2;
/// Destination port, `u16`; of GRE a key.
pub const CTA_PROTO_DST_PORT: u16 = 3;
/// Identifier of an ICMP query, `u16`.
pub const CTA_PROTO_ICMP_ID: u16 = 4;
/// ICMP type, `u8`.
pub const CTA_PROTO_ICMP_TYPE: u16 = 5;
/// ICMP code, `u8`.
pub const CTA_PROTO_ICMP_CODE: u16 = 6;
/// Identifier of an ICMPv6 query, `u16`.
pub const CTA_PROTO_ICMPV6_ID: u16 = 7;
/// ICMPv6 type, `u8`.
pub const CTA_PROTO_ICMPV6_TYPE: u16 = 8;
/// ICMPv6 code, `u8`.
pub const CTA_PROTO_ICMPV6_CODE: u16 = 9;
