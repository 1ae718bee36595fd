//! The connection table.

use std::collections::BTreeSet;
use std::io::Read;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use ipvs_netlink::client::{ConnectionMonitor, connections};
use ipvs_netlink::{ConnectionChange, connection_changes};
use kernel_test::cmd;

use crate::{add, client};

/// Of UDP and TCP, IPv4 and IPv6, and a template.
pub fn are_those_of_ipvsadm() {
    cmd("ip addr add 10.0.0.1/32 dev lo && ip addr add fd00::1/128 dev lo nodad");
    add(
        &mut client(),
        &[
            "-A -u 10.0.0.1:53 -s rr -p 300",
            "-a -u 10.0.0.1:53 -r 127.0.0.1:5353 -m",
            "-A -t [fd00::1]:80 -s rr",
            "-a -t [fd00::1]:80 -r [::1]:8080 -m",
        ],
    );
    assert_eq!(connections().unwrap(), []);

    let _server = UdpSocket::bind("127.0.0.1:5353").unwrap();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    udp.send_to(b"hello", "10.0.0.1:53").unwrap();
    let web = TcpListener::bind("[::1]:8080").unwrap();
    let client = TcpStream::connect("[fd00::1]:80").unwrap();
    let (server, _) = web.accept().unwrap();

    let table = connections().unwrap();
    // pro expire state source virtual destination
    let theirs: BTreeSet<String> = cmd("ipvsadm -Lcn")
        .lines()
        .skip(2)
        .map(|line| {
            let mut words: Vec<_> = line.split_whitespace().collect();
            words.remove(1);
            words.join(" ")
        })
        .collect();
    let ours: BTreeSet<String> = table
        .iter()
        .map(|entry| {
            let line = entry.to_string();
            let mut words: Vec<_> = line.split(' ').collect();
            words.remove(1);
            words.join(" ")
        })
        .collect();
    assert_eq!((ours.len(), &ours), (3, &theirs));
    let state = |entry: &&ipvs_netlink::ConnectionEntry| &*entry.state == "ESTABLISHED";
    assert_eq!(table.iter().filter(state).count(), 1);

    // The server closes: the connection is there in another state.
    drop(server);
    let mut rest = Vec::new();
    (&client).read_to_end(&mut rest).unwrap();
    let changes = connection_changes(&table, &connections().unwrap());
    let [ConnectionChange::Changed { before, after }] = &changes[..] else {
        panic!("{changes:?}");
    };
    assert_eq!(
        (&*before.state, before.destination),
        ("ESTABLISHED", after.destination)
    );
    assert_ne!(after.state, before.state);
}

/// New, in another state, gone: as changes between readings, in a loop of readings too.
pub fn are_followed() {
    cmd("ip addr add 10.0.0.1/32 dev lo");
    let mut ipvs = client();
    add(
        &mut ipvs,
        &[
            "-A -t 10.0.0.1:80 -s rr",
            "-a -t 10.0.0.1:80 -r 127.0.0.1:8080 -m",
            "-A -u 10.0.0.1:53 -s rr",
            "-a -u 10.0.0.1:53 -r 127.0.0.1:5353 -m",
        ],
    );
    let mut monitor = ConnectionMonitor::open().unwrap();
    assert_eq!(monitor.connections().count(), 0);
    assert_eq!(monitor.changes().unwrap(), []);

    let _dns = UdpSocket::bind("127.0.0.1:5353").unwrap();
    let web = TcpListener::bind("127.0.0.1:8080").unwrap();
    let client = TcpStream::connect("10.0.0.1:80").unwrap();
    let (server, _) = web.accept().unwrap();
    let changes = monitor.changes().unwrap();
    let [ConnectionChange::Opened(opened)] = &changes[..] else {
        panic!("{changes:?}");
    };
    assert_eq!(opened.client, client.local_addr().unwrap());
    assert_eq!(opened.server, "10.0.0.1:80".parse().unwrap());
    assert_eq!(opened.destination, "127.0.0.1:8080".parse().unwrap());
    assert_eq!(monitor.connections().count(), 1);
    assert_eq!(monitor.changes().unwrap(), []);

    drop(server);
    (&client).read_to_end(&mut Vec::new()).unwrap();
    let mut readings = monitor.every(Duration::from_millis(1));
    let changes = readings.next().unwrap().unwrap();
    assert!(
        matches!(&changes[..], [ConnectionChange::Changed { before, .. }] if before.state == opened.state),
        "{changes:?}"
    );
    // A datagram, which IPVS forgets after a second.
    ipvs.set_timeouts(ipvs_netlink::Timeouts {
        tcp: 0,
        tcp_fin: 0,
        udp: 1,
    })
    .unwrap();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    udp.send_to(b"hello", "10.0.0.1:53").unwrap();
    let (mut came, mut went) = (false, false);
    while !went {
        for change in readings.next().unwrap().unwrap() {
            match change {
                ConnectionChange::Opened(entry) => {
                    came |= entry.client == udp.local_addr().unwrap();
                }
                ConnectionChange::Closed(entry) => {
                    went |= entry.client == udp.local_addr().unwrap();
                }
                _ => {}
            }
        }
    }
    assert!(came);
}
