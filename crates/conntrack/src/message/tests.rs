//! Messages against those of `conntrack` and the kernel, and any bytes at all.

use proptest::prelude::*;

use super::*;
use netlink_wire::attributes;

use crate::{FlowKey, Layer4, Protocol, Tuple};

const CAPTURED: &str = include_str!("../../tests/data/conntrack-1.4.7-linux-6.18.txt");

/// Flows with zones of a direction.
const ZONES: &str = include_str!("../../tests/data/conntrack-1.4.7-linux-6.18-zones.txt");

/// A command of conntrack, with the messages it sent and received, and what it printed.
#[derive(Default)]
pub(super) struct Captured {
    pub(super) command: &'static str,
    /// With their netlink headers.
    pub(super) sent: Vec<Vec<u8>>,
    pub(super) received: Vec<Vec<u8>>,
    pub(super) printed: Vec<&'static str>,
}

pub(super) fn captured() -> Vec<Captured> {
    captured_in(CAPTURED)
}

pub(super) fn captured_in(text: &'static str) -> Vec<Captured> {
    let mut all: Vec<Captured> = Vec::new();
    for line in text.lines() {
        let (mark, rest) = line.split_at(2);
        match (mark, all.last_mut()) {
            ("$ ", _) => all.push(Captured {
                command: rest,
                ..Captured::default()
            }),
            ("> ", Some(last)) => last.sent.extend(messages(&unhex(rest))),
            ("< ", Some(last)) => last.received.extend(messages(&unhex(rest))),
            ("= ", Some(last)) => last.printed.push(rest),
            ("# ", None) => {}
            _ => panic!("{line}"),
        }
    }
    all
}

fn unhex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks(2);
    digits
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

/// The messages of a datagram.
fn messages(mut datagram: &[u8]) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    while let Some(length) = datagram.first_chunk() {
        let length = u32::from_ne_bytes(*length) as usize;
        all.push(datagram[..length].to_vec());
        datagram = &datagram[length.next_multiple_of(4)..];
    }
    all
}

pub(super) fn message_type(message: &[u8]) -> u16 {
    u16::from_ne_bytes([message[4], message[5]])
}

pub(super) fn flows(received: &[Vec<u8>]) -> Vec<Flow> {
    received
        .iter()
        .filter(|message| message_type(message) == FLOW)
        .map(|message| parse_flow(&message[16..]).unwrap())
        .collect()
}

pub(super) fn emitted(message: &impl Emitable) -> Vec<u8> {
    let mut buffer = vec![0; message.buffer_len()];
    message.emit(&mut buffer);
    buffer
}

/// What conntrack prints, without what a [`Flow`] does not have.
fn identity(line: &str) -> String {
    let mut words = line.split_whitespace();
    let name = format!("{:<8} {}", words.next().unwrap(), words.next().unwrap());
    let identifying = words.filter(|word| {
        let left_out = ["mark", "use"];
        word.split_once('=')
            .is_some_and(|(key, _)| !left_out.contains(&key))
    });
    std::iter::once(name.as_str())
        .chain(identifying)
        .collect::<Vec<_>>()
        .join(" ")
}

#[test]
fn flows_are_those_that_conntrack_prints() {
    let mut compared = 0;
    for listing in captured() {
        let printed: Vec<_> = listing.printed.iter().map(|line| identity(line)).collect();
        let read: Vec<_> = flows(&listing.received)
            .iter()
            .map(ToString::to_string)
            .collect();
        if listing.command.starts_with("conntrack -L") {
            assert_eq!(read, printed);
            compared += read.len();
        } else {
            // It lists more than it deletes.
            assert!(printed.iter().all(|flow| read.contains(flow)));
        }
    }
    assert_eq!(compared, 7);
}

#[test]
fn zones_are_printed_as_conntrack_does() {
    let [listing] = &captured_in(ZONES)[..] else {
        panic!("one listing")
    };
    let printed: Vec<_> = listing.printed.iter().map(|line| identity(line)).collect();
    let flows = flows(&listing.received);
    let read: Vec<_> = flows.iter().map(ToString::to_string).collect();
    assert_eq!(read, printed);
    for keyword in [" zone-orig=9 ", " zone-reply=8", " zone=5"] {
        let with = printed.iter().filter(|flow| flow.contains(keyword));
        assert_eq!(with.count(), 1, "{keyword}");
    }
    // What deletes them has the zone of the original direction.
    for flow in &flows {
        assert_eq!(parse_flow(&emitted(flow)), Ok(*flow));
        let key = Request::Delete(flow.key());
        let mut whole = emitted(&key);
        let reply = emitted(&Flow::new(flow.original, flow.reply));
        let original = emitted(&Request::Delete(FlowKey::new(flow.original)));
        whole.extend(&reply[original.len()..]);
        let mut identity = Flow::new(flow.original, flow.reply);
        (identity.zone, identity.id) = (flow.zone, flow.id);
        assert_eq!(parse_flow(&whole), Ok(identity));
    }
}

#[test]
fn one_flow_in_full() {
    // The IPv4 flow to another destination than it was sent to.
    let all = captured();
    let flow = *flows(&all[0].received)
        .iter()
        .find(|flow| flow.reply.source_port() == Some(5353))
        .unwrap();
    let ip = |text: &str| text.parse().unwrap();
    assert_eq!(
        flow.original,
        Tuple::ports(
            Protocol::UDP,
            (ip("10.0.0.1"), 40000),
            (ip("10.96.0.10"), 53)
        )
    );
    assert_eq!(
        flow.reply,
        Tuple::ports(
            Protocol::UDP,
            (ip("10.244.1.5"), 5353),
            (ip("10.0.0.1"), 40000)
        )
    );
    assert_eq!(flow.zone, 0);
    assert!(flow.id.is_some());
    let zones: Vec<_> = flows(&all[0].received)
        .iter()
        .map(|flow| flow.zone)
        .collect();
    assert_eq!(zones.iter().filter(|zone| **zone == 7).count(), 1);
}

#[test]
fn listing_is_what_conntrack_asks_for() {
    let mut asked = 0;
    for listing in captured() {
        let family = match listing.command.contains("-f ipv6") {
            true => Family::V6,
            false => Family::V4,
        };
        let request = Request::List(family);
        let theirs = &listing.sent[0];
        assert_eq!(message_type(theirs), request.message_type());
        // NLM_F_REQUEST
        assert_eq!(
            u16::from_ne_bytes([theirs[6], theirs[7]]),
            request.flags() | 1
        );
        assert_eq!(emitted(&request), theirs[16..]);
        asked += 1;
    }
    assert_eq!(asked, 5);
}

/// The tool sends back the whole flow, without its id; the kernel looks at the original tuple, zone and id.
/// That the id counts shows in the kernel tests.
#[test]
fn deleting_is_what_conntrack_asks_for() {
    let mut compared = 0;
    for deletion in captured() {
        let listed = flows(&deletion.received);
        for theirs in &deletion.sent[1..] {
            let flow = parse_flow(&theirs[16..]).unwrap();
            let listed = listed
                .iter()
                .find(|listed| listed.original == flow.original)
                .unwrap();
            assert_eq!((listed.reply, listed.zone), (flow.reply, flow.zone));
            let request = Request::Delete(listed.key());
            assert_eq!(message_type(theirs), request.message_type());
            let ours = emitted(&request);
            assert_eq!(ours[..4], theirs[16..20], "nfgenmsg");
            let raw = |bytes: &[u8]| -> Vec<(u16, Vec<u8>)> {
                attributes(&bytes[4..])
                    .map(|attribute| attribute.unwrap())
                    .map(|attribute| (attribute.kind(), attribute.value().to_vec()))
                    .collect()
            };
            let theirs = raw(&theirs[16..]);
            for attribute in raw(&ours) {
                assert!(
                    attribute.0 == CTA_ID || theirs.contains(&attribute),
                    "{attribute:02x?} is not in {theirs:02x?}"
                );
                compared += 1;
            }
        }
    }
    // Four flows: tuple and id each, and one zone.
    assert_eq!(compared, 9);
}

#[test]
fn what_is_missing_is_named() {
    // Synthetic: a captured flow, without one attribute after the other.
    let all = captured();
    let whole = &all[0]
        .received
        .iter()
        .find(|message| message_type(message) == FLOW)
        .unwrap()[16..];
    let error = |payload: &[u8]| parse_flow(payload).unwrap_err().to_string();
    assert_eq!(
        error(&whole[..3]),
        "nfgenmsg: the value has 3 bytes, expected 4"
    );
    assert_eq!(
        error(&whole[..4]),
        "CTA_TUPLE_ORIG: the attribute is missing"
    );
    let original = 4 + usize::from(u16::from_ne_bytes([whole[4], whole[5]]));
    assert_eq!(
        error(&whole[..original]),
        "CTA_TUPLE_REPLY: the attribute is missing"
    );
    let mut changed = whole.to_vec();
    // CTA_TUPLE_IP, the source's type: as if it were something else.
    changed[14] = 99;
    assert_eq!(
        error(&changed),
        "CTA_IP_V4_SRC or CTA_IP_V6_SRC: the attribute is missing"
    );
    // The source's length: one byte short, which the padding hides.
    changed[14] = whole[14];
    changed[12] -= 1;
    assert_eq!(
        error(&changed),
        "CTA_IP_V4_SRC: the value has 3 bytes, expected 4"
    );
    for end in 4..whole.len() {
        if let Ok(flow) = parse_flow(&whole[..end]) {
            let expected = parse_flow(whole).unwrap();
            assert_eq!(
                (flow.original, flow.reply),
                (expected.original, expected.reply)
            );
        }
    }
}

#[test]
fn addresses_of_two_families_are_rejected() {
    // Synthetic.
    let ip = |text: &str| text.parse().unwrap();
    let tuple = Tuple::ports(Protocol::UDP, (ip("10.0.0.1"), 1), (ip("fd00::1"), 2));
    let error = parse_flow(&emitted(&Flow::new(tuple, tuple))).unwrap_err();
    assert_eq!(
        error.to_string(),
        "CTA_TUPLE_IP: the value is not two addresses of one family"
    );
}

pub(super) fn any_tuple() -> impl Strategy<Value = Tuple> {
    let addresses = prop_oneof![
        any::<[[u8; 4]; 2]>().prop_map(|ips| ips.map(Into::into)),
        any::<[[u8; 16]; 2]>().prop_map(|ips| ips.map(Into::into)),
    ];
    let layer4 = prop_oneof![
        any::<(u16, u16)>().prop_map(|(source, destination)| Layer4::Ports {
            source,
            destination
        }),
        any::<(u8, u8, u16)>().prop_map(|(kind, code, id)| Layer4::Icmp { kind, code, id }),
        Just(Layer4::None),
    ];
    (addresses, any::<u8>(), layer4, any::<Option<u16>>()).prop_map(
        |([source, destination], protocol, layer4, zone)| Tuple {
            source,
            destination,
            protocol: Protocol(protocol),
            layer4,
            zone,
        },
    )
}

proptest! {
    #[test]
    fn any_flow_is_read_back(
        original in any_tuple(),
        reply in any_tuple(),
        zone: u16,
        id: Option<u32>,
    ) {
        let mut flow = Flow::new(original, reply);
        (flow.zone, flow.id) = (zone, id);
        prop_assert_eq!(parse_flow(&emitted(&flow)), Ok(flow));
        crate::fuzz::reply(&emitted(&flow));
    }

    #[test]
    fn any_bytes_are_a_flow_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        crate::fuzz::reply(&bytes);
    }

    #[test]
    fn damaged_flows_never_panic(
        which: prop::sample::Index,
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        end: prop::sample::Index,
    ) {
        let all: Vec<_> = captured().into_iter().flat_map(|c| c.received).collect();
        let mut bytes = which.get(&all)[16..].to_vec();
        for (position, value) in damage {
            *position.get_mut(&mut bytes[..]) = value;
        }
        bytes.truncate(end.index(bytes.len() + 1));
        crate::fuzz::reply(&bytes);
    }
}
