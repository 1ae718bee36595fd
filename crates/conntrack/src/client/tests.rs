//! The client against a scripted socket, for answers that a real kernel cannot be made to give.

use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

use netlink_batch::{Limits, Loss, messages};
use netlink_packet_core::Emitable;

use super::*;
use netlink_wire::Problem;

use crate::{Protocol, Tuple};

/// What the kernel does with one request.
#[derive(Clone, Copy)]
enum Answer {
    /// Acknowledges with this error number, 0 for none.
    Ack(i32),
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

/// Answers one request at a time, and counts the datagrams it was sent.
struct Script {
    answers: VecDeque<Answer>,
    inbox: VecDeque<Option<Vec<u8>>>,
}

fn client(answers: &[Answer]) -> Client<Script> {
    let script = Script {
        answers: answers.iter().copied().collect(),
        inbox: VecDeque::new(),
    };
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

fn message(message_type: u16, flags: u16, sequence: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(16 + payload.len()).unwrap();
    let mut bytes = length.to_ne_bytes().to_vec();
    bytes.extend(message_type.to_ne_bytes());
    bytes.extend(flags.to_ne_bytes());
    bytes.extend(sequence.to_ne_bytes());
    bytes.extend([0; 4]);
    bytes.extend(payload);
    bytes
}

impl Transport for Script {
    fn send(&mut self, datagram: &[u8]) -> io::Result<()> {
        for request in messages(datagram).map(Result::unwrap) {
            let sequence = request.sequence;
            let done = Some(message(
                netlink::NLMSG_DONE,
                netlink::NLM_F_MULTI,
                sequence,
                &[0; 4],
            ));
            match self.answers.pop_front().unwrap() {
                Answer::Ack(0) if request.flags & netlink::NLM_F_ACK == 0 => {}
                Answer::Ack(code) => {
                    let payload = [&(-code).to_ne_bytes()[..], &[0; 16]].concat();
                    let flags = netlink::NLM_F_CAPPED;
                    let ack = message(netlink::NLMSG_ERROR, flags, sequence, &payload);
                    self.inbox.push_back(Some(ack));
                }
                Answer::List(ports, ending) => {
                    for port in ports {
                        let flow = flow(*port);
                        let mut payload = vec![0; flow.buffer_len()];
                        flow.emit(&mut payload);
                        let part = message(FLOW, netlink::NLM_F_MULTI, sequence, &payload);
                        self.inbox.push_back(Some(part));
                    }
                    if ending == Ending::Overflow {
                        self.inbox.push_back(None);
                    }
                    self.inbox.push_back(done);
                }
                Answer::Odd(message_type, length) => {
                    let flags = netlink::NLM_F_MULTI;
                    let part = message(message_type, flags, sequence, &vec![0; length]);
                    self.inbox.extend([Some(part), done]);
                }
                Answer::Nothing => {}
            }
        }
        Ok(())
    }

    fn receive(&mut self, buffer: &mut [u8], _deadline: Option<Instant>) -> io::Result<usize> {
        let datagram = self.inbox.pop_front().ok_or(io::ErrorKind::WouldBlock)?;
        let datagram = datagram.ok_or(io::Error::from_raw_os_error(errno::ENOBUFS))?;
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
    let acks = [Answer::Ack(0), Answer::Ack(0)];
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
        let error = client(&[Answer::Ack(code)]).flows(Family::V4);
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
    let answers = [0, errno::ENOENT, errno::EBUSY, 0, errno::ENOMEM, 0].map(Answer::Ack);
    let keys: Vec<FlowKey> = (0..6).map(|port| tuple(port).into()).collect();
    let error = client(&answers).delete(&keys).unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot delete the flow udp src=10.0.0.1 dst=10.96.0.10 sport=2 dport=53 and 1 more: \
         Device or resource busy (os error 16)"
    );
    let answers = [0, errno::ENOENT, 0].map(Answer::Ack);
    assert_eq!(client(&answers).delete(&keys[..3]), Ok(2));
}
