//! The client against a scripted socket, for answers that a real kernel cannot be made to give.

use std::collections::VecDeque;
use std::time::Duration;

use netlink_batch::scripted::Scripted;
use netlink_batch::{Limits, Loss, Transport, uapi};
use netlink_packet_core::Emitable;

use super::*;
use netlink_wire::Problem;

use crate::{Protocol, Tuple};

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
}

fn client(answers: &[Answer]) -> Client<impl Transport + use<>> {
    let mut answers: VecDeque<_> = answers.iter().copied().collect();
    let script = Scripted::new(uapi::NETLINK_NETFILTER, move |_, replies| {
        match answers.pop_front().unwrap() {
            Answer::Result(code) => replies.result(code),
            Answer::List(ports, ending) => {
                for port in ports {
                    let flow = flow(*port);
                    let mut payload = vec![0; flow.buffer_len()];
                    flow.emit(&mut payload);
                    replies.message(FLOW, uapi::NLM_F_MULTI, &payload);
                }
                if ending == Ending::Overflow {
                    replies.overflow();
                }
                replies.done(0);
            }
            Answer::Odd(message_type, length) => {
                replies.message(message_type, uapi::NLM_F_MULTI, &vec![0; length]);
                replies.done(0);
            }
            Answer::Nothing => {}
        }
    });
    let limits = Limits::default().reply_timeout(Duration::from_millis(1));
    Client::new(Connection::new(script).with_limits(limits.attempts(3)))
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
