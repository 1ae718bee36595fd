//! Whatever the script: every call ends, nothing panics, and no result is better known than the
//! replies allow.

use std::time::Duration;

use netlink_batch::{Acknowledge, Bytes, Error, Header, Limits, errno};
use proptest::prelude::*;

use crate::kernel::{DUMP, Datagram, Dump, Fault, Kernel, PORT, batch};

/// What kernels can do to replies: a loss is always announced.
fn honest() -> impl Strategy<Value = Fault> {
    let at = 0usize..12;
    prop_oneof![
        at.clone().prop_map(Fault::Overflow),
        (at.clone(), at.clone()).prop_map(|(a, b)| Fault::Swap(a, b)),
        at.prop_map(Fault::Repeat),
        (200u32.., prop_oneof![Just(0), Just(PORT)])
            .prop_map(|(sequence, port)| Fault::Stray { sequence, port }),
        (1u32..40, PORT + 1..).prop_map(|(sequence, port)| Fault::Stray { sequence, port }),
        Just(Fault::InterruptedSend),
        Just(Fault::InterruptedReceive),
        prop_oneof![
            Just(errno::EMSGSIZE),
            Just(errno::ENOBUFS),
            Just(errno::ENOMEM)
        ]
        .prop_map(Fault::SendFails),
        Just(Fault::ReceiveFails(errno::ENOMEM)),
        // Too short for a message.
        prop::collection::vec(any::<u8>(), 1..16).prop_map(Fault::Garbage),
    ]
}

fn any_fault() -> impl Strategy<Value = Fault> {
    prop_oneof![3 => honest(), 1 => (0usize..12).prop_map(Fault::LoseSilently)]
}

fn script(fault: impl Strategy<Value = Fault>) -> impl Strategy<Value = Vec<(usize, Vec<Fault>)>> {
    prop::collection::vec((0usize..8, prop::collection::vec(fault, 1..4)), 0..6)
}

fn check(
    results: &[i32],
    script: Vec<(usize, Vec<Fault>)>,
    window: usize,
    acknowledge: Acknowledge,
    idempotent: bool,
) -> Result<(), TestCaseError> {
    let has_faults = !script.is_empty();
    let limits = Limits::default()
        .window(window)
        .acknowledge(acknowledge)
        .attempts(4)
        .reply_timeout(Duration::from_millis(1));
    let mut connection = Kernel::with_script(script).connect().with_limits(limits);
    let mut all = batch(results);
    all.set_idempotent(idempotent);
    let report = connection.execute(&mut all);
    let kernel = connection.into_transport();

    prop_assert_eq!(report.len(), results.len());
    for (id, (expected, result)) in (0..).zip(results.iter().zip(report.iter())) {
        let times = kernel.carried_out.get(&id).copied().unwrap_or(0);
        let most = if idempotent { 4 } else { 1 };
        prop_assert!(times <= most);
        match result {
            Ok(()) => prop_assert!(times > 0 && *expected == 0, "request {} was no success", id),
            Err(Error::Kernel(error)) => prop_assert!(times > 0 && *expected == error.code),
            Err(Error::NotSent(_)) => prop_assert!(idempotent || times == 0),
            Err(Error::Unknown(_)) => prop_assert!(has_faults),
            Err(other) => prop_assert!(false, "{}", other),
        }
    }
    // Two datagrams at most for each request and attempt, what was split included.
    prop_assert!(kernel.datagrams.len() <= results.len() * 8);
    Ok(())
}

fn results() -> impl Strategy<Value = Vec<i32>> {
    prop::collection::vec(prop_oneof![2 => Just(0), 1 => Just(errno::EEXIST)], 0..30)
}

fn dump() -> impl Strategy<Value = Dump> {
    // The flags of a part are those of its messages.
    let objects = || prop::collection::vec(any::<u32>(), 1..5);
    let datagram = prop_oneof![
        6 => objects().prop_map(Datagram::Objects),
        1 => objects().prop_map(Datagram::Interrupted),
        1 => Just(Datagram::NoMemory),
        1 => Just(Datagram::Lost),
        1 => Just(Datagram::LostEnd),
    ];
    prop::collection::vec(datagram, 0..6).prop_map(|datagrams| Dump {
        datagrams,
        result: 0,
    })
}

/// What a dump holds if nothing is wrong with it.
fn objects(dump: &Dump) -> Option<Vec<u32>> {
    let parts = dump.datagrams.iter().map(|datagram| match datagram {
        Datagram::Objects(objects) => Some(objects.clone()),
        _ => None,
    });
    parts
        .collect::<Option<Vec<_>>>()
        .map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn a_dump_is_whole_or_an_error(dumps in prop::collection::vec(dump(), 4)) {
        let limits = Limits::default().attempts(4);
        let mut connection = Kernel::with_dumps(dumps.clone()).connect().with_limits(limits);
        let dumped = connection.dump_all(Header::new(DUMP), &Bytes(&[]), |message| {
            let number = message.payload.first_chunk().copied().map(u32::from_ne_bytes);
            Ok::<_, Error>(number)
        });
        match dumps.iter().find_map(objects) {
            Some(whole) => prop_assert_eq!(dumped, Ok(whole)),
            None => prop_assert!(dumped.is_err()),
        }
        prop_assert!(!connection.transport().waited, "all was there");
    }

    #[test]
    fn without_faults_all_is_exact(results in results(), window in 1usize..10, each: bool) {
        let acknowledge = if each { Acknowledge::Each } else { Acknowledge::Last };
        check(&results, Vec::new(), window, acknowledge, false)?;
    }

    #[test]
    fn no_success_without_proof(
        results in results(),
        script in script(honest()),
        window in 1usize..10,
        idempotent: bool,
    ) {
        check(&results, script, window, Acknowledge::Last, idempotent)?;
    }

    #[test]
    fn no_success_without_its_own_acknowledgement(
        results in results(),
        script in script(any_fault()),
        window in 1usize..10,
        idempotent: bool,
    ) {
        check(&results, script, window, Acknowledge::Each, idempotent)?;
    }
}
