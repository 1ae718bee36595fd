//! Messages against those of iproute2 6.1.0 (what follows the netlink header, taken with
//! `strace -e write=3,4`) and of the kernels named.

use netlink_packet_core::Emitable;
use netlink_packet_route::address::AddressMessage;
use netlink_packet_route::link::LinkMessage;
use proptest::prelude::*;

use super::*;
use crate::{AddressFlags, AddressProtocol, AddressScope, BoundAddress, Lifetimes, Link};

/// Bytes of a dump such as strace prints.
pub(super) fn bytes(hex: &str) -> Vec<u8> {
    hex.split_whitespace()
        .map(|byte| u8::from_str_radix(byte, 16).unwrap())
        .collect()
}

pub(super) fn emitted(message: &impl Emitable) -> Vec<u8> {
    let mut buffer = vec![0; message.buffer_len()];
    message.emit(&mut buffer);
    buffer
}

/// A new address on the link with index 1.
fn added(address: &str) -> AddressMessage {
    new_address(1, address.parse().unwrap(), AddressProtocol::UNSPEC)
}

const KUBE_IPVS0: &str = "kube-ipvs0";

#[test]
fn new_dummy_is_that_of_ip() {
    // ip link add kube-ipvs0 type dummy; netlink-packet-route ends the kind with a NUL.
    let mut captured = bytes(
        "00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00
         0f 00 03 00 6b 75 62 65  2d 69 70 76 73 30 00 00
         10 00 12 00 09 00 01 00  64 75 6d 6d 79 00 00 00",
    );
    captured[36] += 1;
    assert_eq!(emitted(&new_dummy(KUBE_IPVS0.parse().unwrap())), captured);
}

#[test]
fn looking_up_is_that_of_ip() {
    // ip addr add 192.0.2.7/24 dev lo; ip asks for RTEXT_FILTER_VF besides.
    let mut captured = bytes(
        "00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00
         08 00 1d 00 09 00 00 00  07 00 03 00 6c 6f 00 00",
    );
    captured[20] = 8;
    assert_eq!(emitted(&link_by_name("lo".parse().unwrap())), captured);
}

#[test]
fn setting_down_is_that_of_ip() {
    // ip link set lo down
    let captured = bytes("00 00 00 00 01 00 00 00  00 00 00 00 01 00 00 00");
    assert_eq!(emitted(&set_up(1, false)), captured);
    assert_eq!(emitted(&set_up(1, true))[8..], [1, 0, 0, 0, 1, 0, 0, 0]);
}

#[test]
fn ipv4_addresses_are_those_of_ip() {
    // ip addr add 192.0.2.7/24 dev lo
    let captured = bytes(
        "02 18 00 00 01 00 00 00  08 00 02 00 c0 00 02 07
         08 00 01 00 c0 00 02 07",
    );
    assert_eq!(emitted(&added("192.0.2.7/24")), captured);
}

#[test]
fn ipv6_addresses_are_those_of_ip() {
    // ip addr add fd00::7/128 dev lo nodad noprefixroute
    let captured = bytes(
        "0a 80 00 00 01 00 00 00  14 00 02 00 fd 00 00 00
         00 00 00 00 00 00 00 00  00 00 00 07 08 00 08 00
         02 02 00 00 14 00 01 00  fd 00 00 00 00 00 00 00
         00 00 00 00 00 00 00 07",
    );
    assert_eq!(emitted(&added("fd00::7/128")), captured);
}

#[test]
fn shorter_ipv6_addresses_have_their_route_and_loopback_its_scope() {
    let message = emitted(&added("fd00::7/64"));
    assert_eq!(
        message[28..36],
        [8, 0, 8, 0, 2, 0, 0, 0],
        "IFA_F_NODAD alone"
    );
    assert_eq!(emitted(&added("127.0.0.2/8"))[3], 254, "RT_SCOPE_HOST");
}

#[test]
fn addresses_of_the_kernel() {
    // Linux 6.18.44, of 127.0.0.1/8 and 192.0.2.7/24 on lo.
    let captured = bytes(
        "02 08 80 fe 01 00 00 00  08 00 01 00 7f 00 00 01
         08 00 02 00 7f 00 00 01  07 00 03 00 6c 6f 00 00
         08 00 08 00 80 00 00 00  14 00 06 00 ff ff ff ff
         ff ff ff ff f6 58 05 00  f6 58 05 00",
    );
    let expected = BoundAddress {
        index: 1,
        address: "127.0.0.1/8".parse().unwrap(),
        peer: None,
        broadcast: None,
        label: "lo".parse().ok(),
        scope: AddressScope::HOST,
        lifetimes: Lifetimes::FOREVER,
        flags: AddressFlags::PERMANENT,
        protocol: AddressProtocol::UNSPEC,
    };
    assert_eq!(parse_address(&captured).unwrap(), Some(expected));
    let mut other_family = captured.clone();
    other_family[0] = 12;
    assert_eq!(parse_address(&other_family).unwrap(), None);
    for length in 0..captured.len() {
        // Cut between two attributes it may still be complete.
        let address = parse_address(&captured[..length]).ok().flatten();
        // The label comes after the address, and is missing if it is cut off.
        let label = address.and_then(|address| address.label);
        let expected = BoundAddress { label, ..expected };
        assert!(address.is_none_or(|address| address == expected));
    }
}

#[test]
fn an_ipv4_address_with_a_peer_is_deleted_by_its_peer() {
    // ip addr del 10.1.1.1 peer 10.1.1.2/24 dev lo
    let captured = bytes(
        "02 18 00 00 01 00 00 00  08 00 02 00 0a 01 01 01
         08 00 01 00 0a 01 01 02",
    );
    let address = "10.1.1.1/24".parse().unwrap();
    let peer = "10.1.1.2".parse().ok();
    assert_eq!(emitted(&delete_address(1, address, peer)), captured);
    // ip addr del ::1/128 dev lo
    let captured = bytes(
        "0a 80 00 00 01 00 00 00  14 00 02 00 00 00 00 00
         00 00 00 00 00 00 00 00  00 00 00 01 14 00 01 00
         00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 01",
    );
    let address = "::1/128".parse().unwrap();
    assert_eq!(emitted(&delete_address(1, address, None)), captured);
}

#[test]
fn a_protocol_is_sent_with_the_address() {
    // Synthetic: iproute2 6.1.0 cannot set it. The kernel tests show that the kernel keeps it.
    let address = "192.0.2.7/24".parse().unwrap();
    let marked = emitted(&new_address(1, address, AddressProtocol(42)));
    let plain = emitted(&added("192.0.2.7/24"));
    assert_eq!(marked[..plain.len()], plain);
    assert_eq!(marked[plain.len()..], [5, 0, 11, 0, 42, 0, 0, 0]);
}

#[test]
fn peers_flags_and_protocols_of_the_kernel() {
    // Linux 6.18.44, ip addr show dev lo: 10.1.1.1 peer 10.1.1.2/24, fd00::1 peer fd00::2/64, ::1/128.
    let captured = [
        bytes(
            "02 18 80 00 01 00 00 00  08 00 01 00 0a 01 01 02
             08 00 02 00 0a 01 01 01  07 00 03 00 6c 6f 00 00
             08 00 08 00 80 00 00 00  14 00 06 00 ff ff ff ff
             ff ff ff ff bc f4 02 00  bc f4 02 00",
        ),
        bytes(
            "0a 40 82 00 01 00 00 00  14 00 02 00 fd 00 00 00
             00 00 00 00 00 00 00 00  00 00 00 01 14 00 01 00
             fd 00 00 00 00 00 00 00  00 00 00 00 00 00 00 02
             14 00 06 00 ff ff ff ff  ff ff ff ff 90 f0 02 00
             90 f0 02 00 08 00 08 00  82 00 00 00",
        ),
        bytes(
            "0a 80 80 fe 01 00 00 00  14 00 01 00 00 00 00 00
             00 00 00 00 00 00 00 00  00 00 00 01 14 00 06 00
             ff ff ff ff ff ff ff ff  8d f0 02 00 8d f0 02 00
             08 00 08 00 80 00 00 00  05 00 0b 00 01 00 00 00",
        ),
    ];
    let [v4, v6, local] = captured.map(|reply| parse_address(&reply).unwrap().unwrap());
    assert_eq!(v4.address.to_string(), "10.1.1.1/24");
    assert_eq!(v4.to_string(), "10.1.1.1 peer 10.1.1.2/24");
    assert_eq!(v6.to_string(), "fd00::1 peer fd00::2/64");
    assert_eq!(
        (v4.flags, v6.flags),
        (
            AddressFlags::PERMANENT,
            AddressFlags::PERMANENT | AddressFlags::NODAD
        )
    );
    assert_eq!(local.to_string(), "::1/128");
    assert_eq!(
        (local.peer, local.protocol),
        (None, AddressProtocol::KERNEL_LO)
    );
    assert_eq!(v6.protocol, AddressProtocol::UNSPEC);
}

#[test]
fn malformed_addresses_are_named() {
    // Synthetic.
    let error = |payload: &[u8]| parse_address(payload).unwrap_err().to_string();
    let header = [2, 24, 0, 0, 1, 0, 0, 0];
    assert_eq!(
        error(&header[..7]),
        "ifaddrmsg: the value has 7 bytes, expected 8"
    );
    assert_eq!(error(&header), "IFA_LOCAL: the attribute is missing");
    let local = [8, 0, 2, 0, 10, 0, 0, 1];
    let long = [&[2, 33, 0, 0, 1, 0, 0, 0][..], &local].concat();
    assert_eq!(
        error(&long),
        "ifa_prefixlen: the value is not a prefix length of the family"
    );
    let other_family = [&[10, 64, 0, 0, 1, 0, 0, 0][..], &local].concat();
    assert_eq!(
        error(&other_family),
        "IFA_LOCAL: the value has 4 bytes, expected 16"
    );
}

#[test]
fn looking_up_by_alternative_name_is_that_of_ip() {
    // ip link show dev loop-back-alternative; ip asks with AF_PACKET and another order and mask.
    let captured = bytes(
        "1a 00 35 00 6c 6f 6f 70  2d 62 61 63 6b 2d 61 6c
         74 65 72 6e 61 74 69 76  65 00 00 00",
    );
    let ours = emitted(&link_by_any_name("loop-back-alternative"));
    assert_eq!(ours[24..], captured);
}

/// `ip link show dev loop-back-alternative`, the reply of Linux 6.18.44, taken with `strace -e read=3`.
const LOOPBACK: &[u8] = include_bytes!("lo-altname.bin");

#[test]
fn alternative_names_of_the_kernel() {
    let link = parse_link(&LOOPBACK[16..]).unwrap();
    assert_eq!((link.name.as_str(), link.index), ("lo", 1));
    assert_eq!(link.alternative_names, ["loop-back-alternative"]);
    assert!(link.has_name("lo") && link.has_name("loop-back-alternative"));
    assert!(!link.has_name("loop") && !link.is_dummy());
    assert!(link.is_up && link.is_loopback && link.kind.is_none());
}

/// `ip link show dev kube-ipvs0`, the reply of Linux 6.1.176 (User Mode Linux), taken with
/// `strace -e read=3`.
const DUMMY_LINK: &[u8] = include_bytes!("kube-ipvs0.bin");

#[test]
fn links_of_the_kernel() {
    let expected = Link {
        index: 2,
        name: KUBE_IPVS0.parse().unwrap(),
        alternative_names: vec![],
        kind: Some("dummy".into()),
        is_up: false,
        is_loopback: false,
    };
    assert_eq!(parse_link(&DUMMY_LINK[16..]).unwrap(), expected);
    for end in 16..DUMMY_LINK.len() {
        let cut = parse_link(&DUMMY_LINK[16..end]);
        assert!(cut.is_err() || cut.is_ok_and(|link| link.name == expected.name));
    }
}

proptest! {
    #[test]
    fn damaged_messages_never_panic(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        end: prop::sample::Index,
    ) {
        let mut message = DUMMY_LINK[16..].to_vec();
        for (position, value) in damage {
            *position.get_mut(&mut message[..]) = value;
        }
        message.truncate(end.index(message.len() + 1));
        _ = parse_link(&message);
        _ = parse_address(&message);
    }
}

#[test]
fn names_that_are_not_text_become_printable() {
    // Synthetic.
    let link = |name: &[u8; 4]| {
        let mut message = emitted(&LinkMessage::default());
        message.extend([8, 0, 3, 0]);
        message.extend(name);
        parse_link(&message)
            .map(|link| link.name.to_string())
            .map_err(|error| error.to_string())
    };
    assert_eq!(link(b"\xf0a/\0"), Ok("?a?".into()));
    assert_eq!(link(b"\xc3\xbcx\0"), Ok("üx".into()));
    assert_eq!(link(b"abcd"), Ok("abcd".into()), "without its NUL");
    assert_eq!(
        link(b"\0abc"),
        Err("IFLA_IFNAME: the value is not a link name of 1 to 15 bytes".into())
    );
}
