//! Against the kernel of this machine, with requests that change nothing and need no permission.

mod suspending;

use std::ops::ControlFlow;

use netlink_batch::{
    Acknowledge, AsyncConnection, Batch, Bytes, Connection, Dumped, Error, Header, Limits, Loss,
    Socket, SocketOptions, errno, uapi,
};

const RTM_GETLINK: u16 = 18;
const RTM_NEWLINK: u16 = 16;

/// `struct ifinfomsg` that asks for one link.
fn link(index: i32) -> [u8; 16] {
    let mut message = [0; 16];
    message[4..8].copy_from_slice(&index.to_ne_bytes());
    message
}

/// A request that always succeeds: the kernel acknowledges control messages unread.
fn push_success(batch: &mut Batch) {
    batch.push(Header::new(uapi::NLMSG_NOOP), &Bytes(&[0; 40]));
}

fn push_failure(batch: &mut Batch) {
    batch.push(Header::new(RTM_GETLINK), &Bytes(&link(i32::MAX)));
}

/// 10,000 requests in one call, every 97th of which fails.
#[allow(clippy::unwrap_used, reason = "called by tests only")]
fn ten_thousand(socket: SocketOptions, limits: Limits) {
    let socket = Socket::open(uapi::NETLINK_ROUTE, &socket).unwrap();
    let mut connection = Connection::new(socket).with_limits(limits);
    let mut batch = Batch::new();
    for number in 0..10_000 {
        if number % 97 == 0 {
            push_failure(&mut batch);
        } else {
            push_success(&mut batch);
        }
    }
    // Twice, so that leftovers of the first time would be noticed.
    for _ in 0..2 {
        let report = connection.execute(&mut batch);
        assert_eq!(report.len(), 10_000);
        for (number, result) in report.iter().enumerate() {
            let code = result.map_err(Error::code);
            assert_eq!(
                code,
                if number % 97 == 0 {
                    Err(Some(errno::ENODEV))
                } else {
                    Ok(())
                },
                "request {number}"
            );
        }
    }
}

#[test]
fn ten_thousand_requests_each_have_their_result() {
    ten_thousand(SocketOptions::default(), Limits::default());
}

#[test]
fn also_with_an_acknowledgement_each() {
    ten_thousand(
        SocketOptions::default(),
        Limits::default().acknowledge(Acknowledge::Each),
    );
}

#[test]
fn also_with_tiny_buffers() {
    // As for a user without CAP_NET_ADMIN, and worse; the kernel doubles them.
    ten_thousand(
        SocketOptions::default().buffers(4096, 4096),
        Limits::default().acknowledge(Acknowledge::Each),
    );
    ten_thousand(
        SocketOptions::default().buffers(4096, 4096).echo(true),
        Limits::default(),
    );
}

#[test]
fn a_batch_in_which_everything_fails_loses_no_error() {
    for echo in [false, true] {
        let socket =
            Socket::open(uapi::NETLINK_ROUTE, &SocketOptions::default().echo(echo)).unwrap();
        let mut batch = Batch::new();
        (0..3000).for_each(|_| push_failure(&mut batch));
        let report = Connection::new(socket).execute(&mut batch);
        assert_eq!(report.failures().count(), 3000);
        for (_, error) in report.into_failures() {
            let Error::Kernel(error) = error else {
                panic!("{error}")
            };
            assert_eq!(error.code, errno::ENODEV);
            let echoed = if echo {
                link(i32::MAX).to_vec()
            } else {
                Vec::new()
            };
            assert_eq!(*error.request, *echoed);
        }
    }
}

#[test]
fn an_error_brings_the_kernels_own_words() {
    let mut connection = Connection::open(uapi::NETLINK_ROUTE).unwrap();
    // A header of struct ifinfomsg that is cut short.
    let error = connection
        .request(Header::new(RTM_GETLINK), &Bytes(&[0; 4]))
        .unwrap_err();
    assert_eq!(error.code(), Some(errno::EINVAL));
}

#[test]
fn data_finds_its_request() {
    let mut connection = Connection::open(uapi::NETLINK_ROUTE).unwrap();
    let mut batch = Batch::new();
    batch.set_reply_room(4096);
    for number in 0..500 {
        batch.push(
            Header::new(RTM_GETLINK),
            &Bytes(&link(if number % 2 == 0 { 1 } else { i32::MAX })),
        );
    }
    let mut answered = Vec::new();
    let report = connection.execute_with(&mut batch, |request, message| {
        assert_eq!(message.message_type, RTM_NEWLINK);
        answered.push(request);
    });
    assert_eq!(answered, (0..500).step_by(2).collect::<Vec<_>>());
    assert_eq!(
        report
            .failures()
            .map(|(request, _)| request)
            .collect::<Vec<_>>(),
        (1..500).step_by(2).collect::<Vec<_>>()
    );

    let length = connection.get(Header::new(RTM_GETLINK), &Bytes(&link(1)), |message| {
        Ok::<_, Error>(message.payload.len())
    });
    assert!(length.unwrap() > 16);
}

#[test]
fn an_overflowing_receive_buffer_hides_nothing() {
    // Data without room reserved for it: about 1.5 KiB each, of which the buffer takes a few.
    let socket = Socket::open(
        uapi::NETLINK_ROUTE,
        &SocketOptions::default().buffers(1 << 16, 4096),
    );
    let mut connection = Connection::new(socket.unwrap());
    let mut batch = Batch::new();
    (0..200).for_each(|_| _ = batch.push(Header::new(RTM_GETLINK), &Bytes(&link(1))));

    let mut answered = [0; 200];
    let report = connection.execute_with(&mut batch, |request, _| answered[request] += 1);
    let lost = Error::Unknown(Loss::Overflow);
    assert!(
        report.failures().any(|(_, error)| *error == lost),
        "this kernel has more room than thought"
    );
    for (result, answers) in report.iter().zip(answered) {
        assert!(result.is_err() || answers == 1);
    }

    batch.set_idempotent(true);
    batch.set_reply_room(2048);
    let mut answered = [0; 200];
    let report = connection.execute_with(&mut batch, |request, _| answered[request] += 1);
    assert!(report.is_success() && answered.iter().all(|answers| *answers > 0));
}

#[test]
fn dumps_and_broken_off_dumps() {
    let mut connection = Connection::open(uapi::NETLINK_ROUTE).unwrap();
    for _ in 0..3 {
        let stopped = connection.dump(
            Header::dump(RTM_GETLINK),
            &Bytes(&[0; 16]),
            |item| match item {
                Dumped::Message(message) => ControlFlow::Break(message.message_type),
                Dumped::StartOver => ControlFlow::Continue(()),
            },
        );
        assert_eq!(stopped, Ok(Some(RTM_NEWLINK)));
    }
    let links = connection.dump_all(Header::dump(RTM_GETLINK), &Bytes(&[0; 16]), |message| {
        Ok::<_, Error>(Some(message.message_type))
    });
    assert!(links.unwrap().iter().all(|kind| *kind == RTM_NEWLINK));
}

#[test]
fn families_are_found_or_typed_as_missing() {
    let mut connection = Connection::open(uapi::NETLINK_GENERIC).unwrap();
    let controller = connection.family("nlctrl").unwrap();
    assert_eq!(
        (controller.id, controller.version, controller.header_size),
        (uapi::GENL_ID_CTRL, 2, 0)
    );
    for name in ["no-such-family", "name-longer-than-15-bytes", ""] {
        let missing = Err(Error::FamilyMissing { name: name.into() });
        assert_eq!(connection.family(name), missing);
    }
}

#[test]
fn a_protocol_that_does_not_exist() {
    let error = Socket::open(31, &SocketOptions::default()).unwrap_err();
    assert!(matches!(error, Error::Open { protocol: 31, .. }), "{error}");
    assert!(error.lacks_protocol());
}

/// What was dropped fills the receive buffer, unless it is read first.
#[test]
fn replies_to_what_was_dropped_take_no_room() {
    use suspending::{Suspending, drop_after};

    for polls in 1..30 {
        let options = SocketOptions::default().buffers(1 << 16, 4096).echo(true);
        let socket = Socket::open(uapi::NETLINK_ROUTE, &options).unwrap();
        let mut connection = AsyncConnection::new(Suspending::new(socket));
        let mut batch = Batch::new();
        (0..100).for_each(|_| push_failure(&mut batch));
        let dropped = drop_after(polls, connection.execute(&mut batch));
        assert!(dropped.is_none());
        let report = drop_after(usize::MAX, connection.execute(&mut batch)).unwrap();
        let codes = report.iter().map(|result| result.map_err(Error::code));
        for code in codes {
            assert_eq!(code, Err(Some(errno::ENODEV)), "{polls} polls");
        }
        let mut links = 0;
        let dump = connection.dump_all(Header::dump(RTM_GETLINK), &Bytes(&[0; 16]), |_| {
            links += 1;
            Ok::<_, Error>(Some(()))
        });
        assert_eq!(drop_after(polls.min(2), dump), None);
        // Whole, though another dump of the socket is under way.
        let dump = connection.dump_all(Header::dump(RTM_GETLINK), &Bytes(&[0; 16]), |message| {
            Ok::<_, Error>(Some(message.message_type))
        });
        let links = drop_after(usize::MAX, dump).unwrap().unwrap();
        assert!(!links.is_empty());
    }
}

/// On a tokio runtime: tasks side by side, one of which waits for what never comes.
#[cfg(feature = "tokio")]
#[tokio::test(flavor = "current_thread")]
async fn tasks_of_a_runtime_take_turns() {
    use netlink_batch::{AsyncSocket, AsyncTransport, Wait};
    use std::time::Duration;

    let task = || async {
        let mut connection = AsyncConnection::open(uapi::NETLINK_ROUTE).unwrap();
        let limits = Limits::default().window(10).acknowledge(Acknowledge::Each);
        connection = connection.with_limits(limits);
        let mut batch = Batch::new();
        (0..5_000).for_each(|number| match number % 10 {
            0 => push_failure(&mut batch),
            _ => push_success(&mut batch),
        });
        connection.execute(&mut batch).await.failures().count()
    };
    let [one, other] = [tokio::spawn(task()), tokio::spawn(task())];

    // A socket with a reader that has nothing to read: the clock wakes it.
    let socket = Socket::open(uapi::NETLINK_ROUTE, &SocketOptions::default()).unwrap();
    let mut silent = AsyncSocket::new(socket).unwrap();
    let mut buffer = [0; 64];
    let wait = Wait::within(Duration::from_millis(20));
    let nothing = std::future::poll_fn(|context| silent.poll_receive(context, &mut buffer, wait));
    let nothing = nothing.await.unwrap_err();
    assert_eq!(nothing.kind(), std::io::ErrorKind::WouldBlock);

    assert_eq!((one.await.unwrap(), other.await.unwrap()), (500, 500));
}
