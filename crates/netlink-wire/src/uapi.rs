//! Constants of the kernel, under its names.

/// Bytes of `struct nlattr`, the header of an attribute.
///
/// Source: [`linux/netlink.h`](https://github.com/torvalds/linux/blob/v6.12/include/uapi/linux/netlink.h),
/// as for all constants of attributes.
pub const NLA_HDRLEN: usize = 4;
/// Attributes start at multiples of this many bytes.
pub const NLA_ALIGNTO: usize = 4;
/// Flag in an attribute's type: the value consists of attributes.
///
/// Requests set it on nests. The kernel's replies often do not.
pub const NLA_F_NESTED: u16 = 1 << 15;
/// Flag in an attribute's type: the value is a number in network byte order.
pub const NLA_F_NET_BYTEORDER: u16 = 1 << 14;
/// The bits of an attribute's type that are not flags.
pub const NLA_TYPE_MASK: u16 = !(NLA_F_NESTED | NLA_F_NET_BYTEORDER);

/// Number of IPv4 as an address family; `NFPROTO_IPV4` is the same.
///
/// Source: [`linux/socket.h`](https://github.com/torvalds/linux/blob/v6.12/include/linux/socket.h).
pub const AF_INET: u8 = 2;
/// Number of IPv6 as an address family; `NFPROTO_IPV6` is the same.
///
/// Source: [`linux/socket.h`](https://github.com/torvalds/linux/blob/v6.12/include/linux/socket.h).
pub const AF_INET6: u8 = 10;
