//! Futures that are dropped half way: the connection stays good, and nothing is sent half.

use netlink_batch::{AsyncConnection, Bytes, Error, Header, Limits, errno};
use proptest::prelude::*;

use crate::kernel::{ASK, DUMP, Datagram, Dump, Kernel, batch, request};
use crate::suspending::drop_after;

type Suspending = crate::suspending::Suspending<Kernel>;

fn connect(kernel: Kernel) -> AsyncConnection<Suspending> {
    AsyncConnection::new(Suspending::new(kernel))
        .with_limits(Limits::default().window(3).attempts(2))
}

fn finish<F: Future>(future: F) -> F::Output {
    drop_after(usize::MAX, future).unwrap()
}

/// A batch of ten, of which every third fails, has exactly its results.
fn assert_good(connection: &mut AsyncConnection<Suspending>) {
    let expected = [
        errno::EEXIST,
        0,
        0,
        errno::EEXIST,
        0,
        0,
        errno::EEXIST,
        0,
        0,
        0,
    ];
    let report = finish(connection.execute(&mut batch(&expected)));
    let codes = report.iter().map(|result| result.map_err(Error::code));
    for (code, expected) in codes.zip(expected) {
        let expected = if expected == 0 {
            Ok(())
        } else {
            Err(Some(expected))
        };
        assert_eq!(code, expected);
    }
    let mut data = 0;
    let length =
        finish(
            connection.get(Header::new(ASK), &Bytes(&request(99, 0, 1, 8)), |message| {
                data += 1;
                Ok::<_, Error>(message.payload.len())
            }),
        );
    assert_eq!((length, data), (Ok(8), 1));
    assert_eq!(dump(connection, usize::MAX), Some(Ok(vec![1, 2, 3])));
}

fn dump(
    connection: &mut AsyncConnection<Suspending>,
    polls: usize,
) -> Option<Result<Vec<u32>, Error>> {
    let dump = connection.dump_all(Header::dump(DUMP), &Bytes(&[]), |message| {
        let number = message
            .payload
            .first_chunk()
            .copied()
            .map(u32::from_ne_bytes);
        Ok::<_, Error>(number)
    });
    drop_after(polls, dump)
}

fn three() -> Dump {
    Dump {
        datagrams: vec![Datagram::Objects(vec![1, 2]), Datagram::Objects(vec![3])],
        result: 0,
    }
}

#[test]
fn a_dropped_batch_was_sent_window_by_window() {
    let results = [0, 0, errno::EEXIST, 0, 0, 0, errno::EEXIST, 0, 0, 0];
    for polls in 0.. {
        let mut connection = connect(Kernel::with_dumps([three()]));
        let report = drop_after(polls, connection.execute(&mut batch(&results)));
        let kernel = &connection.transport().inner;
        let done: Vec<_> = kernel.carried_out.keys().copied().collect();
        assert_eq!(
            done,
            (0..u32::try_from(done.len()).unwrap()).collect::<Vec<_>>()
        );
        assert!(
            done.len() % 3 == 0 || done.len() == 10,
            "{} were sent",
            done.len()
        );
        assert!(kernel.carried_out.values().all(|times| *times == 1));
        connection.transport_mut().inner.carried_out.clear();
        assert_good(&mut connection);
        if report.is_some() {
            assert!(polls > 8);
            return;
        }
    }
}

#[test]
fn a_dropped_dump_is_read_to_its_end() {
    for polls in 0.. {
        let mut connection = connect(Kernel::with_dumps([three(), three(), three()]));
        let dumped = dump(&mut connection, polls);
        // Where the dump was not even asked for, the kernel has one more.
        assert_good(&mut connection);
        assert!(!connection.transport().inner.waited, "all was there");
        if let Some(dumped) = dumped {
            assert_eq!(dumped, Ok(vec![1, 2, 3]));
            assert!(polls > 4);
            return;
        }
    }
}

#[test]
fn a_dropped_transaction_is_whole_or_nothing() {
    for polls in 0.. {
        let mut connection = connect(Kernel::with_dumps([three()]));
        let mut all = batch(&[0; 5]);
        let answers = drop_after(polls, connection.execute_whole(&mut all, 4));
        let done = connection.transport().inner.carried_out.len();
        assert!(done == 0 || done == 5);
        connection.transport_mut().inner.carried_out.clear();
        assert_good(&mut connection);
        if let Some(answers) = answers {
            assert!(answers.unwrap().acknowledged);
            return;
        }
    }
}

/// A stalled dump keeps nobody waiting for long.
#[test]
fn a_dropped_dump_that_stalled_is_woken() {
    let stalled = Dump {
        datagrams: vec![Datagram::Objects(vec![9]), Datagram::NoMemory],
        result: 0,
    };
    for polls in 3..8 {
        let mut connection = connect(Kernel::with_dumps([stalled.clone(), three(), three()]));
        assert_eq!(dump(&mut connection, polls), None);
        assert_good(&mut connection);
    }
}

proptest! {
    /// Whatever is dropped, wherever, in whatever order.
    #[test]
    fn nothing_dropped_is_taken_for_an_answer(
        calls in prop::collection::vec((0..4, 0_usize..20), 0..8),
    ) {
        let dumps = std::iter::repeat_with(three).take(calls.len() + 1);
        let mut connection = connect(Kernel::with_dumps(dumps));
        for (call, polls) in calls {
            match call {
                0 => {
                    let results = [errno::ENOENT; 7];
                    let report = drop_after(polls, connection.execute(&mut batch(&results)));
                    if let Some(report) = report {
                        prop_assert_eq!(report.failures().count(), 7);
                    }
                }
                1 => {
                    let dumped = dump(&mut connection, polls);
                    prop_assert!(dumped.is_none_or(|dumped| dumped == Ok(vec![1, 2, 3])));
                }
                2 => {
                    let mut all = batch(&[0, errno::EPERM]);
                    let answers = drop_after(polls, connection.execute_whole(&mut all, 1));
                    if let Some(answers) = answers {
                        prop_assert_eq!(answers.unwrap().refused.len(), 1);
                    }
                }
                _ => {
                    let ask = request(7, errno::ESRCH, 0, 0);
                    let payload = Bytes(&ask);
                    let answer = drop_after(polls, connection.request(Header::new(ASK), &payload));
                    if let Some(answer) = answer {
                        prop_assert_eq!(answer.unwrap_err().code(), Some(errno::ESRCH));
                    }
                }
            }
        }
        assert_good(&mut connection);
    }
}
