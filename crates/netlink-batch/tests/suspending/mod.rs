//! For tests of futures that are dropped half way.

use std::io;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use netlink_batch::{AsyncTransport, Error, SocketInfo, Transport, Wait};

/// A blocking transport that suspends its caller before each call.
pub(crate) struct Suspending<T> {
    pub(crate) inner: T,
    suspended: bool,
}

impl<T> Suspending<T> {
    pub(crate) fn new(inner: T) -> Self {
        let suspended = false;
        Self { inner, suspended }
    }

    fn turn(&mut self) -> bool {
        self.suspended = !self.suspended;
        self.suspended
    }
}

impl<T: Transport> AsyncTransport for Suspending<T> {
    fn poll_send(&mut self, context: &mut Context<'_>, datagram: &[u8]) -> Poll<io::Result<()>> {
        if self.turn() {
            return Poll::Pending;
        }
        self.inner.poll_send(context, datagram)
    }

    fn poll_receive(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut [u8],
        wait: Wait,
    ) -> Poll<io::Result<usize>> {
        if self.turn() {
            return Poll::Pending;
        }
        self.inner.poll_receive(context, buffer, wait)
    }

    fn poll_sleep(&mut self, context: &mut Context<'_>, until: Instant) -> Poll<()> {
        self.inner.poll_sleep(context, until)
    }

    fn socket_info(&self) -> SocketInfo {
        self.inner.socket_info()
    }

    fn reserve_send(&mut self, bytes: usize) -> Result<(), Error> {
        self.inner.reserve_send(bytes)
    }

    fn join_group(&mut self, group: u32) -> Result<(), Error> {
        self.inner.join_group(group)
    }
}

/// Polls so often, then drops the future. `Some` if it came to its end.
pub(crate) fn drop_after<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..polls {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return Some(output);
        }
    }
    None
}
