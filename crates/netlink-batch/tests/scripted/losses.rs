//! Replies that are lost, cut off, late, foreign, or come in another order.

use std::io;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use netlink_batch::{
    Acknowledge, Batch, Bytes, Connection, Error, Header, Limits, Loss, Os, Transport, errno, uapi,
};

use crate::batches::{EEXIST, codes, push, unknown};
use crate::kernel::{ASK, DATA, Fault, Kernel, PORT, batch, request};

#[test]
fn signals_are_nothing() {
    let faults = vec![
        Fault::InterruptedSend,
        Fault::InterruptedSend,
        Fault::InterruptedReceive,
    ];
    let mut connection = Kernel::with_script([(0, faults)]).connect();
    assert!(connection.execute(&mut batch(&[0, 0])).is_success());
    assert_eq!(connection.transport().carried_out, [(0, 1), (1, 1)].into());
}

#[test]
fn after_an_overflow_nothing_unanswered_is_a_success() {
    for acknowledge in [Acknowledge::Last, Acknowledge::Each] {
        let kernel = Kernel::with_script([(0, vec![Fault::Overflow(1)])]);
        let mut connection = kernel
            .connect()
            .with_limits(Limits::default().acknowledge(acknowledge));
        let report = connection.execute(&mut batch(&[EEXIST, 0, 0, EEXIST]));
        assert_eq!(report.result(0).unwrap_err().code(), Some(EEXIST));
        assert_eq!(unknown(&report), [1, 2, 3]);
        assert_eq!(report.result(1), Err(&Error::Unknown(Loss::Overflow)));
        assert!(
            !connection.transport().waited,
            "what was dropped does not come"
        );
    }
}

#[test]
fn what_may_be_repeated_is_asked_again() {
    let mut connection = Kernel::with_script([(0, vec![Fault::Overflow(1)])]).connect();
    let mut all = batch(&[EEXIST, 0, 0, EEXIST]);
    all.set_idempotent(true);
    assert_eq!(
        codes(&connection.execute(&mut all)),
        [(0, Some(EEXIST)), (3, Some(EEXIST))]
    );
    assert_eq!(
        connection.transport().carried_out,
        [(0, 1), (1, 2), (2, 2), (3, 2)].into()
    );
}

#[test]
fn asking_again_is_bounded() {
    let overflows = (0..100).map(|n| (n, vec![Fault::Overflow(0)]));
    let mut connection = Kernel::with_script(overflows).connect();
    let mut all = batch(&[0]);
    all.set_idempotent(true);
    assert_eq!(unknown(&connection.execute(&mut all)), [0]);
    assert_eq!(connection.transport().datagrams.len(), 10);
}

#[test]
fn silence_is_bounded_and_typed() {
    let mut connection =
        Kernel::with_script((0..9).map(|n| (n, vec![Fault::LoseSilently(0)]))).connect();
    connection = connection.with_limits(connection_limits(2));
    let report = connection.execute(&mut batch(&[0; 10]));
    assert_eq!(unknown(&report), [0, 1, 2, 3]);
    let timeout = Loss::Timeout(connection.limits().reply_timeout);
    assert_eq!(report.result(0), Err(&Error::Unknown(timeout)));
    assert_eq!(report.result(4), Err(&Error::NotSent(Os(errno::ETIMEDOUT))));
}

#[test]
fn silence_is_bounded_however_many_requests_there_are() {
    let lose = |n| (n, vec![Fault::LoseSilently(0)]);
    let mut connection = Kernel::with_script([0, 2].map(lose))
        .connect()
        .with_limits(connection_limits(2));
    let all = (0..10).map(|id| (id, 0));
    let report = connection.execute_all(&mut Batch::new(), all, push);
    assert_eq!(unknown(&report), [0, 1, 4, 5]);
    assert_eq!(report.len(), 10);
    for (request, result) in report.iter().enumerate().skip(6) {
        let not_sent = Err(&Error::NotSent(Os(errno::ETIMEDOUT)));
        assert_eq!(result, not_sent, "request {request}");
    }
    assert_eq!(connection.transport().datagrams, [2, 2, 2]);
}

fn connection_limits(window: usize) -> Limits {
    Limits::default()
        .window(window)
        .reply_timeout(Duration::from_secs(2))
}

#[test]
fn reordered_replies_find_their_requests() {
    // The acknowledgement comes before the errors, one of which is read with the next window only.
    let kernel = Kernel::with_script([(0, vec![Fault::Swap(0, 2)]), (1, vec![Fault::Swap(0, 1)])]);
    let mut connection = kernel.connect().with_limits(connection_limits(3));
    let report = connection.execute(&mut batch(&[EEXIST, EEXIST, 0, EEXIST, 0, 0]));
    assert_eq!(
        codes(&report),
        [(0, Some(EEXIST)), (1, Some(EEXIST)), (3, Some(EEXIST))]
    );
}

#[test]
fn repeated_and_foreign_replies_change_nothing() {
    for acknowledge in [Acknowledge::Last, Acknowledge::Each] {
        let faults = vec![
            Fault::Repeat(0),
            Fault::Stray {
                sequence: u32::MAX,
                port: PORT,
            },
            Fault::Stray {
                sequence: 0,
                port: 0,
            },
            Fault::Stray {
                sequence: 1,
                port: PORT + 1,
            },
        ];
        let kernel = Kernel::with_script([(0, faults.clone()), (1, faults)]);
        let limits = Limits::default().window(3).acknowledge(acknowledge);
        let mut connection = kernel.connect().with_limits(limits);
        let mut data = 0;
        let report =
            connection.execute_with(&mut batch(&[EEXIST, 0, EEXIST, 0, 0, 0]), |_, _| data += 1);
        assert_eq!(
            (codes(&report), data),
            (vec![(0, Some(EEXIST)), (2, Some(EEXIST))], 0)
        );
        // The repetition of the last reply is still there.
        assert!(
            connection
                .request(Header::new(ASK), &Bytes(&request(9, 0, 0, 0)))
                .is_ok()
        );
    }
}

#[test]
fn a_late_reply_does_not_answer_the_next_request() {
    // The first request's reply is overtaken by its time limit.
    let kernel = Kernel::with_script([
        (0, vec![Fault::LoseSilently(0)]),
        (
            1,
            vec![Fault::Stray {
                sequence: 1,
                port: PORT,
            }],
        ),
    ]);
    let mut connection = kernel.connect();
    let ask = |error| request(0, error, 0, 0);
    assert!(matches!(
        connection.request(Header::new(ASK), &Bytes(&ask(0))),
        Err(Error::Unknown(Loss::Timeout(_)))
    ));
    let error = connection
        .request(Header::new(ASK), &Bytes(&ask(EEXIST)))
        .unwrap_err();
    assert_eq!(error.code(), Some(EEXIST));
}

#[test]
fn garbage_makes_results_unknown() {
    let mut connection = Kernel::with_script([(0, vec![Fault::Garbage(vec![1, 2, 3])])]).connect();
    let report = connection.execute(&mut batch(&[0, 0, 0]));
    assert_eq!(unknown(&report), [0, 1], "the last has its acknowledgement");
    assert!(matches!(
        report.result(0),
        Err(Error::Unknown(Loss::Malformed(_)))
    ));
}

#[test]
fn a_receive_that_fails_ends_the_batch() {
    let kernel = Kernel::with_script([(
        0,
        vec![Fault::LoseSilently(0), Fault::ReceiveFails(errno::ENOMEM)],
    )]);
    let mut connection = kernel.connect().with_limits(Limits::default().window(1));
    let report = connection.execute(&mut batch(&[0, 0]));
    let failures: Vec<_> = report.into_failures().map(|(_, error)| error).collect();
    assert_eq!(
        failures,
        [
            Error::Unknown(Loss::Receive(Os(errno::ENOMEM))),
            Error::NotSent(Os(errno::ENOMEM))
        ]
    );
}

#[test]
fn a_late_acknowledgement_still_counts() {
    let kernel = Kernel::with_script([(0, vec![Fault::ReceiveFails(errno::ENOMEM)])]);
    let mut connection = kernel.connect().with_limits(Limits::default().window(1));
    let report = connection.execute(&mut batch(&[0, 0]));
    assert_eq!(
        report.into_failures().collect::<Vec<_>>(),
        [(1, Error::NotSent(Os(errno::ENOMEM)))]
    );
}

#[test]
fn a_cut_error_keeps_its_number() {
    // The echo of the request makes the reply longer than the buffer.
    let mut long = request(0, EEXIST, 0, 0).to_vec();
    long.resize(100_000, 0);
    let error = Kernel::default()
        .connect()
        .request(Header::new(ASK), &Bytes(&long))
        .unwrap_err();
    assert_eq!(error.code(), Some(EEXIST));
}

#[test]
fn cut_data_is_asked_for_again_with_room_for_it() {
    let mut connection = Kernel::default().connect();
    let header = Header::new(ASK);
    let long = request(0, 0, 1, 100_000);
    let length = connection.get(header, &Bytes(&long), |m| {
        Ok::<_, Error>((m.message_type, m.payload.len()))
    });
    assert_eq!(length, Ok((DATA, 100_000)));
    assert_eq!(connection.transport().carried_out, [(0, 2)].into());

    // Not so if it may not be repeated: the kernel carried it out, but its answer is lost.
    let mut all = Batch::new();
    all.push(header, &Bytes(&request(1, 0, 1, 200_000)));
    let report = connection.execute_with(&mut all, |_, _| panic!("it does not fit"));
    assert_eq!(
        report.result(0),
        Err(&Error::Unknown(Loss::Truncated(200_016)))
    );
}

/// A socket that never falls silent, and never has what is asked for.
struct Flood(Option<i32>);

impl Transport for Flood {
    fn send(&mut self, _: &[u8]) -> io::Result<()> {
        Ok(())
    }

    fn receive(&mut self, buffer: &mut [u8], _: Option<Instant>) -> io::Result<usize> {
        if let Some(code) = self.0 {
            return Err(io::Error::from_raw_os_error(code));
        }
        buffer[..16].copy_from_slice(&[16, 0, 0, 0, 200, 0, 0, 0, 255, 255, 255, 255, 0, 0, 0, 0]);
        Ok(16)
    }

    fn port(&self) -> u32 {
        PORT
    }

    fn protocol(&self) -> u16 {
        uapi::NETLINK_ROUTE
    }

    fn send_limit(&self) -> usize {
        1 << 16
    }

    fn receive_limit(&self) -> usize {
        1 << 16
    }
}

#[test]
fn a_flood_of_something_else_is_bounded() {
    for error in [None, Some(errno::ENOBUFS), Some(errno::EINTR)] {
        let limits = Limits::default()
            .reply_timeout(Duration::from_millis(5))
            .window(1);
        let mut connection = Connection::new(Flood(error)).with_limits(limits);
        let report = connection.execute(&mut batch(&[0; 10]));
        assert!(report.failures().len() == 10 && !unknown(&report).is_empty());
        let dump = connection.dump(Header::new(ASK), &Bytes(&[]), |_| ControlFlow::Break(()));
        assert!(matches!(dump, Err(Error::Unknown(_))));
    }
}
