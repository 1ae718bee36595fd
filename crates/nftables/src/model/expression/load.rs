//! Expressions that load something into a register, or store a register there.

use crate::model::Register;
use crate::wire::{attributes, number};

number! {
    /// Where the offset of a [`Payload`] is counted from.
    PayloadBase(u32) {
        /// The link layer's header.
        LINK = 0 "ll",
        /// The network header, of IP.
        NETWORK = 1 "nh",
        /// The transport header, of TCP or UDP.
        TRANSPORT = 2 "th",
        /// What is behind the transport header.
        INNER = 3 "ih",
    }
}

attributes! {
    /// Loads bytes of the packet, or writes them.
    Payload: "payload" {
        /// Written from this register.
        optional source: Register = NFTA_PAYLOAD_SREG,
        /// Loaded into this register.
        optional destination: Register = NFTA_PAYLOAD_DREG,
        /// The header.
        required base: PayloadBase = NFTA_PAYLOAD_BASE,
        /// Where in the header, in bytes.
        required offset: u32 = NFTA_PAYLOAD_OFFSET,
        /// How many bytes.
        required length: u32 = NFTA_PAYLOAD_LEN,
        /// Which checksum is mended after writing: none (0), that of the internet (1), of SCTP (2).
        optional checksum: u32 = NFTA_PAYLOAD_CSUM_TYPE,
        /// Where it is in the header, in bytes.
        optional checksum_offset: u32 = NFTA_PAYLOAD_CSUM_OFFSET,
        /// 1: that of the transport header covers these bytes too.
        optional checksum_flags: u32 = NFTA_PAYLOAD_CSUM_FLAGS,
    }
}

number! {
    /// What of a packet's own data [`Meta`] loads or sets.
    MetaKey(u32) {
        /// Its length in bytes.
        LENGTH = 0 "length",
        /// Its protocol of the network layer, as Ethernet numbers it.
        PROTOCOL = 1 "protocol",
        /// Its priority for traffic control.
        PRIORITY = 2 "priority",
        /// Its mark.
        MARK = 3 "mark",
        /// The index of the link that it came in by.
        IIF = 4 "iif",
        /// The index of the link that it goes out by.
        OIF = 5 "oif",
        /// The name of the link that it came in by.
        IIFNAME = 6 "iifname",
        /// The name of the link that it goes out by.
        OIFNAME = 7 "oifname",
        /// The hardware type of the link that it came in by.
        IIFTYPE = 8 "iiftype",
        /// The hardware type of the link that it goes out by.
        OIFTYPE = 9 "oiftype",
        /// The user of the socket that sends it.
        SKUID = 10 "skuid",
        /// The group of the socket that sends it.
        SKGID = 11 "skgid",
        /// Whether its way is reported.
        NFTRACE = 12 "nftrace",
        /// Its realm of routing.
        RTCLASSID = 13 "rtclassid",
        /// Its security mark.
        SECMARK = 14 "secmark",
        /// Its family: 2 for IPv4, 10 for IPv6.
        NFPROTO = 15 "nfproto",
        /// Its protocol of the transport layer.
        L4PROTO = 16 "l4proto",
        /// The name of the bridge that it came in by.
        BRI_IIFNAME = 17 "ibrname",
        /// The name of the bridge that it goes out by.
        BRI_OIFNAME = 18 "obrname",
        /// Whether it is for this machine, for all, for many.
        PKTTYPE = 19 "pkttype",
        /// The processor that handles it.
        CPU = 20 "cpu",
        /// The group of the link that it came in by.
        IIFGROUP = 21 "iifgroup",
        /// The group of the link that it goes out by.
        OIFGROUP = 22 "oifgroup",
        /// The control group of the socket that sends it.
        CGROUP = 23 "cgroup",
        /// A random number.
        PRANDOM = 24 "random",
        /// Whether it came by IPsec.
        SECPATH = 25 "ipsec",
        /// The kind of the link that it came in by.
        IIFKIND = 26 "iifkind",
        /// The kind of the link that it goes out by.
        OIFKIND = 27 "oifkind",
        /// The index of the link of the routing domain that it came in by.
        SDIF = 33 "sdif",
        /// The name of the link of the routing domain that it came in by.
        SDIFNAME = 34 "sdifname",
    }
}

attributes! {
    /// Loads or sets data that the kernel keeps with a packet.
    Meta: "meta" {
        /// What.
        required key: MetaKey = NFTA_META_KEY,
        /// Loaded into this register.
        optional destination: Register = NFTA_META_DREG,
        /// Set from this register.
        optional source: Register = NFTA_META_SREG,
    }
}

number! {
    /// What of a tracked connection [`Ct`] loads or sets.
    CtKey(u32) {
        /// What the packet is to its connection: `invalid` 1, `established` 2, `related` 4, `new` 8,
        /// `untracked` 64.
        STATE = 0 "state",
        /// Which side the packet comes from.
        DIRECTION = 1 "direction",
        /// What was done with the connection.
        STATUS = 2 "status",
        /// Its mark.
        MARK = 3 "mark",
        /// Its security mark.
        SECMARK = 4 "secmark",
        /// When it is forgotten.
        EXPIRATION = 5 "expiration",
        /// The name of its helper.
        HELPER = 6 "helper",
        /// Its protocol of the network layer.
        L3PROTOCOL = 7 "l3proto",
        /// A source address.
        SRC = 8 "saddr",
        /// A destination address.
        DST = 9 "daddr",
        /// Its protocol of the transport layer.
        PROTOCOL = 10 "protocol",
        /// A source port.
        PROTO_SRC = 11 "proto-src",
        /// A destination port.
        PROTO_DST = 12 "proto-dst",
        /// Its labels.
        LABELS = 13 "label",
        /// How many packets it had.
        PKTS = 14 "packets",
        /// How many bytes it had.
        BYTES = 15 "bytes",
        /// How long its packets are on average.
        AVGPKT = 16 "avgpkt",
        /// Its zone.
        ZONE = 17 "zone",
        /// Which of its events are reported.
        EVENTMASK = 18 "event",
        /// A source address of IPv4.
        SRC_IP = 19 "ip saddr",
        /// A destination address of IPv4.
        DST_IP = 20 "ip daddr",
        /// A source address of IPv6.
        SRC_IP6 = 21 "ip6 saddr",
        /// A destination address of IPv6.
        DST_IP6 = 22 "ip6 daddr",
        /// Its number.
        ID = 23 "id",
    }
}

number! {
    /// The side of a connection that is meant.
    CtDirection(u8) {
        /// The side that began.
        ORIGINAL = 0 "original",
        /// The side that answers.
        REPLY = 1 "reply",
    }
}

attributes! {
    /// Loads or sets something of the packet's connection.
    Ct: "ct" {
        /// What.
        required key: CtKey = NFTA_CT_KEY,
        /// Loaded into this register.
        optional destination: Register = NFTA_CT_DREG,
        /// Of which side.
        optional direction: CtDirection = NFTA_CT_DIRECTION,
        /// Set from this register.
        optional source: Register = NFTA_CT_SREG,
    }
}

number! {
    /// What [`Fib`] looks up.
    FibResult(u32) {
        /// The index of the link that the route has.
        OIF = 1 "oif",
        /// The name of the link that the route has.
        OIFNAME = 2 "oifname",
        /// The type of the address: 1 `unicast`, 2 `local`, 3 `broadcast` and so on.
        ADDRTYPE = 3 "type",
    }
}

bitflags::bitflags! {
    /// By what [`Fib`] looks up.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
    #[cfg_attr(feature = "serde", serde(transparent))]
    pub struct FibFlags: u32 {
        /// The source address.
        const SADDR = 1;
        /// The destination address.
        const DADDR = 2;
        /// The mark too.
        const MARK = 4;
        /// Only routes by the link that the packet came in by.
        const IIF = 8;
        /// Only routes by the link that the packet goes out by.
        const OIF = 16;
        /// Whether there is a route, instead of which.
        const PRESENT = 32;
    }
}

attributes! {
    /// Looks an address up in the routing tables.
    Fib: "fib" {
        /// By what.
        required flags: FibFlags = NFTA_FIB_FLAGS,
        /// What.
        required result: FibResult = NFTA_FIB_RESULT,
        /// Loaded into this register.
        optional destination: Register = NFTA_FIB_DREG,
    }
}

number! {
    /// What [`Rt`] loads.
    RtKey(u32) {
        /// The routing realm.
        CLASSID = 0 "classid",
        /// The next hop of IPv4.
        NEXTHOP4 = 1 "ip nexthop",
        /// The next hop of IPv6.
        NEXTHOP6 = 2 "ip6 nexthop",
        /// The largest segment of TCP that the routes there and back let pass, in host byte order.
        TCPMSS = 3 "mtu",
        /// Whether IPsec transforms the packet.
        XFRM = 4 "ipsec",
    }
}

attributes! {
    /// Loads something of the packet's route.
    Rt: "rt" {
        /// What.
        required key: RtKey = NFTA_RT_KEY,
        /// Loaded into this register.
        optional destination: Register = NFTA_RT_DREG,
    }
}

number! {
    /// What [`Socket`] loads.
    SocketKey(u32) {
        /// Whether it takes packets for foreign addresses.
        TRANSPARENT = 0 "transparent",
        /// Its mark.
        MARK = 1 "mark",
        /// Whether it is bound to no address.
        WILDCARD = 2 "wildcard",
        /// Its control group of version 2.
        CGROUPV2 = 3 "cgroupv2",
    }
}

attributes! {
    /// Loads something of the socket that the packet is for.
    Socket: "socket" {
        /// What.
        required key: SocketKey = NFTA_SOCKET_KEY,
        /// Loaded into this register.
        optional destination: Register = NFTA_SOCKET_DREG,
        /// The level of the control group.
        optional level: u32 = NFTA_SOCKET_LEVEL,
    }
}

number! {
    /// Which headers [`Exthdr`] searches.
    ExthdrOp(u32) {
        /// Extension headers of IPv6.
        IPV6 = 0 "exthdr",
        /// Options of TCP.
        TCPOPT = 1 "tcp option",
        /// Options of IPv4.
        IPV4 = 2 "ip option",
        /// Chunks of SCTP.
        SCTP = 3 "sctp chunk",
        /// Options of DCCP.
        DCCP = 4 "dccp option",
    }
}

attributes! {
    /// Loads bytes of an extension header or option, or writes them.
    Exthdr: "exthdr" {
        /// Loaded into this register.
        optional destination: Register = NFTA_EXTHDR_DREG,
        /// Written from this register.
        optional source: Register = NFTA_EXTHDR_SREG,
        /// The number of the header or option.
        required kind: u8 = NFTA_EXTHDR_TYPE,
        /// Where in it, in bytes.
        required offset: u32 = NFTA_EXTHDR_OFFSET,
        /// How many bytes.
        required length: u32 = NFTA_EXTHDR_LEN,
        /// Which headers.
        default op: ExthdrOp = NFTA_EXTHDR_OP,
        /// 1: whether it is there, instead of its bytes.
        default flags: u32 = NFTA_EXTHDR_FLAGS,
    }
}

number! {
    /// How [`Numgen`] counts.
    NumgenKind(u32) {
        /// One up for each packet.
        INCREMENTAL = 0 "inc",
        /// At random.
        RANDOM = 1 "random",
    }
}

attributes! {
    /// Loads a number from `offset` to `offset + modulus - 1`, in host byte order.
    Numgen: "numgen" {
        /// Loaded into this register.
        required destination: Register = NFTA_NG_DREG,
        /// How many numbers there are.
        required modulus: u32 = NFTA_NG_MODULUS,
        /// How it counts.
        written kind: NumgenKind = NFTA_NG_TYPE,
        /// The first number.
        written offset: u32 = NFTA_NG_OFFSET,
    }
}

number! {
    /// What [`struct@Hash`] computes.
    HashKind(u32) {
        /// Jenkins's hash of a register.
        JENKINS = 0 "jhash",
        /// The hash of the packet's flow, the same in both directions.
        SYMMETRIC = 1 "symhash",
    }
}

attributes! {
    /// Loads a hash from `offset` to `offset + modulus - 1`, in host byte order.
    Hash: "hash" {
        /// Of this register.
        optional source: Register = NFTA_HASH_SREG,
        /// Loaded into this register.
        required destination: Register = NFTA_HASH_DREG,
        /// Of so many bytes.
        optional length: u32 = NFTA_HASH_LEN,
        /// How many values there are.
        required modulus: u32 = NFTA_HASH_MODULUS,
        /// What the hash begins with. At random where it is absent.
        optional seed: u32 = NFTA_HASH_SEED,
        /// The first value.
        written offset: u32 = NFTA_HASH_OFFSET,
        /// What it computes.
        written kind: HashKind = NFTA_HASH_TYPE,
    }
}
