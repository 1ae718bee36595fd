//! Elements as nf_tables has them, and back.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
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
            Self::NodePort(at, _) | Self::NodePortSourceKept(at) => of_node_port(at),
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
#[allow(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use super::*;

    fn elements(address: &str, ranges: [&str; 3]) -> Vec<Element> {
        let address: IpAddr = address.parse().unwrap();
        let at = |protocol, port| AddressPort {
            address,
            protocol,
            port,
        };
        let node_port = NodePort {
            protocol: Protocol::SCTP,
            port: 30_000,
        };
        let mut all = vec![
            Element::Firewalled(at(Protocol::UDP, 53)),
            Element::Refused(at(Protocol::UDP, 54)),
            Element::Hairpin(address),
            Element::SourceKept(at(Protocol::UDP, 55)),
            Element::NodePortSourceKept(node_port),
            Element::RangeSourceKept(0x1003),
            Element::Masqueraded(at(Protocol::UDP, 56)),
            Element::RangeMasqueraded(0x1003),
            Element::ClusterIp(address),
            Element::NodeAddress(address),
            Element::ServiceMark(at(Protocol::TCP, 443), 0x1003),
            Element::PortMark(at(Protocol::TCP, 443), 0x1003),
            Element::NodePortMark(node_port, 0x7f),
            Element::RangeFirewalled(address, 0x1003),
            Element::RangeRefused(0x1003),
            Element::RangeDropped(0x1003),
            Element::RangeLocal(0x1003),
            Element::RangeLocalMark(0x1003, 0x7f),
            Element::RangeAddress(address),
        ];
        for ports in [
            PortRange::all(Protocol::UDP),
            range(at(Protocol::TCP, 5), at(Protocol::TCP, 7))
                .unwrap()
                .ports,
            range(at(Protocol::TCP, 9), at(Protocol::TCP, 9))
                .unwrap()
                .ports,
        ] {
            all.push(Element::RangeMark(AddressRange { address, ports }, 0x1003));
        }
        for kind in [
            Kind::ClusterIp,
            Kind::External,
            Kind::ExternalLocal,
            Kind::Drop,
        ] {
            all.push(Element::Service(at(Protocol::SCTP, 1), kind));
        }
        for kind in [Kind::NodePort, Kind::NodePortLocal] {
            all.push(Element::NodePort(node_port, kind));
        }
        for network in ranges.map(|range| range.parse().unwrap()) {
            all.push(Element::SourceRange(at(Protocol::TCP, 80), network));
            all.push(Element::RangeSource(address, 0x1003, network));
        }
        all
    }

    #[test]
    fn elements_are_read_back_as_they_were_written() {
        let v4 = elements("10.96.0.1", ["0.0.0.0/1", "10.1.0.0/17", "10.2.3.4/32"]);
        let v6 = elements("fd00::1", ["::/1", "fd00:2::/63", "fd00::5/128"]);
        for (family, elements) in [(Family::V4, v4), (Family::V6, v6)] {
            for element in elements {
                let read = Element::from_netlink(element.set(), family, &element.to_netlink());
                assert_eq!(read, Some(element));
            }
        }
    }

    #[test]
    fn keys_are_as_nft_writes_them() {
        let at = AddressPort {
            address: "10.96.0.1".parse().unwrap(),
            protocol: Protocol::TCP,
            port: 443,
        };
        let element = Element::Service(at, Kind::ClusterIp).to_netlink();
        let key = element.key.unwrap();
        assert_eq!(
            key.bytes().unwrap(),
            [10, 96, 0, 1, 6, 0, 0, 0, 1, 187, 0, 0]
        );
        assert_eq!(element.data, None);
    }

    #[test]
    fn what_the_proxy_does_not_make_is_nothing_of_its_own() {
        let at =
            |set, found: &nftables_netlink::Element| Element::from_netlink(set, Family::V4, found);
        let two = |a: u8, b: u8| nftables_netlink::Element::new(&[&[10, 0, 0, a], &[10, 0, 0, b]]);
        assert!(at(SetId::Hairpin, &two(1, 1)).is_some());
        assert_eq!(at(SetId::Hairpin, &two(1, 2)), None, "not one endpoint");
        assert_eq!(at(SetId::ClusterIps, &two(1, 1)), None, "too long");
        let key = nftables_netlink::Element::new(&[&[6], &[0, 80]]);
        assert_eq!(at(SetId::NodePortMarks, &key), None, "no mark");
        let odd = nftables_netlink::Element::range(
            &[&[10, 0, 0, 1], &[6], &[0, 80], &[10, 0, 0, 1]],
            &[&[10, 0, 0, 1], &[6], &[0, 80], &[10, 0, 0, 2]],
        );
        assert_eq!(at(SetId::SourceRanges, &odd), None, "no network");
        let ports = |first: &[&[u8]], last: &[&[u8]]| {
            let range = nftables_netlink::Element::range(first, last);
            at(SetId::RangeMarks, &range.to_value(&1_u32.to_ne_bytes()))
        };
        let first: [&[u8]; 3] = [&[10, 0, 0, 1], &[6], &[0, 80]];
        assert!(ports(&first, &[&[10, 0, 0, 1], &[6], &[0, 81]]).is_some());
        let no_range: [[&[u8]; 3]; 3] = [
            [&[10, 0, 0, 2], &[6], &[0, 81]],
            [&[10, 0, 0, 1], &[17], &[0, 81]],
            [&[10, 0, 0, 1], &[6], &[0, 79]],
        ];
        for last in no_range {
            assert_eq!(ports(&first, &last), None, "{last:?}");
        }
    }
}
