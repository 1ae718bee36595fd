//! Labels, lifetimes, scopes, peers and broadcast addresses, against the messages of iproute2 6.1.0 (what follows
//! the netlink header, taken with `strace -e write=3,4`) and of Linux 6.18.44.

use proptest::prelude::*;

use super::tests::{bytes, emitted};
use super::*;
use crate::{
    AddressFlags, AddressLabel, AddressProtocol, AddressScope, BoundAddress, Lifetime, Lifetimes,
    NewAddress,
};

fn web() -> NewAddress {
    NewAddress::new("10.1.1.1/24".parse().unwrap())
        .with_peer("10.1.1.2".parse().unwrap())
        .with_broadcast("10.1.1.255".parse().unwrap())
        .with_label("lo:web".parse().unwrap())
        .with_scope(AddressScope::LINK)
        .with_lifetimes(Lifetimes::seconds(3000, 4000))
}

#[test]
fn choices_are_sent_as_ip_sends_them() {
    // ip addr add 10.1.1.1 peer 10.1.1.2/24 broadcast 10.1.1.255 dev lo label lo:web scope link
    //     valid_lft 4000 preferred_lft 3000
    let captured = bytes(
        "02 18 00 fd 01 00 00 00  08 00 02 00 0a 01 01 01
         08 00 01 00 0a 01 01 02  08 00 04 00 0a 01 01 ff
         0b 00 03 00 6c 6f 3a 77  65 62 00 00 14 00 06 00
         b8 0b 00 00 a0 0f 00 00  00 00 00 00 00 00 00 00",
    );
    assert_eq!(emitted(&address_with(1, &web())), captured);
    // ip addr replace 10.1.1.9/24 dev lo valid_lft 4000 preferred_lft 3000
    let captured = bytes(
        "02 18 00 00 01 00 00 00  08 00 02 00 0a 01 01 09
         08 00 01 00 0a 01 01 09  14 00 06 00 b8 0b 00 00
         a0 0f 00 00 00 00 00 00  00 00 00 00",
    );
    let renewed = NewAddress::new("10.1.1.9/24".parse().unwrap())
        .with_lifetimes(Lifetimes::seconds(3000, 4000));
    assert_eq!(emitted(&address_with(1, &renewed)), captured);
    // ip addr add fd00::7/64 dev lo nodad valid_lft 4000 preferred_lft 0; ip has the flag in the header alone.
    let mut captured = bytes(
        "0a 40 02 00 01 00 00 00  14 00 02 00 fd 00 00 00
         00 00 00 00 00 00 00 00  00 00 00 07 14 00 01 00
         fd 00 00 00 00 00 00 00  00 00 00 00 00 00 00 07
         14 00 06 00 00 00 00 00  a0 0f 00 00 00 00 00 00
         00 00 00 00",
    );
    captured[2] = 0;
    captured.splice(28..28, [8, 0, 8, 0, 2, 0, 0, 0]);
    let deprecated =
        NewAddress::new("fd00::7/64".parse().unwrap()).with_lifetimes(Lifetimes::seconds(0, 4000));
    assert_eq!(emitted(&address_with(1, &deprecated)), captured);
}

/// What Linux 6.18.44 lists of the addresses that were added.
const LISTED: [&str; 2] = [
    "02 18 00 fd 01 00 00 00  08 00 01 00 0a 01 01 02
     08 00 02 00 0a 01 01 01  08 00 04 00 0a 01 01 ff
     0b 00 03 00 6c 6f 3a 77  65 62 00 00 08 00 08 00
     00 00 00 00 14 00 06 00  b8 0b 00 00 a0 0f 00 00
     74 32 62 00 74 32 62 00",
    "0a 40 22 00 01 00 00 00  14 00 01 00 fd 00 00 00
     00 00 00 00 00 00 00 00  00 00 00 07 14 00 06 00
     00 00 00 00 a0 0f 00 00  75 32 62 00 75 32 62 00
     08 00 08 00 22 00 00 00",
];

#[test]
fn choices_are_read_as_the_kernel_lists_them() {
    let [v4, v6] = LISTED.map(|reply| parse_address(&bytes(reply)).unwrap().unwrap());
    let expected = BoundAddress {
        index: 1,
        address: "10.1.1.1/24".parse().unwrap(),
        peer: "10.1.1.2".parse().ok(),
        broadcast: "10.1.1.255".parse().ok(),
        label: "lo:web".parse().ok(),
        scope: AddressScope::LINK,
        lifetimes: Lifetimes::seconds(3000, 4000),
        flags: AddressFlags::empty(),
        protocol: AddressProtocol::UNSPEC,
    };
    assert_eq!(v4, expected);
    assert_eq!(NewAddress::from(&v4), web());
    assert_eq!((v6.label, v6.broadcast), (None, None));
    assert_eq!(v6.scope, AddressScope::UNIVERSE);
    assert_eq!(
        v6.lifetimes.to_string(),
        "valid_lft 4000sec preferred_lft 0sec"
    );
    assert_eq!(v6.flags, AddressFlags::NODAD | AddressFlags::DEPRECATED);
    // To be added again: without its state.
    assert_eq!(NewAddress::from(&v6).flags, AddressFlags::NODAD);
}

#[test]
fn what_is_odd_in_a_listing() {
    // Synthetic: a label that is not text, one that is empty, lifetimes cut off.
    let header = [2, 24, 0, 0, 1, 0, 0, 0, 8, 0, 2, 0, 10, 0, 0, 1];
    let with = |attribute: &[u8]| parse_address(&[&header[..], attribute].concat());
    let label = |attribute: &[u8]| with(attribute).unwrap().unwrap().label;
    assert_eq!(
        label(&[8, 0, 3, 0, 0xff, b'\n', b'x', 0]),
        AddressLabel::new("??x").ok()
    );
    assert_eq!(label(&[5, 0, 3, 0, 0, 0, 0, 0]), None);
    let error = with(&[8, 0, 6, 0, 1, 0, 0, 0]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "IFA_CACHEINFO: the value has 4 bytes, expected 16"
    );
    let error = with(&[6, 0, 4, 0, 1, 0, 0, 0]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "IFA_BROADCAST: the value has 2 bytes, expected 4"
    );
}

proptest! {
    /// The kernel lists an address with the attributes it was added with.
    #[test]
    fn what_is_sent_is_read_back(
        ip: [u8; 4],
        prefix in 0..=32_u8,
        peer: Option<[u8; 4]>,
        broadcast: Option<[u8; 4]>,
        label in prop::option::of("[a-z:]{1,15}"),
        (scope, protocol) in any::<(u8, u8)>(),
        (preferred, valid) in any::<(u32, u32)>(),
        flags: u32,
    ) {
        let wire = |seconds| match seconds {
            u32::MAX => Lifetime::Forever,
            seconds => Lifetime::Seconds(seconds),
        };
        let address = ipnetwork::IpNetwork::new(ip.into(), prefix).unwrap();
        let mut new = NewAddress::new(address)
            .with_scope(AddressScope(scope))
            .with_protocol(AddressProtocol(protocol))
            .with_flags(AddressFlags::from_bits_retain(flags))
            .with_lifetimes(Lifetimes { preferred: wire(preferred), valid: wire(valid) });
        new.peer = peer.map(Into::into).filter(|peer| *peer != address.ip());
        new.broadcast = broadcast.map(Into::into);
        new.label = label.map(|label| label.parse().unwrap());
        let bound = parse_address(&emitted(&address_with(7, &new))).unwrap().unwrap();
        prop_assert_eq!(bound, BoundAddress {
            index: 7,
            address,
            peer: new.peer,
            broadcast: new.broadcast,
            label: new.label,
            scope: new.scope,
            lifetimes: new.lifetimes,
            flags: new.flags,
            protocol: new.protocol,
        });
    }

    #[test]
    fn damaged_listings_never_panic(
        which in 0..2_usize,
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
    ) {
        let mut message = bytes(LISTED[which]);
        for (position, value) in damage {
            *position.get_mut(&mut message[..]) = value;
        }
        _ = parse_address(&message);
    }
}
