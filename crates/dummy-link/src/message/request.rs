//! Requests, as `netlink-packet-route` types.

use std::net::IpAddr;

use ipnetwork::IpNetwork;
use netlink_packet_core::DefaultNla;
use netlink_packet_route::AddressFamily;
use netlink_packet_route::address::{
    AddressAttribute, AddressFlags, AddressMessage, AddressScope, CacheInfo,
};
use netlink_packet_route::link::{
    InfoKind, LinkAttribute, LinkExtentMask, LinkFlags, LinkInfo, LinkMessage,
};

use crate::{AddressLabel, AddressProtocol, Lifetimes, LinkName, NewAddress, uapi};

/// A new dummy link, for `RTM_NEWLINK` with `NLM_F_CREATE | NLM_F_EXCL`. It is not set up.
pub fn new_dummy(name: LinkName) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.attributes = vec![
        LinkAttribute::IfName(name.as_str().to_owned()),
        LinkAttribute::LinkInfo(vec![LinkInfo::Kind(InfoKind::Dummy)]),
    ];
    message
}

/// Sets a link up or down, for `RTM_NEWLINK`.
pub fn set_up(index: u32, up: bool) -> LinkMessage {
    let mut message = link_by_index(index);
    message.header.change_mask = LinkFlags::Up;
    if up {
        message.header.flags = LinkFlags::Up;
    }
    message
}

/// The link with this index, for `RTM_DELLINK` and `RTM_GETLINK`.
pub fn link_by_index(index: u32) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.header.index = index;
    message
}

/// The link with this name, for `RTM_GETLINK`. The kernel also looks among alternative names.
pub fn link_by_name(name: LinkName) -> LinkMessage {
    let mut message = all_links();
    message
        .attributes
        .push(LinkAttribute::IfName(name.as_str().to_owned()));
    message
}

/// All links, for `RTM_GETLINK` with `NLM_F_DUMP`, without their statistics.
pub fn all_links() -> LinkMessage {
    let mut message = LinkMessage::default();
    message.attributes = vec![LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats])];
    message
}

/// The link with this name or alternative name, for `RTM_GETLINK` (alternative names: Linux 5.5).
pub fn link_by_any_name(name: &str) -> LinkMessage {
    let mut message = all_links();
    let mut value = name.as_bytes().to_vec();
    value.push(0);
    let attribute = DefaultNla::new(uapi::IFLA_ALT_IFNAME, value);
    message.attributes.push(LinkAttribute::Other(attribute));
    message
}

/// A new address of a link, for `RTM_NEWADDR` with `NLM_F_CREATE | NLM_F_EXCL`.
///
/// IPv6 addresses are usable at once, without duplicate address detection (`IFA_F_NODAD`), and one of
/// length 128 gets no route to its prefix (`IFA_F_NOPREFIXROUTE`): it is local, and nothing lies
/// behind it. `protocol` is sent unless it is [`AddressProtocol::UNSPEC`]; kernels before 5.18 ignore
/// it.
pub fn new_address(index: u32, address: IpNetwork, protocol: AddressProtocol) -> AddressMessage {
    address_with(index, &NewAddress::new(address).with_protocol(protocol))
}

/// An address of a link with all its choices, for `RTM_NEWADDR`: with `NLM_F_CREATE | NLM_F_EXCL` a new one, with
/// `NLM_F_CREATE | NLM_F_REPLACE` a new one or a change of that with the same address, peer and prefix length.
///
/// Lifetimes without an end are not sent, nor is a protocol that is [`AddressProtocol::UNSPEC`].
pub fn address_with(index: u32, new: &NewAddress) -> AddressMessage {
    let other_end = new.peer.unwrap_or(new.address.ip());
    let mut message = address_message(index, new.address, other_end);
    message.header.scope = new.scope.0.into();
    if !new.flags.is_empty() {
        let flags = AddressFlags::from_bits_retain(new.flags.bits());
        message.attributes.insert(1, AddressAttribute::Flags(flags));
    }
    let lifetimes = new.lifetimes;
    let mut cache_info = CacheInfo::default();
    cache_info.ifa_preferred = lifetimes.preferred.to_wire();
    cache_info.ifa_valid = lifetimes.valid.to_wire();
    let label = |label: AddressLabel| AddressAttribute::Label(label.as_str().to_owned());
    let protocol = AddressAttribute::Protocol(new.protocol.0.into());
    let choices = [
        new.broadcast.map(AddressAttribute::Broadcast),
        new.label.map(label),
        (lifetimes != Lifetimes::FOREVER).then_some(AddressAttribute::CacheInfo(cache_info)),
        (new.protocol != AddressProtocol::UNSPEC).then_some(protocol),
    ];
    message.attributes.extend(choices.into_iter().flatten());
    message
}

/// An address of a link, for `RTM_DELADDR`.
///
/// The kernel finds an IPv4 address by local address, peer and prefix length, where an address without
/// a peer is its own (`inet_rtm_deladdr` in
/// [`devinet.c`](https://github.com/torvalds/linux/blob/v6.12/net/ipv4/devinet.c)); an IPv6 address by
/// local address and prefix length.
pub fn delete_address(index: u32, address: IpNetwork, peer: Option<IpAddr>) -> AddressMessage {
    address_message(index, address, peer.unwrap_or(address.ip()))
}

fn address_message(index: u32, address: IpNetwork, other_end: IpAddr) -> AddressMessage {
    let mut message = all_addresses(index);
    message.header.prefix_len = address.prefix();
    message.attributes = vec![
        AddressAttribute::Local(address.ip()),
        AddressAttribute::Address(other_end),
    ];
    message.header.family = match address.ip() {
        IpAddr::V4(ip) => {
            if ip.is_loopback() {
                message.header.scope = AddressScope::Host;
            }
            AddressFamily::Inet
        }
        IpAddr::V6(_) => AddressFamily::Inet6,
    };
    message
}

/// All addresses, for `RTM_GETADDR` with `NLM_F_DUMP`; those of one link if the index is not 0. The
/// kernel ignores the index unless the socket has `NETLINK_GET_STRICT_CHK` (Linux 4.20).
pub fn all_addresses(index: u32) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.index = index;
    message
}
