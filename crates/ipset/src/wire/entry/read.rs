//! The data of an entry, read.

use std::net::IpAddr;

use crate::model::MAX_COMMENT;
#[allow(
    clippy::wildcard_imports,
    reason = "the kernel's names, all with a prefix of their own"
)]
use crate::uapi::*;
use crate::wire::read::{Attribute, DecodeError, attributes, set_name};
use crate::{
    Addresses, Element, Entry, EntryOptions, Family, Interface, InterfaceName, MacAddr, PortRange,
    Ports, Position, Protocol, SetName, SetType,
};

/// What an entry's attributes say, before they are put together as its type has it.
#[derive(Default)]
struct Raw<'a> {
    first: RawAddresses,
    second: RawAddresses,
    port: Option<u16>,
    port_to: Option<u16>,
    protocol: Option<u8>,
    flags: u32,
    mark: Option<u32>,
    mac: Option<MacAddr>,
    name: Option<SetName>,
    name_ref: Option<SetName>,
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
    family: Family,
    data: &[u8],
) -> Result<Entry, DecodeError> {
    let mut raw = Raw::default();
    for attribute in attributes(data) {
        raw.take(&attribute?)?;
    }
    let element = raw.element(set_type, family)?;
    let mut options = raw.options;
    options.nomatch = raw.flags & IPSET_FLAG_NOMATCH != 0;
    let before = raw.flags & IPSET_FLAG_BEFORE != 0;
    options.position = raw.name_ref.map(|name| {
        if before {
            Position::Before(name)
        } else {
            Position::After(name)
        }
    });
    Ok(Entry::new(element).with_options(options))
}

impl<'a> Raw<'a> {
    fn take(&mut self, attribute: &Attribute<'a>) -> Result<(), DecodeError> {
        let options = &mut self.options;
        match attribute.kind {
            IPSET_ATTR_IP => self.first.ip = Some(attribute.ip("IPSET_ATTR_IP")?),
            IPSET_ATTR_IP_TO => self.first.to = Some(attribute.ip("IPSET_ATTR_IP_TO")?),
            IPSET_ATTR_CIDR => self.first.cidr = Some(attribute.u8("IPSET_ATTR_CIDR")?),
            IPSET_ATTR_IP2 => self.second.ip = Some(attribute.ip("IPSET_ATTR_IP2")?),
            IPSET_ATTR_IP2_TO => self.second.to = Some(attribute.ip("IPSET_ATTR_IP2_TO")?),
            IPSET_ATTR_CIDR2 => self.second.cidr = Some(attribute.u8("IPSET_ATTR_CIDR2")?),
            IPSET_ATTR_PORT => self.port = Some(attribute.u16("IPSET_ATTR_PORT")?),
            IPSET_ATTR_PORT_TO => self.port_to = Some(attribute.u16("IPSET_ATTR_PORT_TO")?),
            IPSET_ATTR_PROTO => self.protocol = Some(attribute.u8("IPSET_ATTR_PROTO")?),
            IPSET_ATTR_CADT_FLAGS => self.flags = attribute.u32("IPSET_ATTR_CADT_FLAGS")?,
            IPSET_ATTR_MARK => self.mark = Some(attribute.u32("IPSET_ATTR_MARK")?),
            IPSET_ATTR_ETHER => self.mac = Some(MacAddr(attribute.mac("IPSET_ATTR_ETHER")?)),
            IPSET_ATTR_NAME => self.name = Some(set_name(attribute)?),
            IPSET_ATTR_NAMEREF => self.name_ref = Some(set_name(attribute)?),
            IPSET_ATTR_IFACE => self.interface = Some(attribute.text("IPSET_ATTR_IFACE")?),
            IPSET_ATTR_TIMEOUT => options.timeout = Some(attribute.u32("IPSET_ATTR_TIMEOUT")?),
            IPSET_ATTR_BYTES => {
                options.counters.get_or_insert_default().bytes =
                    attribute.u64("IPSET_ATTR_BYTES")?;
            }
            IPSET_ATTR_PACKETS => {
                options.counters.get_or_insert_default().packets =
                    attribute.u64("IPSET_ATTR_PACKETS")?;
            }
            // Foreign text may be anything.
            IPSET_ATTR_COMMENT => {
                let bytes = attribute.value;
                let bytes = bytes.strip_suffix(&[0]).unwrap_or(bytes);
                if bytes.len() > MAX_COMMENT {
                    let attribute = "IPSET_ATTR_COMMENT";
                    return Err(DecodeError::Value { attribute });
                }
                options.comment = Some(String::from_utf8_lossy(bytes).into());
            }
            IPSET_ATTR_SKBMARK => {
                let [a, b, c, d, e, f, g, h] = attribute.u64("IPSET_ATTR_SKBMARK")?.to_be_bytes();
                options.skbinfo.mark = u32::from_be_bytes([a, b, c, d]);
                options.skbinfo.mark_mask = u32::from_be_bytes([e, f, g, h]);
            }
            IPSET_ATTR_SKBPRIO => {
                options.skbinfo.priority = attribute.u32("IPSET_ATTR_SKBPRIO")?;
            }
            IPSET_ATTR_SKBQUEUE => options.skbinfo.queue = attribute.u16("IPSET_ATTR_SKBQUEUE")?,
            _ => {}
        }
        Ok(())
    }

    fn element(&self, set_type: &SetType, family: Family) -> Result<Element, DecodeError> {
        let ip = || self.first.single(family, "IPSET_ATTR_IP");
        let first = || self.first.addresses(family, "IPSET_ATTR_IP");
        let second = || self.second.addresses(family, "IPSET_ATTR_IP2");
        let mac = || {
            self.mac.ok_or(DecodeError::Missing {
                attribute: "IPSET_ATTR_ETHER",
            })
        };
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
                let mark = self.mark.ok_or(DecodeError::Missing {
                    attribute: "IPSET_ATTR_MARK",
                })?;
                Element::IpMark(first()?, mark)
            }
            SetType::HASH_NET_IFACE => Element::NetIface(first()?, self.interface()?),
            SetType::LIST_SET => Element::Set(self.name.ok_or(DecodeError::Missing {
                attribute: "IPSET_ATTR_NAME",
            })?),
            set_type => return Err(DecodeError::UnknownSetType { set_type }),
        })
    }

    fn port_range(&self) -> Result<PortRange, DecodeError> {
        let first = self.port.ok_or(DecodeError::Missing {
            attribute: "IPSET_ATTR_PORT",
        })?;
        Ok(PortRange::new(first, self.port_to.unwrap_or(first)))
    }

    fn ports(&self) -> Result<Ports, DecodeError> {
        let range = self.port_range()?;
        let protocol = self.protocol.ok_or(DecodeError::Missing {
            attribute: "IPSET_ATTR_PROTO",
        })?;
        Ok(Ports::range(
            Protocol(protocol),
            range.first(),
            range.last(),
        ))
    }

    fn interface(&self) -> Result<Interface, DecodeError> {
        let name = self.interface.ok_or(DecodeError::Missing {
            attribute: "IPSET_ATTR_IFACE",
        })?;
        let name = InterfaceName::new(name).map_err(|_| DecodeError::Value {
            attribute: "IPSET_ATTR_IFACE",
        })?;
        let physdev = self.flags & IPSET_FLAG_PHYSDEV != 0;
        let wildcard = self.flags & IPSET_FLAG_IFACE_WILDCARD != 0;
        Ok(Interface {
            name,
            physdev,
            wildcard,
        })
    }
}

impl RawAddresses {
    fn addresses(&self, family: Family, attribute: &'static str) -> Result<Addresses, DecodeError> {
        let fault = DecodeError::Value { attribute };
        let ip = self.ip.ok_or(DecodeError::Missing { attribute })?;
        if Family::of(&ip) != family {
            return Err(fault);
        }
        match (ip, self.to, self.cidr) {
            (IpAddr::V4(first), Some(IpAddr::V4(last)), _) => Ok(Addresses::range(first, last)),
            (_, Some(_), _) => Err(fault),
            (ip, None, Some(prefix_len)) => Addresses::network(ip, prefix_len).ok_or(fault),
            (ip, None, None) => Ok(ip.into()),
        }
    }

    fn single(&self, family: Family, attribute: &'static str) -> Result<IpAddr, DecodeError> {
        self.addresses(family, attribute)?
            .as_ip()
            .ok_or(DecodeError::Value { attribute })
    }
}
