//! The client against a scripted socket, for answers that a real kernel cannot be made to give.

use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

use netlink_batch::{Limits, Loss, Transport, messages};

use super::*;
use crate::message::Transaction;
use crate::{Name, Table, TableFamily};

/// What the kernel answers to a datagram: for each answer the index of the message, and an error number.
type Answers = &'static [(u32, i32)];

struct Script {
    answers: VecDeque<Answers>,
    inbox: VecDeque<Vec<u8>>,
    sent: Vec<(u16, u16)>,
    limit: usize,
}

fn client(answers: &[Answers]) -> Client<Script> {
    let script = Script {
        answers: answers.iter().copied().collect(),
        inbox: VecDeque::new(),
        sent: Vec::new(),
        limit: 1 << 16,
    };
    let limits = Limits::default().reply_timeout(Duration::from_millis(1));
    Client::new(Connection::new(script).with_limits(limits))
}

impl Transport for Script {
    fn send(&mut self, datagram: &[u8]) -> io::Result<()> {
        let requests: Vec<_> = messages(datagram).map(Result::unwrap).collect();
        let sent = requests.iter().map(|m| (m.message_type, m.flags));
        self.sent.extend(sent);
        for (index, code) in self.answers.pop_front().unwrap() {
            let sequence = requests[0].sequence + index;
            let mut bytes = 36_u32.to_ne_bytes().to_vec();
            bytes.extend(netlink::NLMSG_ERROR.to_ne_bytes());
            bytes.extend(netlink::NLM_F_CAPPED.to_ne_bytes());
            bytes.extend(sequence.to_ne_bytes());
            bytes.extend([0; 4]);
            bytes.extend((-code).to_ne_bytes());
            bytes.extend([0; 16]);
            self.inbox.push_back(bytes);
        }
        Ok(())
    }

    fn receive(&mut self, buffer: &mut [u8], _: Option<Instant>) -> io::Result<usize> {
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
        self.limit
    }

    fn receive_limit(&self) -> usize {
        1 << 20
    }
}

fn three_tables() -> Transaction {
    let mut transaction = Transaction::new();
    for name in ["a", "b", "c"] {
        let name = Name::new(name).unwrap();
        transaction.add(Table::new(TableFamily::IPV4, name));
    }
    transaction
}

fn apply(answers: Answers, transaction: &Transaction) -> Result<(), Error> {
    let mut client = client(&[answers]);
    client.apply(transaction)
}

#[test]
fn a_transaction_is_one_datagram_of_which_the_last_change_is_acknowledged() {
    let mut client = client(&[&[(3, 0)]]);
    assert_eq!(client.apply(&three_tables()), Ok(()));
    let ack = netlink::NLM_F_REQUEST | netlink::NLM_F_ACK;
    let table = (0xa00, netlink::NLM_F_REQUEST | netlink::NLM_F_CREATE);
    assert_eq!(
        client.0.connection.transport().sent,
        [
            (0x10, netlink::NLM_F_REQUEST),
            table,
            table,
            (0xa00, ack | netlink::NLM_F_CREATE),
            (0x11, netlink::NLM_F_REQUEST)
        ]
    );
}

#[test]
fn the_change_at_fault_is_named() {
    let error = apply(&[(2, errno::EEXIST), (3, errno::EBUSY)], &three_tables()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the kernel refused the transaction, at its change 2: cannot add table ip b: \
         File exists (os error 17) (and 1 more changes)"
    );
    // A kernel that acknowledges the last one and could not commit.
    let error = apply(&[(0, errno::ENOMEM), (3, 0)], &three_tables()).unwrap_err();
    assert!(matches!(error, Error::NotCommitted(_)), "{error:?}");
}

#[test]
fn refusals_as_a_whole_have_their_errors() {
    let stale = three_tables().at_generation(7);
    for (code, expected) in [
        (ERESTART, Error::GenerationChanged { expected: 7 }),
        (errno::EPERM, Error::NotPermitted),
        (errno::EOPNOTSUPP, Error::NoNftables),
    ] {
        let answers: Answers = vec![(0, code)].leak();
        assert_eq!(apply(answers, &stale), Err(expected));
    }
}

#[test]
fn silence_is_never_success() {
    let error = apply(&[], &three_tables()).unwrap_err();
    let timeout = Loss::Timeout(Duration::from_millis(1));
    assert_eq!(
        error,
        Error::Netlink(netlink_batch::Error::Unknown(timeout))
    );
    // Nothing to do is nothing to send.
    assert_eq!(apply(&[], &Transaction::new()), Ok(()));
}

#[test]
fn a_transaction_is_never_divided() {
    let mut client = client(&[]);
    client.0.connection.transport_mut().limit = 64;
    let error = client.apply(&three_tables()).unwrap_err();
    assert!(matches!(
        error,
        Error::Netlink(netlink_batch::Error::TooLong { .. })
    ));
    assert_eq!(client.0.connection.transport().sent, []);
}

/// Receives these datagrams; `None` is one that the kernel had to drop.
struct Feed(VecDeque<Option<Vec<u8>>>);

impl Transport for Feed {
    fn send(&mut self, _: &[u8]) -> io::Result<()> {
        Ok(())
    }

    fn receive(&mut self, buffer: &mut [u8], _: Option<Instant>) -> io::Result<usize> {
        let datagram = self.0.pop_front().ok_or(io::ErrorKind::WouldBlock)?;
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
        0
    }

    fn receive_limit(&self) -> usize {
        0
    }
}

/// A notification as a datagram of its own.
fn notification(message_type: u16, payload: &[u8]) -> Option<Vec<u8>> {
    let length = u32::try_from(16 + payload.len()).unwrap();
    let mut bytes = length.to_ne_bytes().to_vec();
    bytes.extend(message_type.to_ne_bytes());
    bytes.extend([0; 10]);
    bytes.extend(payload);
    Some(bytes)
}

#[test]
fn what_came_before_a_loss_is_not_taken_for_a_part_of_what_comes_behind_it() {
    let table =
        |name: &[u8; 4]| notification(0xa00, &[&[2, 0, 0, 0, 7, 0, 1, 0][..], name].concat());
    let generation = notification(0xa0f, &[0, 0, 0, 0, 8, 0, 1, 0, 0, 0, 0, 9]);
    let feed = [table(b"old\0"), None, table(b"new\0"), generation];
    let mut monitor = Monitor::new(Feed(feed.into()));
    assert_eq!(monitor.next(None), Ok(Some(Event::Lost)));
    let Ok(Some(Event::Changed(changes))) = monitor.next(None) else {
        panic!("no change");
    };
    let items: Vec<_> = changes
        .changes
        .iter()
        .map(|change| change.item().unwrap().to_string())
        .collect();
    assert_eq!(
        (items, changes.generation.id),
        (vec!["table ip new".to_owned()], 9)
    );
    assert_eq!(monitor.next(None), Ok(None));
}
