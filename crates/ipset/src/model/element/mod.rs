//! Elements: what a set holds, without the options of an entry.

mod address;
mod icmp;
mod mac;
mod port;

use std::fmt;
use std::net::IpAddr;

pub(crate) use crate::model::element::address::Inet;
pub use crate::model::element::{
    address::Addresses,
    mac::MacAddr,
    port::{PortRange, Ports},
};
use crate::model::parse_number;
use crate::{Dimension, Error, InterfaceName, SetName, SetType};

/// What a set holds: one variant for each make-up of the kernel's types.
///
/// Ordered by value: addresses numerically, then protocol, then port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Element {
    /// `bitmap:ip`, `hash:ip`.
    Ip(Addresses),
    /// `bitmap:ip,mac` (where the MAC address may be left out), `hash:ip,mac`.
    IpMac(IpAddr, Option<MacAddr>),
    /// `hash:mac`.
    Mac(MacAddr),
    /// `bitmap:port`.
    Port(PortRange),
    /// `hash:net`.
    Net(Addresses),
    /// `hash:net,net`.
    NetNet(Addresses, Addresses),
    /// `hash:ip,port`.
    IpPort(Addresses, Ports),
    /// `hash:net,port`.
    NetPort(Addresses, Ports),
    /// `hash:ip,port,ip`.
    IpPortIp(Addresses, Ports, IpAddr),
    /// `hash:ip,port,net`.
    IpPortNet(Addresses, Ports, Addresses),
    /// `hash:net,port,net`.
    NetPortNet(Addresses, Ports, Addresses),
    /// `hash:ip,mark`.
    IpMark(Addresses, u32),
    /// `hash:net,iface`.
    NetIface(Addresses, Interface),
    /// `list:set`.
    Set(SetName),
}

/// The interface of a `hash:net,iface` element.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct Interface {
    /// Its name, or with `wildcard` the start of it.
    pub name: InterfaceName,
    /// Whether the bridge port is meant, not the bridge.
    pub physdev: bool,
    /// Whether every interface is meant whose name starts so (Linux 5.5).
    pub wildcard: bool,
}

impl Interface {
    /// The interface of this name.
    #[must_use]
    pub fn new(name: InterfaceName) -> Self {
        Self {
            name,
            physdev: false,
            wildcard: false,
        }
    }

    /// The port of a bridge with this name, in place of the bridge.
    #[must_use]
    pub fn with_physdev(mut self) -> Self {
        self.physdev = true;
        self
    }

    /// Every interface whose name starts like this (Linux 5.5).
    #[must_use]
    pub fn with_wildcard(mut self) -> Self {
        self.wildcard = true;
        self
    }
}

impl Element {
    /// What it is made of, to compare with [`SetType::dimensions`].
    #[must_use]
    pub fn dimensions(&self) -> &'static [Dimension] {
        use Dimension::{Iface, Ip, Mac, Mark, Net, Port, Set};
        match self {
            Self::Ip(_) => &[Ip],
            Self::IpMac(..) => &[Ip, Mac],
            Self::Mac(_) => &[Mac],
            Self::Port(_) => &[Port],
            Self::Net(_) => &[Net],
            Self::NetNet(..) => &[Net, Net],
            Self::IpPort(..) => &[Ip, Port],
            Self::NetPort(..) => &[Net, Port],
            Self::IpPortIp(..) => &[Ip, Port, Ip],
            Self::IpPortNet(..) => &[Ip, Port, Net],
            Self::NetPortNet(..) => &[Net, Port, Net],
            Self::IpMark(..) => &[Ip, Mark],
            Self::NetIface(..) => &[Net, Iface],
            Self::Set(_) => &[Set],
        }
    }

    /// Parses what an element of `set_type` prints, without `wildcard`, which is among the options.
    pub(crate) fn parse(set_type: &SetType, text: &str) -> Result<Self, Error> {
        let dimensions = set_type.dimensions();
        if dimensions.is_empty() {
            return Err(Error::UnknownSetType {
                set_type: *set_type,
            });
        }
        let mut parts = Parts {
            rest: Some(text),
            whole: text,
        };
        let element = match *set_type {
            SetType::BITMAP_IP | SetType::HASH_IP => Self::Ip(parts.addresses()?),
            SetType::BITMAP_IP_MAC | SetType::HASH_IP_MAC => {
                let ip = parts.ip()?;
                Self::IpMac(
                    ip,
                    parts
                        .rest
                        .is_some()
                        .then(|| parts.next()?.parse())
                        .transpose()?,
                )
            }
            SetType::HASH_MAC => Self::Mac(parts.next()?.parse()?),
            SetType::BITMAP_PORT => Self::Port(PortRange::parse_with_protocol(parts.next()?)?),
            SetType::HASH_NET => Self::Net(parts.addresses()?),
            SetType::HASH_NET_NET => Self::NetNet(parts.addresses()?, parts.addresses()?),
            SetType::HASH_IP_PORT => Self::IpPort(parts.addresses()?, parts.ports()?),
            SetType::HASH_NET_PORT => Self::NetPort(parts.addresses()?, parts.ports()?),
            SetType::HASH_IP_PORT_IP => {
                Self::IpPortIp(parts.addresses()?, parts.ports()?, parts.ip()?)
            }
            SetType::HASH_IP_PORT_NET => {
                Self::IpPortNet(parts.addresses()?, parts.ports()?, parts.addresses()?)
            }
            SetType::HASH_NET_PORT_NET => {
                Self::NetPortNet(parts.addresses()?, parts.ports()?, parts.addresses()?)
            }
            SetType::HASH_IP_MARK => Self::IpMark(parts.addresses()?, parse_mark(parts.next()?)?),
            SetType::HASH_NET_IFACE => Self::NetIface(parts.addresses()?, parts.interface()?),
            // The name may have commas.
            _ => return SetName::new(text).map(Self::Set),
        };
        match parts.rest {
            None => Ok(element),
            Some(_) => Err(Error::token(
                "an element of this type",
                text,
                "it has more parts than the type",
            )),
        }
    }
}

/// A mark or its mask: 32 bits.
pub(crate) fn parse_mark(text: &str) -> Result<u32, Error> {
    parse_number(text)
        .and_then(|number| u32::try_from(number).ok())
        .ok_or_else(|| Error::token("a mark", text, "give 32 bits, in decimal or as 0x1f"))
}

/// The parts of an element, between commas.
struct Parts<'a> {
    rest: Option<&'a str>,
    whole: &'a str,
}

impl<'a> Parts<'a> {
    fn next(&mut self) -> Result<&'a str, Error> {
        let rest = self.rest.take().ok_or_else(|| {
            Error::token(
                "an element of this type",
                self.whole,
                "it has fewer parts than the type",
            )
        })?;
        match rest.split_once(',') {
            Some((part, rest)) => {
                self.rest = Some(rest);
                Ok(part)
            }
            None => Ok(rest),
        }
    }

    fn addresses(&mut self) -> Result<Addresses, Error> {
        Addresses::parse(self.next()?)
    }

    fn ip(&mut self) -> Result<IpAddr, Error> {
        let text = self.next()?;
        Addresses::parse(text)?.as_ip().ok_or_else(|| {
            Error::token(
                "one address",
                text,
                "this part takes no network and no range",
            )
        })
    }

    fn ports(&mut self) -> Result<Ports, Error> {
        Ports::parse(self.next()?)
    }

    fn interface(&mut self) -> Result<Interface, Error> {
        let text = self.next()?;
        let (name, physdev) = text
            .strip_prefix("physdev:")
            .map_or((text, false), |name| (name, true));
        Ok(Interface {
            name: InterfaceName::new(name)?,
            physdev,
            wildcard: false,
        })
    }
}

impl fmt::Display for Element {
    /// As `ipset save` prints it; `wildcard` is among an entry's options.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(addresses) | Self::Net(addresses) => write!(f, "{addresses}"),
            Self::IpMac(ip, None) => write!(f, "{}", Inet(*ip)),
            Self::IpMac(ip, Some(mac)) => write!(f, "{},{mac}", Inet(*ip)),
            Self::Mac(mac) => write!(f, "{mac}"),
            Self::Port(ports) => write!(f, "{ports}"),
            Self::NetNet(one, other) => write!(f, "{one},{other}"),
            Self::IpPort(addresses, ports) | Self::NetPort(addresses, ports) => {
                write!(f, "{addresses},{ports}")
            }
            Self::IpPortIp(addresses, ports, ip) => write!(f, "{addresses},{ports},{}", Inet(*ip)),
            Self::IpPortNet(one, ports, other) | Self::NetPortNet(one, ports, other) => {
                write!(f, "{one},{ports},{other}")
            }
            Self::IpMark(addresses, mark) => write!(f, "{addresses},{mark:#010x}"),
            Self::NetIface(addresses, interface) => {
                let physdev = if interface.physdev { "physdev:" } else { "" };
                write!(f, "{addresses},{physdev}{}", interface.name)
            }
            Self::Set(name) => write!(f, "{name}"),
        }
    }
}
