//! Batches and single requests: results, windows, sending.

use netlink_batch::{Acknowledge, Batch, Bytes, Error, Header, Limits, Os, Report, errno, uapi};

use crate::kernel::{ASK, Fault, Kernel, batch, request};

pub(crate) const EEXIST: i32 = errno::EEXIST;

/// The error number of each failed request; `None` for other failures.
pub(crate) fn codes(report: &Report) -> Vec<(usize, Option<i32>)> {
    report
        .failures()
        .map(|(request, error)| (request, error.code()))
        .collect()
}

/// The requests of which it is not known whether they were carried out.
pub(crate) fn unknown(report: &Report) -> Vec<usize> {
    report
        .failures()
        .filter(|(_, e)| matches!(e, Error::Unknown(_)))
        .map(|(request, _)| request)
        .collect()
}

#[test]
fn each_request_has_its_own_result() {
    let mut connection = Kernel::default().connect();
    let report = connection.execute(&mut batch(&[0, EEXIST, 0, errno::ENOENT, 0]));
    assert_eq!(
        codes(&report),
        [(1, Some(EEXIST)), (3, Some(errno::ENOENT))]
    );
    let Err(Error::Kernel(error)) = report.result(1) else {
        panic!()
    };
    assert_eq!(*error.request, request(1, EEXIST, 0, 0));
    assert_eq!(connection.transport().datagrams, [5]);
}

/// Adds a request with this result.
pub(crate) fn push(batch: &mut Batch, (id, result): (u32, i32)) {
    batch.push(Header::new(ASK), &Bytes(&request(id, result, 0, 0)));
}

#[test]
fn any_number_of_requests_goes_out_in_the_memory_of_a_window() {
    let mut connection = Kernel::default()
        .connect()
        .with_limits(Limits::default().window(4));
    let mut results = [0; 10];
    (results[3], results[4], results[9]) = (EEXIST, errno::ENOENT, EEXIST);
    let (mut memory, mut longest) = (batch(&[EEXIST]), 0);
    let report = connection.execute_all(&mut memory, (0..).zip(results), |batch, of| {
        push(batch, of);
        longest = longest.max(batch.len());
    });
    assert_eq!(
        codes(&report),
        [
            (3, Some(EEXIST)),
            (4, Some(errno::ENOENT)),
            (9, Some(EEXIST))
        ]
    );
    assert_eq!((report.len(), longest), (10, 4));
    assert_eq!(connection.transport().datagrams, [4, 4, 2]);
    let nothing = connection.execute_all(&mut memory, [], push);
    assert!(nothing.is_empty() && connection.transport().datagrams.len() == 3);
}

#[test]
fn an_error_of_the_last_request_closes_the_window_too() {
    let report = Kernel::default()
        .connect()
        .execute(&mut batch(&[0, 0, EEXIST]));
    assert_eq!(codes(&report), [(2, Some(EEXIST))]);
}

#[test]
fn an_empty_batch_sends_nothing() {
    let mut connection = Kernel::default().connect();
    assert!(connection.execute(&mut Batch::new()).is_success());
    assert!(connection.transport().datagrams.is_empty());
}

#[test]
fn windows_are_as_large_as_the_buffers_allow() {
    // 32 bytes each.
    let kernel = Kernel::default().with(|kernel| kernel.send_limit = Some(32 * 10));
    let mut connection = kernel.connect();
    assert!(connection.execute(&mut batch(&[0; 25])).is_success());
    assert_eq!(connection.into_transport().datagrams, [10, 10, 5]);

    let kernel = Kernel::default().with(|kernel| kernel.receive_limit = Some(10_000));
    let mut connection = kernel.connect();
    assert!(
        connection
            .execute(&mut batch(&[EEXIST; 25]))
            .failures()
            .all(|(_, e)| e.code() == Some(EEXIST))
    );
    assert!(
        connection
            .into_transport()
            .datagrams
            .iter()
            .all(|n| (2..12).contains(n))
    );

    let mut connection = Kernel::default().connect();
    assert!(connection.execute(&mut batch(&[0; 2500])).is_success());
    assert_eq!(connection.into_transport().datagrams, [1024, 1024, 452]);
}

#[test]
fn a_request_that_is_too_long_fails_alone() {
    let mut all = batch(&[0, 0]);
    all.push(Header::new(ASK), &Bytes(&[0; 400]));
    all.push(Header::new(ASK), &Bytes(&request(3, 0, 0, 0)));
    let mut connection = Kernel::default()
        .with(|kernel| kernel.send_limit = Some(200))
        .connect();
    let report = connection.execute(&mut all);
    assert_eq!(
        report.into_failures().collect::<Vec<_>>(),
        [(
            2,
            Error::TooLong {
                length: 416,
                limit: 200
            }
        )]
    );
    assert_eq!(connection.transport().datagrams, [2, 1]);
}

#[test]
fn a_datagram_that_cannot_be_sent_is_split() {
    for code in [errno::EMSGSIZE, errno::ENOBUFS] {
        let faults = vec![Fault::SendFails(code), Fault::SendFails(code)];
        let mut connection = Kernel::with_script([(0, faults)]).connect();
        assert!(connection.execute(&mut batch(&[0; 100])).is_success());
        assert_eq!(connection.into_transport().datagrams, [25, 25, 25, 25]);
    }
}

#[test]
fn when_sending_fails_nothing_more_is_sent() {
    let kernel = Kernel::with_script([(1, vec![Fault::SendFails(errno::EPERM)])]);
    let mut connection = kernel.connect().with_limits(Limits::default().window(2));
    let report = connection.execute(&mut batch(&[0, EEXIST, 0, 0, 0]));
    let not_sent = Error::NotSent(Os(errno::EPERM));
    assert_eq!(
        report.iter().collect::<Vec<_>>()[2..],
        [Err(&not_sent), Err(&not_sent), Err(&not_sent)]
    );
    assert_eq!(report.result(1).unwrap_err().code(), Some(EEXIST));
    assert_eq!(connection.transport().carried_out.len(), 2);
}

#[test]
fn data_belongs_to_its_request() {
    let mut all = Batch::new();
    for id in 0..50 {
        all.push(
            Header::new(ASK),
            &Bytes(&request(id, if id == 7 { EEXIST } else { 0 }, id % 3, 4)),
        );
    }
    all.set_reply_room(300);
    let mut seen = vec![0; 50];
    let report = Kernel::default()
        .connect()
        .execute_with(&mut all, |request, _| seen[request] += 1);
    assert_eq!(codes(&report), [(7, Some(EEXIST))]);
    let expected: Vec<_> = (0..50).map(|id| if id == 7 { 0 } else { id % 3 }).collect();
    assert_eq!(seen, expected);
}

#[test]
fn a_get_without_data_is_an_error() {
    let mut connection = Kernel::default().connect();
    let nothing = connection.get(Header::new(ASK), &Bytes(&request(0, 0, 0, 0)), |_| {
        Ok::<_, Error>(())
    });
    assert_eq!(nothing, Err(Error::NoReply));
}

#[test]
fn nfnetlink_forbids_a_datagram_as_a_whole() {
    let forbidden = |protocol| {
        Kernel::default()
            .with(|kernel| {
                kernel.protocol = protocol;
                kernel.forbids = true;
            })
            .connect()
    };
    for acknowledge in [Acknowledge::Last, Acknowledge::Each] {
        let mut connection = forbidden(uapi::NETLINK_NETFILTER)
            .with_limits(Limits::default().acknowledge(acknowledge));
        let report = connection.execute(&mut batch(&[0; 5]));
        assert_eq!(codes(&report).len(), 5);
        assert!(
            report
                .iter()
                .all(|result| result.unwrap_err().code() == Some(errno::EPERM))
        );
        assert!(!connection.transport().waited);
    }
    // Of another protocol that would be no answer to the others.
    assert_eq!(
        unknown(&forbidden(uapi::NETLINK_GENERIC).execute(&mut batch(&[0; 5]))),
        [1, 2, 3, 4]
    );
}
