//! What the kernel does besides: namespaces, connections of destinations that change, its absence.

use std::net::UdpSocket;
use std::path::Path;

use ipvs_netlink::client::Reason;
use ipvs_netlink::{Destination, Error, Request, SaveLine, Tunnel, TunnelFlags, VirtualServerId};
use kernel_test::{Namespace, Netns, cmd};

use crate::Client;
use crate::{add, client, request, saved_by_ipvsadm, set};

/// A client opened on a thread in another namespace, used on this one.
pub fn a_client_stays_in_the_namespace_it_was_opened_in(here: &Namespace) {
    let elsewhere = Netns::new().unwrap();
    let mut client = elsewhere.run(|| crate::open().unwrap());
    add(&mut client, &["-A -f 7 -s rr"]);
    assert_eq!(elsewhere.cmd("ipvsadm -Sn"), "-A -f 7 -s rr\n");
    assert_eq!(here.netns().cmd("ipvsadm -Sn"), "");
}

const SERVICE: &str = "-A -u 10.0.0.1:53 -s rr";
const DESTINATION: &str = "-a -u 10.0.0.1:53 -r 127.0.0.1:5353 -m -w 1";

/// A destination with so many connections.
fn with_connections(client: &mut Client, connections: u32) -> (VirtualServerId, Destination) {
    cmd("ip addr add 10.0.0.1/32 dev lo");
    let _server = UdpSocket::bind("127.0.0.1:5353").unwrap();
    add(client, &[SERVICE, DESTINATION]);
    // Open together: the port of one that is closed could be another's, and the connection the same.
    let sockets: Vec<_> = (0..connections)
        .map(|_| UdpSocket::bind("127.0.0.1:0").unwrap())
        .collect();
    for socket in &sockets {
        socket.send_to(b"hello", "10.0.0.1:53").unwrap();
    }
    let SaveLine::AddDestination {
        service,
        destination,
    } = DESTINATION.parse().unwrap()
    else {
        unreachable!()
    };
    assert_eq!(inactive(client, service), [connections]);
    (service, destination)
}

fn inactive(client: &mut Client, service: VirtualServerId) -> Vec<u32> {
    let destinations = client.destinations(service).unwrap();
    destinations
        .iter()
        .map(|status| status.connections.inactive)
        .collect()
}

pub fn connections_outlive_a_weight_of_zero() {
    let mut client = client();
    let (service, mut destination) = with_connections(&mut client, 3);
    for weight in [0, 1] {
        destination.config.weight = weight;
        client.set_destination(service, destination).unwrap();
        let [status] = client.destinations(service).unwrap()[..] else {
            panic!()
        };
        assert_eq!(
            (status.destination, status.connections.inactive),
            (destination, 3)
        );
    }
}

pub fn connections_outlive_a_change_of_the_scheduler() {
    let mut client = client();
    let (service, _) = with_connections(&mut client, 2);
    let SaveLine::AddService { id, config } = "-A -u 10.0.0.1:53 -s sh -b sh-port".parse().unwrap()
    else {
        unreachable!()
    };
    client.set_service(id, config).unwrap();
    assert_eq!(inactive(&mut client, service), [2]);
}

pub fn a_destination_added_again_has_its_connections_back() {
    let mut client = client();
    let (service, destination) = with_connections(&mut client, 3);
    client.delete_destination(service, destination.id).unwrap();
    assert_eq!(inactive(&mut client, service), []);
    client.add_destination(service, destination).unwrap();
    assert_eq!(inactive(&mut client, service), [3]);
}

/// Refused whatever the text of `ipvsadm` would allow.
pub fn a_gue_tunnel_needs_a_port() {
    let mut client = client();
    add(&mut client, &["-A -t 10.0.0.1:80 -s rr"]);
    let line = "-a -t 10.0.0.1:80 -r 10.1.0.1:80 -i --tun-type gue --tun-port 1";
    let Request::NewDestination {
        service,
        mut destination,
    } = request(line)
    else {
        unreachable!()
    };
    destination.config.tunnel = Tunnel::gue(0, TunnelFlags::empty());
    match client.add_destination(service, destination) {
        Err(Error::Refused(refusal)) => {
            assert!(matches!(refusal.reason(), Reason::Invalid(_)));
            assert!(
                refusal.to_string().contains("GUE needs a port"),
                "{refusal}"
            );
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(saved_by_ipvsadm(), set(&["-A -t 10.0.0.1:80 -s rr"]));
}

/// On the kernel of this machine, whichever that is: without IPVS, opening is an error that names it.
pub fn a_kernel_without_ipvs_is_told_apart() {
    let opened = ipvs_netlink::Client::open();
    // The file is there with the module; opening may have loaded it.
    match Path::new("/proc/net/ip_vs").exists() {
        true => assert!(opened.is_ok(), "{opened:?}"),
        false => assert_eq!(opened.err(), Some(Error::NotLoaded)),
    }
}
