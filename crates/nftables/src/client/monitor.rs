//! Changes as they happen.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use netlink_batch::{Os, Socket, SocketOptions, Transport, errno, messages, uapi as netlink};

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

/// Receives what anybody changes in the rule set of a network namespace, and who.
///
/// The kernel reports changes of the process itself too. Nothing is reported from before it was opened:
/// open it, then read the rule set.
#[derive(Debug)]
pub struct Monitor<T = Socket> {
    transport: T,
    buffer: Vec<u8>,
    /// Changes whose transaction is not over.
    pending: Changes,
    /// Received and not yet returned.
    ready: std::collections::VecDeque<Event>,
}

impl Monitor {
    /// Opens a socket in the network namespace of this thread.
    ///
    /// # Errors
    /// [`Error::NoNftables`], [`Error::NotPermitted`], [`Error::Netlink`].
    pub fn open() -> Result<Self, Error> {
        let mut socket = Socket::open(netlink::NETLINK_NETFILTER, &SocketOptions::default())
            .map_err(open_error)?;
        socket.join(NFNLGRP_NFTABLES).map_err(|error| match error {
            netlink_batch::Error::SocketOption { reason, .. } if reason.0 == errno::EPERM => {
                Error::NotPermitted
            }
            error => Error::Netlink(error),
        })?;
        Ok(Self::new(socket))
    }
}

impl<T: Transport> Monitor<T> {
    /// A monitor over a socket that has joined the group [`NFNLGRP_NFTABLES`].
    pub fn new(transport: T) -> Self {
        Self {
            transport,
            buffer: vec![0; BUFFER],
            pending: Changes::default(),
            ready: std::collections::VecDeque::new(),
        }
    }

    /// The next event: one that is there, or one that comes within the time; `None` if none does. Without a
    /// time it does not wait.
    ///
    /// # Errors
    /// [`Error::Netlink`]: the socket failed.
    pub fn next(&mut self, wait: Option<Duration>) -> Result<Option<Event>, Error> {
        let deadline = wait.and_then(|wait| Instant::now().checked_add(wait));
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Ok(Some(event));
            }
            match self.transport.receive(&mut self.buffer, deadline) {
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

impl AsFd for Monitor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.transport.as_fd()
    }
}
