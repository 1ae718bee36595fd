//! Stale flows on a real kernel: real UDP through IPVS, real destinations that go.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that fails should panic"
)]

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::process::ExitCode;
use std::time::Duration;

use conntrack_netlink::{Client, Family, Flow};
use ipvs_netlink::{DestinationId, Protocol, VirtualServerId};
use kernel_test::{cmd, iptables_flavour, modprobe, set_sysctl, tests};
use proxier_linux::stale_flows;

fn main() -> ExitCode {
    kernel_test::main(tests![
        flows_follow_the_destinations_v4,
        flows_follow_the_destinations_v6,
        nothing_asked_nothing_done,
    ])
}

/// Two UDP virtual servers with the same two destinations.
struct Setup {
    source: IpAddr,
    services: [SocketAddr; 2],
    destinations: [SocketAddr; 2],
}

impl Setup {
    fn new(family: Family) -> Self {
        let (source, services, destinations, length) = match family {
            Family::V4 => (
                "10.0.0.1",
                ["10.96.0.10:53", "10.96.0.11:30053"],
                ["10.244.1.5:5353", "10.244.1.6:5353"],
                32,
            ),
            Family::V6 => (
                "fd00::1",
                ["[fd00:96::10]:53", "[fd00:96::11]:30053"],
                ["[fd00:244::5]:5353", "[fd00:244::6]:5353"],
                128,
            ),
        };
        let parse = |text: [&str; 2]| text.map(|text| text.parse::<SocketAddr>().unwrap());
        let setup = Self {
            source: source.parse().unwrap(),
            services: parse(services),
            destinations: parse(destinations),
        };
        modprobe("ip_vs_rr");
        set_sysctl("net.ipv4.vs.conntrack", "1");
        for tool in ["iptables", "ip6tables"] {
            cmd(&format!(
                "{tool}-{} -A INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT",
                iptables_flavour()
            ));
        }
        let all = setup.services.iter().chain(&setup.destinations);
        let ips = all.map(SocketAddr::ip).chain([setup.source]);
        for ip in ips {
            let nodad = if ip.is_ipv6() { "nodad" } else { "" };
            cmd(&format!("ip addr add {ip}/{length} dev lo {nodad}"));
        }
        for service in setup.services {
            cmd(&format!("ipvsadm -A -u {service} -s rr"));
            for destination in setup.destinations {
                cmd(&format!("ipvsadm -a -u {service} -r {destination} -m"));
            }
        }
        for destination in setup.destinations {
            echo(destination);
        }
        setup
    }

    fn ask(&self, service: SocketAddr) -> UdpSocket {
        let client = UdpSocket::bind((self.source, 0)).unwrap();
        client
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        client.connect(service).unwrap();
        answered(&client);
        client
    }
}

fn id_of(service: SocketAddr) -> VirtualServerId {
    VirtualServerId::Address {
        protocol: Protocol::UDP,
        address: service.ip(),
        port: service.port(),
    }
}

/// A server that sends back what it gets, for as long as the test lives.
fn echo(address: SocketAddr) {
    let server = UdpSocket::bind(address).unwrap();
    std::thread::spawn(move || {
        let mut buffer = [0; 64];
        while let Ok((length, from)) = server.recv_from(&mut buffer) {
            let _ = server.send_to(&buffer[..length], from);
        }
    });
}

fn answered(client: &UdpSocket) {
    client.send(b"?").unwrap();
    assert_eq!(client.recv(&mut [0; 64]).unwrap(), 1);
}

/// Where the flows to a service were sent, sorted.
fn sent_to(client: &mut Client, service: SocketAddr) -> Vec<SocketAddr> {
    let address = |ip, port: Option<u16>| SocketAddr::new(ip, port.unwrap());
    let flows = client.flows(Family::of(service.ip())).unwrap();
    let to_service = |flow: &&Flow| {
        flow.original.destination == service.ip()
            && flow.original.destination_port() == Some(service.port())
    };
    let mut all: Vec<_> = flows
        .iter()
        .filter(to_service)
        .map(|flow| address(flow.reply.source, flow.reply.source_port()))
        .collect();
    all.sort();
    all
}

fn flows_follow_the_destinations(family: Family) {
    let setup = Setup::new(family);
    let [first, second] = setup.services;
    let [stays, goes] = setup.destinations;
    let asked: Vec<_> = [first, first, second, second]
        .map(|service| setup.ask(service))
        .into();
    let mut client = Client::open().unwrap();
    let both = vec![stays, goes];
    assert_eq!(sent_to(&mut client, first), both);
    assert_eq!(sent_to(&mut client, second), both);

    // All is well: nothing is touched.
    let id = |to: SocketAddr| DestinationId::from((to.ip(), to.port()));
    let present = vec![id(stays), id(goes)];
    let unchanged = [(id_of(first), present.clone()), (id_of(second), present)];
    assert_eq!(stale_flows(&mut client, &unchanged), Ok(0));
    assert_eq!(sent_to(&mut client, first), both);

    // A destination of the first goes; the second keeps its own.
    cmd(&format!("ipvsadm -d -u {first} -r {goes}"));
    let plan = [(id_of(first), vec![id(stays)])];
    assert_eq!(stale_flows(&mut client, &plan), Ok(1));
    assert_eq!(sent_to(&mut client, first), [stays]);
    assert_eq!(sent_to(&mut client, second), both);
    // Clients that go on are sent to one that is there.
    set_sysctl("net.ipv4.vs.expire_nodest_conn", "1");
    let answering = setup.ask(first);
    assert_eq!(sent_to(&mut client, first), [stays, stays]);
    answered(&answering);

    // The second goes as a whole. With the setting on, the kernel deletes such flows itself, at some time (Linux 5.9).
    set_sysctl("net.ipv4.vs.expire_nodest_conn", "0");
    cmd(&format!("ipvsadm -D -u {second}"));
    let plan = [(id_of(second), vec![])];
    assert_eq!(stale_flows(&mut client, &plan), Ok(2));
    assert!(sent_to(&mut client, second).is_empty());
    assert_eq!(sent_to(&mut client, first), [stays, stays]);
    assert_eq!(asked.len(), 4);
}

fn flows_follow_the_destinations_v4() {
    flows_follow_the_destinations(Family::V4);
}

fn flows_follow_the_destinations_v6() {
    flows_follow_the_destinations(Family::V6);
}

fn nothing_asked_nothing_done() {
    let setup = Setup::new(Family::V4);
    let asked = setup.services.map(|service| setup.ask(service));
    let mut client = Client::open().unwrap();
    assert_eq!(stale_flows(&mut client, &[]), Ok(0));
    let tcp = VirtualServerId::Address {
        protocol: Protocol::TCP,
        address: setup.services[0].ip(),
        port: setup.services[0].port(),
    };
    assert_eq!(stale_flows(&mut client, &[(tcp, vec![])]), Ok(0));
    let left = setup
        .services
        .map(|service| sent_to(&mut client, service).len());
    assert_eq!((left, asked.len()), ([1, 1], 2));
}
