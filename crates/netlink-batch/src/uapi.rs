//! The kernel's constants of the netlink transport, under the kernel's names.
//!
//! Sources, where no other is given:
//! [`linux/netlink.h`](https://github.com/torvalds/linux/blob/v6.12/include/uapi/linux/netlink.h),
//! for `CTRL_*` and `GENL_*`
//! [`linux/genetlink.h`](https://github.com/torvalds/linux/blob/v6.12/include/uapi/linux/genetlink.h).
//! All numbers are in host byte order.

/// Protocol of routing, links and addresses (rtnetlink).
pub const NETLINK_ROUTE: u16 = 0;
/// Protocol of netfilter's subsystems (nfnetlink): ipset, nftables, conntrack.
pub const NETLINK_NETFILTER: u16 = 12;
/// Protocol of generic netlink.
pub const NETLINK_GENERIC: u16 = 16;

/// Length of `struct nlmsghdr` in bytes.
pub const NLMSG_HDRLEN: usize = 16;
/// Messages and attributes begin at multiples of this.
pub const NLMSG_ALIGNTO: usize = 4;

/// A message to be ignored; the kernel acknowledges it when asked to.
pub const NLMSG_NOOP: u16 = 1;
/// An acknowledgement (error 0) or an error.
pub const NLMSG_ERROR: u16 = 2;
/// The end of a dump.
pub const NLMSG_DONE: u16 = 3;
/// Data was lost (never sent by today's kernels).
pub const NLMSG_OVERRUN: u16 = 4;

/// Every request bears it.
pub const NLM_F_REQUEST: u16 = 1;
/// Part of a reply that `NLMSG_DONE` ends.
pub const NLM_F_MULTI: u16 = 2;
/// Acknowledge also the success. Set by this crate, not by its users.
pub const NLM_F_ACK: u16 = 4;
/// The dump changed while it was read: what was read may lack or repeat objects.
pub const NLM_F_DUMP_INTR: u16 = 0x10;
/// Of a get request: all objects (`NLM_F_ROOT | NLM_F_MATCH`).
pub const NLM_F_DUMP: u16 = 0x300;
/// Of a request that makes an object: replace one that exists.
pub const NLM_F_REPLACE: u16 = 0x100;
/// Of a request that makes an object: `EEXIST` if it exists.
pub const NLM_F_EXCL: u16 = 0x200;
/// Of a request that makes an object: make it if it does not exist.
pub const NLM_F_CREATE: u16 = 0x400;
/// Of an error: the request is echoed without its payload.
pub const NLM_F_CAPPED: u16 = 0x100;
/// Of an error: attributes `NLMSGERR_ATTR_*` follow.
pub const NLM_F_ACK_TLVS: u16 = 0x200;

/// Text that explains the error.
pub const NLMSGERR_ATTR_MSG: u16 = 1;
/// Offset of the offending attribute in the request, `u32`, from the start of its `nlmsghdr`.
pub const NLMSGERR_ATTR_OFFS: u16 = 2;
/// Type of a missing attribute, `u32`.
pub const NLMSGERR_ATTR_MISS_TYPE: u16 = 5;

/// Message type of generic netlink's controller.
pub const GENL_ID_CTRL: u16 = 0x10;
/// Command of the controller: ask for a family.
pub const CTRL_CMD_GETFAMILY: u8 = 3;
/// The family's message type, `u16`.
pub const CTRL_ATTR_FAMILY_ID: u16 = 1;
/// The family's name, NUL-terminated.
pub const CTRL_ATTR_FAMILY_NAME: u16 = 2;
/// The family's version, `u32`.
pub const CTRL_ATTR_VERSION: u16 = 3;
/// Length of the family's own header, `u32`.
pub const CTRL_ATTR_HDRSIZE: u16 = 4;
/// The family's highest top-level attribute, `u32`.
pub const CTRL_ATTR_MAXATTR: u16 = 5;
