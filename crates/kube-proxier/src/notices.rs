//! What the kernel reports by itself, received on a thread of its own that sleeps until something comes.

use std::convert::Infallible;
use std::fmt;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::runtime::Builder;
use tokio::sync::mpsc::Sender;

use super::Event;
use super::layout::InForce;
use super::stop::Stop;
use super::{guard, links};

/// How long until changes are followed again after that failed.
const AGAIN: Duration = Duration::from_secs(5);

/// Reports changes of links and addresses, and what others do to the state of layout `nftables`, until stopped or nobody
/// receives them any more. What cannot be followed is tried again; meanwhile changes are found at the next full sync.
///
/// # Errors
///
/// Where no thread can be had, or no means to wait for sockets.
pub(super) fn follow(
    events: Sender<Event>,
    stop: Stop,
    in_force: InForce,
) -> io::Result<JoinHandle<()>> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    thread::Builder::new()
        .name("notices".to_owned())
        .spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = stop.given() => {}
                    () = events.closed() => {}
                    never = follow_all(&events, &in_force) => match never {},
                }
            });
        })
}

async fn follow_all(events: &Sender<Event>, in_force: &InForce) -> Infallible {
    let links = async || links::watch(events).await;
    let tables = async || guard::tables(events, in_force).await;
    let routing = async || guard::routing(events, in_force).await;
    let (never, ..) = tokio::join!(
        retrying("changes of links and addresses", events, links),
        retrying("changes of nf_tables by others", events, tables),
        retrying("changes of routing by others", events, routing),
    );
    never
}

/// Runs `watch`, which follows `what` until that fails, again and again.
async fn retrying<E: fmt::Display>(
    what: &str,
    events: &Sender<Event>,
    mut watch: impl AsyncFnMut() -> Result<Infallible, E>,
) -> Infallible {
    let mut failed = false;
    loop {
        let error = match watch().await {
            Ok(never) => match never {},
            Err(error) => error,
        };
        if !failed {
            tracing::warn!(
                %error,
                "{what} cannot be followed; they are seen at the next full sync, and this is tried again every {AGAIN:?}"
            );
        }
        failed = true;
        tokio::time::sleep(AGAIN).await;
        // What happened meanwhile was missed.
        send(events, Event::Links).await;
    }
}

/// Sends an event. Where nobody receives any more, the whole thread is about to end.
pub(super) async fn send(events: &Sender<Event>, event: Event) {
    let _ = events.send(event).await;
}

/// Whether a socket has something to be read.
pub(super) struct Readable(AsyncFd<OwnedFd>);

impl Readable {
    /// Of this socket, which stays open for as long as it is waited for.
    #[allow(
        deprecated,
        reason = "it is not sound for every type, but for an `OwnedFd`; what replaces it is unsafe"
    )]
    pub(super) fn of(socket: &impl AsFd) -> io::Result<Self> {
        let socket = socket.as_fd().try_clone_to_owned()?;
        AsyncFd::with_interest(socket, Interest::READABLE).map(Self)
    }

    /// Waits until there may be something. All of it is to be read then: only what comes after this is waited for again.
    pub(super) async fn wait(&self) -> io::Result<()> {
        self.0.readable().await?.clear_ready();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::io::{Read as _, Write as _};
    use std::os::unix::net::UnixStream;

    use tokio::sync::mpsc;

    use super::*;
    use proxier::{Config, Layout};

    fn run<T>(test: impl Future<Output = T>) -> T {
        let runtime = Builder::new_current_thread().enable_all().build();
        runtime.unwrap().block_on(test)
    }

    #[test]
    fn after_a_failure_it_is_followed_again_and_what_was_missed_is_reported() {
        let (events, mut received) = mpsc::channel(8);
        let calls = Cell::new(0);
        run(async {
            let watch = async || {
                calls.set(calls.get() + 1);
                if calls.get() == 4 {
                    std::future::pending::<()>().await;
                }
                Err("no socket")
            };
            let reported = async {
                for _ in 0..3 {
                    assert_eq!(received.recv().await, Some(Event::Links));
                }
                tokio::task::yield_now().await;
            };
            tokio::select! {
                biased;
                never = retrying("changes", &events, watch) => match never {},
                () = reported => {}
            }
        });
        assert_eq!(calls.get(), 4);
        assert!(received.try_recv().is_err());
    }

    #[test]
    fn what_comes_after_it_was_read_is_read_too() {
        let (mut from, to) = UnixStream::pair().unwrap();
        to.set_nonblocking(true).unwrap();
        run(async {
            let readable = Readable::of(&to).unwrap();
            for word in ["one", "two"] {
                from.write_all(word.as_bytes()).unwrap();
                let mut buffer = [0; 8];
                readable.wait().await.unwrap();
                let length = (&to).read(&mut buffer).unwrap();
                assert_eq!(&buffer[..length], word.as_bytes());
            }
        });
    }

    /// A thread that looked every now and then would end too; one that does not wake would hang the test.
    #[test]
    fn the_thread_ends_with_the_order_and_with_its_receiver() {
        let of = |layout| InForce::new(&Config::with_layout(layout), None);
        let (events, received) = mpsc::channel(8);
        let stop = Stop::default();
        let thread = follow(events, stop.clone(), of(Layout::Current)).unwrap();
        stop.set();
        thread.join().unwrap();
        drop(received);

        let (events, received) = mpsc::channel(8);
        let thread = follow(events, Stop::default(), of(Layout::Nftables)).unwrap();
        drop(received);
        thread.join().unwrap();
    }
}
