//! Elements as nf_tables has them, and back.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddrV4};
use std::num::NonZeroU16;

use ipnetwork::IpNetwork;
use ipvs_netlink::Protocol;

use super::{AddressPort, AddressRange, Element, Kind, NodePort, SetId};
use crate::cluster::{Family, PortRange};

/// An address in network byte order.
enum Octets {
    V4([u8; 4]),
    V6([u8; 16]),
}

impl Octets {
    const fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(v4) => Self::V4(v4.octets()),
            IpAddr::V6(v6) => Self::V6(v6.octets()),
        }
    }

    const fn as_slice(&self) -> &[u8] {
        match self {
            Self::V4(octets) => octets,
            Self::V6(octets) => octets,
        }
    }
}

impl Element {
    /// The element of nf_tables that it is.
    #[must_use]
    pub fn to_netlink(&self) -> nftables_netlink::Element {
        match *self {
            Self::SourceRange(at, source) => {
                let (first, last) = (source.network(), source.broadcast());
                let ends = [first, last].map(Octets::of);
                let [first, last] = &ends;
                let (address, protocol, port) = parts(at);
                let key = [address.as_slice(), &protocol, &port];
                nftables_netlink::Element::range(
                    &[&key[..], &[first.as_slice()]].concat(),
                    &[&key[..], &[last.as_slice()]].concat(),
                )
            }
            Self::RangeSource(address, mark, source) => {
                let [address, first, last] =
                    [address, source.network(), source.broadcast()].map(Octets::of);
                let mark = mark.to_ne_bytes();
                nftables_netlink::Element::range(
                    &[address.as_slice(), &mark, first.as_slice()],
                    &[address.as_slice(), &mark, last.as_slice()],
                )
            }
            Self::RangeFirewalled(address, mark) => nftables_netlink::Element::new(&[
                Octets::of(address).as_slice(),
                &mark.to_ne_bytes(),
            ]),
            Self::RangeRefused(mark)
            | Self::RangeDropped(mark)
            | Self::RangeLocal(mark)
            | Self::RangeSourceKept(mark)
            | Self::RangeMasqueraded(mark) => {
                nftables_netlink::Element::new(&[&mark.to_ne_bytes()])
            }
            Self::RangeLocalMark(of, mark) => {
                nftables_netlink::Element::new(&[&of.to_ne_bytes()]).to_value(&mark.to_ne_bytes())
            }
            Self::MasqueradeAddress(at, source) => {
                of_address_port(at).to_value(Octets::of(source).as_slice())
            }
            Self::RangeMasqueradeAddress(of, source) => {
                let key = nftables_netlink::Element::new(&[&of.to_ne_bytes()]);
                key.to_value(Octets::of(source).as_slice())
            }
            Self::RangeMark(AddressRange { address, ports }, mark) => {
                let (address, protocol) = (Octets::of(address), protocol(ports.protocol()));
                let [first, last] = [ports.first(), ports.last()].map(u16::to_be_bytes);
                let range = nftables_netlink::Element::range(
                    &[address.as_slice(), &protocol, &first],
                    &[address.as_slice(), &protocol, &last],
                );
                range.to_value(&mark.to_ne_bytes())
            }
            Self::Firewalled(at)
            | Self::Refused(at)
            | Self::SourceKept(at)
            | Self::Masqueraded(at)
            | Self::Service(at, _) => of_address_port(at),
            Self::Hairpin(address) => {
                let octets = Octets::of(address);
                nftables_netlink::Element::new(&[octets.as_slice(), octets.as_slice()])
            }
            Self::ClusterIp(address) | Self::NodeAddress(address) | Self::RangeAddress(address) => {
                nftables_netlink::Element::new(&[Octets::of(address).as_slice()])
            }
            Self::ServiceMark(at, mark) | Self::PortMark(at, mark) => {
                of_address_port(at).to_value(&mark.to_ne_bytes())
            }
            Self::NodePortMark(at, mark) => of_node_port(at).to_value(&mark.to_ne_bytes()),
            Self::NodePort(at, _) | Self::NodePortSourceKept(at) | Self::LoopbackPort(at) => {
                of_node_port(at)
            }
            Self::LoopbackEndpoint(at, slot, to) => {
                let key = [
                    &protocol(at.protocol)[..],
                    &at.port.to_be_bytes(),
                    &u32::from(slot).to_ne_bytes(),
                ];
                let to = [&to.ip().octets()[..], &to.port().to_be_bytes()];
                nftables_netlink::Element::new(&key).to_value(&nftables_netlink::concat(&to))
            }
        }
    }

    /// The element of one of the proxy's sets that an element of nf_tables is; `None` if the proxy makes none such.
    #[must_use]
    pub fn from_netlink(
        set: SetId,
        family: Family,
        found: &nftables_netlink::Element,
    ) -> Option<Self> {
        let mut key = Reader(found.key.as_ref()?.bytes()?);
        let element = match set {
            SetId::SourceRanges => {
                let at = key.address_port(family)?;
                let first = key.address(family)?;
                let mut end = end(found)?;
                let (end_at, last) = (end.address_port(family)?, end.address(family)?);
                if end_at != at {
                    return None;
                }
                Self::SourceRange(at, network(first, last)?)
            }
            SetId::RangeSources => {
                let (address, mark) = (key.address(family)?, key.mark()?);
                let first = key.address(family)?;
                let mut end = end(found)?;
                if (end.address(family)?, end.mark()?) != (address, mark) {
                    return None;
                }
                Self::RangeSource(address, mark, network(first, end.address(family)?)?)
            }
            SetId::RangeFirewalled => Self::RangeFirewalled(key.address(family)?, key.mark()?),
            SetId::RangeRefused => Self::RangeRefused(key.mark()?),
            SetId::RangeDropped => Self::RangeDropped(key.mark()?),
            SetId::RangeLocal => Self::RangeLocal(key.mark()?),
            SetId::RangeSourceKept => Self::RangeSourceKept(key.mark()?),
            SetId::RangeMasqueraded => Self::RangeMasqueraded(key.mark()?),
            SetId::MasqueradeAddresses => {
                Self::MasqueradeAddress(key.address_port(family)?, address(family, found)?)
            }
            SetId::RangeMasqueradeAddresses => {
                Self::RangeMasqueradeAddress(key.mark()?, address(family, found)?)
            }
            SetId::RangeLocalMarks => Self::RangeLocalMark(key.mark()?, mark(found)?),
            SetId::RangeMarks => {
                let (first, last) = (key.address_port(family)?, end(found)?.address_port(family)?);
                Self::RangeMark(range(first, last)?, mark(found)?)
            }
            SetId::RangeAddresses => Self::RangeAddress(key.address(family)?),
            SetId::Firewalled => Self::Firewalled(key.address_port(family)?),
            SetId::Refused => Self::Refused(key.address_port(family)?),
            SetId::SourceKept => Self::SourceKept(key.address_port(family)?),
            SetId::NodePortsSourceKept => Self::NodePortSourceKept(key.node_port()?),
            SetId::Masqueraded => Self::Masqueraded(key.address_port(family)?),
            SetId::Hairpin => {
                let (source, destination) = (key.address(family)?, key.address(family)?);
                (source == destination).then_some(Self::Hairpin(source))?
            }
            SetId::ClusterIps => Self::ClusterIp(key.address(family)?),
            SetId::NodeAddresses => Self::NodeAddress(key.address(family)?),
            SetId::ServiceMarks => Self::ServiceMark(key.address_port(family)?, mark(found)?),
            SetId::PortMarks => Self::PortMark(key.address_port(family)?, mark(found)?),
            SetId::NodePortMarks => Self::NodePortMark(key.node_port()?, mark(found)?),
            SetId::Dropped => Self::Service(key.address_port(family)?, Kind::Drop),
            SetId::Services => Self::Service(key.address_port(family)?, Kind::ClusterIp),
            SetId::External => Self::Service(key.address_port(family)?, Kind::External),
            SetId::ExternalLocal => Self::Service(key.address_port(family)?, Kind::ExternalLocal),
            SetId::NodePorts => Self::NodePort(key.node_port()?, Kind::NodePort),
            SetId::NodePortsLocal => Self::NodePort(key.node_port()?, Kind::NodePortLocal),
            SetId::LoopbackPorts => Self::LoopbackPort(key.node_port()?),
            SetId::LoopbackEndpoints => {
                let (at, slot) = (key.node_port()?, u8::try_from(key.mark()?).ok()?);
                Self::LoopbackEndpoint(at, slot, endpoint(found)?)
            }
        };
        key.0.is_empty().then_some(element)
    }
}

fn parts(at: AddressPort) -> (Octets, [u8; 1], [u8; 2]) {
    (
        Octets::of(at.address),
        protocol(at.protocol),
        at.port.to_be_bytes(),
    )
}

const fn protocol(protocol: Protocol) -> [u8; 1] {
    [protocol.0]
}

fn of_address_port(at: AddressPort) -> nftables_netlink::Element {
    let (address, protocol, port) = parts(at);
    nftables_netlink::Element::new(&[address.as_slice(), &protocol, &port])
}

fn of_node_port(at: NodePort) -> nftables_netlink::Element {
    nftables_netlink::Element::new(&[&protocol(at.protocol), &at.port.to_be_bytes()])
}

fn mark(found: &nftables_netlink::Element) -> Option<u32> {
    let bytes = found.data.as_ref()?.bytes()?;
    Some(u32::from_ne_bytes(bytes.try_into().ok()?))
}

/// The address that a map has.
fn address(family: Family, found: &nftables_netlink::Element) -> Option<IpAddr> {
    let mut data = Reader(found.data.as_ref()?.bytes()?);
    let address = data.address(family)?;
    data.0.is_empty().then_some(address)
}

/// The address and port that a map has.
fn endpoint(found: &nftables_netlink::Element) -> Option<SocketAddrV4> {
    let mut data = Reader(found.data.as_ref()?.bytes()?);
    let address = Ipv4Addr::from(data.part::<4>()?);
    let port = u16::from_be_bytes(data.part()?);
    data.0
        .is_empty()
        .then_some(SocketAddrV4::new(address, port))
}

/// The last key of an element that is a range; of another its key.
fn end(found: &nftables_netlink::Element) -> Option<Reader<'_>> {
    let last = found.key_end.as_ref().or(found.key.as_ref())?;
    Some(Reader(last.bytes()?))
}

/// The ports from one to another, of one address and protocol.
fn range(first: AddressPort, last: AddressPort) -> Option<AddressRange> {
    let of = |at: AddressPort| (at.address, at.protocol);
    let [from, to] = [first.port, last.port].map(NonZeroU16::new);
    let ports = PortRange::new(first.protocol, from?, to?)?;
    let address = first.address;
    (of(first) == of(last)).then_some(AddressRange { address, ports })
}

/// The network that has these as its first and last address.
fn network(first: IpAddr, last: IpAddr) -> Option<IpNetwork> {
    let differing = match (first, last) {
        (IpAddr::V4(first), IpAddr::V4(last)) => {
            32 - (first.to_bits() ^ last.to_bits()).leading_zeros()
        }
        (IpAddr::V6(first), IpAddr::V6(last)) => {
            128 - (first.to_bits() ^ last.to_bits()).leading_zeros()
        }
        _ => return None,
    };
    let whole = Family::of(first).host_prefix();
    let prefix = whole.checked_sub(u8::try_from(differing).ok()?)?;
    let network = IpNetwork::new(first, prefix).ok()?;
    (network.network() == first && network.broadcast() == last).then_some(network)
}

/// What is left of a key.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    /// The next part; parts are padded to four bytes.
    fn part<const LENGTH: usize>(&mut self) -> Option<[u8; LENGTH]> {
        let (part, _) = self.0.split_first_chunk::<LENGTH>()?;
        // The last part of a key may come without padding.
        let padded = LENGTH.next_multiple_of(4).min(self.0.len());
        let rest = self.0.get(padded..)?;
        self.0 = rest;
        Some(*part)
    }

    fn address(&mut self, family: Family) -> Option<IpAddr> {
        match family {
            Family::V4 => Some(Ipv4Addr::from(self.part::<4>()?).into()),
            Family::V6 => Some(Ipv6Addr::from(self.part::<16>()?).into()),
        }
    }

    fn address_port(&mut self, family: Family) -> Option<AddressPort> {
        let address = self.address(family)?;
        let NodePort { protocol, port } = self.node_port()?;
        Some(AddressPort {
            address,
            protocol,
            port,
        })
    }

    fn mark(&mut self) -> Option<u32> {
        Some(u32::from_ne_bytes(self.part()?))
    }

    fn node_port(&mut self) -> Option<NodePort> {
        let [protocol] = self.part::<1>()?;
        Some(NodePort {
            protocol: Protocol(protocol),
            port: u16::from_be_bytes(self.part()?),
        })
    }
}

#[cfg(test)]
mod tests;
