#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

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
        Element::MasqueradeAddress(at(Protocol::TCP, 443), address),
        Element::RangeMasqueradeAddress(0x1003, address),
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
    let at = |set, found: &nftables_netlink::Element| Element::from_netlink(set, Family::V4, found);
    let two = |a: u8, b: u8| nftables_netlink::Element::new(&[&[10, 0, 0, a], &[10, 0, 0, b]]);
    assert!(at(SetId::Hairpin, &two(1, 1)).is_some());
    assert_eq!(at(SetId::Hairpin, &two(1, 2)), None, "not one endpoint");
    assert_eq!(at(SetId::ClusterIps, &two(1, 1)), None, "too long");
    let key = nftables_netlink::Element::new(&[&[6], &[0, 80]]);
    assert_eq!(at(SetId::NodePortMarks, &key), None, "no mark");
    let source = |data: &[u8]| {
        let key = nftables_netlink::Element::new(&[&7_u32.to_ne_bytes()]);
        at(SetId::RangeMasqueradeAddresses, &key.to_value(data))
    };
    assert!(source(&[10, 0, 0, 1]).is_some());
    assert_eq!(source(&[10, 0, 0]), None, "too short");
    assert_eq!(source(&[10, 0, 0, 1, 0, 0, 0, 0]), None, "too long");
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
