//! A set that somebody is listing.

use std::ops::ControlFlow;
use std::sync::mpsc;
use std::time::Duration;

use ipset_netlink::client::{Item, RetryPolicy};
use ipset_netlink::message::Mode;
use ipset_netlink::{Entry, ErrorKind};
use kernel_test::cmd;

use super::{client, name, spec};

/// Lists `s` in another thread and lingers in the middle; says when it is there, goes on when told.
fn linger(
    client: super::Client,
) -> (
    std::thread::JoinHandle<usize>,
    mpsc::Receiver<()>,
    mpsc::Sender<()>,
) {
    let (there, is_there) = mpsc::channel();
    let (go_on, may_go_on) = mpsc::channel::<()>();
    let mut client = client;
    let thread = std::thread::spawn(move || {
        let mut seen = 0;
        let visit = |item| {
            if matches!(item, Item::Entry(_)) {
                if seen == 0 {
                    there.send(()).unwrap();
                    may_go_on.recv().unwrap();
                }
                seen += 1;
            }
            ControlFlow::<()>::Continue(())
        };
        client.for_each(Some(name("s")), visit).unwrap();
        seen
    });
    (thread, is_there, go_on)
}

/// More entries than one datagram, or two that the kernel prepares ahead, can hold.
const MANY: u32 = 1 << 15;

fn many() {
    let mut client = client();
    client
        .create(&spec("s hash:ip maxelem 100000"), Mode::Strict)
        .unwrap();
    client.create(&spec("t hash:ip"), Mode::Strict).unwrap();
    let range = spec("s hash:ip").parse_entry("10.0.0.0/17").unwrap();
    client.add(name("s"), &[range], Mode::Strict).unwrap();
}

pub(crate) fn a_swap_waits_for_a_listing() {
    many();
    let (thread, is_there, go_on) = linger(client());
    is_there.recv().unwrap();
    // It goes on after the swap has been tried and refused for a while.
    let releaser = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(300));
        go_on.send(()).unwrap();
    });
    let started = std::time::Instant::now();
    client().swap(name("s"), name("t")).unwrap();
    assert!(
        started.elapsed() >= Duration::from_millis(200),
        "it was not busy"
    );
    releaser.join().unwrap();
    assert_eq!(thread.join().unwrap(), MANY as usize);
    assert!(cmd("ipset list -t t").contains("Number of entries: 32768"));

    // The same for a replacement of the other set, which holds the many now.
    let mut client = client();
    client.swap(name("s"), name("t")).unwrap();
    let (thread, is_there, go_on) = linger(super::client());
    is_there.recv().unwrap();
    let releaser = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(300));
        go_on.send(()).unwrap();
    });
    client
        .replace(&spec("s hash:ip"), &[Entry::ip([1, 1, 1, 1].into())])
        .unwrap();
    releaser.join().unwrap();
    thread.join().unwrap();
    assert_eq!(
        client.list(name("s")).unwrap().set.entries,
        [Entry::ip([1, 1, 1, 1].into())]
    );
    assert_eq!(
        client.names().unwrap().len(),
        2,
        "the temporary set is gone"
    );
}

pub(crate) fn a_listing_that_lasts_is_told() {
    many();
    let (thread, is_there, go_on) = linger(client());
    is_there.recv().unwrap();
    let retry_policy = RetryPolicy::new(3, Duration::from_millis(1));
    let mut client = client().with_retry_policy(retry_policy);
    let swap = client.swap(name("s"), name("t")).unwrap_err();
    assert_eq!(swap.kind(), Some(ErrorKind::InUse), "{swap}");
    let destroy = client.destroy(name("s"), Mode::Strict).unwrap_err();
    assert_eq!(destroy.kind(), Some(ErrorKind::InUse), "{destroy}");
    let rename = client.rename(name("s"), name("u")).unwrap_err();
    assert_eq!(rename.kind(), Some(ErrorKind::Referenced), "{rename}");
    // Entries may change all the same.
    client.flush(name("t")).unwrap();
    go_on.send(()).unwrap();
    thread.join().unwrap();
    client.destroy(name("s"), Mode::Strict).unwrap();
}
