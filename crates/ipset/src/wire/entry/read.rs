//! The data of an entry, read.

use std::net::IpAddr;

use netlink_wire::{Attribute, Fault, Names, Problem, require, walk};

#[allow(
    clippy::wildcard_imports,
    reason = "the kernel's names, all with a prefix of their own"
)]
use crate::uapi::*;
use crate::wire::read::{address, set_name};
use crate::{
    Addresses, Comment, DecodeError, Element, Entry, EntryOptions, Family, Interface,
    InterfaceName, MacAddr, PortRange, Ports, Position, Protocol, SetType,
};

/// The attributes of an entry, before they are put together as its type asks for.
#[derive(Default)]
struct Raw<'a> {
    first: RawAddresses,
    second: RawAddresses,
    port: Option<u16>,
    port_to: Option<u16>,
    protocol: Option<Protocol>,
    flags: u32,
    mark: Option<u32>,
    mac: Option<MacAddr>,
    name: Option<&'a [u8]>,
    name_ref: Option<&'a [u8]>,
    interface: Option<&'a str>,
    options: EntryOptions,
}

#[derive(Default)]
struct RawAddresses {
    ip: Option<IpAddr>,
    to: Option<IpAddr>,
    cidr: Option<u8>,
}

/// Reads the data of an entry of a set of this type and family.
pub(crate) fn decode(
    set_type: &SetType,
    family: Option<Family>,
    data: &[u8],
) -> Result<Entry, DecodeError> {
    let mut raw = Raw::default();
    walk(data, "IPSET_ATTR_DATA", NAMES, |attribute| {
        raw.take(&attribute)
    })?;
    let element = raw.element(set_type, family)?;
    let mut options = raw.options;
    options.nomatch = raw.flags & IPSET_FLAG_NOMATCH != 0;
    let before = raw.flags & IPSET_FLAG_BEFORE != 0;
    if let Some(name) = raw.name_ref {
        let name = set_name(name)?;
        options.position = Some(if before {
            Position::Before(name)
        } else {
            Position::After(name)
        });
    }
    Ok(Entry::new(element).with_options(options))
}

impl<'a> Raw<'a> {
    fn take(&mut self, attribute: &Attribute<'a>) -> Result<(), Fault> {
        let options = &mut self.options;
        match attribute.kind() {
            IPSET_ATTR_IP => self.first.ip = Some(address(attribute)?),
            IPSET_ATTR_IP_TO => self.first.to = Some(address(attribute)?),
            IPSET_ATTR_CIDR => self.first.cidr = Some(attribute.u8()?),
            IPSET_ATTR_IP2 => self.second.ip = Some(address(attribute)?),
            IPSET_ATTR_IP2_TO => self.second.to = Some(address(attribute)?),
            IPSET_ATTR_CIDR2 => self.second.cidr = Some(attribute.u8()?),
            IPSET_ATTR_PORT => self.port = Some(attribute.u16_by_flag()?),
            IPSET_ATTR_PORT_TO => self.port_to = Some(attribute.u16_by_flag()?),
            IPSET_ATTR_PROTO => self.protocol = Some(Protocol(attribute.u8()?)),
            IPSET_ATTR_CADT_FLAGS => self.flags = attribute.u32_by_flag()?,
            IPSET_ATTR_MARK => self.mark = Some(attribute.u32_by_flag()?),
            IPSET_ATTR_ETHER => self.mac = Some(MacAddr(attribute.array()?)),
            IPSET_ATTR_NAME => self.name = Some(attribute.until_nul()),
            IPSET_ATTR_NAMEREF => self.name_ref = Some(attribute.until_nul()),
            IPSET_ATTR_IFACE => self.interface = Some(attribute.text()?),
            IPSET_ATTR_TIMEOUT => options.timeout = Some(attribute.u32_by_flag()?),
            IPSET_ATTR_BYTES => {
                options.counters.get_or_insert_default().bytes = attribute.u64_by_flag()?;
            }
            IPSET_ATTR_PACKETS => {
                options.counters.get_or_insert_default().packets = attribute.u64_by_flag()?;
            }
            // Other programs' comments may be any bytes.
            IPSET_ATTR_COMMENT => {
                let bytes = attribute.until_nul();
                if bytes.len() > Comment::MAX_LEN {
                    return Err(Problem::Invalid {
                        expected: "a comment of at most 255 bytes",
                    }
                    .into());
                }
                options.comment = Some(bytes.into());
            }
            IPSET_ATTR_SKBMARK => {
                let [a, b, c, d, e, f, g, h] = attribute.u64_by_flag()?.to_be_bytes();
                options.skbinfo.mark = u32::from_be_bytes([a, b, c, d]);
                options.skbinfo.mark_mask = u32::from_be_bytes([e, f, g, h]);
            }
            IPSET_ATTR_SKBPRIO => options.skbinfo.priority = attribute.u32_by_flag()?,
            IPSET_ATTR_SKBQUEUE => options.skbinfo.queue = attribute.u16_by_flag()?,
            _ => {}
        }
        Ok(())
    }

    fn element(&self, set_type: &SetType, family: Option<Family>) -> Result<Element, DecodeError> {
        let ip = || self.first.single(family, "IPSET_ATTR_IP");
        let first = || self.first.addresses(family, "IPSET_ATTR_IP");
        let second = || self.second.addresses(family, "IPSET_ATTR_IP2");
        let mac = || require(self.mac, "IPSET_ATTR_ETHER");
        Ok(match *set_type {
            SetType::BITMAP_IP | SetType::HASH_IP => Element::Ip(first()?),
            SetType::BITMAP_IP_MAC => Element::IpMac(ip()?, self.mac),
            SetType::HASH_IP_MAC => Element::IpMac(ip()?, Some(mac()?)),
            SetType::HASH_MAC => Element::Mac(mac()?),
            SetType::BITMAP_PORT => Element::Port(self.port_range()?),
            SetType::HASH_NET => Element::Net(first()?),
            SetType::HASH_NET_NET => Element::NetNet(first()?, second()?),
            SetType::HASH_IP_PORT => Element::IpPort(first()?, self.ports()?),
            SetType::HASH_NET_PORT => Element::NetPort(first()?, self.ports()?),
            SetType::HASH_IP_PORT_IP => Element::IpPortIp(
                first()?,
                self.ports()?,
                self.second.single(family, "IPSET_ATTR_IP2")?,
            ),
            SetType::HASH_IP_PORT_NET => Element::IpPortNet(first()?, self.ports()?, second()?),
            SetType::HASH_NET_PORT_NET => Element::NetPortNet(first()?, self.ports()?, second()?),
            SetType::HASH_IP_MARK => {
                Element::IpMark(first()?, require(self.mark, "IPSET_ATTR_MARK")?)
            }
            SetType::HASH_NET_IFACE => Element::NetIface(first()?, self.interface()?),
            SetType::LIST_SET => Element::Set(set_name(require(self.name, "IPSET_ATTR_NAME")?)?),
            set_type => return Err(DecodeError::UnknownSetType { set_type }),
        })
    }

    fn port_range(&self) -> Result<PortRange, DecodeError> {
        let first = require(self.port, "IPSET_ATTR_PORT")?;
        Ok(PortRange::new(first, self.port_to.unwrap_or(first)))
    }

    fn ports(&self) -> Result<Ports, DecodeError> {
        let range = self.port_range()?;
        let protocol = require(self.protocol, "IPSET_ATTR_PROTO")?;
        Ok(Ports::range(protocol, range.first(), range.last()))
    }

    fn interface(&self) -> Result<Interface, DecodeError> {
        let attribute = "IPSET_ATTR_IFACE";
        let name = require(self.interface, attribute)?;
        let name = InterfaceName::new(name).map_err(|_| {
            Problem::Invalid {
                expected: "the name of an interface that text can carry",
            }
            .of(attribute)
        })?;
        Ok(Interface {
            name,
            physdev: self.flags & IPSET_FLAG_PHYSDEV != 0,
            wildcard: self.flags & IPSET_FLAG_IFACE_WILDCARD != 0,
        })
    }
}

impl RawAddresses {
    fn addresses(
        &self,
        family: Option<Family>,
        attribute: &'static str,
    ) -> Result<Addresses, DecodeError> {
        let invalid = |expected| DecodeError::from(Problem::Invalid { expected }.of(attribute));
        let ip = require(self.ip, attribute)?;
        if family != Some(Family::of(ip)) {
            return Err(invalid("an address of the set's family"));
        }
        match (ip, self.to, self.cidr) {
            (IpAddr::V4(first), Some(IpAddr::V4(last)), _) => Ok(Addresses::range(first, last)),
            (_, Some(_), _) => Err(invalid("the start of a range of IPv4 addresses")),
            (ip, None, Some(prefix_len)) => Addresses::network(ip, prefix_len)
                .ok_or_else(|| invalid("an address as long as its prefix")),
            (ip, None, None) => Ok(ip.into()),
        }
    }

    fn single(
        &self,
        family: Option<Family>,
        attribute: &'static str,
    ) -> Result<IpAddr, DecodeError> {
        let expected = "one address";
        self.addresses(family, attribute)?
            .as_ip()
            .ok_or_else(|| Problem::Invalid { expected }.of(attribute).into())
    }
}

/// The attributes in the data of an entry.
const NAMES: &Names = &[
    (IPSET_ATTR_IP, "IPSET_ATTR_IP"),
    (IPSET_ATTR_IP_TO, "IPSET_ATTR_IP_TO"),
    (IPSET_ATTR_CIDR, "IPSET_ATTR_CIDR"),
    (IPSET_ATTR_IP2, "IPSET_ATTR_IP2"),
    (IPSET_ATTR_IP2_TO, "IPSET_ATTR_IP2_TO"),
    (IPSET_ATTR_CIDR2, "IPSET_ATTR_CIDR2"),
    (IPSET_ATTR_PORT, "IPSET_ATTR_PORT"),
    (IPSET_ATTR_PORT_TO, "IPSET_ATTR_PORT_TO"),
    (IPSET_ATTR_PROTO, "IPSET_ATTR_PROTO"),
    (IPSET_ATTR_CADT_FLAGS, "IPSET_ATTR_CADT_FLAGS"),
    (IPSET_ATTR_MARK, "IPSET_ATTR_MARK"),
    (IPSET_ATTR_ETHER, "IPSET_ATTR_ETHER"),
    (IPSET_ATTR_NAME, "IPSET_ATTR_NAME"),
    (IPSET_ATTR_NAMEREF, "IPSET_ATTR_NAMEREF"),
    (IPSET_ATTR_IFACE, "IPSET_ATTR_IFACE"),
    (IPSET_ATTR_TIMEOUT, "IPSET_ATTR_TIMEOUT"),
    (IPSET_ATTR_BYTES, "IPSET_ATTR_BYTES"),
    (IPSET_ATTR_PACKETS, "IPSET_ATTR_PACKETS"),
    (IPSET_ATTR_COMMENT, "IPSET_ATTR_COMMENT"),
    (IPSET_ATTR_SKBMARK, "IPSET_ATTR_SKBMARK"),
    (IPSET_ATTR_SKBPRIO, "IPSET_ATTR_SKBPRIO"),
    (IPSET_ATTR_SKBQUEUE, "IPSET_ATTR_SKBQUEUE"),
];
