//! The body of a rule.

use std::net::IpAddr;

use netlink_wire::Family;

use super::{Key, Operand, key};
use crate::expression::{
    Bitwise, Byteorder, ByteorderOp, Cmp, CmpOp, Counter, Ct, CtKey, Dynset, DynsetOp, Expression,
    Expressions, Exthdr, ExthdrOp, Immediate, Limit, LimitKind, Log, Lookup, Masq, Meta, MetaKey,
    Nat, NatFlags, NatKind, Notrack, Objref, Range, RangeOp, Redir, Reject, RejectKind, Tproxy,
};
use crate::model::{Data, Name, ObjectKind, Register, Verdict, VerdictCode};
use crate::uapi::NFT_REG32_SIZE;

/// The first register for data.
const FIRST: Register = Register::at(0);

/// `TCPOPT_MAXSEG` (`net/tcp.h`).
const TCPOPT_MAXSEG: u8 = 2;

/// What a rule does, statement by statement, as `nft` has them. Registers are chosen on the way.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Body {
    expressions: Vec<Expression>,
}

impl From<Body> for Expressions {
    fn from(body: Body) -> Self {
        Self(body.expressions)
    }
}

impl Body {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an expression as it is.
    #[must_use]
    pub fn push(mut self, expression: impl Into<Expression>) -> Self {
        self.expressions.push(expression.into());
        self
    }

    /// Loads keys one behind the other from register `slot` on; returns how many slots they take.
    fn load(&mut self, keys: &[Key], slot: u8) -> u8 {
        let mut next = slot;
        for key in keys {
            self.expressions
                .push(key.clone().into_register(Register::at(next)));
            next = next.saturating_add(slots(key.length));
        }
        next - slot
    }

    fn immediate(self, slot: u8, value: Operand) -> Self {
        self.push(Immediate {
            destination: Register::at(slot),
            data: Data::Value(value.0),
            ..Immediate::default()
        })
    }

    /// `key == value`, or another comparison. The bytes compare from the first on.
    #[must_use]
    pub fn compare(mut self, key: Key, op: CmpOp, value: impl Into<Operand>) -> Self {
        self.load(&[key], 0);
        self.push(Cmp {
            source: FIRST,
            op,
            data: Data::Value(value.into().0),
            ..Cmp::default()
        })
    }

    /// `key value`: goes on if they are equal.
    #[must_use]
    pub fn is(self, key: Key, value: impl Into<Operand>) -> Self {
        self.compare(key, CmpOp::EQ, value)
    }

    /// `key != value`.
    #[must_use]
    pub fn is_not(self, key: Key, value: impl Into<Operand>) -> Self {
        self.compare(key, CmpOp::NEQ, value)
    }

    /// `key & mask == value`, or another comparison.
    #[must_use]
    pub fn masked(
        mut self,
        key: Key,
        mask: impl Into<Operand>,
        op: CmpOp,
        value: impl Into<Operand>,
    ) -> Self {
        let length = key.length;
        self.load(&[key], 0);
        let mask = mask.into().0;
        let xor = vec![0; mask.len()];
        self.push(bitwise(length, mask, xor)).push(Cmp {
            source: FIRST,
            op,
            data: Data::Value(value.into().0),
            ..Cmp::default()
        })
    }

    /// Goes on if the key has any of these bits, as in `ct state established,related` with bits 2 and 4.
    #[must_use]
    pub fn any_bit(self, key: Key, bits: u32) -> Self {
        self.masked(key, bits, CmpOp::NEQ, 0_u32)
    }

    /// `key from-to`, or `key != from-to`.
    #[must_use]
    pub fn within(
        mut self,
        key: Key,
        op: RangeOp,
        from: impl Into<Operand>,
        to: impl Into<Operand>,
    ) -> Self {
        self.load(&[key], 0);
        self.push(Range {
            source: FIRST,
            op,
            from: Data::Value(from.into().0),
            to: Data::Value(to.into().0),
            ..Range::default()
        })
    }

    /// `tcp` and the like: the protocol of the transport layer.
    #[must_use]
    pub fn protocol(self, protocol: u8) -> Self {
        self.is(key::l4proto(), protocol)
    }

    fn lookup(
        mut self,
        keys: &[Key],
        set: &Name,
        destination: Option<Register>,
        flags: u32,
    ) -> Self {
        self.load(keys, 0);
        self.push(Lookup {
            source: FIRST,
            destination,
            set: set.clone(),
            flags,
            ..Lookup::default()
        })
    }

    /// `key . key @set`: goes on if the set has them.
    #[must_use]
    pub fn in_set(self, keys: &[Key], set: &Name) -> Self {
        self.lookup(keys, set, None, 0)
    }

    /// `key . key != @set`.
    #[must_use]
    pub fn not_in_set(self, keys: &[Key], set: &Name) -> Self {
        self.lookup(keys, set, None, 1)
    }

    /// `key . key vmap @map`: the verdict that the map has for them.
    #[must_use]
    pub fn verdict_map(self, keys: &[Key], map: &Name) -> Self {
        self.lookup(keys, map, Some(Register::VERDICT), 0)
    }

    fn store_meta(self, key: MetaKey) -> Self {
        self.push(Meta {
            key,
            source: Some(FIRST),
            ..Meta::default()
        })
    }

    fn store_ct(self, key: CtKey) -> Self {
        self.push(Ct {
            key,
            source: Some(FIRST),
            ..Ct::default()
        })
    }

    /// `meta mark set value`, or another key.
    #[must_use]
    pub fn set_meta(self, key: MetaKey, value: impl Into<Operand>) -> Self {
        self.immediate(0, value.into()).store_meta(key)
    }

    /// `meta mark set key . key map @map`, or another key.
    #[must_use]
    pub fn set_meta_by_map(self, key: MetaKey, keys: &[Key], map: &Name) -> Self {
        self.lookup(keys, map, Some(FIRST), 0).store_meta(key)
    }

    /// `meta mark set key`, or another key.
    #[must_use]
    pub fn set_meta_to(mut self, key: MetaKey, value: Key) -> Self {
        self.load(&[value], 0);
        self.store_meta(key)
    }

    /// `ct mark set value`, or another key.
    #[must_use]
    pub fn set_ct(self, key: CtKey, value: impl Into<Operand>) -> Self {
        self.immediate(0, value.into()).store_ct(key)
    }

    /// `ct mark set meta mark`, or other keys.
    #[must_use]
    pub fn set_ct_to(mut self, key: CtKey, value: Key) -> Self {
        self.load(&[value], 0);
        self.store_ct(key)
    }

    /// `meta mark set (meta mark & keep) ^ turn`.
    #[must_use]
    pub fn change_mark(mut self, keep: u32, turn: u32) -> Self {
        self.load(&[key::mark()], 0);
        self.push(bitwise(
            4,
            keep.to_ne_bytes().to_vec(),
            turn.to_ne_bytes().to_vec(),
        ))
        .store_meta(MetaKey::MARK)
    }

    /// `meta mark set meta mark | bits`.
    #[must_use]
    pub fn mark_or(self, bits: u32) -> Self {
        self.change_mark(!bits, bits)
    }

    /// `meta mark set meta mark & bits`.
    #[must_use]
    pub fn mark_and(self, bits: u32) -> Self {
        self.change_mark(bits, 0)
    }

    /// `add @set { key . key timeout … }`, or update, or delete. The timeout is in milliseconds, 0 for that
    /// of the set.
    #[must_use]
    pub fn change_set(mut self, op: DynsetOp, keys: &[Key], set: &Name, timeout: u64) -> Self {
        self.load(keys, 0);
        self.push(Dynset {
            key: FIRST,
            op,
            timeout,
            set: set.clone(),
            ..Dynset::default()
        })
    }

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
            flags: NatFlags::MAP_IPS | ports,
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

/// How many registers of four bytes so many bytes take.
fn slots(length: u32) -> u8 {
    let register = u32::try_from(NFT_REG32_SIZE).unwrap_or(4);
    u8::try_from(length.div_ceil(register)).unwrap_or(u8::MAX)
}

fn bitwise(length: u32, mask: Vec<u8>, xor: Vec<u8>) -> Bitwise {
    Bitwise {
        source: FIRST,
        destination: FIRST,
        length,
        mask: Some(Data::Value(mask)),
        xor: Some(Data::Value(xor)),
        ..Bitwise::default()
    }
}
