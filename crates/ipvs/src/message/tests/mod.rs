//! Messages held against bytes captured from `ipvsadm` 1.31 (libnl) and Linux 6.1.176 on x86-64:
//! `strace -xx -e trace=sendmsg,recvmsg ipvsadm …` in User Mode Linux. Where lines of one command
//! are left out they repeat others.
#![cfg(target_endian = "little")]

mod faults;
mod random;
mod replies;
mod requests;

use std::net::IpAddr;

use netlink_packet_core::Emitable;

use crate::message::{Message, Reply, Request};
use crate::{Daemon, DaemonRole, InterfaceName, SaveLine, Timeouts, VirtualServerId};

const CAPTURED: &str = include_str!("../testdata/captured.txt");

struct Exchange {
    command: &'static str,
    requests: Vec<Vec<u8>>,
    replies: Vec<Vec<u8>>,
}

/// The captured exchanges: `# command line`, `> request`, `< reply`, each from the generic netlink
/// header on.
fn exchanges() -> Vec<Exchange> {
    let mut all: Vec<Exchange> = Vec::new();
    for line in CAPTURED.lines() {
        let (mark, rest) = line.split_at(2);
        match mark {
            "# " => all.push(Exchange {
                command: rest,
                requests: vec![],
                replies: vec![],
            }),
            "> " => all.last_mut().unwrap().requests.push(bytes(rest)),
            "< " => all.last_mut().unwrap().replies.push(bytes(rest)),
            _ => panic!("{line}"),
        }
    }
    all
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits = hex
        .as_bytes()
        .chunks(2)
        .map(|pair| std::str::from_utf8(pair).unwrap());
    digits
        .map(|pair| u8::from_str_radix(pair, 16).unwrap())
        .collect()
}

fn exchange(command: &str) -> Exchange {
    let mut all = exchanges().into_iter();
    all.find(|exchange| exchange.command == command)
        .unwrap_or_else(|| panic!("{command}"))
}

fn emit(message: &impl Emitable) -> Vec<u8> {
    let mut buffer = vec![0xee; message.buffer_len()];
    message.emit(&mut buffer);
    buffer
}

fn id(line: &str) -> VirtualServerId {
    match format!("-A {line}").parse().unwrap() {
        SaveLine::AddService { id, .. } => id,
        SaveLine::AddDestination { .. } => unreachable!(),
    }
}

/// The request that an ipvsadm command line stands for.
fn request(command: &str) -> Request {
    let line = command.strip_prefix("ipvsadm ").unwrap();
    let changed = line.replace("-E ", "-A ").replace("-e ", "-a ");
    match (changed.parse::<SaveLine>().unwrap(), changed == line) {
        (SaveLine::AddService { id, config }, true) => Request::NewService { id, config },
        (SaveLine::AddService { id, config }, false) => Request::SetService { id, config },
        (
            SaveLine::AddDestination {
                service,
                destination,
            },
            true,
        ) => Request::NewDestination {
            service,
            destination,
        },
        (
            SaveLine::AddDestination {
                service,
                destination,
            },
            false,
        ) => Request::SetDestination {
            service,
            destination,
        },
    }
}

/// The value of the `index`th top-level attribute of a message without generic netlink header.
fn nest(attributes: &[u8], index: usize) -> &[u8] {
    netlink_wire::attributes(attributes)
        .nth(index)
        .unwrap()
        .unwrap()
        .value()
}

fn daemons() -> [(&'static str, Daemon); 2] {
    let interface = InterfaceName::new("d0").unwrap();
    let group = |text: &str| Some(text.parse::<IpAddr>().unwrap());
    [
        (
            "ipvsadm --start-daemon master --mcast-interface d0 --syncid 7 --sync-maxlen 1000 \
             --mcast-group 224.0.0.99 --mcast-port 9999 --mcast-ttl 3",
            Daemon {
                max_length: Some(1000),
                group: group("224.0.0.99"),
                port: Some(9999),
                ttl: Some(3),
                ..Daemon::new(DaemonRole::Master, interface, 7)
            },
        ),
        (
            "ipvsadm --start-daemon backup --mcast-interface d0 --syncid 8 \
             --mcast-group ff02::81 --mcast-port 9998",
            Daemon {
                group: group("ff02::81"),
                port: Some(9998),
                ..Daemon::new(DaemonRole::Backup, interface, 8)
            },
        ),
    ]
}

#[test]
fn messages_fit_the_traits_of_rust_netlink() {
    use netlink_packet_core::{NetlinkMessage, NetlinkPayload};
    use netlink_packet_generic::GenlMessage;

    let request = request("ipvsadm -A -f 7 -s lc");
    let mut message = NetlinkMessage::from(GenlMessage::from_payload(Message::from(request)));
    message.finalize();
    let mut buffer = vec![0; message.buffer_len()];
    message.serialize(&mut buffer);
    assert_eq!(buffer[16..], exchange("ipvsadm -A -f 7 -s lc").requests[0]);

    let captured = &exchange("ipvsadm -L --timeout").replies[1];
    let length = u32::try_from(16 + captured.len()).unwrap();
    // A message type as the kernel gave it to the family, and sequence number and port.
    let header = [&length.to_ne_bytes()[..], &[28, 0], &[0; 10]].concat();
    let received =
        NetlinkMessage::<GenlMessage<Message>>::deserialize(&[header, captured.clone()].concat());
    let NetlinkPayload::InnerMessage(inner) = received.unwrap().payload else {
        panic!()
    };
    let timeouts = Timeouts {
        tcp: 900,
        tcp_fin: 120,
        udp: 300,
    };
    assert_eq!(inner.payload, Message::Reply(Reply::Timeouts(timeouts)));
}
