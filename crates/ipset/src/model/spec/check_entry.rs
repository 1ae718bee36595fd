//! What the kernel would refuse to add, or would add as something else.
//!
//! Each rule was tried with ipset 7.17 on Linux 6.1 and 6.18.

use std::net::{IpAddr, Ipv4Addr};

use crate::{
    Addresses, BitmapRange, Element, Entry, EntryFault, EntryOptions, Error, Family, MAX_TIMEOUT,
    MacAddr, PortRange, Ports, Protocol, SetSpec, SetType,
};

impl SetSpec {
    /// Checks whether the kernel would take `entry` into this set and store it unchanged.
    ///
    /// Only the kernel knows whether the set has room, whether the entry exists, and whether a member of
    /// a `list:set` exists. Where kernels differ, this follows the newest: before Linux 6.3
    /// `hash:ip,port` took `0.0.0.0`.
    ///
    /// # Errors
    /// [`Error::InvalidEntry`] with the first reason found; [`Error::UnknownSetType`] for a type
    /// this crate does not know.
    pub fn check(&self, entry: &Entry) -> Result<(), Error> {
        if self.set_type.dimensions().is_empty() {
            return Err(Error::UnknownSetType {
                set_type: self.set_type,
            });
        }
        self.element_fault(entry.element())
            .and_then(|()| self.entry_option_fault(entry.options()))
            .map_err(|reason| Error::InvalidEntry {
                set: self.name,
                set_type: self.set_type,
                entry: Box::new(entry.clone()),
                reason,
            })
    }

    fn element_fault(&self, element: &Element) -> Result<(), EntryFault> {
        if element.dimensions() != self.set_type.dimensions() {
            return Err(EntryFault::WrongElement {
                expected: self.set_type.parts(),
            });
        }
        match element {
            Element::Ip(ip) | Element::IpMark(ip, _) => self.ip(ip)?,
            Element::IpMac(ip, mac) => {
                self.ip(&Addresses::from(*ip))?;
                self.mac(*mac)?;
            }
            Element::Mac(mac) => self.mac(Some(*mac))?,
            Element::Port(ports) => return self.port_in_range(*ports),
            Element::Net(net) | Element::NetIface(net, _) => self.net(net)?,
            Element::NetNet(one, other) => {
                self.net(one)?;
                self.net(other)?;
            }
            Element::IpPort(ip, ports) => {
                self.ip(ip)?;
                self.ports(ports)?;
            }
            Element::NetPort(net, ports) => {
                self.net(net)?;
                self.ports(ports)?;
            }
            Element::IpPortIp(ip, ports, other) => {
                self.ip(ip)?;
                self.ports(ports)?;
                self.family_of(Family::of(*other))?;
            }
            Element::IpPortNet(ip, ports, net) => {
                self.ip(ip)?;
                self.ports(ports)?;
                self.net(net)?;
            }
            Element::NetPortNet(one, ports, other) => {
                self.net(one)?;
                self.ports(ports)?;
                self.net(other)?;
            }
            Element::Set(_) => {}
        }
        Ok(())
    }

    fn family_of(&self, family: Family) -> Result<(), EntryFault> {
        if Some(family) == self.family {
            Ok(())
        } else {
            Err(EntryFault::WrongFamily {
                family: self.family,
            })
        }
    }

    /// An address part: ranges and networks name each address in them, in IPv4.
    fn ip(&self, addresses: &Addresses) -> Result<(), EntryFault> {
        self.family_of(addresses.family())?;
        let several_allowed = self.family == Some(Family::V4)
            && self.set_type != SetType::HASH_IP_MAC
            && self.set_type != SetType::BITMAP_IP_MAC;
        if addresses.as_ip().is_none() && !several_allowed {
            return Err(EntryFault::NotOneAddress);
        }
        if addresses.prefix_len() == Some(0) {
            return Err(EntryFault::ZeroPrefix);
        }
        let null_refused = [SetType::HASH_IP, SetType::HASH_IP_PORT].contains(&self.set_type);
        if null_refused && self.masked(addresses.first()).is_unspecified() {
            return Err(EntryFault::NullAddress);
        }
        if let Some(BitmapRange::Addresses(first, last)) = self.options.range {
            in_address_range(addresses, first, last)?;
        }
        Ok(())
    }

    fn net(&self, net: &Addresses) -> Result<(), EntryFault> {
        self.family_of(net.family())?;
        let zero_taken =
            [SetType::HASH_NET_IFACE, SetType::HASH_NET_PORT_NET].contains(&self.set_type);
        if net.prefix_len() == Some(0) && !zero_taken {
            return Err(EntryFault::ZeroPrefix);
        }
        Ok(())
    }

    fn mac(&self, mac: Option<MacAddr>) -> Result<(), EntryFault> {
        let bitmap = self.set_type == SetType::BITMAP_IP_MAC;
        match mac {
            None if !bitmap => Err(EntryFault::NoMac),
            Some(mac) if mac.is_null() && !bitmap => Err(EntryFault::NullMac),
            _ => Ok(()),
        }
    }

    fn port_in_range(&self, ports: PortRange) -> Result<(), EntryFault> {
        match self.options.range {
            Some(BitmapRange::Ports(range))
                if ports.first() < range.first() || ports.last() > range.last() =>
            {
                Err(EntryFault::OutOfRange)
            }
            _ => Ok(()),
        }
    }

    fn ports(&self, ports: &Ports) -> Result<(), EntryFault> {
        let protocol = ports.protocol();
        if protocol == Protocol(0) {
            return Err(EntryFault::NullProtocol);
        }
        let icmp = match self.family {
            Some(Family::V6) => Protocol::ICMPV6,
            _ => Protocol::ICMP,
        };
        let range = ports.port_range();
        if !has_ports(protocol) && protocol != icmp && (range.first(), range.last()) != (0, 0) {
            return Err(EntryFault::PortWithoutPorts {
                family: self.family,
            });
        }
        Ok(())
    }

    fn entry_option_fault(&self, entry: &EntryOptions) -> Result<(), EntryFault> {
        let set = &self.options;
        for (used, allowed, option) in [
            (entry.timeout.is_some(), set.timeout.is_some(), "timeout"),
            (entry.counters.is_some(), set.counters, "counters"),
            (entry.comment.is_some(), set.comment, "comment"),
            (entry.skbinfo != Default::default(), set.skbinfo, "skbinfo"),
        ] {
            if used && !allowed {
                return Err(EntryFault::WithoutExtension { option });
            }
        }
        if entry.nomatch && !self.set_type.has_networks() {
            return Err(EntryFault::NoMatch);
        }
        if entry.position.is_some() && self.set_type != SetType::LIST_SET {
            return Err(EntryFault::Position);
        }
        if entry.timeout.is_some_and(|seconds| seconds > MAX_TIMEOUT) {
            return Err(EntryFault::Timeout);
        }
        if entry
            .counters
            .is_some_and(|counters| counters.packets == u64::MAX || counters.bytes == u64::MAX)
        {
            return Err(EntryFault::Counter);
        }
        if entry
            .comment
            .as_ref()
            .is_some_and(|comment| !comment.is_valid())
        {
            return Err(EntryFault::Comment);
        }
        Ok(())
    }
}

/// Whether the kernel reads ports from packets of this protocol (`ip_set_proto_with_ports`): not from
/// DCCP.
fn has_ports(protocol: Protocol) -> bool {
    protocol.has_ports() && protocol != Protocol::DCCP
}

fn in_address_range(
    addresses: &Addresses,
    first: Ipv4Addr,
    last: Ipv4Addr,
) -> Result<(), EntryFault> {
    if addresses.first() < IpAddr::V4(first) || addresses.last() > IpAddr::V4(last) {
        return Err(EntryFault::OutOfRange);
    }
    Ok(())
}
