//! The rtnetlink messages of links and addresses, as `netlink-packet-route` types.
//!
//! For users who bring their own transport (`rtnetlink`, `netlink-proto`); the client of this crate
//! sends these too. What each one is sent with is in its description.
//!
//! The readers look at nothing but what they return, so that an attribute which a newer kernel has
//! made longer is not in their way.

use std::net::IpAddr;

use ipnetwork::IpNetwork;
use netlink_packet_core::{DecodeError, NlaBuffer, NlasIterator, Parseable};
use netlink_packet_route::AddressFamily;
use netlink_packet_route::address::{
    AddressAttribute, AddressFlags, AddressHeader, AddressMessage, AddressScope,
};
use netlink_packet_route::link::{
    InfoKind, LinkAttribute, LinkExtentMask, LinkFlags, LinkHeader, LinkInfo, LinkMessage,
};

use crate::LinkName;

/// Message types and attributes of rtnetlink.
///
/// Sources:
/// [`linux/rtnetlink.h`](https://github.com/torvalds/linux/blob/v6.12/include/uapi/linux/rtnetlink.h),
/// [`linux/if_link.h`](https://github.com/torvalds/linux/blob/v6.12/include/uapi/linux/if_link.h),
/// [`linux/if_addr.h`](https://github.com/torvalds/linux/blob/v6.12/include/uapi/linux/if_addr.h).
pub mod uapi {
    /// Make or change a link; also the reply to [`RTM_GETLINK`].
    pub const RTM_NEWLINK: u16 = 16;
    /// Delete a link.
    pub const RTM_DELLINK: u16 = 17;
    /// Ask for one link, or for all.
    pub const RTM_GETLINK: u16 = 18;
    /// Add an address to a link; also the reply to [`RTM_GETADDR`].
    pub const RTM_NEWADDR: u16 = 20;
    /// Remove an address from a link.
    pub const RTM_DELADDR: u16 = 21;
    /// Ask for all addresses.
    pub const RTM_GETADDR: u16 = 22;
    /// Group that hears of links.
    pub const RTNLGRP_LINK: u32 = 1;
    /// Group that hears of IPv4 addresses.
    pub const RTNLGRP_IPV4_IFADDR: u32 = 5;
    /// Group that hears of IPv6 addresses.
    pub const RTNLGRP_IPV6_IFADDR: u32 = 9;
    /// The name of a link.
    pub const IFLA_IFNAME: u16 = 3;
    /// What kind of link it is; holds [`IFLA_INFO_KIND`].
    pub const IFLA_LINKINFO: u16 = 18;
    /// The kind's name.
    pub const IFLA_INFO_KIND: u16 = 1;
    /// The address, or the other end's where there is one.
    pub const IFA_ADDRESS: u16 = 1;
    /// The address, where the other end has one of its own.
    pub const IFA_LOCAL: u16 = 2;
}

/// The kind of dummy links, in `IFLA_INFO_KIND`.
pub const DUMMY: &str = "dummy";

/// Length of `struct ifinfomsg`.
const LINK_HEADER_LEN: usize = 16;

/// Length of `struct ifaddrmsg`.
const ADDRESS_HEADER_LEN: usize = 8;

/// A link as the kernel describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Link {
    /// Its index, from 1.
    pub index: u32,
    /// Its name.
    pub name: LinkName,
    /// What kind of virtual link it is: `dummy`, `bridge`, `veth`. `None` for hardware and
    /// loopback.
    pub kind: Option<String>,
    /// Whether it was set up by its administrator (`IFF_UP`).
    pub is_up: bool,
    /// Whether it is a loopback link (`IFF_LOOPBACK`).
    pub is_loopback: bool,
}

impl Link {
    /// Whether it is a dummy link.
    pub fn is_dummy(&self) -> bool {
        self.kind.as_deref() == Some(DUMMY)
    }
}

/// An address and the link it is bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BoundAddress {
    /// The index of the link.
    pub index: u32,
    /// The address with its prefix length.
    pub address: IpNetwork,
}

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

/// The link with this name, for `RTM_GETLINK`. The kernel also takes it for an alternative name.
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

/// An address of a link, for `RTM_NEWADDR` with `NLM_F_CREATE | NLM_F_EXCL`, and for `RTM_DELADDR`.
///
/// IPv6 addresses are usable at once, without duplicate address detection (`IFA_F_NODAD`), and one
/// of length 128 comes without a route of its own (`IFA_F_NOPREFIXROUTE`): it is local, nothing
/// lies behind it.
pub fn address(index: u32, address: IpNetwork) -> AddressMessage {
    let mut message = all_addresses(index);
    message.header.prefix_len = address.prefix();
    message.attributes = vec![
        AddressAttribute::Local(address.ip()),
        AddressAttribute::Address(address.ip()),
    ];
    match address.ip() {
        IpAddr::V4(ip) => {
            message.header.family = AddressFamily::Inet;
            if ip.is_loopback() {
                message.header.scope = AddressScope::Host;
            }
        }
        IpAddr::V6(_) => {
            let mut flags = AddressFlags::Nodad;
            if address.prefix() == 128 {
                flags |= AddressFlags::Noprefixroute;
            }
            message.header.family = AddressFamily::Inet6;
            message.attributes.insert(1, AddressAttribute::Flags(flags));
        }
    }
    message
}

/// All addresses, for `RTM_GETADDR` with `NLM_F_DUMP`; those of one link if the index is not 0.
/// Only a socket with `NETLINK_GET_STRICT_CHK` (Linux 4.20) makes the kernel heed the index.
pub fn all_addresses(index: u32) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.index = index;
    message
}

/// Reads a link from the payload of `RTM_NEWLINK`.
///
/// Of a name that is no [`LinkName`], because it is not UTF-8, all that is not printable ASCII
/// reads as `?`.
///
/// # Errors
/// The payload is cut short, or its name is missing.
pub fn parse_link(payload: &[u8]) -> Result<Link, DecodeError> {
    let header = LinkHeader::parse(payload)?;
    let (mut name, mut kind) = (None, None);
    for attribute in NlasIterator::new(payload.get(LINK_HEADER_LEN..).unwrap_or_default()) {
        let attribute = attribute?;
        match attribute.kind() {
            uapi::IFLA_IFNAME => name = Some(link_name(attribute.value())?),
            uapi::IFLA_LINKINFO => kind = parse_kind(attribute)?,
            _ => {}
        }
    }
    Ok(Link {
        index: header.index,
        name: name.ok_or_else(|| DecodeError::from("a link without IFLA_IFNAME"))?,
        kind,
        is_up: header.flags.contains(LinkFlags::Up),
        is_loopback: header.flags.contains(LinkFlags::Loopback),
    })
}

fn parse_kind(link_info: NlaBuffer<&[u8]>) -> Result<Option<String>, DecodeError> {
    for attribute in NlasIterator::new(link_info.value()) {
        let attribute = attribute?;
        if attribute.kind() == uapi::IFLA_INFO_KIND {
            let kind = String::from_utf8_lossy(until_nul(attribute.value()));
            return Ok(Some(kind.into_owned()));
        }
    }
    Ok(None)
}

fn link_name(value: &[u8]) -> Result<LinkName, DecodeError> {
    let bytes = until_nul(value);
    if let Some(name) = std::str::from_utf8(bytes)
        .ok()
        .and_then(|name| name.parse().ok())
    {
        return Ok(name);
    }
    let shown: String = bytes.iter().map(|byte| shown(*byte)).collect();
    LinkName::new(&shown).map_err(|error| DecodeError::from(error.to_string()))
}

fn shown(byte: u8) -> char {
    match byte {
        b'/' | b':' | b'%' => '?',
        _ if byte.is_ascii_graphic() => byte.into(),
        _ => '?',
    }
}

fn until_nul(value: &[u8]) -> &[u8] {
    value.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// Reads an address from the payload of `RTM_NEWADDR`; `None` if it is neither IPv4 nor IPv6.
///
/// # Errors
/// The payload is cut short, or the address is missing or malformed.
pub fn parse_address(payload: &[u8]) -> Result<Option<BoundAddress>, DecodeError> {
    let header = AddressHeader::parse(payload)?;
    if !matches!(header.family, AddressFamily::Inet | AddressFamily::Inet6) {
        return Ok(None);
    }
    let (mut local, mut other) = (None, None);
    for attribute in NlasIterator::new(payload.get(ADDRESS_HEADER_LEN..).unwrap_or_default()) {
        let attribute = attribute?;
        match attribute.kind() {
            uapi::IFA_LOCAL => local = Some(AddressAttribute::parse(&attribute)?),
            uapi::IFA_ADDRESS => other = Some(AddressAttribute::parse(&attribute)?),
            _ => {}
        }
    }
    // On a point-to-point link IFA_ADDRESS is the other end's.
    let Some(AddressAttribute::Local(ip) | AddressAttribute::Address(ip)) = local.or(other) else {
        return Err(DecodeError::from(
            "an address without IFA_LOCAL and IFA_ADDRESS",
        ));
    };
    let address = IpNetwork::new(ip, header.prefix_len)
        .map_err(|error| DecodeError::from(error.to_string()))?;
    Ok(Some(BoundAddress {
        index: header.index,
        address,
    }))
}

#[cfg(test)]
mod tests;
