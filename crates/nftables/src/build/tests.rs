//! Bodies are what `nft` makes of the same rules, as the kernel listed them (captured).

use super::*;
use crate::expression::{
    CmpOp, CtDirection, CtKey, DynsetOp, Expressions, MetaKey, NatFlags, NatKind, RejectKind,
};
use crate::message::{Item, Reply, captured, parse};
use crate::{Name, ObjectKind, Rule};

/// The rules of a chain, in order.
fn listed(chain: &str) -> Vec<Rule> {
    let rules =
        captured().filter_map(
            |(direction, kind, _, payload)| match parse(kind, &payload) {
                Ok(Reply::New(Item::Rule(rule))) if direction == '<' => Some(rule),
                _ => None,
            },
        );
    rules
        .filter(|rule| rule.chain.as_ref().is_some_and(|name| *name == *chain))
        .collect()
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn ip(text: &str) -> std::net::IpAddr {
    text.parse().unwrap()
}

#[test]
fn bodies_are_those_of_nft() {
    let pre = listed("pre");
    let service = [key::ip_daddr(), key::l4proto(), key::th_dport()];
    for (index, body) in [
        (
            0,
            Body::new().in_set(&service, &name("plain")).mark_or(0x2000),
        ),
        (
            1,
            Body::new().set_meta_by_map(MetaKey::MARK, &service, &name("services")),
        ),
        (
            2,
            Body::new()
                .protocol(6)
                .verdict_map(&[key::th_dport()], &name("verdicts")),
        ),
        (
            4,
            Body::new()
                .protocol(6)
                .in_set(&[key::ip_saddr(), key::th_dport()], &name("ranges"))
                .accept(),
        ),
        (5, Body::new().any_bit(key::ct_state(), 6).accept()),
        (
            6,
            Body::new()
                .is(key::ct_direction(), CtDirection::ORIGINAL.0)
                .any_bit(key::ct_status(), 0x20)
                .accept(),
        ),
        (
            7,
            Body::new()
                .is(key::fib_daddr_type(), 2_u32)
                .object(ObjectKind::COUNTER, &name("named")),
        ),
        (
            9,
            Body::new()
                .is(
                    key::payload(crate::expression::PayloadBase::NETWORK, 12, 2),
                    &[10, 1][..],
                )
                .change_set(DynsetOp::UPDATE, &[key::ip_saddr()], &name("timed"), 60_000),
        ),
        (
            11,
            Body::new()
                .protocol(1)
                .is(key::icmp_type(), 8_u8)
                .reject(RejectKind::ICMP, 3),
        ),
        (13, Body::new().set_ct(CtKey::MARK, 1_u32)),
        (
            14,
            Body::new()
                .masked(key::mark(), 0xff_u32, CmpOp::EQ, 0x12_u32)
                .goto(&name("other")),
        ),
        (17, Body::new().is(key::oif(), 1_u32).notrack()),
    ] {
        assert_eq!(
            Expressions::from(body),
            pre[index].expressions,
            "rule {index}"
        );
    }
    let nat = listed("nat");
    let random = NatFlags::RANDOM | NatFlags::FULLY_RANDOM;
    assert_eq!(
        Expressions::from(Body::new().masquerade(random)),
        nat[0].expressions
    );
    let snat = Body::new().protocol(6).nat(
        NatKind::SNAT,
        (ip("10.0.0.1"), ip("10.0.0.9")),
        Some((1000, 2000)),
        NatFlags::PERSISTENT,
    );
    assert_eq!(Expressions::from(snat), nat[1].expressions);
    let dn = listed("dn");
    let target = ip("10.0.0.2");
    let dnat = Body::new().protocol(6).is(key::th_dport(), 80_u16).nat(
        NatKind::DNAT,
        (target, target),
        Some((8080, 8080)),
        NatFlags::empty(),
    );
    assert_eq!(Expressions::from(dnat), dn[0].expressions);
    let redirect = Body::new()
        .protocol(6)
        .is(key::th_dport(), 81_u16)
        .redirect(8081);
    assert_eq!(Expressions::from(redirect), dn[1].expressions);
}

#[test]
fn keys_lie_one_behind_the_other() {
    let keys = [key::ip6_daddr(), key::l4proto(), key::th_dport()];
    let body = Expressions::from(Body::new().in_set(&keys, &name("s")));
    let registers = body.0.iter().filter_map(|expression| match expression {
        crate::Expression::Payload(load) => load.destination,
        crate::Expression::Meta(load) => load.destination,
        _ => None,
    });
    let slots: Vec<_> = registers.map(crate::Register::slot).collect();
    assert_eq!(slots, [Some(0), Some(4), Some(5)]);
}
