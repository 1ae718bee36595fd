//! What a rule can load of a packet.

use crate::expression::{
    Ct, CtDirection, CtKey, Expression, Fib, FibFlags, FibResult, Meta, MetaKey, Numgen,
    NumgenKind, Payload, PayloadBase, Rt, RtKey,
};
use crate::model::Register;

/// Something of a packet that is compared, looked up or set.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key {
    /// The expression that loads it, into a register that is chosen when it is used.
    pub load: Expression,
    /// How many bytes it has.
    pub length: u32,
}

impl Key {
    /// The expression that loads it into this register.
    pub(super) fn into_register(self, register: Register) -> Expression {
        let mut load = self.load;
        match &mut load {
            Expression::Payload(load) => load.destination = Some(register),
            Expression::Meta(load) => load.destination = Some(register),
            Expression::Ct(load) => load.destination = Some(register),
            Expression::Fib(load) => load.destination = Some(register),
            Expression::Rt(load) => load.destination = Some(register),
            Expression::Socket(load) => load.destination = Some(register),
            Expression::Exthdr(load) => load.destination = Some(register),
            Expression::Numgen(load) => load.destination = register,
            Expression::Hash(load) => load.destination = register,
            _ => {}
        }
        load
    }
}

/// Bytes of the packet, from an offset in a header.
#[must_use]
pub fn payload(base: PayloadBase, offset: u32, length: u32) -> Key {
    let load = Payload {
        base,
        offset,
        length,
        ..Payload::default()
    };
    Key {
        load: load.into(),
        length,
    }
}

/// What the kernel keeps with the packet.
#[must_use]
pub fn meta(key: MetaKey) -> Key {
    let length = match key {
        MetaKey::L4PROTO | MetaKey::NFPROTO | MetaKey::PKTTYPE | MetaKey::NFTRACE => 1,
        MetaKey::PROTOCOL | MetaKey::IIFTYPE | MetaKey::OIFTYPE => 2,
        MetaKey::IIFNAME
        | MetaKey::OIFNAME
        | MetaKey::BRI_IIFNAME
        | MetaKey::BRI_OIFNAME
        | MetaKey::IIFKIND
        | MetaKey::OIFKIND
        | MetaKey::SDIFNAME => 16,
        _ => 4,
    };
    let load = Meta {
        key,
        ..Meta::default()
    };
    Key {
        load: load.into(),
        length,
    }
}

/// Something of the packet's connection, of four bytes: its state, status, mark.
#[must_use]
pub fn ct(key: CtKey) -> Key {
    ct_of(key, None, 4)
}

/// Something of one side of the packet's connection, of so many bytes: [`CtKey::DST_IP`] has 4,
/// [`CtKey::DST_IP6`] 16, [`CtKey::PROTOCOL`] 1, [`CtKey::PROTO_DST`] 2.
#[must_use]
pub fn ct_side(key: CtKey, direction: CtDirection, length: u32) -> Key {
    ct_of(key, Some(direction), length)
}

fn ct_of(key: CtKey, direction: Option<CtDirection>, length: u32) -> Key {
    let load = Ct {
        key,
        direction,
        ..Ct::default()
    };
    Key {
        load: load.into(),
        length,
    }
}

/// `ct direction`: which side of its connection sent the packet.
#[must_use]
pub fn ct_direction() -> Key {
    ct_of(CtKey::DIRECTION, None, 1)
}

/// What the routing tables have for an address: with [`FibResult::ADDRTYPE`] its type, of four bytes.
#[must_use]
pub fn fib(flags: FibFlags, result: FibResult) -> Key {
    let load = Fib {
        flags,
        result,
        ..Fib::default()
    };
    Key {
        load: load.into(),
        length: if result == FibResult::OIFNAME { 16 } else { 4 },
    }
}

/// Something of the packet's route.
#[must_use]
pub fn rt(key: RtKey) -> Key {
    let length = match key {
        RtKey::TCPMSS => 2,
        RtKey::NEXTHOP6 => 16,
        RtKey::XFRM => 1,
        _ => 4,
    };
    let load = Rt {
        key,
        ..Rt::default()
    };
    Key {
        load: load.into(),
        length,
    }
}

/// `numgen random mod modulus`: a number below the modulus, another for each packet, in host byte order.
#[must_use]
pub fn random(modulus: u32) -> Key {
    let load = Numgen {
        modulus,
        kind: NumgenKind::RANDOM,
        ..Numgen::default()
    };
    Key {
        load: load.into(),
        length: 4,
    }
}

macro_rules! keys {
    ($($name:ident $doc:literal = $key:expr;)*) => {$(
        #[doc = concat!("`", $doc, "`.")]
        #[must_use]
        pub fn $name() -> Key {
            $key
        }
    )*};
}

keys! {
    ip_saddr "ip saddr" = payload(PayloadBase::NETWORK, 12, 4);
    ip_daddr "ip daddr" = payload(PayloadBase::NETWORK, 16, 4);
    ip_protocol "ip protocol" = payload(PayloadBase::NETWORK, 9, 1);
    ip6_saddr "ip6 saddr" = payload(PayloadBase::NETWORK, 8, 16);
    ip6_daddr "ip6 daddr" = payload(PayloadBase::NETWORK, 24, 16);
    th_sport "th sport" = payload(PayloadBase::TRANSPORT, 0, 2);
    th_dport "th dport" = payload(PayloadBase::TRANSPORT, 2, 2);
    icmp_type "icmp type" = payload(PayloadBase::TRANSPORT, 0, 1);
    tcp_flags "tcp flags" = payload(PayloadBase::TRANSPORT, 13, 1);
    ether_saddr "ether saddr" = payload(PayloadBase::LINK, 6, 6);
    ether_daddr "ether daddr" = payload(PayloadBase::LINK, 0, 6);
    l4proto "meta l4proto" = meta(MetaKey::L4PROTO);
    nfproto "meta nfproto" = meta(MetaKey::NFPROTO);
    mark "meta mark" = meta(MetaKey::MARK);
    iif "iif" = meta(MetaKey::IIF);
    oif "oif" = meta(MetaKey::OIF);
    iifname "iifname" = meta(MetaKey::IIFNAME);
    oifname "oifname" = meta(MetaKey::OIFNAME);
    ct_state "ct state" = ct(CtKey::STATE);
    ct_status "ct status" = ct(CtKey::STATUS);
    ct_mark "ct mark" = ct(CtKey::MARK);
    rt_mtu "rt mtu" = rt(RtKey::TCPMSS);
    fib_daddr_type "fib daddr type" = fib(FibFlags::DADDR, FibResult::ADDRTYPE);
    fib_saddr_type "fib saddr type" = fib(FibFlags::SADDR, FibResult::ADDRTYPE);
}
