//! Against a kernel that is a script: for what the real one cannot be made to do.

use std::collections::VecDeque;
use std::io;
use std::net::Ipv4Addr;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use netlink_batch::{Connection, Transport};
use netlink_packet_core::Emitable;

use super::*;
use crate::message::{EntryData, SetInfo, SetPart};
use crate::{Entry, SetName, Usage};

/// What the kernel does with one datagram.
#[derive(Clone, Copy, Debug)]
enum Answer {
    /// Acknowledges with this error number, 0 for none.
    Ack(i32),
    /// Reports its protocol versions.
    Protocol { max: u8, min: Option<u8> },
    /// Reports this revision of the type asked for.
    Type(u8),
    /// Lists a `bitmap:port` of these ports, in one message each, and perhaps reports that it changed
    /// in between.
    Dump {
        ports: &'static [u16],
        changed: bool,
    },
}

/// Answers one request a time, and keeps the commands it was sent.
#[derive(Debug, Default)]
struct Script {
    answers: VecDeque<Answer>,
    inbox: VecDeque<Vec<u8>>,
    commands: Vec<u8>,
    /// The requests, whole.
    sent: Vec<Vec<u8>>,
}

impl Script {
    fn client(answers: &[Answer]) -> Result<Client<Self>, Error> {
        let script = Self {
            answers: answers.iter().copied().collect(),
            ..Self::default()
        };
        let retry_policy = RetryPolicy {
            attempts: 3,
            first_delay: Duration::ZERO,
        };
        Ok(Client::over(Connection::new(script))?.with_retry_policy(retry_policy))
    }

    /// As from a kernel that speaks protocols 6 and 7.
    fn ready(answers: &[Answer]) -> Client<Self> {
        let greeting = [
            Answer::Protocol {
                max: 7,
                min: Some(6),
            },
            Answer::Ack(0),
        ];
        Self::client(&[&greeting, answers].concat()).unwrap()
    }

    fn reply(&mut self, message_type: u16, flags: u16, sequence: &[u8], payload: &[u8]) {
        let length = u32::try_from(16 + payload.len()).unwrap();
        let header = [
            &length.to_ne_bytes()[..],
            &message_type.to_ne_bytes(),
            &flags.to_ne_bytes(),
            sequence,
            &[0; 4],
        ];
        self.inbox
            .push_back([&header.concat()[..], payload].concat());
    }
}

impl Transport for Script {
    fn send(&mut self, datagram: &[u8]) -> io::Result<()> {
        let sequence = datagram[8..12].to_vec();
        self.commands.push(datagram[4]);
        self.sent.push(datagram.to_vec());
        loop {
            let answer = self
                .answers
                .pop_front()
                .expect("more requests than the script has answers");
            let message_type = 0x600 | u16::from(datagram[4]);
            let attribute = |kind: u8, value: u8| [5, 0, kind, 0, value, 0, 0, 0];
            match answer {
                Answer::Ack(code) => {
                    let payload = [&(-code).to_ne_bytes()[..], &datagram[..16]].concat();
                    self.reply(2, 0, &sequence, &payload);
                    return Ok(());
                }
                Answer::Dump { ports, changed } => {
                    // NLM_F_MULTI, NLM_F_DUMP_INTR
                    let flags = if changed { 0x12 } else { 2 };
                    for (part, port) in ports.iter().enumerate() {
                        let payload = part_of_a_dump(part == 0, *port);
                        self.reply(message_type, flags, &sequence, &payload);
                    }
                    self.reply(3, flags, &sequence, &0i32.to_ne_bytes());
                    return Ok(());
                }
                Answer::Protocol { max, min } => {
                    let min = min.map_or(Vec::new(), |min| attribute(10, min).to_vec());
                    let payload = [&[2, 0, 0, 0][..], &attribute(1, max), &min].concat();
                    self.reply(message_type, 0, &sequence, &payload);
                }
                Answer::Type(revision) => {
                    // The name of the type is where it was in the request, the family behind it.
                    let payload =
                        [&datagram[16..], &attribute(4, revision), &attribute(10, 0)].concat();
                    self.reply(message_type, 0, &sequence, &payload);
                }
            }
        }
    }

    fn receive(&mut self, buffer: &mut [u8], _deadline: Option<Instant>) -> io::Result<usize> {
        let datagram = self.inbox.pop_front().ok_or(io::ErrorKind::WouldBlock)?;
        buffer[..datagram.len()].copy_from_slice(&datagram);
        Ok(datagram.len())
    }

    fn port(&self) -> u32 {
        0
    }

    fn protocol(&self) -> u16 {
        netlink::NETLINK_NETFILTER
    }

    fn send_limit(&self) -> usize {
        1 << 17
    }

    fn receive_limit(&self) -> usize {
        1 << 20
    }
}

/// One message about set `p`: the first describes it.
fn part_of_a_dump(first: bool, port: u16) -> Vec<u8> {
    let spec = SetSpec::bitmap_port(name("p"), 0..=9);
    let info = SetInfo {
        spec,
        revision: 3,
        index: None,
        usage: Usage::default(),
    };
    let info = first.then(|| Box::new(info));
    let mut data = Vec::new();
    // The nest of the entry, and in it its port: 8 bytes with the flag of the byte order.
    data.extend([12, 0, 7, 0x80, 6, 0, 4, 0x40]);
    data.extend(port.to_be_bytes());
    data.extend([0, 0]);
    let reply = Reply::Set(SetPart {
        set: name("p"),
        info,
        entries: EntryData::from_bytes(&data),
    });
    let mut bytes = vec![0; reply.buffer_len()];
    reply.emit(&mut bytes);
    bytes
}

fn name(text: &str) -> SetName {
    SetName::new(text).unwrap()
}

#[test]
fn without_ipset_the_module_is_named() {
    let error = Script::client(&[Answer::Ack(22)]).unwrap_err();
    assert_eq!(error, Error::NoIpset);
    assert!(error.to_string().contains("ip_set"));
}

#[test]
fn without_the_capability_it_is_named() {
    let error = Script::client(&[Answer::Ack(1)]).unwrap_err();
    assert_eq!(error.kind(), Some(ErrorKind::Permission));
    assert!(error.to_string().contains("CAP_NET_ADMIN"), "{error}");
}

#[test]
fn a_kernel_of_protocol_6_is_spoken_to_in_it() {
    let mut client =
        Script::client(&[Answer::Protocol { max: 6, min: None }, Answer::Ack(0)]).unwrap();
    assert_eq!(client.protocol(), 6);
    // Nothing is sent that it would not understand.
    let error = client.index_of(name("s")).unwrap_err();
    assert!(
        matches!(
            error,
            Error::ProtocolVersion {
                max: 6,
                needed: 7,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn a_kernel_of_other_protocols_is_refused() {
    for (max, min) in [(5, 5), (9, 8)] {
        let answers = [
            Answer::Protocol {
                max,
                min: Some(min),
            },
            Answer::Ack(0),
        ];
        let error = Script::client(&answers).unwrap_err();
        assert!(matches!(error, Error::ProtocolVersion { .. }), "{error}");
    }
}

#[test]
fn a_busy_set_is_tried_again_but_not_for_ever() {
    let mut client = Script::ready(&[Answer::Ack(16), Answer::Ack(16), Answer::Ack(0)]);
    client.swap(name("a"), name("b")).unwrap();

    let mut client = Script::ready(&[Answer::Ack(16), Answer::Ack(16), Answer::Ack(16)]);
    let error = client.swap(name("a"), name("b")).unwrap_err();
    assert_eq!(error.kind(), Some(ErrorKind::InUse));
    assert_eq!(client.connection.transport().commands, [1, 6, 6, 6]);
}

#[test]
fn the_revision_is_asked_for_once() {
    let answers = [
        Answer::Type(5),
        Answer::Ack(0),
        Answer::Ack(0),
        Answer::Ack(0),
    ];
    let mut client = Script::ready(&answers);
    let spec = SetSpec::hash(name("s"), SetType::HASH_IP, Family::V4);
    client.create(&spec, Mode::Strict).unwrap();
    client.create(&spec, Mode::Strict).unwrap();
    assert_eq!(client.connection.transport().commands, [1, 13, 2, 2]);
    let masked = SetSpec::parse("create s hash:ip bitmask 255.0.0.0").unwrap();
    let error = client.create(&masked, Mode::Strict).unwrap_err();
    assert!(
        matches!(
            error,
            Error::OldRevision {
                option: "bitmask",
                needed: 6,
                revision: 5,
                ..
            }
        ),
        "{error}"
    );
}

/// A kernel newer than this crate is not asked for what the crate does not know.
#[test]
fn the_newest_revision_known_to_both_is_used() {
    let mut client = Script::ready(&[Answer::Type(99), Answer::Ack(0)]);
    let spec = SetSpec::hash(name("s"), SetType::HASH_IP, Family::V4);
    let Request::Create { revision, .. } = client.create_request(&spec, Mode::Strict).unwrap()
    else {
        panic!("no create request")
    };
    assert_eq!(revision, 6);
}

/// The old contents cannot be destroyed: the set is new all the same, and the error names what
/// stays.
#[test]
fn what_is_left_over_is_named() {
    let busy = Answer::Ack(4100);
    let answers = [
        Answer::Type(6),
        Answer::Ack(0),
        Answer::Ack(0),
        Answer::Ack(0),
        busy,
        busy,
        busy,
    ];
    let mut client = Script::ready(&answers);
    let spec = SetSpec::hash(name("web"), SetType::HASH_IP, Family::V4);
    let error = client.replace(&spec, &[]).unwrap_err();
    let Error::Leftover { set, leftover, .. } = &error else {
        panic!("{error}")
    };
    assert_eq!(*set, spec.name);
    assert!(leftover.as_str().ends_with("-web"), "{leftover}");
    assert_eq!(
        client.connection.transport().commands,
        [1, 13, 2, 6, 3, 3, 3]
    );
}

/// The set that is filled under another name has a bucket for each entry, up to its limit.
#[test]
fn a_replaced_hash_need_not_grow() {
    let entries: Vec<_> = (1..=3000u32)
        .map(|number| Entry::ip(Ipv4Addr::from_bits(number).into()))
        .collect();
    for (maxelem, buckets) in [(65_536, 4096u32), (1500, 2048), (10, 1024)] {
        let answers = [
            &[Answer::Type(6)][..],
            // Create, four messages of entries, swap, destroy.
            &[Answer::Ack(0); 7],
        ]
        .concat();
        let mut client = Script::ready(&answers);
        let spec = SetSpec::hash(name("web"), SetType::HASH_IP, Family::V4).with_maxelem(maxelem);
        client.replace(&spec, &entries).unwrap();
        let script = client.connection.transport();
        let create = script.sent.iter().find(|sent| sent[4] == 2).unwrap();
        // Length 8, type 18 in network byte order, the value.
        let hashsize = [&[8, 0, 18, 0x40][..], &buckets.to_be_bytes()].concat();
        assert!(
            create.windows(8).any(|window| window == hashsize),
            "{maxelem}"
        );
    }
}

/// Messages after the first only name the set, and a dump that changed while it was read is read
/// again: nothing of the first attempt stays.
#[test]
fn a_dump_that_changed_is_read_again() {
    let mut client = Script::ready(&[
        Answer::Dump {
            ports: &[1, 2, 3],
            changed: true,
        },
        Answer::Dump {
            ports: &[4, 5],
            changed: false,
        },
    ]);
    let all = client.list_all().unwrap();
    let [listed] = &all[..] else {
        panic!("{all:?}")
    };
    assert_eq!(listed.set.entries, [4, 5].map(Entry::port));

    // A visitor learns of it.
    let mut client = Script::ready(&[
        Answer::Dump {
            ports: &[1],
            changed: true,
        },
        Answer::Dump {
            ports: &[4],
            changed: false,
        },
    ]);
    let mut items = Vec::new();
    let visit = |item| {
        items.push(item);
        ControlFlow::<()>::Continue(())
    };
    client.for_each(Some(name("p")), visit).unwrap();
    let at = items
        .iter()
        .position(|item| *item == Item::StartOver)
        .unwrap();
    assert!(
        matches!(&items[at + 1..], [Item::Set(_), Item::Entry(_)]),
        "{items:?}"
    );
}

#[test]
fn a_visitor_can_break_off() {
    let mut client = Script::ready(&[
        Answer::Dump {
            ports: &[1, 2, 3],
            changed: false,
        },
        Answer::Ack(0),
    ]);
    let first = client.for_each(None, |item| match item {
        Item::Entry(entry) => ControlFlow::Break(entry),
        _ => ControlFlow::Continue(()),
    });
    assert_eq!(first.unwrap(), Some(Entry::port(1)));
    // The connection is as good as before.
    client.flush(name("p")).unwrap();
}
