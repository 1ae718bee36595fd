//! Against a kernel that is a script: for what the real one cannot be made to do.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::ops::ControlFlow;
use std::rc::Rc;
use std::time::Duration;

use netlink_batch::scripted::Scripted;
use netlink_batch::{Connection, Transport, uapi};
use netlink_packet_core::Emitable;

use super::*;
use crate::message::{EntryData, Mode, SetInfo, SetPart};
use crate::{Entry, SetName, SetSpec, Usage};

/// What the kernel does with one datagram.
#[derive(Clone, Copy, Debug)]
enum Answer {
    /// Reports this error number, or success if 0.
    Result(i32),
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

/// The requests that were sent, with their headers' types.
type Sent = Rc<RefCell<Vec<(u8, Vec<u8>)>>>;

/// The commands of the requests that were sent.
fn commands(sent: &Sent) -> Vec<u8> {
    sent.borrow().iter().map(|(command, _)| *command).collect()
}

fn client(answers: &[Answer]) -> Result<(Client<impl Transport + use<>>, Sent), Error> {
    let sent = Sent::default();
    let log = Rc::clone(&sent);
    let mut answers: VecDeque<_> = answers.iter().copied().collect();
    let script = Scripted::new(uapi::NETLINK_NETFILTER, move |request, replies| {
        let command = request.message_type.to_be_bytes()[1];
        log.borrow_mut().push((command, request.payload.to_vec()));
        loop {
            let answer = answers
                .pop_front()
                .expect("more requests than the script has answers");
            let attribute = |kind: u8, value: u8| [5, 0, kind, 0, value, 0, 0, 0];
            match answer {
                Answer::Result(code) => return replies.result(code),
                Answer::Dump { ports, changed } => {
                    let changed = if changed { uapi::NLM_F_DUMP_INTR } else { 0 };
                    for (part, port) in ports.iter().enumerate() {
                        let payload = part_of_a_dump(part == 0, *port);
                        replies.message(
                            request.message_type,
                            changed | uapi::NLM_F_MULTI,
                            &payload,
                        );
                    }
                    return replies.done(changed);
                }
                Answer::Protocol { max, min } => {
                    let min = min.map_or(Vec::new(), |min| attribute(10, min).to_vec());
                    let payload = [&[2, 0, 0, 0][..], &attribute(1, max), &min].concat();
                    replies.message(request.message_type, 0, &payload);
                }
                Answer::Type(revision) => {
                    // The name of the type is where it was in the request, the family behind it.
                    let answered = [attribute(4, revision), attribute(10, 0)].concat();
                    let payload = [request.payload, &answered].concat();
                    replies.message(request.message_type, 0, &payload);
                }
            }
        }
    });
    let retry_policy = RetryPolicy {
        attempts: 3,
        first_delay: Duration::ZERO,
    };
    let client = Client::over(Connection::new(script))?.with_retry_policy(retry_policy);
    Ok((client, sent))
}

/// As from a kernel that supports protocols 6 and 7.
fn ready(answers: &[Answer]) -> (Client<impl Transport + use<>>, Sent) {
    let greeting = [
        Answer::Protocol {
            max: 7,
            min: Some(6),
        },
        Answer::Result(0),
    ];
    client(&[&greeting, answers].concat()).unwrap()
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
    let error = client(&[Answer::Result(22)]).err().unwrap();
    assert_eq!(error, Error::NoIpset);
    assert!(error.to_string().contains("ip_set"));
}

#[test]
fn without_the_capability_it_is_named() {
    let error = client(&[Answer::Result(1)]).err().unwrap();
    assert_eq!(error.kind(), Some(ErrorKind::Permission));
    assert!(error.to_string().contains("CAP_NET_ADMIN"), "{error}");
}

#[test]
fn a_kernel_of_protocol_6_is_spoken_to_in_it() {
    let (mut client, _) =
        client(&[Answer::Protocol { max: 6, min: None }, Answer::Result(0)]).unwrap();
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
            Answer::Result(0),
        ];
        let error = client(&answers).err().unwrap();
        assert!(matches!(error, Error::ProtocolVersion { .. }), "{error}");
    }
}

#[test]
fn a_busy_set_is_tried_again_but_not_for_ever() {
    let (mut client, _) = ready(&[Answer::Result(16), Answer::Result(16), Answer::Result(0)]);
    client.swap(name("a"), name("b")).unwrap();

    let (mut client, sent) = ready(&[Answer::Result(16), Answer::Result(16), Answer::Result(16)]);
    let error = client.swap(name("a"), name("b")).unwrap_err();
    assert_eq!(error.kind(), Some(ErrorKind::InUse));
    assert_eq!(commands(&sent), [1, 6, 6, 6]);
}

#[test]
fn the_revision_is_asked_for_once() {
    let answers = [
        Answer::Type(5),
        Answer::Result(0),
        Answer::Result(0),
        Answer::Result(0),
    ];
    let (mut client, sent) = ready(&answers);
    let spec = SetSpec::hash(name("s"), SetType::HASH_IP, Family::V4);
    client.create(&spec, Mode::Strict).unwrap();
    client.create(&spec, Mode::Strict).unwrap();
    assert_eq!(commands(&sent), [1, 13, 2, 2]);
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
    let (mut client, _) = ready(&[Answer::Type(99), Answer::Result(0)]);
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
    let busy = Answer::Result(4100);
    let answers = [
        Answer::Type(6),
        Answer::Result(0),
        Answer::Result(0),
        Answer::Result(0),
        busy,
        busy,
        busy,
    ];
    let (mut client, sent) = ready(&answers);
    let spec = SetSpec::hash(name("web"), SetType::HASH_IP, Family::V4);
    let error = client.replace(&spec, &[]).unwrap_err();
    let Error::Leftover { set, leftover, .. } = &error else {
        panic!("{error}")
    };
    assert_eq!(*set, spec.name);
    assert!(leftover.as_str().ends_with("-web"), "{leftover}");
    assert_eq!(commands(&sent), [1, 13, 2, 6, 3, 3, 3]);
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
            &[Answer::Result(0); 7],
        ]
        .concat();
        let (mut client, sent) = ready(&answers);
        let spec = SetSpec::hash(name("web"), SetType::HASH_IP, Family::V4).with_maxelem(maxelem);
        client.replace(&spec, &entries).unwrap();
        let sent = sent.borrow();
        let (_, create) = sent.iter().find(|(command, _)| *command == 2).unwrap();
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
    let (mut client, _) = ready(&[
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
    let (mut client, _) = ready(&[
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
    let (mut client, _) = ready(&[
        Answer::Dump {
            ports: &[1, 2, 3],
            changed: false,
        },
        Answer::Result(0),
    ]);
    let first = client.for_each(None, |item| match item {
        Item::Entry(entry) => ControlFlow::Break(entry),
        _ => ControlFlow::Continue(()),
    });
    assert_eq!(first.unwrap(), Some(Entry::port(1)));
    // The connection is as good as before.
    client.flush(name("p")).unwrap();
}

/// Lines that follow one another with entries of one set are one message, and nothing is sent behind a refusal.
#[test]
fn a_restore_file_takes_few_messages_and_stops_at_a_refusal() {
    let text = "create a hash:ip\nadd a 10.0.0.1\n\nadd a 10.0.0.2\n# x\nadd a 10.0.0.3\ndel a 10.0.0.1\n\
                del a 10.0.0.2\nflush a\nswap a b\nrename a c\ntest c 10.0.0.3\ndestroy c\nflush\n";
    // `swap` makes of `a` what `b` was: the kernel is asked, and this one has no such set.
    let (mut client, sent) = ready(&[Answer::Result(2)]);
    let error = client.restore(text, Mode::Strict).unwrap_err();
    assert!(matches!(error, Error::Line { line: 12, .. }), "{error}");
    assert_eq!(commands(&sent), [1, 12]);

    let text = text.replace("swap a b\n", "\n");
    let answers = [&[Answer::Type(6)][..], &[Answer::Result(0); 9]].concat();
    let (mut client, sent) = ready(&answers);
    client.restore(&text, Mode::Strict).unwrap();
    assert_eq!(commands(&sent), [1, 13, 2, 9, 10, 4, 5, 11, 3, 4]);

    let refused = [
        Answer::Type(6),
        Answer::Result(0),
        Answer::Result(0),
        Answer::Result(0),
        Answer::Result(0),
        Answer::Result(2),
    ];
    let (mut client, sent) = ready(&refused);
    let error = client.restore(&text, Mode::Strict).unwrap_err();
    assert_eq!(
        error.to_string(),
        "line 9: emptying set a: the set does not exist"
    );
    assert_eq!(commands(&sent), [1, 13, 2, 9, 10, 4]);

    // Nothing is sent of a text that cannot be read.
    let (mut client, sent) = ready(&[]);
    let error = client.restore("create a hash:ip\nadd a 10.0.0\n", Mode::Strict);
    assert!(matches!(error, Err(Error::Line { line: 2, .. })));
    assert_eq!(commands(&sent), [1]);
}
