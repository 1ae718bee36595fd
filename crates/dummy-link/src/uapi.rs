//! The constants of rtnetlink that this crate uses, under the kernel's names.
//!
//! Sources:
//! [`linux/rtnetlink.h`](https://github.com/torvalds/linux/blob/v6.12/include/uapi/linux/rtnetlink.h),
//! [`linux/if_link.h`](https://github.com/torvalds/linux/blob/v6.12/include/uapi/linux/if_link.h),
//! [`linux/if_addr.h`](https://github.com/torvalds/linux/blob/v6.12/include/uapi/linux/if_addr.h),
//! [`linux/if.h`](https://github.com/torvalds/linux/blob/v6.12/include/uapi/linux/if.h),
//! [`linux/fib_rules.h`](https://github.com/torvalds/linux/blob/v6.12/include/uapi/linux/fib_rules.h).

/// Create or change a link; also the reply to [`RTM_GETLINK`] and the notification of a change.
pub const RTM_NEWLINK: u16 = 16;
/// Delete a link; also the notification of it.
pub const RTM_DELLINK: u16 = 17;
/// Get one link, or all.
pub const RTM_GETLINK: u16 = 18;
/// Add an address to a link; also the reply to [`RTM_GETADDR`] and the notification of a change.
pub const RTM_NEWADDR: u16 = 20;
/// Remove an address from a link; also the notification of it.
pub const RTM_DELADDR: u16 = 21;
/// Get all addresses.
pub const RTM_GETADDR: u16 = 22;

/// Add a route; also the reply to [`RTM_GETROUTE`] and the notification of a change.
pub const RTM_NEWROUTE: u16 = 24;
/// Delete a route; also the notification of it.
pub const RTM_DELROUTE: u16 = 25;
/// Get all routes.
pub const RTM_GETROUTE: u16 = 26;
/// Add a routing rule; also the reply to [`RTM_GETRULE`] and the notification of it.
pub const RTM_NEWRULE: u16 = 32;
/// Delete a routing rule; also the notification of it.
pub const RTM_DELRULE: u16 = 33;
/// Get all routing rules.
pub const RTM_GETRULE: u16 = 34;

/// Multicast group of notifications about links.
pub const RTNLGRP_LINK: u32 = 1;
/// Multicast group of notifications about IPv4 addresses.
pub const RTNLGRP_IPV4_IFADDR: u32 = 5;
/// Multicast group of notifications about IPv6 addresses.
pub const RTNLGRP_IPV6_IFADDR: u32 = 9;
/// Multicast group of notifications about IPv4 routes.
pub const RTNLGRP_IPV4_ROUTE: u32 = 7;
/// Multicast group of notifications about IPv4 routing rules.
pub const RTNLGRP_IPV4_RULE: u32 = 8;
/// Multicast group of notifications about IPv6 routes.
pub const RTNLGRP_IPV6_ROUTE: u32 = 11;
/// Multicast group of notifications about IPv6 routing rules.
pub const RTNLGRP_IPV6_RULE: u32 = 19;

/// No address family: in the header of a message about a link itself, not about its part in a bridge.
pub const AF_UNSPEC: u8 = 0;

/// The link was set up by its administrator.
pub const IFF_UP: u32 = 1;
/// The link is a loopback link.
pub const IFF_LOOPBACK: u32 = 1 << 3;

/// The name of a link.
pub const IFLA_IFNAME: u16 = 3;
/// Nest about the kind of a virtual link; holds [`IFLA_INFO_KIND`].
pub const IFLA_LINKINFO: u16 = 18;
/// Nest of properties; holds [`IFLA_ALT_IFNAME`], once for each name.
pub const IFLA_PROP_LIST: u16 = 52;
/// An alternative name of a link.
pub const IFLA_ALT_IFNAME: u16 = 53;
/// The name of a kind.
pub const IFLA_INFO_KIND: u16 = 1;

/// The address, or that of the peer where there is one.
pub const IFA_ADDRESS: u16 = 1;
/// The local address, where there may be a peer.
pub const IFA_LOCAL: u16 = 2;
/// The label of an IPv4 address, with a NUL.
pub const IFA_LABEL: u16 = 3;
/// The broadcast address of an IPv4 subnet.
pub const IFA_BROADCAST: u16 = 4;
/// `struct ifa_cacheinfo`: preferred and valid lifetime in seconds, when it was made and last changed in hundredths
/// of a second since the boot; 4 bytes each.
pub const IFA_CACHEINFO: u16 = 6;
/// All flags, 32 bits; the header has the lower 8.
pub const IFA_FLAGS: u16 = 8;
/// Where the address comes from, 8 bits (Linux 5.18).
pub const IFA_PROTO: u16 = 11;

/// The destination of a route.
pub const RTA_DST: u16 = 1;
/// The index of a route's link.
pub const RTA_OIF: u16 = 4;
/// The metric of a route.
pub const RTA_PRIORITY: u16 = 6;
/// The table of a route, 32 bits; the header has it if it fits.
pub const RTA_TABLE: u16 = 15;
/// The route was copied from another one for a destination, and is none that somebody added.
pub const RTM_F_CLONED: u32 = 0x200;

/// The link that a packet comes in on, by name; `lo` for what this machine sends itself.
pub const FRA_IIFNAME: u16 = 3;
/// The place of a rule.
pub const FRA_PRIORITY: u16 = 6;
/// The value of the condition on the mark; missing if it is 0.
pub const FRA_FWMARK: u16 = 10;
/// Prefixes of at most this length are suppressed; -1 where none are.
pub const FRA_SUPPRESS_PREFIXLEN: u16 = 14;
/// The table of a rule, 32 bits; the header has it if it fits.
pub const FRA_TABLE: u16 = 15;
/// The mask of the condition on the mark.
pub const FRA_FWMASK: u16 = 16;
/// Nothing, for alignment.
pub const FRA_PAD: u16 = 18;
/// Who made the rule, 8 bits (Linux 4.17).
pub const FRA_PROTOCOL: u16 = 21;
/// The rule is for packets that do not meet its conditions.
pub const FIB_RULE_INVERT: u32 = 2;
