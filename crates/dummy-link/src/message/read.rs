//! Reading what the kernel sends.

use std::net::IpAddr;

use ipnetwork::IpNetwork;
use netlink_wire::{Attribute, DecodeError, Family, Fault, Names, Problem, require, walk};

use crate::uapi::{
    IFA_ADDRESS, IFA_BROADCAST, IFA_CACHEINFO, IFA_FLAGS, IFA_LABEL, IFA_LOCAL, IFA_PROTO,
    IFF_LOOPBACK, IFF_UP, IFLA_ALT_IFNAME, IFLA_IFNAME, IFLA_INFO_KIND, IFLA_LINKINFO,
    IFLA_PROP_LIST,
};
use crate::{
    AddressFlags, AddressLabel, AddressProtocol, AddressScope, BoundAddress, Lifetime, Lifetimes,
    Link, LinkName,
};

const LINK_NAMES: &Names = &[
    (IFLA_IFNAME, "IFLA_IFNAME"),
    (IFLA_LINKINFO, "IFLA_LINKINFO"),
    (IFLA_PROP_LIST, "IFLA_PROP_LIST"),
];

const ADDRESS_NAMES: &Names = &[
    (IFA_ADDRESS, "IFA_ADDRESS"),
    (IFA_LOCAL, "IFA_LOCAL"),
    (IFA_LABEL, "IFA_LABEL"),
    (IFA_BROADCAST, "IFA_BROADCAST"),
    (IFA_CACHEINFO, "IFA_CACHEINFO"),
    (IFA_FLAGS, "IFA_FLAGS"),
    (IFA_PROTO, "IFA_PROTO"),
];

/// Splits the fixed header off.
pub(super) fn header<'a, const N: usize>(
    payload: &'a [u8],
    name: &'static str,
) -> Result<(&'a [u8; N], &'a [u8]), DecodeError> {
    let cut = Problem::Length {
        expected: N,
        found: payload.len(),
    };
    payload.split_first_chunk().ok_or(cut.of(name))
}

/// Reads a link from the payload of `RTM_NEWLINK` or `RTM_DELLINK`.
///
/// In a name that is not a [`LinkName`], because it is not UTF-8, every byte that is not printable
/// ASCII becomes `?`.
///
/// # Errors
/// [`DecodeError`]: the payload is cut off, or the name is missing.
pub fn parse_link(payload: &[u8]) -> Result<Link, DecodeError> {
    // struct ifinfomsg: family, padding, type (2 bytes), index, flags, change mask (4 bytes each).
    let (&[_, _, _, _, i0, i1, i2, i3, f0, f1, f2, f3, ..], attributes) =
        header::<16>(payload, "ifinfomsg")?;
    let flags = u32::from_ne_bytes([f0, f1, f2, f3]);
    let (mut name, mut kind, mut alternative_names) = (None, None, Vec::new());
    walk(attributes, "RTM_NEWLINK", LINK_NAMES, |attribute| {
        match attribute.kind() {
            IFLA_IFNAME => name = Some(link_name(attribute.until_nul())?),
            IFLA_LINKINFO => kind = first_text(attribute, IFLA_INFO_KIND)?,
            IFLA_PROP_LIST => alternative_names = texts(attribute, IFLA_ALT_IFNAME)?,
            _ => {}
        }
        Ok(())
    })?;
    Ok(Link {
        index: u32::from_ne_bytes([i0, i1, i2, i3]),
        name: require(name, "IFLA_IFNAME")?,
        alternative_names,
        kind,
        is_up: flags & IFF_UP != 0,
        is_loopback: flags & IFF_LOOPBACK != 0,
    })
}

/// The first text of this type in a nest. What follows it is not read: it depends on the kind.
fn first_text(nest: Attribute<'_>, kind: u16) -> Result<Option<String>, Fault> {
    for attribute in nest.nested() {
        let attribute = attribute?;
        if attribute.kind() == kind {
            return Ok(Some(lossy(attribute)));
        }
    }
    Ok(None)
}

/// All texts of this type in a nest.
fn texts(nest: Attribute<'_>, kind: u16) -> Result<Vec<String>, Fault> {
    let mut texts = Vec::new();
    for attribute in nest.nested() {
        let attribute = attribute?;
        if attribute.kind() == kind {
            texts.push(lossy(attribute));
        }
    }
    Ok(texts)
}

fn lossy(attribute: Attribute<'_>) -> String {
    String::from_utf8_lossy(attribute.until_nul()).into_owned()
}

fn link_name(bytes: &[u8]) -> Result<LinkName, Problem> {
    let name = std::str::from_utf8(bytes).ok();
    if let Some(name) = name.and_then(|name| name.parse().ok()) {
        return Ok(name);
    }
    let printable: String = bytes.iter().map(|byte| printable(*byte)).collect();
    LinkName::new(&printable).map_err(|_| Problem::Invalid {
        expected: "a link name of 1 to 15 bytes",
    })
}

fn printable(byte: u8) -> char {
    match byte {
        b'/' | b':' | b'%' => '?',
        _ if byte.is_ascii_graphic() => byte.into(),
        _ => '?',
    }
}

/// Reads an address from the payload of `RTM_NEWADDR` or `RTM_DELADDR`; `None` if it is neither IPv4
/// nor IPv6.
///
/// # Errors
/// [`DecodeError`]: the payload is cut off, or the address is missing or malformed.
pub fn parse_address(payload: &[u8]) -> Result<Option<BoundAddress>, DecodeError> {
    // struct ifaddrmsg: family, prefix length, flags, scope (1 byte each), index (4 bytes).
    let (&[family, prefix, flags, scope, i0, i1, i2, i3], attributes) =
        header::<8>(payload, "ifaddrmsg")?;
    let Some(family) = Family::from_number(family.into()) else {
        return Ok(None);
    };
    let (mut local, mut address) = (None, None);
    let (mut flags, mut protocol) = (u32::from(flags), 0);
    let (mut label, mut broadcast, mut lifetimes) = (None, None, Lifetimes::FOREVER);
    walk(attributes, "RTM_NEWADDR", ADDRESS_NAMES, |attribute| {
        match attribute.kind() {
            IFA_LOCAL => local = Some(ip(attribute, family)?),
            IFA_ADDRESS => address = Some(ip(attribute, family)?),
            IFA_LABEL => label = address_label(attribute.until_nul()),
            IFA_BROADCAST => broadcast = Some(attribute.ipv4()?),
            IFA_CACHEINFO => lifetimes = read_lifetimes(attribute)?,
            IFA_FLAGS => flags = attribute.u32()?,
            IFA_PROTO => protocol = attribute.u8()?,
            _ => {}
        }
        Ok(())
    })?;
    let own = require(local.or(address), "IFA_LOCAL")?;
    let bound = IpNetwork::new(own, prefix).map_err(|_| {
        let expected = "a prefix length of the family";
        Problem::Invalid { expected }.of("ifa_prefixlen")
    })?;
    Ok(Some(BoundAddress {
        index: u32::from_ne_bytes([i0, i1, i2, i3]),
        address: bound,
        peer: address.filter(|address| *address != own),
        broadcast,
        label,
        scope: AddressScope(scope),
        lifetimes,
        flags: AddressFlags::from_bits_retain(flags),
        protocol: AddressProtocol(protocol),
    }))
}

/// A label; in one that is not text, every byte that is not printable ASCII becomes `?`.
fn address_label(bytes: &[u8]) -> Option<AddressLabel> {
    if let Some(label) = std::str::from_utf8(bytes)
        .ok()
        .and_then(|text| AddressLabel::new(text).ok())
    {
        return Some(label);
    }
    let is_printable = |byte: u8| byte.is_ascii_graphic() || byte == b' ';
    let printable: String = bytes
        .iter()
        .map(|byte| {
            if is_printable(*byte) {
                char::from(*byte)
            } else {
                '?'
            }
        })
        .collect();
    AddressLabel::new(&printable).ok()
}

/// `struct ifa_cacheinfo`, which newer kernels may make longer.
fn read_lifetimes(attribute: Attribute<'_>) -> Result<Lifetimes, Problem> {
    let Some(&[p0, p1, p2, p3, v0, v1, v2, v3]) = attribute.value().first_chunk() else {
        return Err(Problem::Length {
            expected: 16,
            found: attribute.value().len(),
        });
    };
    Ok(Lifetimes {
        preferred: Lifetime::from_wire(u32::from_ne_bytes([p0, p1, p2, p3])),
        valid: Lifetime::from_wire(u32::from_ne_bytes([v0, v1, v2, v3])),
    })
}

/// An address of the family in the header.
pub(super) fn ip(attribute: Attribute<'_>, family: Family) -> Result<IpAddr, Problem> {
    match family {
        Family::V4 => attribute.ipv4().map(IpAddr::V4),
        Family::V6 => attribute.ipv6().map(IpAddr::V6),
    }
}
