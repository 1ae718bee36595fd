//! Requests, as `netlink-packet-route` types.

use std::net::IpAddr;

use ipnetwork::IpNetwork;
use netlink_packet_core::DefaultNla;
use netlink_packet_route::AddressFamily;
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressMessage, AddressScope};
use netlink_packet_route::link::{
    InfoKind, LinkAttribute, LinkExtentMask, LinkFlags, LinkInfo, LinkMessage,
};

use crate::{AddressProtocol, LinkName, uapi};

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
    let mut message = address_message(index, address, address.ip());
    if address.is_ipv6() {
        let mut flags = AddressFlags::Nodad;
        if address.prefix() == 128 {
            flags |= AddressFlags::Noprefixroute;
        }
        message.attributes.insert(1, AddressAttribute::Flags(flags));
    }
    if protocol != AddressProtocol::UNSPEC {
        let protocol = AddressAttribute::Protocol(protocol.0.into());
        message.attributes.push(protocol);
    }
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
