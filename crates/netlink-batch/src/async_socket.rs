//! Sockets of a tokio runtime.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::time::{Sleep, sleep_until};

use crate::{AsyncTransport, Error, Socket, SocketInfo, Transport, Wait};

/// How many calls the kernel may serve at once until the task lets others run.
const CALLS: u8 = 64;

/// A netlink socket of a tokio runtime.
///
/// It tries each call at once and waits for readiness only where the kernel has nothing yet: the kernel
/// replies while it is being asked, so that nearly every call is done without the runtime's event loop.
/// After 64 calls in a row it lets other tasks run.
#[derive(Debug)]
pub struct AsyncSocket {
    socket: AsyncFd<Socket>,
    /// The timer of a call that waits.
    timer: Option<Pin<Box<Sleep>>>,
    calls: u8,
}

impl AsyncSocket {
    /// A socket of the runtime that this is called in. The socket may be set up before: options, groups.
    ///
    /// # Errors
    /// [`Error::Register`]: the runtime cannot watch it.
    ///
    /// # Panics
    /// Outside of a tokio runtime, or in one without `enable_io`; calls that wait panic in one without
    /// `enable_time`. So do tokio's own sockets and timers.
    #[allow(
        deprecated,
        reason = "its successor is unsafe for sockets that could close early; this one owns its own"
    )]
    pub fn new(socket: Socket) -> Result<Self, Error> {
        let socket = AsyncFd::try_with_interest(socket, Interest::READABLE)
            .map_err(|error| Error::Register(io::Error::from(error).into()))?;
        Ok(Self {
            socket,
            timer: None,
            calls: 0,
        })
    }

    /// The socket, of no runtime.
    #[must_use]
    pub fn into_socket(self) -> Socket {
        self.socket.into_inner()
    }

    /// Whether this task may go on. Otherwise it is woken at once, behind those that wait to run.
    fn poll_turn(&mut self, context: &Context<'_>) -> Poll<()> {
        self.calls += 1;
        if self.calls <= CALLS {
            return Poll::Ready(());
        }
        self.calls = 0;
        context.waker().wake_by_ref();
        Poll::Pending
    }

    /// Waits for a datagram, with the timer set where there is one.
    fn poll_readable(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut [u8],
        until: Option<Instant>,
    ) -> Poll<io::Result<usize>> {
        while let Poll::Ready(guard) = self.socket.poll_read_ready_mut(context) {
            let received = guard?.try_io(|socket| socket.get_mut().receive(buffer, None));
            if let Ok(result) = received {
                return Poll::Ready(result);
            }
        }
        match until {
            Some(until) => self
                .poll_sleep(context, until)
                .map(|()| Err(io::ErrorKind::WouldBlock.into())),
            None => Poll::Pending,
        }
    }
}

impl AsyncTransport for AsyncSocket {
    fn poll_send(&mut self, context: &mut Context<'_>, datagram: &[u8]) -> Poll<io::Result<()>> {
        ready!(self.poll_turn(context));
        // The kernel takes a request when it is sent, so this has nothing to wait for.
        Poll::Ready(self.socket.get_mut().send(datagram))
    }

    fn poll_receive(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut [u8],
        wait: Wait,
    ) -> Poll<io::Result<usize>> {
        let until = match wait {
            Wait::No => {
                ready!(self.poll_turn(context));
                return Poll::Ready(self.socket.get_mut().receive(buffer, None));
            }
            Wait::Until(until) => Some(until),
            Wait::Forever => None,
        };
        let received = ready!(self.poll_readable(context, buffer, until));
        self.timer = None;
        Poll::Ready(received)
    }

    fn poll_sleep(&mut self, context: &mut Context<'_>, until: Instant) -> Poll<()> {
        let deadline = tokio::time::Instant::from_std(until);
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        // That of a call which was dropped.
        if timer.deadline() != deadline {
            timer.as_mut().reset(deadline);
        }
        ready!(timer.as_mut().poll(context));
        self.timer = None;
        Poll::Ready(())
    }

    fn socket_info(&self) -> SocketInfo {
        self.socket.get_ref().socket_info()
    }

    fn reserve_send(&mut self, bytes: usize) -> Result<(), Error> {
        self.socket.get_mut().set_send_buffer(bytes)
    }

    fn join_group(&mut self, group: u32) -> Result<(), Error> {
        self.socket.get_mut().join(group)
    }
}

impl AsFd for AsyncSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
