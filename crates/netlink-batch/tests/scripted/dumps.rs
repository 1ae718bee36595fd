//! Dumps.

use std::ops::ControlFlow;

use netlink_batch::{Bytes, Connection, Dumped, Error, Header, Loss, Message, errno};

use crate::kernel::{ASK, DUMP, Datagram, Dump, Fault, Kernel, PORT, request};

use Datagram::{Interrupted, Lost, LostEnd, NoMemory, Objects};

fn dump(datagrams: Vec<Datagram>) -> Dump {
    Dump {
        datagrams,
        result: 0,
    }
}

fn number(message: &Message<'_>) -> u32 {
    u32::from_ne_bytes(message.payload.try_into().unwrap())
}

fn collect(connection: &mut Connection<Kernel>) -> Result<Vec<u32>, Error> {
    connection.dump_all(Header::new(DUMP), &Bytes(&[]), |message| {
        Ok(Some(number(&message)))
    })
}

#[test]
fn all_objects_come_in_order() {
    let mut connection = Kernel::with_dumps([
        dump(vec![Objects(vec![1, 2]), Objects(vec![3])]),
        dump(vec![]),
    ])
    .connect();
    assert_eq!(collect(&mut connection), Ok(vec![1, 2, 3]));
    assert_eq!(collect(&mut connection), Ok(vec![]));
    assert!(!connection.transport().waited);
}

#[test]
fn a_dump_that_changed_starts_over() {
    let changed = dump(vec![
        Objects(vec![1]),
        Interrupted(vec![2]),
        Objects(vec![3]),
    ]);
    let mut connection =
        Kernel::with_dumps([changed.clone(), changed, dump(vec![Objects(vec![4])])]).connect();
    let mut seen = Vec::new();
    let result = connection.dump(Header::new(DUMP), &Bytes(&[]), |item| {
        seen.push(match item {
            Dumped::Message(message) => Some(number(&message)),
            Dumped::StartOver => None,
        });
        ControlFlow::<()>::Continue(())
    });
    assert_eq!(result, Ok(None));
    // Nothing comes any more once the change is known.
    assert_eq!(seen, [Some(1), None, Some(1), None, Some(4)]);
}

#[test]
fn starting_over_is_bounded() {
    let mut connection = Kernel::with_dumps(vec![dump(vec![Interrupted(vec![1])]); 11]).connect();
    assert_eq!(
        collect(&mut connection),
        Err(Error::DumpInterrupted { attempts: 10 })
    );
}

#[test]
fn a_lost_part_starts_over() {
    let lost = dump(vec![Objects(vec![1]), Lost, Objects(vec![3])]);
    let mut connection = Kernel::with_dumps([lost, dump(vec![Objects(vec![1, 2, 3])])]).connect();
    assert_eq!(collect(&mut connection), Ok(vec![1, 2, 3]));
}

#[test]
fn a_stalled_dump_is_woken() {
    let stalled = dump(vec![
        Objects(vec![1]),
        NoMemory,
        Objects(vec![2]),
        NoMemory,
        Objects(vec![3]),
    ]);
    let mut connection = Kernel::with_dumps([stalled, dump(vec![Objects(vec![5])])]).connect();
    assert_eq!(collect(&mut connection), Ok(vec![5]));
    assert_eq!(
        connection.transport().datagrams.len(),
        4,
        "two dumps, woken twice"
    );
    assert!(!connection.transport().waited);
}

#[test]
fn a_dump_that_stalls_for_good_is_given_up() {
    let dead = dump(vec![NoMemory; 100]);
    let mut connection = Kernel::with_dumps([dead]).connect();
    assert_eq!(
        collect(&mut connection),
        Err(Error::Unknown(Loss::Overflow))
    );
}

#[test]
fn a_lost_end_is_noticed() {
    let lost = dump(vec![Objects(vec![1]), LostEnd]);
    let mut connection = Kernel::with_dumps([lost, dump(vec![Objects(vec![2])])]).connect();
    assert_eq!(collect(&mut connection), Ok(vec![2]));
    assert_eq!(
        connection.transport().datagrams.len(),
        3,
        "asked whether there is more"
    );
    assert!(!connection.transport().waited);
}

#[test]
fn a_cut_object_starts_over_with_more_room() {
    let long = (0..10_000).collect::<Vec<_>>();
    let mut connection = Kernel::with_dumps(vec![dump(vec![Objects(long.clone())]); 2]).connect();
    assert_eq!(collect(&mut connection), Ok(long));
    assert_eq!(connection.transport().datagrams.len(), 2);
}

#[test]
fn a_broken_off_dump_is_read_to_its_end() {
    let long = dump((0..20).map(|n| Objects(vec![n])).collect());
    let mut connection = Kernel::with_dumps([long.clone(), long, dump(vec![])]).connect();
    for _ in 0..2 {
        let stopped = connection.dump(Header::new(DUMP), &Bytes(&[]), |item| match item {
            Dumped::Message(message) if number(&message) == 3 => ControlFlow::Break("three"),
            _ => ControlFlow::Continue(()),
        });
        assert_eq!(stopped, Ok(Some("three")));
    }
    // The kernel would answer EBUSY to a second dump during the first.
    assert_eq!(collect(&mut connection), Ok(vec![]));
}

#[test]
fn a_decoding_error_ends_the_dump() {
    let mut connection =
        Kernel::with_dumps([dump(vec![Objects(vec![1]), Objects(vec![2])]), dump(vec![])])
            .connect();
    let error = connection.dump_all(Header::new(DUMP), &Bytes(&[]), |_| {
        Err::<Option<()>, _>(Error::NoReply)
    });
    assert_eq!(error, Err(Error::NoReply));
    assert_eq!(collect(&mut connection), Ok(vec![]));
}

#[test]
fn an_error_in_the_middle_is_the_result() {
    let failing = Dump {
        datagrams: vec![Objects(vec![1])],
        result: errno::ENOMEM,
    };
    let error = collect(&mut Kernel::with_dumps([failing]).connect()).unwrap_err();
    assert_eq!(error.code(), Some(errno::ENOMEM));
}

#[test]
fn a_refused_dump_is_an_error() {
    let mut connection = Kernel::default()
        .with(|kernel| kernel.forbids = true)
        .connect();
    assert_eq!(
        collect(&mut connection).unwrap_err().code(),
        Some(errno::EPERM)
    );
}

#[test]
fn an_abandoned_dump_does_not_disturb_what_follows() {
    // Receiving fails in the middle of a dump.
    let long = dump((0..5).map(|n| Objects(vec![n])).collect());
    let mut connection = Kernel::with_dumps([long, dump(vec![Objects(vec![9])])]).connect();
    connection = with_script(connection, 0, Fault::ReceiveFails(errno::ENOMEM));
    assert!(matches!(
        collect(&mut connection),
        Err(Error::Unknown(Loss::Receive(_)))
    ));
    // Its rest comes between the replies to others, and before the next dump.
    let exists = connection.request(Header::new(ASK), &Bytes(&request(0, errno::EEXIST, 0, 0)));
    assert_eq!(exists.unwrap_err().code(), Some(errno::EEXIST));
    assert_eq!(collect(&mut connection), Ok(vec![9]));
}

#[test]
fn how_an_abandoned_dump_ends_is_of_no_interest() {
    for datagrams in [vec![], vec![Objects(vec![1])]] {
        let failing = Dump {
            datagrams,
            result: errno::ENOMEM,
        };
        let mut connection = Kernel::with_dumps([failing, dump(vec![Objects(vec![9])])]).connect();
        connection = with_script(connection, 0, Fault::ReceiveFails(errno::ENOMEM));
        assert!(matches!(
            collect(&mut connection),
            Err(Error::Unknown(Loss::Receive(_)))
        ));
        assert_eq!(collect(&mut connection), Ok(vec![9]));
    }
}

#[test]
fn foreign_replies_are_left_out() {
    let mut connection = Kernel::with_dumps([dump(vec![Objects(vec![1])])]).connect();
    for stray in [
        Fault::Stray {
            sequence: 77,
            port: PORT,
        },
        Fault::Stray {
            sequence: 1,
            port: 5,
        },
    ] {
        connection = with_script(connection, 0, stray);
    }
    assert_eq!(collect(&mut connection), Ok(vec![1]));
}

fn with_script(
    connection: Connection<Kernel>,
    datagram: usize,
    fault: Fault,
) -> Connection<Kernel> {
    let mut kernel = connection.into_transport();
    kernel.script.entry(datagram).or_default().push(fault);
    kernel.connect()
}
