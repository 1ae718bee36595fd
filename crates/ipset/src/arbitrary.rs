//! Sets and entries for property tests: every type, option and extension, within what the kernel
//! takes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use crate::{
    Addresses, BitmapRange, Comment, Counters, CreateOptions, Dimension, Element, Entry,
    EntryOptions, Family, Interface, InterfaceName, MAX_TIMEOUT, MacAddr, Method, PortRange, Ports,
    Position, Protocol, SetName, SetSpec, SetType, SkbInfo,
};

/// A spec and entries that it takes.
pub(crate) fn set() -> impl Strategy<Value = (SetSpec, Vec<Entry>)> {
    spec().prop_flat_map(|spec| {
        let entries = vec(entry(&spec), 0..6);
        (Just(spec), entries)
    })
}

/// A valid spec of any type.
pub(crate) fn spec() -> impl Strategy<Value = SetSpec> {
    let set_type = proptest::sample::select(SetType::ALL.to_vec());
    (set_type, any::<bool>(), name()).prop_flat_map(|(set_type, six, name)| {
        let family = match set_type.has_family_choice() {
            true if six => Some(Family::V6),
            _ => set_type.default_family(),
        };
        options(set_type, family).prop_map(move |options| SetSpec {
            name,
            set_type,
            family,
            options,
        })
    })
}

fn options(set_type: SetType, family: Option<Family>) -> impl Strategy<Value = CreateOptions> {
    let hash = set_type.method() == Some(Method::Hash);
    let sizes = (1..=1u32 << 20, any::<u32>(), 4..=70_000u32);
    let seeds = (option::of(1..=12u8), option::of(any::<u32>()));
    let flags = any::<[bool; 4]>();
    let timeout = option::of(0..=MAX_TIMEOUT);
    let masks = (1..=u32::MAX, masks(set_type, family));
    (sizes, seeds, flags, timeout, masks, range(set_type)).prop_map(
        move |(sizes, seeds, [counters, comment, forceadd, skbinfo], timeout, masks, range)| {
            let (hashsize, maxelem, size) = sizes;
            let (markmask, (netmask, bitmask)) = masks;
            CreateOptions {
                range,
                hashsize: hash.then_some(hashsize),
                maxelem: hash.then_some(maxelem),
                netmask,
                bitmask,
                markmask: (set_type == SetType::HASH_IP_MARK).then_some(markmask),
                size: (set_type == SetType::LIST_SET).then_some(size),
                timeout,
                counters,
                comment,
                forceadd: hash && forceadd,
                skbinfo,
                bucketsize: seeds.0.filter(|_| hash),
                initval: seeds.1.filter(|_| hash),
            }
        },
    )
}

fn masks(set_type: SetType, family: Option<Family>) -> BoxedStrategy<(Option<u8>, Option<IpAddr>)> {
    let takes = [
        SetType::HASH_IP,
        SetType::HASH_IP_PORT,
        SetType::HASH_NET_NET,
    ];
    if !takes.contains(&set_type) {
        return Just((None, None)).boxed();
    }
    let longest = family.map_or(32, Family::bits);
    prop_oneof![
        Just((None, None)),
        (1..=longest).prop_map(|length| (Some(length), None)),
        ip(family)
            .prop_filter("null", |mask| !mask.is_unspecified())
            .prop_map(|mask| (None, Some(mask))),
    ]
    .boxed()
}

fn range(set_type: SetType) -> BoxedStrategy<Option<BitmapRange>> {
    match set_type {
        SetType::BITMAP_PORT => any::<(u16, u16)>()
            .prop_map(|(one, other)| Some(BitmapRange::Ports(PortRange::new(one, other))))
            .boxed(),
        SetType::BITMAP_IP | SetType::BITMAP_IP_MAC => (any::<u32>(), any::<u16>())
            .prop_map(|(first, length)| {
                let last = first.saturating_add(length.into());
                Some(BitmapRange::Addresses(
                    Ipv4Addr::from_bits(first),
                    Ipv4Addr::from_bits(last),
                ))
            })
            .boxed(),
        _ => Just(None).boxed(),
    }
}

/// An entry that `spec` takes.
pub(crate) fn entry(spec: &SetSpec) -> BoxedStrategy<Entry> {
    let checked = spec.clone();
    (element(spec), entry_options(spec))
        .prop_map(|(element, options)| Entry::new(element).with_options(options))
        .prop_filter("refused", move |entry| checked.check(entry).is_ok())
        .boxed()
}

fn entry_options(spec: &SetSpec) -> impl Strategy<Value = EntryOptions> + use<> {
    let set = spec.options.clone();
    let list = spec.set_type == SetType::LIST_SET;
    let nets = spec.set_type.dimensions().contains(&Dimension::Net);
    let counters =
        (0..u64::MAX, 0..u64::MAX).prop_map(|(packets, bytes)| Counters { packets, bytes });
    let skbinfo =
        any::<(u32, u32, u32, u16)>().prop_map(|(mark, mark_mask, priority, queue)| SkbInfo {
            mark,
            mark_mask,
            priority,
            queue,
        });
    let position = (any::<bool>(), name()).prop_map(|(before, name)| {
        if before {
            Position::Before(name)
        } else {
            Position::After(name)
        }
    });
    (
        option::of(0..=MAX_TIMEOUT),
        any::<bool>(),
        option::of(counters),
        option::of(comment()),
        option::of(skbinfo),
        option::of(position),
    )
        .prop_map(
            move |(timeout, nomatch, counters, comment, skbinfo, position)| EntryOptions {
                timeout: timeout.filter(|_| set.timeout.is_some()),
                nomatch: nomatch && nets,
                counters: counters.filter(|_| set.counters),
                comment: comment.filter(|_| set.comment),
                skbinfo: skbinfo.filter(|_| set.skbinfo).unwrap_or_default(),
                position: position.filter(|_| list),
            },
        )
}

/// Text, and bytes that are not UTF-8.
fn comment() -> impl Strategy<Value = Comment> {
    let byte = any::<u8>().prop_filter("refused", |byte| !byte.is_ascii_control() && *byte != b'"');
    prop_oneof![
        "[ !#-~üß]{1,40}".prop_map(Comment::from),
        vec(byte, 1..40).prop_map(Comment::from),
    ]
}

fn element(spec: &SetSpec) -> BoxedStrategy<Element> {
    let family = spec.family;
    let several = family == Some(Family::V4);
    let (ip, ips, nets) = (
        ip(family),
        || addresses(family, several),
        || addresses(family, true),
    );
    match spec.set_type {
        SetType::BITMAP_IP => within(spec).prop_map(|ip| Element::Ip(ip.into())).boxed(),
        SetType::BITMAP_IP_MAC => (within(spec), option::of(mac()))
            .prop_map(|(ip, mac)| Element::IpMac(ip, mac))
            .boxed(),
        SetType::BITMAP_PORT => {
            let Some(BitmapRange::Ports(range)) = spec.options.range else {
                unreachable!("range")
            };
            let port = range.first()..=range.last();
            (port.clone(), port)
                .prop_map(|(one, other)| Element::Port(PortRange::new(one, other)))
                .boxed()
        }
        SetType::HASH_IP => ips().prop_map(Element::Ip).boxed(),
        SetType::HASH_MAC => mac().prop_map(Element::Mac).boxed(),
        SetType::HASH_IP_MAC => (ip, mac())
            .prop_map(|(ip, mac)| Element::IpMac(ip, Some(mac)))
            .boxed(),
        SetType::HASH_NET => nets().prop_map(Element::Net).boxed(),
        SetType::HASH_NET_NET => (nets(), nets())
            .prop_map(|(a, b)| Element::NetNet(a, b))
            .boxed(),
        SetType::HASH_IP_PORT => (ips(), ports())
            .prop_map(|(a, ports)| Element::IpPort(a, ports))
            .boxed(),
        SetType::HASH_NET_PORT => (nets(), ports())
            .prop_map(|(a, ports)| Element::NetPort(a, ports))
            .boxed(),
        SetType::HASH_IP_PORT_IP => (ips(), ports(), ip)
            .prop_map(|(a, ports, b)| Element::IpPortIp(a, ports, b))
            .boxed(),
        SetType::HASH_IP_PORT_NET => (ips(), ports(), nets())
            .prop_map(|(a, ports, b)| Element::IpPortNet(a, ports, b))
            .boxed(),
        SetType::HASH_NET_PORT_NET => (nets(), ports(), nets())
            .prop_map(|(a, ports, b)| Element::NetPortNet(a, ports, b))
            .boxed(),
        SetType::HASH_IP_MARK => (ips(), any::<u32>())
            .prop_map(|(a, mark)| Element::IpMark(a, mark))
            .boxed(),
        SetType::HASH_NET_IFACE => (nets(), interface())
            .prop_map(|(a, interface)| Element::NetIface(a, interface))
            .boxed(),
        _ => name().prop_map(Element::Set).boxed(),
    }
}

fn within(spec: &SetSpec) -> impl Strategy<Value = IpAddr> + use<> {
    let Some(BitmapRange::Addresses(first, last)) = spec.options.range else {
        unreachable!("range")
    };
    (first.to_bits()..=last.to_bits()).prop_map(|bits| IpAddr::V4(Ipv4Addr::from_bits(bits)))
}

fn ip(family: Option<Family>) -> BoxedStrategy<IpAddr> {
    match family {
        Some(Family::V6) => prop_oneof![
            any::<u128>(),
            any::<u32>().prop_map(u128::from),
            any::<u32>().prop_map(|low| 0xffff_0000_0000 | u128::from(low))
        ]
        .prop_map(|bits| IpAddr::V6(Ipv6Addr::from_bits(bits)))
        .boxed(),
        _ => any::<u32>()
            .prop_map(|bits| IpAddr::V4(Ipv4Addr::from_bits(bits)))
            .boxed(),
    }
}

fn addresses(family: Option<Family>, several: bool) -> BoxedStrategy<Addresses> {
    let one = ip(family).prop_map(Addresses::from);
    if !several {
        return one.boxed();
    }
    let longest = family.map_or(32, Family::bits);
    let network = (ip(family), 1..=longest)
        .prop_map(|(ip, length): (IpAddr, u8)| Addresses::network(ip, length).unwrap());
    if family == Some(Family::V6) {
        return prop_oneof![one, network].boxed();
    }
    let range = any::<(u32, u32)>().prop_map(|(one, other)| {
        Addresses::range(Ipv4Addr::from_bits(one), Ipv4Addr::from_bits(other))
    });
    prop_oneof![one, network, range].boxed()
}

fn ports() -> impl Strategy<Value = Ports> {
    let protocol = prop_oneof![
        Just(Protocol::TCP),
        Just(Protocol::ICMP),
        Just(Protocol::ICMPV6),
        (1..=255u8).prop_map(Protocol)
    ];
    prop_oneof![
        (protocol.clone(), Just(0)).prop_map(|(protocol, port)| Ports::new(protocol, port)),
        (protocol, any::<u16>()).prop_map(|(protocol, port)| Ports::new(protocol, port)),
        any::<(u16, u16)>().prop_map(|(one, other)| Ports::range(Protocol::UDP, one, other)),
    ]
}

fn mac() -> impl Strategy<Value = MacAddr> {
    any::<[u8; 6]>().prop_map(MacAddr)
}

fn interface() -> impl Strategy<Value = Interface> {
    ("[a-z0-9.@:-]{1,15}", any::<bool>(), any::<bool>()).prop_filter_map(
        "name",
        |(name, physdev, wildcard)| {
            Some(Interface {
                name: InterfaceName::new(&name).ok()?,
                physdev,
                wildcard,
            })
        },
    )
}

fn name() -> impl Strategy<Value = SetName> {
    "[!#-~]{1,31}|[a-zü]{1,15}"
        .prop_filter_map("an option of ipset", |text| SetName::new(&text).ok())
}
