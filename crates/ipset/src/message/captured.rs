//! Messages between ipset and the kernel, as captured.

use netlink_packet_core::NetlinkBuffer;

pub(super) const LINUX_6_1: &str = include_str!("../../tests/data/netlink-linux-6.1.txt");
pub(super) const LINUX_6_18: &str = include_str!("../../tests/data/netlink-linux-6.18.txt");

/// A command of ipset, with the messages it sent and received, and what it printed.
#[derive(Debug, Default)]
pub(super) struct Captured {
    pub(super) command: String,
    pub(super) sent: Vec<Vec<u8>>,
    pub(super) received: Vec<Vec<u8>>,
    pub(super) printed: Vec<String>,
}

pub(super) fn captured(text: &str) -> Vec<Captured> {
    let mut all: Vec<Captured> = Vec::new();
    for line in text.lines() {
        let (mark, rest) = line.split_at(2);
        match (mark, all.last_mut()) {
            ("$ ", _) => {
                all.push(Captured {
                    command: rest.to_owned(),
                    ..Captured::default()
                });
            }
            ("> ", Some(last)) => last.sent.push(unhex(rest)),
            ("< ", Some(last)) => last.received.push(unhex(rest)),
            ("= ", Some(last)) => last.printed.push(rest.to_owned()),
            ("# ", None) => {}
            _ => panic!("{line}"),
        }
    }
    all
}

pub(super) fn unhex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks(2);
    digits
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The messages in what was received, without those that only end it.
pub(super) fn replies(received: &[Vec<u8>]) -> Vec<(u16, Vec<u8>)> {
    let mut all = Vec::new();
    for datagram in received {
        let mut rest = &datagram[..];
        while !rest.is_empty() {
            let buffer = NetlinkBuffer::new(&rest);
            let length = buffer.length() as usize;
            if buffer.message_type() > 16 {
                all.push((buffer.message_type(), rest[16..length].to_vec()));
            }
            rest = &rest[length.next_multiple_of(4)..];
        }
    }
    all
}
