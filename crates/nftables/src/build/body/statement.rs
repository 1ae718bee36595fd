//! Statements: verdicts, counters, limits, logs, address translation.

use std::net::IpAddr;

use netlink_wire::Family;

use super::{Body, FIRST, Key, Operand, key, slots};
use crate::expression::{
    Byteorder, ByteorderOp, Counter, Exthdr, ExthdrOp, Immediate, Limit, LimitKind, Log, Masq, Nat,
    NatFlags, NatKind, Notrack, Objref, Redir, Reject, RejectKind, Tproxy,
};
use crate::model::{Data, Name, ObjectKind, Register, Verdict, VerdictCode};

/// `TCPOPT_MAXSEG` (`net/tcp.h`).
const TCPOPT_MAXSEG: u8 = 2;

impl Body {
    /// `counter`.
    #[must_use]
    pub fn counter(self) -> Self {
        self.push(Counter::default())
    }

    /// `counter name "…"`, `quota name "…"` and so on.
    #[must_use]
    pub fn object(self, kind: ObjectKind, name: &Name) -> Self {
        self.push(Objref {
            kind: Some(kind.0),
            name: Some(name.clone()),
            ..Objref::default()
        })
    }

    /// `limit rate packets/unit`, with the unit in seconds.
    #[must_use]
    pub fn limit(self, packets: u64, seconds: u64, burst: u32) -> Self {
        self.push(Limit {
            rate: packets,
            unit: seconds,
            burst,
            kind: LimitKind::PACKETS,
            ..Limit::default()
        })
    }

    /// `log prefix "…"`, to the kernel's log at level 4 (warning), which is what `nft` takes by default.
    #[must_use]
    pub fn log(self, prefix: &Name) -> Self {
        self.push(Log {
            prefix: Some(prefix.clone()),
            level: Some(4),
            ..Log::default()
        })
    }

    /// Ends the rule with a verdict.
    #[must_use]
    pub fn verdict(self, verdict: Verdict) -> Self {
        self.push(Immediate {
            destination: Register::VERDICT,
            data: Data::Verdict(verdict),
            ..Immediate::default()
        })
    }

    /// `accept`.
    #[must_use]
    pub fn accept(self) -> Self {
        self.verdict(Verdict::new(VerdictCode::ACCEPT))
    }

    /// `drop`.
    #[must_use]
    pub fn drop(self) -> Self {
        self.verdict(Verdict::new(VerdictCode::DROP))
    }

    /// `jump chain`.
    #[must_use]
    pub fn jump(self, chain: &Name) -> Self {
        self.verdict(Verdict::jump(chain.clone()))
    }

    /// `goto chain`.
    #[must_use]
    pub fn goto(self, chain: &Name) -> Self {
        self.verdict(Verdict::goto(chain.clone()))
    }

    /// `reject with …`, with the code of the ICMP error.
    #[must_use]
    pub fn reject(self, kind: RejectKind, code: u8) -> Self {
        self.push(Reject {
            kind,
            code: Some(code),
            ..Reject::default()
        })
    }

    /// `masquerade`.
    #[must_use]
    pub fn masquerade(self, flags: NatFlags) -> Self {
        self.push(Masq {
            flags,
            ..Masq::default()
        })
    }

    /// `snat to …` or `dnat to …`: the addresses from the first to the last, and the ports if there are.
    #[must_use]
    pub fn nat(
        mut self,
        kind: NatKind,
        addresses: (IpAddr, IpAddr),
        ports: Option<(u16, u16)>,
        flags: NatFlags,
    ) -> Self {
        let family = Family::of(addresses.0);
        let mut slot = 0;
        let mut put = |body: &mut Self, first: Operand, last: Operand| {
            let min = Register::at(slot);
            *body = std::mem::take(body).immediate(slot, first.clone());
            slot += 4;
            if last == first {
                return (Some(min), Some(min));
            }
            let max = Register::at(slot);
            *body = std::mem::take(body).immediate(slot, last);
            slot += 4;
            (Some(min), Some(max))
        };
        let (address_min, address_max) = put(&mut self, addresses.0.into(), addresses.1.into());
        let (port_min, port_max) = ports.map_or((None, None), |(first, last)| {
            put(&mut self, first.into(), last.into())
        });
        let ports = if ports.is_some() {
            NatFlags::PROTO_SPECIFIED
        } else {
            NatFlags::empty()
        };
        self.push(Nat {
            kind,
            family: family.number().into(),
            address_min,
            address_max,
            port_min,
            port_max,
            flags: flags | NatFlags::MAP_IPS | ports,
            ..Nat::default()
        })
    }

    /// `dnat to key . key map @map`, or `snat`: the map has an address, and a port behind it if `with_port`.
    #[must_use]
    pub fn nat_by_map(
        self,
        kind: NatKind,
        family: Family,
        keys: &[Key],
        map: &Name,
        with_port: bool,
        flags: NatFlags,
    ) -> Self {
        let port = with_port.then(|| Register::at(slots(u32::from(family.bits()) / 8)));
        let ports = if with_port {
            NatFlags::PROTO_SPECIFIED
        } else {
            NatFlags::empty()
        };
        self.lookup(keys, map, Some(FIRST), 0).push(Nat {
            kind,
            family: family.number().into(),
            address_min: Some(FIRST),
            address_max: Some(FIRST),
            port_min: port,
            port_max: port,
            flags: flags | NatFlags::MAP_IPS | ports,
            ..Nat::default()
        })
    }

    /// `redirect to :port`.
    #[must_use]
    pub fn redirect(self, port: u16) -> Self {
        self.immediate(0, port.into()).push(Redir {
            port_min: Some(FIRST),
            port_max: Some(FIRST),
            flags: NatFlags::PROTO_SPECIFIED,
            ..Redir::default()
        })
    }

    /// `tproxy to :port` for a family.
    #[must_use]
    pub fn tproxy(self, family: Family, port: u16) -> Self {
        self.immediate(0, port.into()).push(Tproxy {
            family: family.number().into(),
            port: Some(FIRST),
            ..Tproxy::default()
        })
    }

    /// `tcp option maxseg size set rt mtu`: segments of this connection will fit into the routes there and back.
    /// It only ever makes them smaller. For packets with [`key::tcp_flags`]' bit 2, which open a connection.
    #[must_use]
    pub fn clamp_segments(mut self) -> Self {
        const SIZE: u32 = 2;
        self.load(&[key::rt_mtu()], 0);
        self.push(Byteorder {
            source: FIRST,
            destination: FIRST,
            op: ByteorderOp::HTON,
            length: SIZE,
            size: SIZE,
            ..Byteorder::default()
        })
        .push(Exthdr {
            source: Some(FIRST),
            kind: TCPOPT_MAXSEG,
            offset: 2,
            length: SIZE,
            op: ExthdrOp::TCPOPT,
            ..Exthdr::default()
        })
    }

    /// `notrack`.
    #[must_use]
    pub fn notrack(self) -> Self {
        self.push(Notrack::default())
    }
}
