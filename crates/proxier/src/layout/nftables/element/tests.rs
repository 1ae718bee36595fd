#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use super::*;

#[test]
fn of_several_elements_of_one_key_the_least_is_kept() {
    let at = AddressPort {
        address: "10.0.0.7".parse().unwrap(),
        protocol: Protocol::TCP,
        port: 80,
    };
    let mut elements = vec![
        Element::Service(at, Kind::External),
        Element::ServiceMark(at, 2),
        Element::Firewalled(at),
        Element::Service(at, Kind::ClusterIp),
        Element::ServiceMark(at, 1),
        Element::Firewalled(at),
    ];
    least_of_each_key(&mut elements);
    let kept = [
        Element::Firewalled(at),
        Element::ServiceMark(at, 1),
        Element::Service(at, Kind::ClusterIp),
    ];
    assert_eq!(elements, kept);
    let texts = kept.map(|element| element.to_string());
    assert_eq!(
        texts,
        [
            "10.0.0.7 . tcp . 80",
            "10.0.0.7 . tcp . 80 : 0x00000001",
            "10.0.0.7 . tcp . 80"
        ]
    );
}
