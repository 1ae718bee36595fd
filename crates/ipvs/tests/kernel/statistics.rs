//! Counters, of real packets.

use std::net::UdpSocket;
use std::time::Duration;

use ipvs_netlink::listing::{Counted, CounterListing};
use ipvs_netlink::{Connections, Counters, SaveLine, VirtualServerId};
use kernel_test::cmd;

use crate::Client;
use crate::{add, client};

const SERVICE: &str = "-A -u 10.0.0.1:53 -s rr -p 60";

fn id() -> VirtualServerId {
    match SERVICE.parse().unwrap() {
        SaveLine::AddService { id, .. } => id,
        SaveLine::AddDestination { .. } => unreachable!(),
    }
}

/// Counters of the service once it has counted so many connections: the kernel adds up what its
/// processors counted every two seconds.
fn counted(client: &mut Client, connections: u64) -> Counters {
    for _ in 0..100 {
        let totals = client.service(id()).unwrap().unwrap().statistics.totals;
        if totals.connections >= connections {
            return totals;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("never counted {connections} connections");
}

pub fn are_counted_and_zeroed() {
    cmd("ip addr add 10.0.0.1/32 dev lo");
    let mut client = client();
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let destination = format!(
        "-a -u 10.0.0.1:53 -r {} -m -w 1",
        server.local_addr().unwrap()
    );
    add(&mut client, &[SERVICE, &destination]);
    add(&mut client, &["-A -t 10.0.0.1:80 -s rr"]);
    // Open together: the port of one that is closed could be another's, and the connection the same.
    let sockets = [(); 4].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
    let [last, first @ ..] = &sockets;
    for socket in first {
        socket.send_to(b"hello", "10.0.0.1:53").unwrap();
        let (length, from) = server.recv_from(&mut [0; 9]).unwrap();
        assert_eq!(length, 5);
        server.send_to(b"hi", from).unwrap();
        socket.recv_from(&mut [0; 9]).unwrap();
    }
    // 20 bytes of IPv4 header, 8 of UDP, and the payload.
    let expected = counted(&mut client, 3);
    let Counters {
        connections,
        incoming_packets,
        outgoing_packets,
        incoming_bytes,
        outgoing_bytes,
        ..
    } = expected;
    assert_eq!((connections, incoming_packets, outgoing_packets), (3, 3, 3));
    assert_eq!((incoming_bytes, outgoing_bytes), (3 * 33, 3 * 30));
    let [status] = client.destinations(id()).unwrap()[..] else {
        panic!()
    };
    assert_eq!(status.statistics.totals, expected);
    // UDP is never active to the kernel.
    assert_eq!(
        status.connections,
        Connections {
            active: 0,
            inactive: 3,
            persistent: 1
        }
    );
    let shown = cmd("ipvsadm -Ln --stats --exact");
    let row = shown.lines().find(|line| line.starts_with("UDP")).unwrap();
    let columns: Vec<_> = row.split_whitespace().skip(2).collect();
    assert_eq!(columns, ["3", "3", "3", "99", "90"]);

    client.zero(Some(id())).unwrap();
    assert_eq!(
        client.service(id()).unwrap().unwrap().statistics.totals,
        Counters::default()
    );
    let [status] = client.destinations(id()).unwrap()[..] else {
        panic!()
    };
    assert_eq!(status.statistics.totals, Counters::default());
    assert_eq!(
        status.connections.inactive, 3,
        "zeroing counters leaves connections"
    );

    last.send_to(b"hello", "10.0.0.1:53").unwrap();
    assert_eq!(counted(&mut client, 1).incoming_bytes, 33);
    client.zero(None).unwrap();
    assert_eq!(
        client.service(id()).unwrap().unwrap().statistics.totals,
        Counters::default()
    );
}

pub fn listings_are_those_of_ipvsadm() {
    cmd("ip addr add 10.0.0.1/32 dev lo");
    let mut client = client();
    add(
        &mut client,
        &[SERVICE, "-a -u 10.0.0.1:53 -r 127.0.0.1:5353 -m"],
    );
    add(
        &mut client,
        &[
            "-A -f 7 -6 -s rr",
            "-a -f 7 -6 -r [2001:db8:1:2:3:4:5:6]:0 -g",
        ],
    );
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.send_to(b"hello", "10.0.0.1:53").unwrap();
    counted(&mut client, 1);
    for (option, counted) in [("--stats", Counted::Totals), ("--rate", Counted::Rates)] {
        // Rates may change between the two.
        let same = (0..10).any(|_| {
            let (info, table) = (client.info().unwrap(), client.table().unwrap());
            let ours = CounterListing::new(info, &table, counted);
            ours.to_string() == cmd(&format!("ipvsadm -Ln {option}"))
                && ours.exact().to_string() == cmd(&format!("ipvsadm -Ln {option} --exact"))
        });
        assert!(same, "{option}");
    }
}
