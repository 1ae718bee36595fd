//! Messages against those of iproute2 6.1.0 (what follows the netlink header, taken with
//! `strace -e write=3,4`) and of the kernels named.

use netlink_packet_core::Emitable;
use proptest::prelude::*;

use super::*;

/// Bytes of a dump such as strace prints.
fn bytes(hex: &str) -> Vec<u8> {
    hex.split_whitespace()
        .map(|byte| u8::from_str_radix(byte, 16).unwrap())
        .collect()
}

fn emitted(message: &impl Emitable) -> Vec<u8> {
    let mut buffer = vec![0; message.buffer_len()];
    message.emit(&mut buffer);
    buffer
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
    assert_eq!(
        emitted(&address(1, "192.0.2.7/24".parse().unwrap())),
        captured
    );
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
    assert_eq!(
        emitted(&address(1, "fd00::7/128".parse().unwrap())),
        captured
    );
}

#[test]
fn shorter_ipv6_addresses_have_their_route_and_loopback_its_scope() {
    let message = emitted(&address(1, "fd00::7/64".parse().unwrap()));
    assert_eq!(
        message[28..36],
        [8, 0, 8, 0, 2, 0, 0, 0],
        "IFA_F_NODAD alone"
    );
    assert_eq!(
        emitted(&address(1, "127.0.0.2/8".parse().unwrap()))[3],
        254,
        "RT_SCOPE_HOST"
    );
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
    };
    assert_eq!(parse_address(&captured).unwrap(), Some(expected));
    let mut other_family = captured.clone();
    other_family[0] = 12;
    assert_eq!(parse_address(&other_family).unwrap(), None);
    for length in 0..captured.len() {
        // Cut between two attributes it may still say all there is to it.
        let address = parse_address(&captured[..length]).ok().flatten();
        assert!(address.is_none_or(|address| address == expected));
    }
}

/// `ip link show dev kube-ipvs0`, the reply of Linux 6.1.176 (User Mode Linux), taken with
/// `strace -e read=3`.
const DUMMY_LINK: &[u8] = include_bytes!("kube-ipvs0.bin");

#[test]
fn links_of_the_kernel() {
    let expected = Link {
        index: 2,
        name: KUBE_IPVS0.parse().unwrap(),
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
fn names_that_are_no_text_are_shown_somehow() {
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
    assert_eq!(link(b"\0abc"), Err("a link name must not be empty".into()));
}
