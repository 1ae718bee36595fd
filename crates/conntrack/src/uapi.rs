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
/// Status bits, `u32`.
pub const CTA_STATUS: u16 = 3;
/// Nest: the state of the protocol.
pub const CTA_PROTOINFO: u16 = 4;
/// Seconds until the flow is forgotten, `u32`.
pub const CTA_TIMEOUT: u16 = 7;
/// The mark, `u32`.
pub const CTA_MARK: u16 = 8;
/// Nest: what the original direction carried.
pub const CTA_COUNTERS_ORIG: u16 = 9;
/// Nest: what the reply direction carried.
pub const CTA_COUNTERS_REPLY: u16 = 10;
/// How many parts of the kernel refer to the flow, `u32`.
pub const CTA_USE: u16 = 11;
/// Tells flows apart that have the same tuple one after the other, 4 bytes.
pub const CTA_ID: u16 = 12;
/// The zone of both directions, `u16`; 0, the default, is left out.
pub const CTA_ZONE: u16 = 18;

/// Nest: when the flow began and ended.
pub const CTA_TIMESTAMP: u16 = 20;
/// Of a filter, the bits of the mark that are compared; of an update, those that change, `u32`.
pub const CTA_MARK_MASK: u16 = 21;
/// Of a filter, the status bits that are compared, `u32` (Linux 5.14).
pub const CTA_STATUS_MASK: u16 = 26;

/// In `CTA_COUNTERS_*`: packets, `u64`.
pub const CTA_COUNTERS_PACKETS: u16 = 1;
/// In `CTA_COUNTERS_*`: bytes, `u64`.
pub const CTA_COUNTERS_BYTES: u16 = 2;

/// When the flow began, nanoseconds since 1970, `u64`.
pub const CTA_TIMESTAMP_START: u16 = 1;
/// When the flow ended, nanoseconds since 1970, `u64`.
pub const CTA_TIMESTAMP_STOP: u16 = 2;

/// In [`CTA_PROTOINFO`], nest: TCP.
pub const CTA_PROTOINFO_TCP: u16 = 1;
/// In [`CTA_PROTOINFO`], nest: SCTP.
pub const CTA_PROTOINFO_SCTP: u16 = 3;
/// The state of TCP, `u8`.
pub const CTA_PROTOINFO_TCP_STATE: u16 = 1;
/// The state of SCTP, `u8`.
pub const CTA_PROTOINFO_SCTP_STATE: u16 = 1;

/// Multicast group of new flows.
pub const NFNLGRP_CONNTRACK_NEW: u32 = 1;
/// Multicast group of changes of flows.
pub const NFNLGRP_CONNTRACK_UPDATE: u32 = 2;
/// Multicast group of flows that end.
pub const NFNLGRP_CONNTRACK_DESTROY: u32 = 3;

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
