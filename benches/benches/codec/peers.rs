//! The same requests, as other crates write them.

use std::net::{IpAddr, SocketAddr};

use netlink_packet_ipvs::ctrl::nlas::destination::{Destination, ForwardTypeFull};
use netlink_packet_ipvs::ctrl::nlas::service::{Flags, Netmask, Protocol, Scheduler, Service};
use netlink_packet_ipvs::ctrl::nlas::{AddressFamily, IpvsCtrlAttrs};
use netlink_packet_ipvs::ctrl::{IpvsCtrlCmd, IpvsServiceCtrl};
use nlrs::genetlink::GenericMessageBuilder as _;
use nlrs::ipvs::destination::{IpvsForwardMethod, NewDestinationMessageBuilder};
use nlrs::ipvs::service::NewServiceMessageBuilder;
use nlrs::ipvs::{IpvsService, Protocol as NlrsProtocol};

/// The number that the kernel might give the family.
const FAMILY: u16 = 30;

fn address(bytes: [u8; 4], port: u16) -> SocketAddr {
    (bytes, port).into()
}

fn nlrs_id() -> IpvsService {
    IpvsService {
        service_address: address([10, 0, 0, 1], 80),
        protocol: NlrsProtocol::TCP,
    }
}

/// Adds a virtual server with nlrs.
pub(crate) fn nlrs_service(buffer: &mut Vec<u8>) {
    buffer.clear();
    let (builder, _) = NewServiceMessageBuilder::new(buffer, FAMILY, 1, nlrs_id());
    builder.build().expect("a message");
}

/// Adds a destination with nlrs.
pub(crate) fn nlrs_destination(buffer: &mut Vec<u8>) {
    buffer.clear();
    let what = (nlrs_id(), address([10, 1, 0, 1], 8080));
    let (mut builder, _) = NewDestinationMessageBuilder::new(buffer, FAMILY, 1, what);
    builder.set_forwarding_method(IpvsForwardMethod::Masquerade);
    builder.build().expect("a message");
}

/// What netlink-packet-ipvs makes its messages of.
pub(crate) fn packet_ipvs_values() -> (Service, Destination) {
    let service = Service {
        address: IpAddr::from([10, 0, 0, 1]),
        netmask: Netmask::new(32, AddressFamily::IPv4),
        scheduler: Scheduler::RoundRobin,
        flags: Flags(0),
        port: Some(80),
        fw_mark: None,
        persistence_timeout: None,
        family: AddressFamily::IPv4,
        protocol: Protocol::TCP,
    };
    let destination = Destination {
        address: IpAddr::from([10, 1, 0, 1]),
        fwd_method: ForwardTypeFull::Masquerade,
        weight: 1,
        upper_threshold: None,
        lower_threshold: None,
        port: 8080,
        family: AddressFamily::IPv4,
    };
    (service, destination)
}

/// Adds a virtual server with netlink-packet-ipvs.
pub(crate) fn packet_ipvs_service(service: &Service) -> Vec<u8> {
    let nlas = vec![IpvsCtrlAttrs::Service(service.create_nlas())];
    packet_ipvs(IpvsCtrlCmd::NewService, nlas)
}

/// Adds a destination with netlink-packet-ipvs.
pub(crate) fn packet_ipvs_destination(service: &Service, destination: &Destination) -> Vec<u8> {
    let nlas = vec![
        IpvsCtrlAttrs::Service(service.create_nlas()),
        IpvsCtrlAttrs::Destination(destination.create_nlas()),
    ];
    packet_ipvs(IpvsCtrlCmd::NewDest, nlas)
}

fn packet_ipvs(cmd: IpvsCtrlCmd, nlas: Vec<IpvsCtrlAttrs>) -> Vec<u8> {
    let message = IpvsServiceCtrl {
        cmd,
        nlas,
        family_id: FAMILY,
    };
    message.serialize(false)
}
