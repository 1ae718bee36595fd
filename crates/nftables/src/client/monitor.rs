//! Changes as they happen.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

#[cfg(feature = "tokio")]
use netlink_batch::AsyncSocket;
use netlink_batch::{
    AsyncTransport, Os, Socket, SocketOptions, Wait, errno, messages, uapi as netlink,
};

use super::open_error;
use crate::message::{Item, Reply, parse};
use crate::uapi::NFNLGRP_NFTABLES;
use crate::{DecodeError, Error, Generation};

/// Notifications come in datagrams of some pages, or of one message if that is longer.
const BUFFER: usize = 256 << 10;

/// Most changes of one generation that are kept; a transaction may have millions.
const MOST_CHANGES: usize = 100_000;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// Somebody changed the rule set.
    Changed(Changes),
    /// Events got lost, as more came than the socket's receive buffer holds: read the rule set.
    Lost,
}

/// The changes of one transaction.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Changes {
    /// The generation that it made, and the process that did.
    pub generation: Generation,
    /// The port of the socket that asked for it ([`Client::port`](super::Client::port)): a program recognizes its own
    /// changes by it, also where it does not know the number of its process.
    pub port: u32,
    /// What was changed, in order.
    pub changes: Vec<Change>,
    /// How many changes more than 100,000 there were, which are not kept.
    pub left_out: usize,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// An item was made, or changed.
    New(Item),
    /// An item was deleted.
    Deleted(Item),
    /// A change that cannot be read.
    Malformed(DecodeError),
}

impl Change {
    /// The item that was made or deleted.
    #[must_use]
    pub const fn item(&self) -> Option<&Item> {
        match self {
            Self::New(item) | Self::Deleted(item) => Some(item),
            Self::Malformed(_) => None,
        }
    }
}

/// Receives what anybody changes in the rule set of a network namespace, and who. It blocks;
/// [`AsyncMonitor`] is for async code.
///
/// The kernel reports changes of the process itself too. Nothing is reported from before it was opened:
/// open it, then read the rule set.
#[derive(Debug)]
pub struct Monitor<T = Socket>(AsyncMonitor<T>);

/// The same as [`Monitor`], for async code.
///
/// A dropped future loses nothing: the next one returns what it would have returned.
#[derive(Debug)]
pub struct AsyncMonitor<#[cfg(feature = "tokio")] T = AsyncSocket, #[cfg(not(feature = "tokio"))] T>
{
    transport: T,
    buffer: Vec<u8>,
    /// Changes whose transaction is not over.
    pending: Changes,
    /// Received and not yet returned.
    ready: VecDeque<Event>,
}

impl Monitor {
    /// Opens a socket in the network namespace of this thread.
    ///
    /// # Errors
    /// [`Error::NoNftables`], [`Error::NotPermitted`], [`Error::Netlink`].
    pub fn open() -> Result<Self, Error> {
        Self::over(Ok)
    }
}

#[cfg(feature = "tokio")]
impl AsyncMonitor<AsyncSocket> {
    /// Opens a socket in the network namespace of this thread, for the tokio runtime that this is called in.
    ///
    /// # Errors
    /// As [`Monitor::open`].
    ///
    /// # Panics
    /// As [`AsyncSocket::new`].
    pub fn open() -> Result<Self, Error> {
        Self::over(AsyncSocket::new)
    }
}

fn subscribe() -> Result<Socket, Error> {
    let mut socket =
        Socket::open(netlink::NETLINK_NETFILTER, &SocketOptions::default()).map_err(open_error)?;
    socket.join(NFNLGRP_NFTABLES).map_err(|error| match error {
        netlink_batch::Error::SocketOption { reason, .. } if reason.0 == errno::EPERM => {
            Error::NotPermitted
        }
        error => Error::Netlink(error),
    })?;
    Ok(socket)
}

impl<T: AsyncTransport> Monitor<T> {
    /// A monitor over what `make` makes of a socket.
    ///
    /// # Errors
    /// As [`open`](Monitor::open), and those of `make`.
    pub fn over(make: fn(Socket) -> Result<T, netlink_batch::Error>) -> Result<Self, Error> {
        AsyncMonitor::over(make).map(Self)
    }

    /// A monitor over a socket that has joined the group [`NFNLGRP_NFTABLES`].
    pub fn new(transport: T) -> Self {
        Self(AsyncMonitor::new(transport))
    }

    /// The next event: one that is there, or one that comes within the time; `None` if none does. Without a
    /// time it does not wait.
    ///
    /// # Errors
    /// [`Error::Netlink`]: the socket failed.
    pub fn next(&mut self, wait: Option<Duration>) -> Result<Option<Event>, Error> {
        let wait = wait.map_or(Wait::No, Wait::within);
        netlink_batch::block_on(self.0.next_within(wait))
    }
}

impl<T: AsyncTransport> AsyncMonitor<T> {
    /// A monitor over what `make` makes of a socket.
    ///
    /// # Errors
    /// As [`Monitor::open`], and those of `make`.
    pub fn over(make: fn(Socket) -> Result<T, netlink_batch::Error>) -> Result<Self, Error> {
        make(subscribe()?).map(Self::new).map_err(Error::Netlink)
    }

    /// A monitor over a socket that has joined the group [`NFNLGRP_NFTABLES`].
    pub fn new(transport: T) -> Self {
        Self {
            transport,
            buffer: vec![0; BUFFER],
            pending: Changes::default(),
            ready: VecDeque::new(),
        }
    }

    /// The next event.
    ///
    /// # Errors
    /// As [`Monitor::next`].
    pub async fn next(&mut self) -> Result<Event, Error> {
        loop {
            if let Some(event) = self.next_within(Wait::Forever).await? {
                return Ok(event);
            }
        }
    }

    async fn next_within(&mut self, wait: Wait) -> Result<Option<Event>, Error> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Ok(Some(event));
            }
            let received =
                poll_fn(|context| self.transport.poll_receive(context, &mut self.buffer, wait));
            match received.await {
                Ok(length) if length > self.buffer.len() => {
                    self.buffer.resize(length.min(1 << 28), 0);
                    self.lose();
                }
                Ok(length) => self.take(length),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) => match Os::from(error).0 {
                    errno::EINTR => {}
                    errno::ENOBUFS => self.lose(),
                    code => {
                        let error = netlink_batch::Error::NotSent(Os(code));
                        return Err(Error::Netlink(error));
                    }
                },
            }
        }
    }

    fn lose(&mut self) {
        self.pending = Changes::default();
        self.ready.push_back(Event::Lost);
    }

    fn take(&mut self, length: usize) {
        let datagram = self.buffer.get(..length).unwrap_or_default();
        for message in messages(datagram) {
            let Ok(message) = message else {
                // The kernel sends no such datagram; what it said is lost.
                self.pending = Changes::default();
                self.ready.push_back(Event::Lost);
                return;
            };
            let change = match parse(message.message_type, message.payload) {
                Ok(Reply::New(item)) => Change::New(item),
                Ok(Reply::Deleted(item)) => Change::Deleted(item),
                Ok(Reply::Generation(generation)) => {
                    let changes = std::mem::take(&mut self.pending);
                    self.ready.push_back(Event::Changed(Changes {
                        generation,
                        port: message.port,
                        ..changes
                    }));
                    continue;
                }
                Ok(Reply::Other(_)) => continue,
                Err(error) => Change::Malformed(error),
            };
            if self.pending.changes.len() < MOST_CHANGES {
                self.pending.changes.push(change);
            } else {
                self.pending.left_out += 1;
            }
        }
    }
}

impl<T: AsFd> AsFd for Monitor<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.transport.as_fd()
    }
}
