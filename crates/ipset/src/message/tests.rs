//! Against bytes captured from ipset, in both directions.

use std::collections::HashMap;

use netlink_packet_core::{NetlinkBuffer, NetlinkMessage, NetlinkSerializable};
use netlink_wire::{Writer, measure};
use proptest::prelude::*;

use super::*;
use crate::message::captured::{LINUX_6_1, LINUX_6_18, captured, hex, replies, unhex};
use crate::uapi::{
    IPSET_ATTR_COMMENT, IPSET_ATTR_FAMILY, IPSET_ATTR_IP, IPSET_ATTR_REVISION, IPSET_ATTR_TYPENAME,
    IPSET_CMD_HEADER, IPSET_CMD_PROTOCOL, IPSET_CMD_TYPE,
};
use crate::wire::IpsetWriter;
use crate::{Entry, Family, Set, SetName, SetSpec, SetType, arbitrary};
use netlink_packet_core::Emitable;

/// The request as ipset would have sent it: sequence number and port are not ours to choose.
fn framed(request: &Request<'_>, like: &[u8]) -> Vec<u8> {
    let payload = Payload {
        protocol: 7,
        request,
    };
    let mut bytes = vec![0; 16 + payload.buffer_len()];
    payload.emit(&mut bytes[16..]);
    let header = NetlinkBuffer::new(like);
    let mut buffer = NetlinkBuffer::new(&mut bytes);
    buffer.set_length(u32::try_from(16 + payload.buffer_len()).unwrap());
    buffer.set_message_type(request.message_type());
    // ipset asks for an acknowledgement of all but what has a reply.
    let request_and_ack = header.flags() & 5;
    buffer.set_flags(request.flags() | request_and_ack);
    buffer.set_sequence_number(header.sequence_number());
    bytes
}

fn name(text: &str) -> SetName {
    SetName::new(text).unwrap()
}

/// The request that a line of ipset's own language stands for.
fn request(line: &str, revision: u8, specs: &HashMap<SetName, SetSpec>) -> Request<'static> {
    let (command, rest) = line.split_once(' ').unwrap();
    let (first, rest) = rest.split_once(' ').unwrap_or((rest, ""));
    let set = name(first);
    let entry = || specs[&set].parse_entry(rest).unwrap();
    let mode = Mode::Strict;
    match command {
        "create" => Request::Create {
            spec: std::borrow::Cow::Owned(SetSpec::parse(line).unwrap()),
            revision,
            mode,
        },
        "add" => Request::Add {
            set,
            entries: EntryBatch::one(&entry()).into_owned(),
            mode,
        },
        "del" => Request::Del {
            set,
            entries: EntryBatch::one(&entry()).into_owned(),
            mode,
        },
        "test" => Request::Test {
            set,
            entry: std::borrow::Cow::Owned(entry()),
        },
        "flush" => Request::Flush { set: Some(set) },
        "destroy" => Request::Destroy {
            set: Some(set),
            mode: Mode::Strict,
        },
        "rename" => Request::Rename {
            from: set,
            to: name(rest),
        },
        "swap" => Request::Swap {
            one: set,
            other: name(rest),
        },
        other => panic!("{other}"),
    }
}

#[test]
fn requests_are_those_of_ipset() {
    for text in [LINUX_6_1, LINUX_6_18] {
        let mut specs = HashMap::new();
        let mut compared = 0;
        for captured in captured(text) {
            if ["save", "list", "header", "type"]
                .iter()
                .any(|word| captured.command.starts_with(word))
            {
                continue;
            }
            let [sent] = &captured.sent[..] else {
                panic!("{captured:?}")
            };
            let revision = if captured.command.starts_with("create") {
                let spec = SetSpec::parse(&captured.command).unwrap();
                specs.insert(spec.name, spec);
                revision_in(sent)
            } else {
                0
            };
            let request = request(&captured.command, revision, &specs);
            assert_eq!(
                hex(&framed(&request, sent)),
                hex(sent),
                "{}",
                captured.command
            );
            compared += 1;
        }
        assert!(compared > 60, "{compared}");
    }
}

/// `IPSET_ATTR_REVISION`, which ipset takes from the kernel.
fn revision_in(message: &[u8]) -> u8 {
    let revision = [5, 0, 4, 0];
    let at = message
        .windows(4)
        .position(|window| window == revision)
        .unwrap();
    message[at + 4]
}

#[test]
fn dumps_say_what_ipset_printed() {
    for text in [LINUX_6_1, LINUX_6_18] {
        let all = captured(text);
        let save = all
            .iter()
            .find(|captured| captured.command == "save")
            .unwrap();
        let mut sets: Vec<Set> = Vec::new();
        for (message_type, payload) in replies(&save.received) {
            let reply = Reply::parse(message_type, &payload).unwrap();
            let Reply::Set(part) = reply else { continue };
            let info = part.info.unwrap();
            let spec = info.spec;
            let entries = part.entries.decode(spec.set_type, spec.family);
            let entries = entries.collect::<Result<_, _>>().unwrap();
            sets.push(Set { spec, entries });
        }
        let ours: String = sets.iter().map(Set::to_string).collect();
        // ipset does not print `forceadd`, though it is told.
        assert_eq!(
            ours.replace(" forceadd", ""),
            save.printed.join("\n") + "\n"
        );
        assert!(ours.contains(" forceadd"));
    }
}

#[test]
fn names_alone() {
    for text in [LINUX_6_1, LINUX_6_18] {
        let all = captured(text);
        let list = all
            .iter()
            .find(|captured| captured.command == "list -n")
            .unwrap();
        let mut names = Vec::new();
        for (message_type, payload) in replies(&list.received) {
            if let Reply::Set(part) = Reply::parse(message_type, &payload).unwrap() {
                assert_eq!((&part.info, part.entries.is_empty()), (&None, true));
                names.push(part.set.to_string());
            }
        }
        assert_eq!(names, list.printed);
    }
}

#[test]
fn other_dumps_are_asked_as_ipset_does() {
    let all = captured(LINUX_6_1);
    let dumps = [
        (
            "list -n",
            Request::List {
                set: None,
                detail: Detail::Name,
            },
        ),
        (
            "list -t",
            Request::List {
                set: None,
                detail: Detail::Header,
            },
        ),
        ("save", Request::Save { set: None }),
    ];
    for (command, request) in dumps {
        let captured = all
            .iter()
            .find(|captured| captured.command == command)
            .unwrap();
        let sent = captured.sent.last().unwrap();
        assert_eq!(hex(&framed(&request, sent)), hex(sent), "{command}");
    }
}

#[test]
fn protocol_type_and_header() {
    let all = captured(LINUX_6_18);
    // The first message of this command under the command of ipset.
    let of = |command: &str, wanted: u8| {
        let captured = all
            .iter()
            .find(|captured| captured.command == command)
            .unwrap();
        let is = |bytes: &&Vec<u8>| bytes[4] == wanted && bytes[5] == 6;
        let sent = captured.sent.iter().find(is).unwrap();
        (
            sent.clone(),
            captured.received.iter().find(is).unwrap().clone(),
        )
    };

    let (sent, received) = of("save", IPSET_CMD_PROTOCOL);
    assert_eq!(framed(&Request::Protocol, &sent), sent);
    let reply = Reply::parse(0x601, &received[16..]).unwrap();
    assert_eq!(reply, Reply::Protocol { max: 7, min: 6 });

    let (sent, received) = of("type", IPSET_CMD_TYPE);
    let request = Request::Type {
        set_type: SetType::HASH_IP_PORT,
        family: Some(Family::V4),
    };
    assert_eq!(framed(&request, &sent), sent);
    let info = TypeInfo {
        set_type: SetType::HASH_IP_PORT,
        family: Some(Family::V4),
        revision: 7,
        revision_min: 0,
    };
    assert_eq!(
        Reply::parse(0x60d, &received[16..]).unwrap(),
        Reply::Type(info)
    );

    let (sent, received) = of("header", IPSET_CMD_HEADER);
    assert_eq!(framed(&Request::Header { set: name("hip1") }, &sent), sent);
    let reply = Reply::parse(0x60c, &received[16..]).unwrap();
    let info = TypeInfo {
        set_type: SetType::HASH_IP,
        family: Some(Family::V4),
        revision: 6,
        revision_min: 6,
    };
    assert_eq!(
        reply,
        Reply::Header {
            set: name("hip1"),
            info
        }
    );
}

/// ipset restore, Linux 6.18: three entries in one message.
#[test]
fn several_entries_are_numbered() {
    let sent = "a80000000906050215f5006b00000000020000000500010007000000060002006800000008000940000000017c000880280007800c000180080001400a000001060004400050000005000700060000000800094000000001280007800c000180080001400a000002060004400050000005000700060000000800094000000002280007800c000180080001400a000002060004400050000005000700060000000800094000000003";
    let entry = |last| Entry::ip_port([10, 0, 0, last].into(), crate::Protocol::TCP, 80);
    let entries = [entry(1), entry(2), entry(2)];
    let (batch, rest) = EntryBatch::split(&entries).unwrap();
    assert!(rest.is_empty());
    let request = Request::Add {
        set: name("h"),
        entries: batch,
        mode: Mode::Strict,
    };
    assert_eq!(hex(&framed(&request, &unhex(sent))), sent);
}

/// Bytes of the attributes of `entry` in a list, read back.
fn reread(spec: &SetSpec, entry: &Entry) -> Entry {
    let request = Request::Test {
        set: spec.name,
        entry: std::borrow::Cow::Borrowed(entry),
    };
    let payload = Payload {
        protocol: 7,
        request: &request,
    };
    let mut bytes = vec![0; payload.buffer_len()];
    payload.emit(&mut bytes);
    // The data nest is the last attribute, and its value one element of a list.
    let start = 4 + 8 + (4 + spec.name.as_str().len() + 1).next_multiple_of(4);
    crate::wire::decode_entry(&spec.set_type, spec.family, &bytes[start + 4..]).unwrap()
}

proptest! {
    /// The wire loses nothing, for every type, option and extension.
    #[test]
    fn entries_read_back((spec, entries) in arbitrary::set()) {
        for entry in entries {
            prop_assert_eq!(reread(&spec, &entry), entry);
        }
    }

    #[test]
    fn sets_read_back(spec in arbitrary::spec(), revision: u8, index: Option<u16>) {
        let set = spec.name;
        let usage = crate::Usage { entries: Some(3), memory_size: Some(5), references: index.map(u32::from) };
        let info = Some(Box::new(SetInfo { spec, revision, index, usage }));
        let reply = Reply::Set(SetPart { set, info, entries: EntryData::default() });
        let mut bytes = vec![0; reply.buffer_len()];
        reply.emit(&mut bytes);
        prop_assert_eq!(Reply::parse(reply.message_type(), &bytes).unwrap(), reply);
    }
}

#[test]
fn netlink_packet_core_carries_it() {
    let request = IpsetMessage::request(Request::Protocol);
    assert_eq!(request.message_type(), 0x601);
    let mut message = NetlinkMessage::from(request);
    message.header.flags = 1;
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    assert_eq!(bytes.len(), 28);

    let received =
        unhex("240000000106000011f5006b3d19000002000000050001000700000005000a0006000000");
    let message = NetlinkMessage::<IpsetMessage>::deserialize(&received).unwrap();
    let reply = IpsetMessage::Reply(Reply::Protocol { max: 7, min: 6 });
    assert_eq!(message.payload, reply.into());
}

#[test]
fn values_out_of_bounds_are_errors_that_name_the_attribute() {
    let decode = |length: usize| {
        let encode = |writer: &mut Writer<'_>| {
            writer.address(IPSET_ATTR_IP, [10, 0, 0, 1].into());
            writer.c_string(IPSET_ATTR_COMMENT, &vec![b'x'; length]);
        };
        let mut bytes = vec![0; measure(encode)];
        encode(&mut Writer::new(&mut bytes));
        crate::wire::decode_entry(&SetType::HASH_IP, Some(Family::V4), &bytes)
    };
    assert!(decode(255).is_ok());
    let error = decode(256).unwrap_err().to_string();
    assert!(error.contains("IPSET_ATTR_COMMENT"), "{error}");

    let parse = |family: u8| {
        let mut bytes = vec![0; 4];
        let encode = |writer: &mut Writer<'_>| {
            writer.text(IPSET_ATTR_TYPENAME, "hash:ip");
            writer.u8(IPSET_ATTR_REVISION, 6);
            writer.u8(IPSET_ATTR_FAMILY, family);
        };
        bytes.resize(4 + measure(encode), 0);
        encode(&mut Writer::new(&mut bytes[4..]));
        Reply::parse(0x60d, &bytes).map(Reply::into_owned)
    };
    let families = [0, 2, 10].map(|number| match parse(number).unwrap() {
        Reply::Type(info) => info.family,
        other => panic!("{other:?}"),
    });
    assert_eq!(families, [None, Some(Family::V4), Some(Family::V6)]);
    let error = parse(7).unwrap_err().to_string();
    assert!(error.contains("IPSET_ATTR_FAMILY"), "{error}");
}
