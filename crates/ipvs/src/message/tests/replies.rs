//! Replies, read and written.

use netlink_packet_core::Emitable;
use netlink_packet_generic::GenlFamily;

use crate::message::tests::{daemons, emit, exchange};
use crate::{
    Connections, Counters, DestinationStatus, Info, Reply, SaveLine, Statistics, Timeouts, Version,
    VirtualServer,
};

fn replies(command: &str) -> Vec<Reply> {
    let decode = |bytes: &Vec<u8>| Reply::decode(bytes[0], &bytes[4..]).unwrap();
    exchange(command).replies.iter().map(decode).collect()
}

#[test]
fn running_daemons_tell_all_their_settings() {
    let [(_, master), (_, mut backup)] = daemons();
    backup.max_length = Some(1452);
    backup.ttl = Some(1);
    let expected = [Reply::Daemon(master), Reply::Daemon(backup)];
    assert_eq!(replies("ipvsadm -L --daemon"), expected);
    // Ours has all attributes that the kernel's has, in another order.
    for (reply, captured) in expected.iter().zip(exchange("ipvsadm -L --daemon").replies) {
        assert_eq!(reply.buffer_len(), captured.len() - 4);
    }
}

#[test]
fn settings_are_read_and_written_as_the_kernel_does() {
    let info = Reply::Info(Info {
        version: Version(0x01_0201),
        connection_table_size: 4096,
    });
    let timeouts = Reply::Timeouts(Timeouts {
        tcp: 900,
        tcp_fin: 120,
        udp: 300,
    });
    assert_eq!(replies("ipvsadm -L --timeout"), [info, timeouts]);
    for (reply, captured) in [info, timeouts]
        .iter()
        .zip(exchange("ipvsadm -L --timeout").replies)
    {
        assert_eq!(reply.command(), captured[0]);
        assert_eq!(emit(reply), captured[4..]);
    }
}

#[test]
fn a_dump_of_services_reads_as_they_were_made() {
    let expected = [
        (
            "-A -u 10.0.0.5:5060 -s wrr -p 60 -M 255.255.0.0 --pe sip -o",
            0,
        ),
        ("-A -u [2001:db8::1]:53 -s mh -p 600 -M 64 -b mh-port", 0),
        ("-A -t 10.0.0.1:80 -s wlc", 0),
        ("-A -u 10.0.0.1:53 -s rr -p 60", 3),
        ("-A -f 7 -6 -s sh -p 30 -M 48", 0),
        ("-A -f 7 -s lc", 0),
    ];
    let replies = replies("ipvsadm -Ln");
    let services = replies.iter().filter_map(|reply| match reply {
        Reply::Service(VirtualServer {
            id,
            config,
            statistics,
        }) => {
            let line = SaveLine::AddService {
                id: *id,
                config: *config,
            };
            Some((line.to_string(), statistics.totals.connections))
        }
        _ => None,
    });
    let expected = expected.map(|(line, connections)| (line.to_owned(), connections));
    assert_eq!(services.collect::<Vec<_>>(), expected);
}

#[test]
fn a_dump_of_destinations_has_connections_and_statistics() {
    let lines = [
        "-a -t 10.0.0.1:80 -r [2001:db8::1]:80 -i -w 1 --tun-type gre --tun-nocsum",
        "-a -t 10.0.0.1:80 -r 10.1.0.1:8080 -m -w 0",
        "-a -u 10.0.0.1:53 -r 127.0.0.1:5353 -m -w 1 -x 9 -y 3",
    ];
    let of_line = |line: &str| match line.parse().unwrap() {
        SaveLine::AddDestination { destination, .. } => destination,
        SaveLine::AddService { .. } => unreachable!(),
    };
    let mut expected = lines.map(|line| DestinationStatus {
        destination: of_line(line),
        connections: Connections::default(),
        statistics: Statistics::default(),
    });
    // Three datagrams, answered by ICMP, as `ipvsadm --stats`, `--rate`, `--persistent-conn` printed.
    expected[2].connections = Connections {
        active: 0,
        inactive: 3,
        persistent: 1,
    };
    expected[2].statistics = Statistics {
        totals: Counters {
            connections: 3,
            incoming_packets: 3,
            outgoing_packets: 3,
            incoming_bytes: 102,
            outgoing_bytes: 186,
        },
        rates: Counters {
            incoming_bytes: 13,
            outgoing_bytes: 23,
            ..Counters::default()
        },
    };
    let replies = replies("ipvsadm -Ln");
    let destinations = replies.iter().filter_map(|reply| match reply {
        Reply::Destination(status) => Some(*status),
        _ => None,
    });
    assert_eq!(destinations.collect::<Vec<_>>(), expected);
}
