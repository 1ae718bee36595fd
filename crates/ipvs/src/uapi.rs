//! The kernel's constants, under the kernel's names.
//!
//! Source: <https://github.com/torvalds/linux/blob/v6.12/include/uapi/linux/ip_vs.h>. Numbers are in
//! host byte order on the wire unless a comment says otherwise.

/// Constants with a table of their names, so that an error can name an attribute by its number.
macro_rules! attributes {
    ($(#[$table_doc:meta])* $table:ident: $($(#[$doc:meta])* $name:ident = $number:literal;)*) => {
        $($(#[$doc])* pub const $name: u16 = $number;)*

        $(#[$table_doc])*
        pub(crate) const $table: &[(u16, &str)] = &[$(($number, stringify!($name))),*];
    };
}

/// Name of the generic netlink family.
pub const IPVS_GENL_NAME: &str = "IPVS";
/// Version of the interface.
pub const IPVS_GENL_VERSION: u8 = 1;

/// Bytes of a scheduler's name, its NUL included.
pub const IP_VS_SCHEDNAME_MAXLEN: usize = 16;
/// Bytes of a persistence engine's name, its NUL included.
pub const IP_VS_PENAME_MAXLEN: usize = 16;
/// Bytes of an interface's name, its NUL included.
pub const IP_VS_IFNAME_MAXLEN: usize = 16;

/// Add a virtual server; also the command of the reply that describes one.
pub const IPVS_CMD_NEW_SERVICE: u8 = 1;
/// Change a virtual server.
pub const IPVS_CMD_SET_SERVICE: u8 = 2;
/// Delete a virtual server with its destinations.
pub const IPVS_CMD_DEL_SERVICE: u8 = 3;
/// Get one virtual server, or all (dump).
pub const IPVS_CMD_GET_SERVICE: u8 = 4;
/// Add a destination; also the command of the reply that describes one.
pub const IPVS_CMD_NEW_DEST: u8 = 5;
/// Change a destination.
pub const IPVS_CMD_SET_DEST: u8 = 6;
/// Delete a destination.
pub const IPVS_CMD_DEL_DEST: u8 = 7;
/// Get all destinations of a virtual server (dump only).
pub const IPVS_CMD_GET_DEST: u8 = 8;
/// Start a sync daemon; also the command of the reply that describes one.
pub const IPVS_CMD_NEW_DAEMON: u8 = 9;
/// Stop a sync daemon.
pub const IPVS_CMD_DEL_DAEMON: u8 = 10;
/// Get the sync daemons (dump only).
pub const IPVS_CMD_GET_DAEMON: u8 = 11;
/// Set the timeouts; also the command of the reply that reports them.
pub const IPVS_CMD_SET_CONFIG: u8 = 12;
/// Get the timeouts.
pub const IPVS_CMD_GET_CONFIG: u8 = 13;
/// The reply to `IPVS_CMD_GET_INFO`.
pub const IPVS_CMD_SET_INFO: u8 = 14;
/// Get version and size of the connection table.
pub const IPVS_CMD_GET_INFO: u8 = 15;
/// Zero the counters of one virtual server with its destinations, or all counters.
pub const IPVS_CMD_ZERO: u8 = 16;
/// Delete all virtual servers.
pub const IPVS_CMD_FLUSH: u8 = 17;

attributes! {
    /// Names of the attributes of a command.
    CMD_ATTRIBUTES:
    /// Nest of `IPVS_SVC_ATTR_*`.
    IPVS_CMD_ATTR_SERVICE = 1;
    /// Nest of `IPVS_DEST_ATTR_*`.
    IPVS_CMD_ATTR_DEST = 2;
    /// Nest of `IPVS_DAEMON_ATTR_*`.
    IPVS_CMD_ATTR_DAEMON = 3;
    /// Timeout of TCP connections, `u32` seconds; 0 keeps it.
    IPVS_CMD_ATTR_TIMEOUT_TCP = 4;
    /// Timeout of TCP connections after a FIN, `u32` seconds; 0 keeps it.
    IPVS_CMD_ATTR_TIMEOUT_TCP_FIN = 5;
    /// Timeout of UDP connections, `u32` seconds; 0 keeps it.
    IPVS_CMD_ATTR_TIMEOUT_UDP = 6;
}

attributes! {
    /// Names of the attributes of a virtual server.
    SVC_ATTRIBUTES:
    /// Address family, `u16`: `AF_INET` 2, `AF_INET6` 10.
    IPVS_SVC_ATTR_AF = 1;
    /// Transport protocol, `u16`.
    IPVS_SVC_ATTR_PROTOCOL = 2;
    /// Address, 16 bytes in network order; IPv4 in the first 4.
    IPVS_SVC_ATTR_ADDR = 3;
    /// Port, `u16` in network order.
    IPVS_SVC_ATTR_PORT = 4;
    /// Firewall mark, `u32`, instead of protocol, address and port.
    IPVS_SVC_ATTR_FWMARK = 5;
    /// Name of the scheduler, NUL-terminated.
    IPVS_SVC_ATTR_SCHED_NAME = 6;
    /// `struct ip_vs_flags`: flags and the mask of those that are set, `u32` each.
    IPVS_SVC_ATTR_FLAGS = 7;
    /// Persistence timeout, `u32` seconds.
    IPVS_SVC_ATTR_TIMEOUT = 8;
    /// Persistence netmask: for IPv4 a mask in network order, for IPv6 a prefix length as `u32`.
    IPVS_SVC_ATTR_NETMASK = 9;
    /// Nest of `IPVS_STATS_ATTR_*` with counters of 32 bits.
    IPVS_SVC_ATTR_STATS = 10;
    /// Name of the persistence engine, NUL-terminated.
    IPVS_SVC_ATTR_PE_NAME = 11;
    /// Nest of `IPVS_STATS_ATTR_*` with counters of 64 bits (Linux 4.1).
    IPVS_SVC_ATTR_STATS64 = 12;
}

attributes! {
    /// Names of the attributes of a destination.
    DEST_ATTRIBUTES:
    /// Address, 16 bytes in network order; IPv4 in the first 4.
    IPVS_DEST_ATTR_ADDR = 1;
    /// Port, `u16` in network order.
    IPVS_DEST_ATTR_PORT = 2;
    /// Forwarding method, `u32`: `IP_VS_CONN_F_*` under `IP_VS_CONN_F_FWD_MASK`.
    IPVS_DEST_ATTR_FWD_METHOD = 3;
    /// Weight, `u32`.
    IPVS_DEST_ATTR_WEIGHT = 4;
    /// Upper threshold of connections, `u32`.
    IPVS_DEST_ATTR_U_THRESH = 5;
    /// Lower threshold of connections, `u32`.
    IPVS_DEST_ATTR_L_THRESH = 6;
    /// Active connections, `u32`.
    IPVS_DEST_ATTR_ACTIVE_CONNS = 7;
    /// Inactive connections, `u32`.
    IPVS_DEST_ATTR_INACT_CONNS = 8;
    /// Persistent connections, `u32`.
    IPVS_DEST_ATTR_PERSIST_CONNS = 9;
    /// Nest of `IPVS_STATS_ATTR_*` with counters of 32 bits.
    IPVS_DEST_ATTR_STATS = 10;
    /// Address family of the address, `u16` (Linux 3.18).
    IPVS_DEST_ATTR_ADDR_FAMILY = 11;
    /// Nest of `IPVS_STATS_ATTR_*` with counters of 64 bits (Linux 4.1).
    IPVS_DEST_ATTR_STATS64 = 12;
    /// Tunnel type, `u8` (Linux 5.2).
    IPVS_DEST_ATTR_TUN_TYPE = 13;
    /// Tunnel port, `u16` in network order (Linux 5.2).
    IPVS_DEST_ATTR_TUN_PORT = 14;
    /// Tunnel flags, `u16` (Linux 5.3).
    IPVS_DEST_ATTR_TUN_FLAGS = 15;
}

attributes! {
    /// Names of the attributes of a sync daemon.
    DAEMON_ATTRIBUTES:
    /// `IP_VS_STATE_MASTER` or `IP_VS_STATE_BACKUP`, `u32`.
    IPVS_DAEMON_ATTR_STATE = 1;
    /// Name of the interface, NUL-terminated.
    IPVS_DAEMON_ATTR_MCAST_IFN = 2;
    /// Sync id, `u32`.
    IPVS_DAEMON_ATTR_SYNC_ID = 3;
    /// Longest UDP payload, `u16` (Linux 4.3).
    IPVS_DAEMON_ATTR_SYNC_MAXLEN = 4;
    /// IPv4 multicast group, 4 bytes in network order (Linux 4.3).
    IPVS_DAEMON_ATTR_MCAST_GROUP = 5;
    /// IPv6 multicast group, 16 bytes in network order (Linux 4.3).
    IPVS_DAEMON_ATTR_MCAST_GROUP6 = 6;
    /// UDP port, `u16` in host order (Linux 4.3).
    IPVS_DAEMON_ATTR_MCAST_PORT = 7;
    /// Time to live, `u8` (Linux 4.3).
    IPVS_DAEMON_ATTR_MCAST_TTL = 8;
}

attributes! {
    /// Names of the attributes of statistics: `u32` or `u64` in `*_STATS`, `u64` in `*_STATS64`.
    STATS_ATTRIBUTES:
    /// Connections scheduled.
    IPVS_STATS_ATTR_CONNS = 1;
    /// Packets in.
    IPVS_STATS_ATTR_INPKTS = 2;
    /// Packets out.
    IPVS_STATS_ATTR_OUTPKTS = 3;
    /// Bytes in, always `u64`.
    IPVS_STATS_ATTR_INBYTES = 4;
    /// Bytes out, always `u64`.
    IPVS_STATS_ATTR_OUTBYTES = 5;
    /// Connections per second.
    IPVS_STATS_ATTR_CPS = 6;
    /// Packets in per second.
    IPVS_STATS_ATTR_INPPS = 7;
    /// Packets out per second.
    IPVS_STATS_ATTR_OUTPPS = 8;
    /// Bytes in per second.
    IPVS_STATS_ATTR_INBPS = 9;
    /// Bytes out per second.
    IPVS_STATS_ATTR_OUTBPS = 10;
    /// Padding, without a value.
    IPVS_STATS_ATTR_PAD = 11;
}

attributes! {
    /// Names of the attributes of `IPVS_CMD_SET_INFO`.
    INFO_ATTRIBUTES:
    /// Version, `u32`, one byte each for major, minor and patch.
    IPVS_INFO_ATTR_VERSION = 1;
    /// Buckets of the connection table, `u32`.
    IPVS_INFO_ATTR_CONN_TAB_SIZE = 2;
}

/// IPv4, of `linux/socket.h`.
/// <https://github.com/torvalds/linux/blob/v6.12/include/linux/socket.h>
pub const AF_INET: u16 = 2;
/// IPv6, of the same.
pub const AF_INET6: u16 = 10;

/// Forwarding method: masquerading.
pub const IP_VS_CONN_F_MASQ: u32 = 0;
/// Forwarding method: this host.
pub const IP_VS_CONN_F_LOCALNODE: u32 = 1;
/// Forwarding method: tunnel.
pub const IP_VS_CONN_F_TUNNEL: u32 = 2;
/// Forwarding method: direct routing.
pub const IP_VS_CONN_F_DROUTE: u32 = 3;
/// Forwarding method: past the scheduler.
pub const IP_VS_CONN_F_BYPASS: u32 = 4;

/// Sync daemon that sends.
pub const IP_VS_STATE_MASTER: u32 = 1;
/// Sync daemon that receives.
pub const IP_VS_STATE_BACKUP: u32 = 2;
