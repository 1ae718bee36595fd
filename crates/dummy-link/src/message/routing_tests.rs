//! Rules and routes against those of iproute2 6.1.0 (what follows the netlink header, taken with
//! `strace -e write=3`) and of Linux 6.18.44 (`strace -e read=3`).

use proptest::prelude::*;

use super::super::tests::{bytes, emitted};
use super::*;
use crate::every_address;

fn rule(family: Family, mark: Mark, table: u32, priority: u32) -> MarkRule {
    MarkRule {
        family,
        priority,
        iif_lo: false,
        mark,
        table: Table(table),
        protocol: RoutingProtocol(77),
    }
}

fn route(destination: &str, table: u32) -> LocalRoute {
    LocalRoute {
        destination: destination.parse().unwrap(),
        link: 1,
        table: Table(table),
        protocol: RoutingProtocol(77),
    }
}

#[test]
fn rules_by_mark_are_those_of_ip() {
    // ip rule add fwmark 0x2000/0x2000 table 8192 priority 100 protocol 77
    let captured = bytes(
        "02 00 00 00 00 00 00 01 00 00 00 00 08 00 0a 00
         00 20 00 00 08 00 10 00 00 20 00 00 08 00 0f 00
         00 20 00 00 08 00 06 00 64 00 00 00 05 00 15 00
         4d 00 00 00",
    );
    let ours = rule(Family::V4, Mark::bits(0x2000), 8192, 100);
    assert_eq!(emitted(&mark_rule(&ours)), captured);
    // ip rule del fwmark 0x2000/0x2000 table 8192 priority 100 protocol 77: the same, but that ip does
    // not name the action.
    // ip -6 rule add fwmark 0x2000/0x2000 table 100 priority 100 protocol 77
    let captured = bytes(
        "0a 00 00 00 64 00 00 01 00 00 00 00 08 00 0a 00
         00 20 00 00 08 00 10 00 00 20 00 00 08 00 06 00
         64 00 00 00 05 00 15 00 4d 00 00 00",
    );
    let ours = rule(Family::V6, Mark::bits(0x2000), 100, 100);
    assert_eq!(emitted(&mark_rule(&ours)), captured);
}

#[test]
fn local_routes_are_those_of_ip() {
    for (ours, captured) in [
        (
            // ip route add local default dev lo table 8192 proto 77
            route("0.0.0.0/0", 8192),
            "02 00 00 00 00 4d fe 02 00 00 00 00 08 00 0f 00
             00 20 00 00 08 00 04 00 01 00 00 00",
        ),
        (
            // ip -6 route add local default dev lo table 100 proto 77
            route("::/0", 100),
            "0a 00 00 00 64 4d 00 02 00 00 00 00 14 00 01 00
             00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
             08 00 04 00 01 00 00 00",
        ),
        (
            // ip route add local 10.96.0.0/12 dev lo table 100 proto 77
            route("10.96.0.0/12", 100),
            "02 0c 00 00 64 4d fe 02 00 00 00 00 08 00 01 00
             0a 60 00 00 08 00 04 00 01 00 00 00",
        ),
    ] {
        assert_eq!(emitted(&local_route(&ours)), bytes(captured), "{ours}");
    }
}

#[test]
fn listings_are_asked_for_as_ip_asks() {
    // ip rule; of both families here.
    assert_eq!(emitted(&all_rules()), [0; 12]);
    // ip -6 route show table 100, without the zeros that ip sends after it.
    let captured = bytes("0a 00 00 00 00 00 00 00 00 00 00 00 08 00 0f 00 64 00 00 00");
    assert_eq!(emitted(&routes_of(Family::V6, Table(100))), captured);
}

#[test]
fn rules_of_the_kernel() {
    // ip -6 rule: of priority 0, 9, 100 and 32766.
    let captured = [
        "0a 00 00 00 ff 00 00 01 00 00 00 00 08 00 0f 00
         ff 00 00 00 08 00 0e 00 ff ff ff ff 05 00 15 00
         02 00 00 00",
        "0a 00 00 00 fc 00 00 01 00 00 00 00 08 00 0f 00
         e8 03 00 00 08 00 0e 00 ff ff ff ff 05 00 15 00
         4d 00 00 00 08 00 06 00 09 00 00 00 08 00 0a 00
         07 00 00 00 08 00 10 00 ff ff ff ff",
        "0a 00 00 00 64 00 00 01 00 00 00 00 08 00 0f 00
         64 00 00 00 08 00 0e 00 ff ff ff ff 05 00 15 00
         4d 00 00 00 08 00 06 00 64 00 00 00 08 00 0a 00
         00 20 00 00 08 00 10 00 00 20 00 00",
    ];
    let [local, whole, bits] = captured.map(|hex| parse_rule(&bytes(hex)).unwrap().unwrap());
    assert_eq!(
        local,
        Rule {
            family: Family::V6,
            priority: 0,
            action: RuleAction::TO_TABLE,
            table: Table::LOCAL,
            iif_lo: false,
            mark: None,
            protocol: RoutingProtocol::KERNEL,
            has_more: false,
        }
    );
    assert_eq!(local.by_mark(), None);
    let expected = rule(Family::V6, Mark::whole(7), 1000, 9);
    assert_eq!(whole.by_mark(), Some(expected));
    let expected = rule(Family::V6, Mark::bits(0x2000), 100, 100);
    assert_eq!(bits.by_mark(), Some(expected));
    assert_eq!(
        expected.to_string(),
        "priority 100 fwmark 0x2000/0x2000 table 100 protocol 77"
    );
}

#[test]
fn a_rule_with_more_conditions_is_not_one_by_mark() {
    // Synthetic: the rule above with what the kernel adds for `from 10.0.0.0/8`, `not`,
    // `suppress_prefixlength 0`, `iif eth0`, another action.
    let plain = emitted(&mark_rule(&rule(Family::V4, Mark::whole(7), 100, 9)));
    let parse = |message: &[u8]| parse_rule(message).unwrap().unwrap();
    assert!(parse(&plain).by_mark().is_some());
    let header = |at: usize, value: u8| {
        let mut message = plain.clone();
        message[at] = value;
        parse(&message)
    };
    for (at, value) in [(1, 8), (2, 8), (3, 4), (8, 2)] {
        assert!(header(at, value).has_more, "byte {at}");
        assert_eq!(header(at, value).by_mark(), None);
    }
    let blackhole = header(7, 6);
    assert!(!blackhole.has_more && blackhole.by_mark().is_none());
    for more in [
        "08 00 0e 00 00 00 00 00",
        "09 00 03 00 65 74 68 30 00 00 00 00",
    ] {
        assert!(
            parse(&[&plain[..], &bytes(more)].concat()).has_more,
            "{more}"
        );
    }
    // `iif lo`
    let own = parse(&[&plain[..], &bytes("07 00 03 00 6c 6f 00 00")].concat());
    let expected = MarkRule {
        iif_lo: true,
        ..rule(Family::V4, Mark::whole(7), 100, 9)
    };
    assert_eq!(own.by_mark(), Some(expected));
    assert_eq!(
        expected.to_string(),
        "priority 9 iif lo fwmark 0x7 table 100 protocol 77"
    );
}

#[test]
fn a_mark_of_zero_is_a_condition() {
    // Synthetic: the kernel leaves FRA_FWMARK out where it is 0.
    let mask = bytes("02 00 00 00 64 00 00 01 00 00 00 00 08 00 10 00 ff 00 00 00");
    let expected = Mark {
        value: 0,
        mask: 0xff,
    };
    assert_eq!(parse_rule(&mask).unwrap().unwrap().mark, Some(expected));
}

#[test]
fn routes_of_the_kernel() {
    // ip route show table 100; ip -6 route show table 100
    let v4 = bytes(
        "02 0c 00 00 64 4d fe 02 00 00 00 00 08 00 0f 00
         64 00 00 00 08 00 01 00 0a 60 00 00 08 00 04 00
         01 00 00 00",
    );
    let v6 = bytes(
        "0a 00 00 00 64 4d 00 02 00 00 00 00 08 00 0f 00
         64 00 00 00 08 00 06 00 00 04 00 00 08 00 04 00
         01 00 00 00 24 00 0c 00 00 00 00 00 00 00 00 00
         00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
         00 00 00 00 00 00 00 00 05 00 14 00 00 00 00 00",
    );
    let [v4, v6] = [v4, v6].map(|message| parse_route(&message).unwrap().unwrap());
    assert_eq!(v4.local(), Some(route("10.96.0.0/12", 100)));
    assert_eq!(v6.local(), Some(route("::/0", 100)));
    assert_eq!((v4.metric, v6.metric), (None, Some(1024)));
    let unicast = Route {
        kind: RouteKind::UNICAST,
        ..v4
    };
    assert_eq!(unicast.local(), None);
}

#[test]
fn copies_and_other_families_are_left_out() {
    // Synthetic.
    let message = emitted(&local_route(&route("10.96.0.0/12", 100)));
    let with = |at: usize, value: u8| {
        let mut message = message.clone();
        message[at] = value;
        parse_route(&message).unwrap()
    };
    assert!(with(9, 0).is_some());
    assert_eq!(with(9, 2), None, "RTM_F_CLONED");
    assert_eq!(with(0, 128), None, "RTNL_FAMILY_IPMR");
    let rule = bytes("80 00 00 00 fd 00 00 01 00 00 00 00");
    assert_eq!(parse_rule(&rule).unwrap(), None);
}

#[test]
fn malformed_rules_and_routes_are_named() {
    // Synthetic.
    let rule = parse_rule(&[2; 11]).unwrap_err().to_string();
    assert_eq!(rule, "fib_rule_hdr: the value has 11 bytes, expected 12");
    let short = bytes("02 00 00 00 64 00 00 01 00 00 00 00 06 00 06 00 01 00 00 00");
    let rule = parse_rule(&short).unwrap_err().to_string();
    assert_eq!(rule, "FRA_PRIORITY: the value has 2 bytes, expected 4");
    let long = bytes("02 21 00 00 64 00 00 01 00 00 00 00");
    let route = parse_route(&long).unwrap_err().to_string();
    assert_eq!(
        route,
        "rtm_dst_len: the value is not a prefix length of the family"
    );
}

fn family() -> impl Strategy<Value = Family> {
    prop::sample::select(&Family::ALL[..])
}

proptest! {
    #[test]
    fn rules_survive_the_way(
        family in family(),
        priority: u32,
        iif_lo: bool,
        value: u32,
        mask: u32,
        table in 1u32..,
        protocol: u8,
    ) {
        let mark = Mark { value, mask };
        let protocol = RoutingProtocol(protocol);
        let rule = MarkRule { family, priority, iif_lo, mark, table: Table(table), protocol };
        let read = parse_rule(&emitted(&mark_rule(&rule))).unwrap().unwrap();
        prop_assert_eq!(read.by_mark(), Some(rule));
    }

    #[test]
    fn routes_survive_the_way(
        family in family(),
        v4: [u8; 4],
        v6: [u8; 16],
        length in 0u8..=32,
        link: u32,
        table in 1u32..,
        protocol: u8,
    ) {
        let (address, length) = match family {
            Family::V4 => (IpAddr::from(v4), length),
            Family::V6 => (IpAddr::from(v6), length * 4),
        };
        // A default route has no address.
        let destination = match length {
            0 => every_address(family),
            _ => IpNetwork::new(address, length).unwrap(),
        };
        let protocol = RoutingProtocol(protocol);
        let route = LocalRoute { destination, link, table: Table(table), protocol };
        let read = parse_route(&emitted(&local_route(&route))).unwrap().unwrap();
        prop_assert_eq!(read.local(), Some(route));
    }

    #[test]
    fn damaged_rules_and_routes_never_panic(message in prop::collection::vec(any::<u8>(), 0..64)) {
        _ = parse_rule(&message);
        _ = parse_route(&message);
    }
}
