//! What a load expression is called.

use crate::DataType;
use crate::expression::{
    Ct, CtKey, Exthdr, ExthdrOp, Fib, FibFlags, FibResult, Meta, MetaKey, Payload, PayloadBase, Rt,
    RtKey,
};
use crate::model::TableFamily;

/// A named field of a header: offset and length in bytes, word, type.
type Fields = &'static [(u32, u32, &'static str, DataType)];

const IP: Fields = &[
    (2, 2, "ip length", DataType::INTEGER),
    (4, 2, "ip id", DataType::INTEGER),
    (8, 1, "ip ttl", DataType::INTEGER),
    (9, 1, "ip protocol", DataType::INET_PROTO),
    (10, 2, "ip checksum", DataType::INTEGER),
    (12, 4, "ip saddr", DataType::IPV4_ADDR),
    (16, 4, "ip daddr", DataType::IPV4_ADDR),
];
const IP6: Fields = &[
    (4, 2, "ip6 length", DataType::INTEGER),
    (6, 1, "ip6 nexthdr", DataType::INET_PROTO),
    (7, 1, "ip6 hoplimit", DataType::INTEGER),
    (8, 16, "ip6 saddr", DataType::IPV6_ADDR),
    (24, 16, "ip6 daddr", DataType::IPV6_ADDR),
];
const ETHER: Fields = &[
    (0, 6, "ether daddr", DataType::ETHER_ADDR),
    (6, 6, "ether saddr", DataType::ETHER_ADDR),
    (12, 2, "ether type", DataType::ETHER_TYPE),
];
const TRANSPORT: Fields = &[
    (0, 2, "th sport", DataType::INET_SERVICE),
    (2, 2, "th dport", DataType::INET_SERVICE),
];
const TCP: Fields = &[
    (0, 2, "tcp sport", DataType::INET_SERVICE),
    (2, 2, "tcp dport", DataType::INET_SERVICE),
    (4, 4, "tcp sequence", DataType::INTEGER),
    (8, 4, "tcp ackseq", DataType::INTEGER),
    (13, 1, "tcp flags", DataType::TCP_FLAG),
    (14, 2, "tcp window", DataType::INTEGER),
];
const UDP: Fields = &[
    (0, 2, "udp sport", DataType::INET_SERVICE),
    (2, 2, "udp dport", DataType::INET_SERVICE),
    (4, 2, "udp length", DataType::INTEGER),
];
const SCTP: Fields = &[
    (0, 2, "sctp sport", DataType::INET_SERVICE),
    (2, 2, "sctp dport", DataType::INET_SERVICE),
];
const ICMP: Fields = &[
    (0, 1, "icmp type", DataType::ICMP_TYPE),
    (1, 1, "icmp code", DataType::ICMP_CODE),
    (4, 2, "icmp id", DataType::INTEGER),
    (6, 2, "icmp sequence", DataType::INTEGER),
];
const ICMPV6: Fields = &[
    (0, 1, "icmpv6 type", DataType::ICMPV6_TYPE),
    (1, 1, "icmpv6 code", DataType::ICMPV6_CODE),
];

/// What is known of the packet's headers at a place in a rule.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Headers {
    /// The family of the network header.
    pub(super) network: Option<TableFamily>,
    /// The protocol of the transport header.
    pub(super) transport: Option<u8>,
}

/// What a load is called.
pub(super) struct Named {
    pub(super) text: String,
    pub(super) kind: DataType,
    /// How many bytes the whole field has, where the load takes its first ones only.
    pub(super) whole: u32,
}

impl Named {
    fn new(text: impl Into<String>, kind: DataType, whole: u32) -> Self {
        Self {
            text: text.into(),
            kind,
            whole,
        }
    }
}

pub(super) fn payload(load: &Payload, headers: Headers) -> Named {
    let fields = match (load.base, headers.network, headers.transport) {
        (PayloadBase::LINK, ..) => ETHER,
        (PayloadBase::NETWORK, Some(TableFamily::IPV4), _) => IP,
        (PayloadBase::NETWORK, Some(TableFamily::IPV6), _) => IP6,
        (PayloadBase::TRANSPORT, _, Some(1)) => ICMP,
        (PayloadBase::TRANSPORT, _, Some(6)) => TCP,
        (PayloadBase::TRANSPORT, _, Some(17)) => UDP,
        (PayloadBase::TRANSPORT, _, Some(58)) => ICMPV6,
        (PayloadBase::TRANSPORT, _, Some(132)) => SCTP,
        (PayloadBase::TRANSPORT, _, None) => TRANSPORT,
        _ => &[],
    };
    let address = |kind| matches!(kind, DataType::IPV4_ADDR | DataType::IPV6_ADDR);
    for (offset, length, text, kind) in fields {
        let fits = *length == load.length || address(*kind) && load.length < *length;
        if *offset == load.offset && fits {
            return Named::new(*text, *kind, *length);
        }
    }
    // Raw, in bits.
    let (offset, length) = (u64::from(load.offset) * 8, u64::from(load.length) * 8);
    let text = format!("@{},{offset},{length}", load.base);
    Named::new(text, DataType::INTEGER, load.length)
}

pub(super) fn meta(load: &Meta) -> Named {
    let (kind, length) = meta_type(load.key);
    let text = match load.key {
        MetaKey::IIF
        | MetaKey::OIF
        | MetaKey::IIFNAME
        | MetaKey::OIFNAME
        | MetaKey::IIFTYPE
        | MetaKey::OIFTYPE
        | MetaKey::IIFGROUP
        | MetaKey::OIFGROUP => load.key.to_string(),
        key => format!("meta {key}"),
    };
    Named::new(text, kind, length)
}

/// The type and the length of a key of [`Meta`].
pub(super) fn meta_type(key: MetaKey) -> (DataType, u32) {
    match key {
        MetaKey::MARK => (DataType::MARK, 4),
        MetaKey::PRIORITY => (DataType::CLASSID, 4),
        MetaKey::IIF | MetaKey::OIF | MetaKey::SDIF => (DataType::IFACE_INDEX, 4),
        MetaKey::IIFNAME
        | MetaKey::OIFNAME
        | MetaKey::BRI_IIFNAME
        | MetaKey::BRI_OIFNAME
        | MetaKey::IIFKIND
        | MetaKey::OIFKIND
        | MetaKey::SDIFNAME => (DataType::IFNAME, 16),
        MetaKey::SKGID => (DataType::GID, 4),
        MetaKey::RTCLASSID => (DataType::REALM, 4),
        MetaKey::NFPROTO => (DataType::NF_PROTO, 1),
        MetaKey::L4PROTO => (DataType::INET_PROTO, 1),
        MetaKey::PROTOCOL => (DataType::ETHER_TYPE, 2),
        MetaKey::PKTTYPE => (DataType::PKT_TYPE, 1),
        MetaKey::IIFGROUP | MetaKey::OIFGROUP => (DataType::DEVGROUP, 4),
        // Users, and numbers in host byte order, which print as users do.
        _ => (DataType::UID, 4),
    }
}

pub(super) fn ct(load: &Ct, headers: Headers) -> Named {
    let (kind, length) = ct_type(load.key, headers);
    let text = match load.direction {
        Some(direction) => format!("ct {direction} {}", load.key),
        None => format!("ct {}", load.key),
    };
    Named::new(text, kind, length)
}

/// The type and the length of a key of [`Ct`].
pub(super) fn ct_type(key: CtKey, headers: Headers) -> (DataType, u32) {
    match key {
        CtKey::STATE => (DataType::CT_STATE, 4),
        CtKey::STATUS => (DataType::CT_STATUS, 4),
        CtKey::DIRECTION => (DataType::CT_DIR, 1),
        CtKey::MARK => (DataType::MARK, 4),
        CtKey::PROTOCOL => (DataType::INET_PROTO, 1),
        CtKey::L3PROTOCOL => (DataType::NF_PROTO, 1),
        CtKey::PROTO_SRC | CtKey::PROTO_DST => (DataType::INET_SERVICE, 2),
        CtKey::SRC_IP | CtKey::DST_IP => (DataType::IPV4_ADDR, 4),
        CtKey::SRC_IP6 | CtKey::DST_IP6 => (DataType::IPV6_ADDR, 16),
        CtKey::SRC | CtKey::DST => match headers.network {
            Some(TableFamily::IPV6) => (DataType::IPV6_ADDR, 16),
            _ => (DataType::IPV4_ADDR, 4),
        },
        _ => (DataType::UID, 4),
    }
}

pub(super) fn fib(load: &Fib) -> Named {
    let flags = [
        (FibFlags::SADDR, "saddr"),
        (FibFlags::DADDR, "daddr"),
        (FibFlags::MARK, "mark"),
        (FibFlags::IIF, "iif"),
        (FibFlags::OIF, "oif"),
    ];
    let words: Vec<_> = flags
        .iter()
        .filter(|(flag, _)| load.flags.contains(*flag))
        .map(|(_, word)| *word)
        .collect();
    let kind = match load.result {
        _ if load.flags.contains(FibFlags::PRESENT) => DataType::BOOLEAN,
        FibResult::ADDRTYPE => DataType::FIB_ADDRTYPE,
        FibResult::OIFNAME => DataType::IFNAME,
        _ => DataType::IFACE_INDEX,
    };
    let length = if kind == DataType::IFNAME { 16 } else { 4 };
    Named::new(
        format!("fib {} {}", words.join(" . "), load.result),
        kind,
        length,
    )
}

pub(super) fn rt(load: &Rt) -> Named {
    let (kind, length) = match load.key {
        RtKey::CLASSID => (DataType::REALM, 4),
        RtKey::NEXTHOP4 => (DataType::IPV4_ADDR, 4),
        RtKey::NEXTHOP6 => (DataType::IPV6_ADDR, 16),
        RtKey::XFRM => (DataType::BOOLEAN, 1),
        _ => (DataType::UID, 2),
    };
    Named::new(format!("rt {}", load.key), kind, length)
}

/// `tcp option maxseg size`, which is the one that firewalls set.
pub(super) fn exthdr(load: &Exthdr) -> Option<Named> {
    match (load.op, load.kind, load.offset, load.length, load.flags) {
        (ExthdrOp::TCPOPT, 2, 2, 2, 0) => {
            Some(Named::new("tcp option maxseg size", DataType::INTEGER, 2))
        }
        _ => None,
    }
}
