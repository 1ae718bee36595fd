//! Expressions that do something with the packet.

use netlink_wire::Family;

use crate::model::{Name, Register};
use crate::wire::{attributes, number};

bitflags::bitflags! {
    /// What a line of the log has besides.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
    #[cfg_attr(feature = "serde", serde(transparent))]
    pub struct LogFlags: u32 {
        /// Sequence numbers of TCP.
        const TCP_SEQUENCE = 1;
        /// Options of TCP.
        const TCP_OPTIONS = 2;
        /// Options of IP.
        const IP_OPTIONS = 4;
        /// The user of the socket.
        const UID = 8;
        /// The addresses of the link layer.
        const MACDECODE = 32;
    }
}

attributes! {
    /// Writes a line to the kernel's log, or hands the packet to a program.
    Log: "log" {
        /// What the line begins with, at most 127 bytes.
        optional prefix: Name = NFTA_LOG_PREFIX,
        /// The group of the program that gets it.
        optional group: u16 = NFTA_LOG_GROUP,
        /// How many bytes of the packet the program gets.
        optional snaplen: u32 = NFTA_LOG_SNAPLEN,
        /// How many packets the program gets at once.
        optional queue_threshold: u16 = NFTA_LOG_QTHRESHOLD,
        /// How grave it is, from 0 (emergency) to 7 (debugging).
        optional level: u32 = NFTA_LOG_LEVEL,
        /// What the line has besides.
        default flags: LogFlags = NFTA_LOG_FLAGS,
    }
}

number! {
    /// How [`Reject`] answers.
    RejectKind(u32) {
        /// By an ICMP error of the packet's family.
        ICMP = 0 "icmp",
        /// By TCP's reset.
        TCP_RESET = 1 "tcp reset",
        /// By an ICMP error with a code for both families.
        ICMPX = 2 "icmpx",
    }
}

attributes! {
    /// Drops the packet and tells its sender.
    Reject: "reject" {
        /// How.
        required kind: RejectKind = NFTA_REJECT_TYPE,
        /// The code of the ICMP error.
        optional code: u8 = NFTA_REJECT_ICMP_CODE,
    }
}

number! {
    /// What [`Nat`] translates.
    NatKind(u32) {
        /// Sources.
        SNAT = 0 "snat",
        /// Destinations.
        DNAT = 1 "dnat",
    }
}

bitflags::bitflags! {
    /// How addresses and ports are translated.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
    #[cfg_attr(feature = "serde", serde(transparent))]
    pub struct NatFlags: u32 {
        /// It gives addresses. The kernel sets it.
        const MAP_IPS = 1;
        /// It gives ports. The kernel sets it.
        const PROTO_SPECIFIED = 2;
        /// Ports are chosen at random.
        const RANDOM = 4;
        /// One client gets the same address each time.
        const PERSISTENT = 8;
        /// Ports are chosen quite at random.
        const FULLY_RANDOM = 16;
        /// Ports keep their place in the range.
        const PROTO_OFFSET = 32;
        /// A network is translated into another, host by host.
        const NETMAP = 64;
    }
}

attributes! {
    /// Translates the source or destination of a connection.
    Nat: "nat" {
        /// Which.
        required kind: NatKind = NFTA_NAT_TYPE,
        /// Of which family: 2 for IPv4, 10 for IPv6.
        required family: u32 = NFTA_NAT_FAMILY,
        /// The register with the first address.
        optional address_min: Register = NFTA_NAT_REG_ADDR_MIN,
        /// The register with the last address.
        optional address_max: Register = NFTA_NAT_REG_ADDR_MAX,
        /// The register with the first port.
        optional port_min: Register = NFTA_NAT_REG_PROTO_MIN,
        /// The register with the last port.
        optional port_max: Register = NFTA_NAT_REG_PROTO_MAX,
        /// How.
        default flags: NatFlags = NFTA_NAT_FLAGS,
    }
}

impl Nat {
    /// The family, if it is IPv4 or IPv6.
    #[must_use]
    pub fn ip_family(&self) -> Option<Family> {
        u16::try_from(self.family)
            .ok()
            .and_then(Family::from_number)
    }
}

attributes! {
    /// Translates the source of a connection into the address of the link that it goes out by.
    Masq: "masq" {
        /// How.
        default flags: NatFlags = NFTA_MASQ_FLAGS,
        /// The register with the first port.
        optional port_min: Register = NFTA_MASQ_REG_PROTO_MIN,
        /// The register with the last port.
        optional port_max: Register = NFTA_MASQ_REG_PROTO_MAX,
    }
}

attributes! {
    /// Translates the destination of a connection into this machine.
    Redir: "redir" {
        /// The register with the first port.
        optional port_min: Register = NFTA_REDIR_REG_PROTO_MIN,
        /// The register with the last port.
        optional port_max: Register = NFTA_REDIR_REG_PROTO_MAX,
        /// How.
        default flags: NatFlags = NFTA_REDIR_FLAGS,
    }
}

attributes! {
    /// Gives the packet to a socket of this machine that takes packets for foreign addresses.
    Tproxy: "tproxy" {
        /// The family: 0 for both, 2 for IPv4, 10 for IPv6.
        required family: u32 = NFTA_TPROXY_FAMILY,
        /// The register with the socket's address.
        optional address: Register = NFTA_TPROXY_REG_ADDR,
        /// The register with the socket's port.
        optional port: Register = NFTA_TPROXY_REG_PORT,
    }
}

bitflags::bitflags! {
    /// How packets are queued.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
    #[cfg_attr(feature = "serde", serde(transparent))]
    pub struct QueueFlags: u16 {
        /// They are accepted while no program has the queue.
        const BYPASS = 1;
        /// The processor chooses the queue.
        const FANOUT = 2;
    }
}

attributes! {
    /// Hands the packet to a program, which decides.
    Queue: "queue" {
        /// The first queue.
        optional number: u16 = NFTA_QUEUE_NUM,
        /// How many queues.
        optional total: u16 = NFTA_QUEUE_TOTAL,
        /// How.
        default flags: QueueFlags = NFTA_QUEUE_FLAGS,
        /// The register with the queue.
        optional source: Register = NFTA_QUEUE_SREG_QNUM,
    }
}

attributes! {
    /// Counts with an object of the table, or lets it limit.
    Objref: "objref" {
        /// The object's type: see [`ObjectKind`](crate::ObjectKind).
        optional kind: u32 = NFTA_OBJREF_IMM_TYPE,
        /// The object's name.
        optional name: Name = NFTA_OBJREF_IMM_NAME,
        /// The register with the key of a map of objects.
        optional source: Register = NFTA_OBJREF_SET_SREG,
        /// The map of objects.
        optional set: Name = NFTA_OBJREF_SET_NAME,
        /// The map by its number in this transaction.
        optional set_id: u32 = NFTA_OBJREF_SET_ID,
    }
}

attributes! {
    /// Sends a copy of the packet.
    Dup: "dup" {
        /// The register with the address to send it to.
        optional address: Register = NFTA_DUP_SREG_ADDR,
        /// The register with the index of the link to send it by.
        optional device: Register = NFTA_DUP_SREG_DEV,
    }
}

attributes! {
    /// Sends the packet out by another link.
    Fwd: "fwd" {
        /// The register with the index of the link.
        optional device: Register = NFTA_FWD_SREG_DEV,
        /// The register with the address of the next hop.
        optional address: Register = NFTA_FWD_SREG_ADDR,
        /// The family of the next hop.
        optional family: u32 = NFTA_FWD_NFPROTO,
    }
}

attributes! {
    /// Keeps the packet's connection from being tracked.
    Notrack: "notrack" {}
}
