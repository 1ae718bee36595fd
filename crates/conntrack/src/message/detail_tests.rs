//! What a flow has beside its tuples, filters, updates and events, against those of `conntrack` and the kernel.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use proptest::prelude::*;

use super::tests::{Captured, any_tuple, captured, captured_in, emitted, flows, message_type};
use super::*;
use crate::{
    Counters, Family, Filter, FlowKey, FlowUpdate, Mark, ProtocolState, SctpState, Status, TcpState,
};

const DETAILS: &str = include_str!("../../tests/data/conntrack-1.4.7-linux-6.18-details.txt");
const EVENTS: &str = include_str!("../../tests/data/conntrack-1.4.7-linux-6.18-events.txt");

/// The commands of the details, in order.
fn details() -> [Captured; 6] {
    let all = captured_in(DETAILS);
    all.try_into().unwrap_or_else(|_| panic!("six commands"))
}

/// What conntrack prints of a flow, with its columns parted by single blanks, without what a [`Flow`] does not have
/// and without its id where ours is not known to be printed.
fn line(printed: &str, with_id: bool) -> String {
    let left_out = ["delta-time", "secctx", "portid", "progname"];
    let words = printed.split_whitespace().filter(|word| {
        let key = word.split_once('=').map(|(key, _)| key);
        let is_id = key == Some("id") && !printed.contains("type=");
        !(key.is_some_and(|key| left_out.contains(&key))
            || is_id && !with_id
            || *word == "[USERSPACE]"
            || word.starts_with("[1") && word.ends_with(']'))
    });
    words.collect::<Vec<_>>().join(" ")
}

#[test]
fn details_are_those_that_conntrack_prints() {
    let mut compared = 0;
    for listing in captured().into_iter().chain(captured_in(DETAILS)) {
        if !listing.command.starts_with("conntrack -L") {
            continue;
        }
        let with_id = listing.command.contains("-o id");
        let printed: Vec<_> = listing
            .printed
            .iter()
            .map(|text| line(text, with_id))
            .collect();
        let read: Vec<_> = flows(&listing.received)
            .iter()
            .map(|flow| {
                let mut flow = *flow;
                if !with_id {
                    flow.id = None;
                }
                line(&format!("{flow:#}"), true)
            })
            .collect();
        assert_eq!(read, printed);
        compared += read.len();
    }
    assert_eq!(compared, 10);
}

#[test]
fn one_connection_in_full() {
    let [listing, ..] = details();
    let flow = flows(&listing.received)[0];
    assert_eq!(flow.timeout, Some(Duration::from_secs(119)));
    assert_eq!(flow.state, Some(ProtocolState::Tcp(TcpState::TIME_WAIT)));
    let confirmed = Status::SEEN_REPLY | Status::ASSURED | Status::CONFIRMED;
    assert!(flow.status.unwrap().contains(confirmed));
    assert!(
        !flow
            .status
            .unwrap()
            .intersects(Status::SRC_NAT | Status::DST_NAT)
    );
    assert_eq!(flow.mark, Some(0));
    let counters = |packets, bytes| Some(Counters { packets, bytes });
    assert_eq!(flow.original_counters, counters(4, 216));
    assert_eq!(flow.reply_counters, counters(2, 112));
    assert_eq!(flow.uses, Some(1));
}

#[test]
fn times_are_read() {
    let [listing, ..] = details();
    let flow = flows(&listing.received)[0];
    // The event of its first packet, of which conntrack printed the time.
    let first = UNIX_EPOCH + Duration::from_micros(1_795_972_470_446_179);
    let started = flow.started.unwrap();
    let distance = first
        .duration_since(started)
        .unwrap_or_else(|error| error.duration());
    assert!(distance < Duration::from_secs(1), "{distance:?}");
    assert_eq!(flow.ended, None);
    let gone = events();
    let gone = gone
        .iter()
        .find(|event| matches!(event, FlowEvent::Destroyed(gone) if gone.id == flow.id));
    let gone = gone.unwrap().flow();
    assert_eq!(gone.started, flow.started);
    assert!(gone.ended.unwrap() > started);
}

fn events() -> Vec<FlowEvent> {
    let [listing] = &captured_in(EVENTS)[..] else {
        panic!("one command")
    };
    let read = listing.received.iter().map(|message| {
        let flags = u16::from_ne_bytes([message[6], message[7]]);
        parse_event(message_type(message), flags, &message[16..])
            .unwrap()
            .unwrap()
    });
    read.collect()
}

#[test]
fn events_are_those_that_conntrack_prints() {
    let [listing] = &captured_in(EVENTS)[..] else {
        panic!("one command")
    };
    let printed: Vec<_> = listing
        .printed
        .iter()
        .map(|text| line(text, true))
        .collect();
    let read: Vec<_> = events()
        .iter()
        .map(|event| line(&event.to_string(), true))
        .collect();
    assert_eq!(read, printed);
    assert_eq!(read.len(), 15);
    for (kind, count) in [("[NEW]", 3), ("[UPDATE]", 9), ("[DESTROY]", 3)] {
        let of_kind = read.iter().filter(|event| event.starts_with(kind));
        assert_eq!(of_kind.count(), count, "{kind}");
    }
    // A dump's end, an error: not about a flow.
    assert_eq!(parse_event(3, 2, &[0; 4]), Ok(None));
    let cut = parse_event(FLOW_GONE, 0, &[2, 0, 0, 0]).unwrap_err();
    assert_eq!(cut.to_string(), "CTA_TUPLE_ORIG: the attribute is missing");
}

#[test]
fn filters_are_what_conntrack_asks_for() {
    let [_, by_mark, by_status, ..] = details();
    let mark = Mark {
        value: 7,
        mask: 0xff,
    };
    for (theirs, filter) in [
        (by_mark, Filter::new().mark(mark)),
        (by_status, Filter::new().with_status(Status::FIXED_TIMEOUT)),
    ] {
        let request = Request::ListWhere(filter);
        assert_eq!(message_type(&theirs.sent[0]), request.message_type());
        assert_eq!(emitted(&request), theirs.sent[0][16..], "{filter:?}");
        assert!(
            flows(&theirs.received)
                .iter()
                .all(|flow| filter.matches(flow))
        );
    }
    // Synthetic: conntrack 1.4.7 does not ask the kernel for zones, nor for bits that are not set.
    let filter = Filter::from(Family::V6).zone(7);
    let expected = [10, 0, 0, 0, 6, 0, 18, 0, 0, 7, 0, 0];
    assert_eq!(emitted(&Request::ListWhere(filter)), expected);
    assert_eq!(emitted(&Request::ListWhere(filter.zone(0))), expected[..4]);
    let filter = Filter::new().without_status(Status::ASSURED);
    let expected = [0, 0, 0, 0, 8, 0, 3, 0, 0, 0, 0, 0, 8, 0, 26, 0, 0, 0, 0, 4];
    assert_eq!(emitted(&Request::ListWhere(filter)), expected);
}

#[test]
fn updates_and_single_flows_are_what_conntrack_asks_for() {
    let [.., update, get, flush] = details();
    let listed = flows(&update.received)[0];
    let ours = Request::Update(
        FlowUpdate::new(listed.key())
            .mark(Mark::exactly(0x10))
            .timeout(Duration::from_secs(900)),
    );
    // It computes the mark itself, and asks for the flow afterwards.
    let theirs = &update.sent[1];
    assert_eq!(message_type(theirs), ours.message_type());
    let theirs = &theirs[16..];
    let ours = emitted(&ours);
    assert!(theirs.starts_with(&ours[..4 + 52]), "tuple");
    for attribute in netlink_wire::attributes(&ours[4..]) {
        let attribute = attribute.unwrap();
        let same = netlink_wire::attributes(&theirs[4..])
            .map(Result::unwrap)
            .find(|theirs| theirs.kind() == attribute.kind());
        let same = same.unwrap_or_else(|| panic!("{attribute:?}"));
        assert_eq!(same.value(), attribute.value());
    }

    let request = Request::Get(listed.key());
    assert_eq!(message_type(&get.sent[0]), request.message_type());
    assert!(get.sent[0][16..].starts_with(&emitted(&request)));
    assert_eq!(flows(&get.received)[0].original, listed.original);

    let request = Request::Flush(None);
    assert_eq!(message_type(&flush.sent[0]), request.message_type());
    assert_eq!(emitted(&request), flush.sent[0][16..]);
    // Synthetic: conntrack 1.4.7 flushes all families whatever it is told.
    let family = emitted(&Request::Flush(Some(Family::V6)));
    assert_eq!(family, [10, 1, 0, 0]);
}

#[test]
fn a_mask_of_an_update_keeps_other_bits() {
    // Synthetic.
    let [listing, ..] = details();
    let key = flows(&listing.received)[0].key();
    let mark = Mark {
        value: 0xabcd,
        mask: 0xff,
    };
    let bytes = emitted(&Request::Update(FlowUpdate::new(key).mark(mark)));
    let expected = [8, 0, 8, 0, 0, 0, 0, 0xcd, 8, 0, 21, 0, 0, 0, 0, 0xff];
    assert!(bytes.ends_with(&expected), "{bytes:02x?}");
    // The id is for what can be compared by it.
    let plain = emitted(&Request::Get(key));
    let without = FlowKey::new(key.original);
    assert_eq!(plain, emitted(&Request::Get(without)));
}

#[test]
fn malformed_details_are_named() {
    // Synthetic: a captured flow and one more attribute, which is damaged.
    let [listing, ..] = details();
    let flow = Flow::new(
        flows(&listing.received)[0].original,
        flows(&listing.received)[0].reply,
    );
    for (attribute, error) in [
        (
            &[5, 0, 3, 0, 1, 0, 0, 0][..],
            "CTA_STATUS: the value has 1 bytes, expected 4",
        ),
        (
            &[16, 0, 9, 128, 12, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1],
            "CTA_COUNTERS_BYTES: the attribute is missing",
        ),
        (
            &[12, 0, 20, 128, 8, 0, 1, 0, 0, 0, 0, 1],
            "CTA_TIMESTAMP_START: the value has 4 bytes, expected 8",
        ),
        (
            &[16, 0, 4, 128, 12, 0, 1, 128, 6, 0, 1, 0, 3, 0, 0, 0],
            "CTA_PROTOINFO_TCP_STATE: the value has 2 bytes, expected 1",
        ),
    ] {
        let bytes = [&emitted(&flow)[..], attribute].concat();
        assert_eq!(parse_flow(&bytes).unwrap_err().to_string(), error);
    }
    // A protocol with a state that this crate does not know (DCCP), and a time that was not taken.
    for attribute in [
        &[16, 0, 4, 128, 12, 0, 2, 128, 5, 0, 1, 0, 3, 0, 0, 0][..],
        &[16, 0, 20, 128, 12, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    ] {
        let bytes = [&emitted(&flow)[..], attribute].concat();
        assert_eq!(parse_flow(&bytes), Ok(flow));
    }
}

fn any_time() -> impl Strategy<Value = Option<SystemTime>> {
    prop::option::of((1..u64::MAX).prop_map(|n| UNIX_EPOCH + Duration::from_nanos(n)))
}

fn any_counters() -> impl Strategy<Value = Option<Counters>> {
    let counters = |(packets, bytes)| Counters { packets, bytes };
    prop::option::of(any::<(u64, u64)>().prop_map(counters))
}

proptest! {
    #[test]
    fn any_details_are_read_back(
        (original, reply) in (any_tuple(), any_tuple()),
        (status, timeout, mark, uses) in any::<(Option<u32>, Option<u32>, Option<u32>, Option<u32>)>(),
        state: Option<(bool, u8)>,
        (original_counters, reply_counters) in (any_counters(), any_counters()),
        (started, ended) in (any_time(), any_time()),
    ) {
        let mut flow = Flow::new(original, reply);
        flow.status = status.map(Status::from_bits_retain);
        flow.timeout = timeout.map(|seconds| Duration::from_secs(seconds.into()));
        (flow.mark, flow.uses) = (mark, uses);
        flow.state = state.map(|(is_tcp, number)| match is_tcp {
            true => ProtocolState::Tcp(TcpState(number)),
            false => ProtocolState::Sctp(SctpState(number)),
        });
        (flow.original_counters, flow.reply_counters) = (original_counters, reply_counters);
        (flow.started, flow.ended) = (started, ended);
        prop_assert_eq!(parse_flow(&emitted(&flow)), Ok(flow));
        crate::fuzz::reply(&emitted(&flow));
    }

    #[test]
    fn damaged_events_never_panic(
        which: prop::sample::Index,
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
    ) {
        let all: Vec<_> = captured_in(EVENTS).into_iter().flat_map(|c| c.received).collect();
        let mut bytes = which.get(&all)[16..].to_vec();
        for (position, value) in damage {
            *position.get_mut(&mut bytes[..]) = value;
        }
        crate::fuzz::reply(&bytes);
    }
}
