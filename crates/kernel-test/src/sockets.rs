//! The same tests over blocking sockets and over those of a tokio runtime.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Instant;

use netlink_batch::{
    AsyncSocket, AsyncTransport, Connection, Error, Socket, SocketInfo, SocketOptions, Wait,
};
use tokio::runtime::{Builder, Runtime};

use crate::Test;

/// Whether this process, which has one test, tests a tokio runtime.
static ON_TOKIO: AtomicBool = AtomicBool::new(false);

/// A socket that blocks, or one of a tokio runtime, as the test is named.
///
/// That of a runtime suspends its task before each call, so that a client's future is left and taken up
/// again wherever it can be.
#[derive(Debug)]
pub struct AnySocket {
    kind: Kind,
    /// Whether the call was suspended once.
    suspended: bool,
}

#[derive(Debug)]
enum Kind {
    Blocking(Socket),
    Tokio(AsyncSocket),
}

impl AnySocket {
    /// Opens a socket of a netlink protocol.
    ///
    /// # Errors
    /// Those of [`Socket::open`].
    pub fn open(protocol: u16, options: &SocketOptions) -> Result<Self, Error> {
        Self::new(Socket::open(protocol, options)?)
    }

    /// A socket that is open already.
    ///
    /// # Errors
    /// Those of [`AsyncSocket::new`].
    pub fn new(socket: Socket) -> Result<Self, Error> {
        let kind = if ON_TOKIO.load(Ordering::Relaxed) {
            let _entered = runtime().enter();
            Kind::Tokio(AsyncSocket::new(socket)?)
        } else {
            Kind::Blocking(socket)
        };
        Ok(Self {
            kind,
            suspended: false,
        })
    }

    /// A connection with the default options.
    ///
    /// # Errors
    /// Those of [`Socket::open`].
    pub fn connect(protocol: u16) -> Result<Connection<Self>, Error> {
        Self::open(protocol, &SocketOptions::default()).map(Connection::new)
    }

    fn poll<R>(
        &mut self,
        context: &mut Context<'_>,
        call: impl FnOnce(&mut dyn AsyncTransport, &mut Context<'_>) -> Poll<R>,
    ) -> Poll<R> {
        let socket = match &mut self.kind {
            Kind::Blocking(socket) => return call(socket, context),
            Kind::Tokio(socket) => socket,
        };
        if !std::mem::replace(&mut self.suspended, true) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let _entered = runtime().enter();
        let polled = call(socket, context);
        self.suspended = polled.is_pending();
        polled
    }
}

impl AsyncTransport for AnySocket {
    fn poll_send(&mut self, context: &mut Context<'_>, datagram: &[u8]) -> Poll<io::Result<()>> {
        self.poll(context, |socket, context| {
            socket.poll_send(context, datagram)
        })
    }

    fn poll_receive(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut [u8],
        wait: Wait,
    ) -> Poll<io::Result<usize>> {
        self.poll(context, |socket, context| {
            socket.poll_receive(context, buffer, wait)
        })
    }

    fn poll_sleep(&mut self, context: &mut Context<'_>, until: Instant) -> Poll<()> {
        self.poll(context, |socket, context| socket.poll_sleep(context, until))
    }

    fn socket_info(&self) -> SocketInfo {
        match &self.kind {
            Kind::Blocking(socket) => socket.socket_info(),
            Kind::Tokio(socket) => socket.socket_info(),
        }
    }

    fn reserve_send(&mut self, bytes: usize) -> Result<(), Error> {
        match &mut self.kind {
            Kind::Blocking(socket) => socket.reserve_send(bytes),
            Kind::Tokio(socket) => socket.reserve_send(bytes),
        }
    }

    fn join_group(&mut self, group: u32) -> Result<(), Error> {
        match &mut self.kind {
            Kind::Blocking(socket) => socket.join_group(group),
            Kind::Tokio(socket) => socket.join_group(group),
        }
    }
}

impl AsFd for AnySocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.kind {
            Kind::Blocking(socket) => socket.as_fd(),
            Kind::Tokio(socket) => socket.as_fd(),
        }
    }
}

/// The runtime, whose thread watches the sockets. The test's own thread runs the futures.
#[expect(clippy::panic, reason = "a test without its runtime has failed")]
fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        let mut builder = Builder::new_multi_thread();
        builder
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap_or_else(|error| panic!("cannot start a tokio runtime: {error}"))
    })
}

impl Test {
    /// The same test over sockets of a tokio runtime, with `tokio::` before its name.
    ///
    /// `test` is the function that this test was made of; it opens sockets as [`AnySocket`].
    #[must_use]
    pub fn on_tokio(self) -> Self {
        let Self {
            name,
            needs,
            time_limit,
            ignored,
            companion,
            body,
        } = self;
        Self {
            name: format!("tokio::{name}"),
            needs,
            time_limit,
            ignored,
            companion,
            body: Box::new(move |namespace| {
                ON_TOKIO.store(true, Ordering::Relaxed);
                body(namespace)
            }),
        }
    }
}
