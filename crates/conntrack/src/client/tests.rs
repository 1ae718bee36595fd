//! The client against a scripted socket, for answers that a real kernel cannot be made to give.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use netlink_batch::scripted::{Replies, Scripted};
use netlink_batch::{Limits, Loss, Transport, uapi};
use netlink_packet_core::Emitable;

use super::*;
use netlink_wire::Problem;

use crate::{FlowEvent, FlowUpdate, Mark, Protocol, Tuple};

/// What the kernel does with one request.
#[derive(Clone, Copy)]
enum Answer {
    /// Reports this error number, or success if 0.
    Result(i32),
    /// Lists these flows, by their source ports, completely or not.
    List(&'static [u16], Ending),
    /// Lists something else than a flow: this many bytes of zeros, as a message of this type.
    Odd(u16, usize),
    /// Does not answer.
    Nothing,
}

#[derive(Clone, Copy, PartialEq)]
enum Ending {
    Done,
    /// The kernel dropped part of it.
    Overflow,
    /// One flow, and no listing.
    Single,
}

fn client(answers: &[Answer]) -> Client<impl Transport + use<>> {
    let mut answers: VecDeque<_> = answers.iter().copied().collect();
    let script = Scripted::new(uapi::NETLINK_NETFILTER, move |_, replies| {
        answer(answers.pop_front().unwrap(), replies);
    });
    let limits = Limits::default().reply_timeout(Duration::from_millis(1));
    Client::new(Connection::new(script).with_limits(limits.attempts(3)))
}

fn answer(answer: Answer, replies: &mut Replies<'_>) {
    match answer {
        Answer::Result(code) => replies.result(code),
        Answer::List(ports, ending) => {
            let multi = if ending == Ending::Single {
                0
            } else {
                uapi::NLM_F_MULTI
            };
            for port in ports {
                let flow = flow(*port);
                let mut payload = vec![0; flow.buffer_len()];
                flow.emit(&mut payload);
                replies.message(FLOW, multi, &payload);
            }
            match ending {
                Ending::Single => return replies.result(0),
                Ending::Overflow => replies.overflow(),
                Ending::Done => {}
            }
            replies.done(0);
        }
        Answer::Odd(message_type, length) => {
            replies.message(message_type, uapi::NLM_F_MULTI, &vec![0; length]);
            replies.done(0);
        }
        Answer::Nothing => {}
    }
}

fn tuple(port: u16) -> Tuple {
    let [from, to] = [[10, 0, 0, 1], [10, 96, 0, 10]].map(Into::into);
    Tuple::ports(Protocol::UDP, (from, port), (to, 53))
}

fn flow(port: u16) -> Flow {
    Flow::new(tuple(port), tuple(port))
}

#[test]
fn a_listing_that_lost_part_of_itself_comes_again() {
    let answers = [
        Answer::List(&[1, 2], Ending::Overflow),
        Answer::List(&[2, 3], Ending::Done),
    ];
    let mut seen = Vec::new();
    client(&answers)
        .visit(Family::V4, |item| {
            seen.push(item);
            ControlFlow::<()>::Continue(())
        })
        .unwrap();
    let again = seen.iter().position(|item| *item == DumpItem::Restart);
    let after = &seen[again.unwrap() + 1..];
    assert_eq!(after, [2, 3].map(|port| DumpItem::Flow(flow(port))));

    let flows = client(&answers).flows(Family::V4);
    assert_eq!(flows, Ok(vec![flow(2), flow(3)]));
    // What was seen before the loss is not deleted for it: two requests, not four.
    let acks = [Answer::Result(0), Answer::Result(0)];
    let mut deleting = client(&[&answers[..], &acks].concat());
    assert_eq!(deleting.delete_matching(Family::V4, |_| true), Ok(2));
}

#[test]
fn a_listing_that_never_succeeds_deletes_nothing() {
    let mut client = client(&[Answer::List(&[1], Ending::Overflow); 3]);
    assert_eq!(
        client.delete_matching(Family::V4, |_| true),
        Err(Error::Netlink(netlink_batch::Error::Unknown(
            Loss::Overflow
        )))
    );
}

#[test]
fn kernels_that_do_not_list_flows() {
    for (code, expected) in [
        (errno::EINVAL, Error::NoConntrack),
        (errno::EPERM, Error::NotPermitted),
    ] {
        let error = client(&[Answer::Result(code)]).flows(Family::V4);
        assert_eq!(error, Err(expected));
    }
    let error = client(&[Answer::Nothing; 3]).flows(Family::V4);
    assert!(matches!(error, Err(Error::Netlink(_))), "{error:?}");
}

#[test]
fn a_message_that_is_not_a_flow_is_an_error_or_skipped() {
    let error = client(&[Answer::Odd(FLOW, 4)]).flows(Family::V4);
    let missing = Problem::Missing.of("CTA_TUPLE_ORIG");
    assert_eq!(error, Err(Error::Malformed(missing)));
    assert_eq!(
        client(&[Answer::Odd(0x999, 8)]).flows(Family::V4),
        Ok(vec![])
    );
}

#[test]
fn each_failure_counts_and_the_first_is_reported() {
    let answers = [0, errno::ENOENT, errno::EBUSY, 0, errno::ENOMEM, 0].map(Answer::Result);
    let keys: Vec<FlowKey> = (0..6).map(|port| tuple(port).into()).collect();
    let error = client(&answers).delete(&keys).unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot delete the flow udp src=10.0.0.1 dst=10.96.0.10 sport=2 dport=53 and 1 more: \
         Device or resource busy (os error 16)"
    );
    let answers = [0, errno::ENOENT, 0].map(Answer::Result);
    assert_eq!(client(&answers).delete(&keys[..3]), Ok(2));
}

/// The type, flags and payload of each request, in order.
type Sent = Rc<RefCell<Vec<(u16, Vec<u8>)>>>;

/// A client whose kernel answers each request with these, and the requests.
fn recording(answers: &[Answer]) -> (Client<impl Transport + use<>>, Sent) {
    let sent = Sent::default();
    let record = Rc::clone(&sent);
    let mut answers: VecDeque<_> = answers.iter().copied().collect();
    let script = Scripted::new(uapi::NETLINK_NETFILTER, move |request, replies| {
        let bytes = request.payload.to_vec();
        record.borrow_mut().push((request.message_type, bytes));
        answer(answers.pop_front().unwrap(), replies);
    });
    let limits = Limits::default().reply_timeout(Duration::from_millis(1));
    let client = Client::new(Connection::new(script).with_limits(limits.attempts(3)));
    (client, sent)
}

fn payload(request: &Request) -> (u16, Vec<u8>) {
    let mut payload = vec![0; request.buffer_len()];
    request.emit(&mut payload);
    (request.message_type(), payload)
}

#[test]
fn what_an_older_kernel_lists_beside_is_left_out_and_stays() {
    // It passes over the filter.
    let filter = Filter::new().mark(Mark::exactly(0)).zone(7);
    let (mut client, sent) = recording(&[Answer::List(&[1, 2], Ending::Done)]);
    assert_eq!(client.flows_where(&filter), Ok(vec![]));
    assert_eq!(*sent.borrow(), [payload(&Request::ListWhere(filter))]);
    let (mut client, sent) = recording(&[Answer::List(&[1, 2], Ending::Done)]);
    assert_eq!(client.delete_where(&filter), Ok(0));
    assert_eq!(sent.borrow().len(), 1);
    // A kernel without zones refuses the filter.
    let (mut client, _) = recording(&[Answer::Result(errno::EOPNOTSUPP)]);
    assert_eq!(client.flows_where(&filter), Ok(vec![]));
    let (mut client, _) = recording(&[Answer::Result(errno::EOPNOTSUPP)]);
    assert!(client.flows_where(&Filter::new()).is_err());
}

#[test]
fn an_older_kernel_is_not_asked_to_flush_one_family() {
    let (mut client, sent) = recording(&[Answer::Result(0)]);
    let flushed = netlink_batch::block_on(client.0.flush_one(Family::V4, true));
    assert_eq!(flushed, Ok(()));
    let expected = payload(&Request::Flush(Some(Family::V4)));
    assert_eq!(*sent.borrow(), [expected]);

    let answers = [
        Answer::List(&[1, 2], Ending::Done),
        Answer::Result(0),
        Answer::Result(errno::ENOENT),
    ];
    let (mut client, sent) = recording(&answers);
    let flushed = netlink_batch::block_on(client.0.flush_one(Family::V4, false));
    assert_eq!(flushed, Ok(()));
    let requests = [
        Request::ListWhere(Family::V4.into()),
        Request::Delete(tuple(1).into()),
        Request::Delete(tuple(2).into()),
    ];
    assert_eq!(*sent.borrow(), requests.map(|request| payload(&request)));

    for (code, expected) in [
        (errno::EINVAL, Error::NoConntrack),
        (errno::EPERM, Error::NotPermitted),
    ] {
        let (mut client, _) = recording(&[Answer::Result(code)]);
        assert_eq!(client.flush(), Err(expected));
    }
    let (mut client, _) = recording(&[Answer::Result(errno::ENOMEM)]);
    let error = client.flush().unwrap_err();
    let text = "cannot flush the flows: Cannot allocate memory (os error 12)";
    assert_eq!(error.to_string(), text);
}

#[test]
fn a_fixed_timeout_is_not_a_missing_permission() {
    let updates = [FlowUpdate::new(tuple(1)).timeout(Duration::from_secs(7)); 2];
    // The flow can be read, so the permission is there.
    let answers = [
        Answer::Result(errno::EPERM),
        Answer::Result(errno::EPERM),
        Answer::List(&[1], Ending::Single),
    ];
    let error = client(&answers).update(&updates).unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot change the flow udp src=10.0.0.1 dst=10.96.0.10 sport=1 dport=53 and 1 more: \
         Operation not permitted (os error 1)"
    );
    let error = client(&[Answer::Result(errno::EPERM); 3]).update(&updates);
    assert_eq!(error, Err(Error::NotPermitted));
    let answers = [Answer::Result(0), Answer::Result(errno::ENOENT)];
    assert_eq!(client(&answers).update(&updates), Ok(1));
}

#[test]
fn one_flow_is_found_by_its_key() {
    let key = FlowKey::new(tuple(1));
    let one = || client(&[Answer::List(&[1], Ending::Single)]);
    assert_eq!(one().flow(&key), Ok(Some(flow(1))));
    // Another flow has the tuple by now.
    assert_eq!(one().flow(&key.with_id(7)), Ok(None));
    for (code, expected) in [
        (errno::ENOENT, Ok(None)),
        (errno::EPERM, Err(Error::NotPermitted)),
    ] {
        assert_eq!(client(&[Answer::Result(code)]).flow(&key), expected);
    }
}

/// A monitor whose socket has received these.
fn monitor(received: impl FnOnce(&mut Replies<'_>)) -> Monitor<impl Transport> {
    let mut received = Some(received);
    let mut script = Scripted::new(uapi::NETLINK_NETFILTER, move |_, replies| {
        if let Some(received) = received.take() {
            received(replies);
        }
    });
    // The script answers a request, which a monitor does not send.
    let mut request = 16_u32.to_ne_bytes().to_vec();
    request.extend([0; 12]);
    script.send(&request).unwrap();
    Monitor::new(script)
}

#[test]
fn events_that_are_lost_or_cannot_be_read_are_reported() {
    let gone = crate::message::FLOW_GONE;
    let mut monitor = monitor(|replies| {
        let flow = flow(1);
        let mut bytes = vec![0; flow.buffer_len()];
        flow.emit(&mut bytes);
        replies.message(FLOW, uapi::NLM_F_CREATE | uapi::NLM_F_EXCL, &bytes);
        replies.message(FLOW, 0, &bytes);
        replies.overflow();
        replies.message(gone, 0, &bytes);
        replies.message(gone, 0, &bytes[..7]);
        replies.message(0x999, 0, &bytes);
        // Longer than the buffer, as no event is.
        replies.message(FLOW, 0, &vec![0; 20_000]);
    });
    let mut next = || monitor.next(None).unwrap();
    let event = |event| Some(Event::Flow(Box::new(event)));
    assert_eq!(next(), event(FlowEvent::New(flow(1))));
    assert_eq!(next(), event(FlowEvent::Updated(flow(1))));
    assert_eq!(next(), Some(Event::Lost));
    assert_eq!(next(), event(FlowEvent::Destroyed(flow(1))));
    assert!(matches!(next(), Some(Event::Malformed(_))));
    assert_eq!(next(), Some(Event::Lost));
    assert_eq!(next(), None);
}
