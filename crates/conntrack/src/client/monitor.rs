//! Events as they happen.

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
use crate::message::{FlowEvent, parse_event};
use crate::uapi::{NFNLGRP_CONNTRACK_DESTROY, NFNLGRP_CONNTRACK_NEW, NFNLGRP_CONNTRACK_UPDATE};
use crate::{DecodeError, Error};

/// Room for a datagram, which has one event. A longer one is counted as lost, and the room grows.
const BUFFER: usize = 16 << 10;

/// Largest room for a datagram.
const LARGEST: usize = 1 << 20;

bitflags::bitflags! {
    /// What a monitor receives.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub struct EventKinds: u8 {
        /// New flows: [`FlowEvent::New`].
        const NEW = 1;
        /// Changes of flows: [`FlowEvent::Updated`].
        const UPDATED = 2;
        /// Flows that end: [`FlowEvent::Destroyed`].
        const DESTROYED = 4;
    }
}

impl EventKinds {
    /// The multicast groups of these events.
    fn groups(self) -> impl Iterator<Item = u32> {
        let groups = [
            (Self::NEW, NFNLGRP_CONNTRACK_NEW),
            (Self::UPDATED, NFNLGRP_CONNTRACK_UPDATE),
            (Self::DESTROYED, NFNLGRP_CONNTRACK_DESTROY),
        ];
        groups
            .into_iter()
            .filter(move |(kind, _)| self.contains(*kind))
            .map(|(_, group)| group)
    }
}

/// What a monitor returns.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// Something happened to a flow.
    Flow(Box<FlowEvent>),
    /// Something happened to a flow that cannot be read.
    Malformed(DecodeError),
    /// Events got lost, as more came than the socket's receive buffer holds: list the flows again.
    Lost,
}

impl Event {
    /// What happened to which flow, if that is known.
    #[must_use]
    pub fn flow_event(&self) -> Option<&FlowEvent> {
        match self {
            Self::Flow(event) => Some(event),
            Self::Malformed(_) | Self::Lost => None,
        }
    }
}

/// Receives what becomes of the flows of a network namespace. It blocks; [`AsyncMonitor`] is for async code.
///
/// It needs `CAP_NET_ADMIN`. The kernel reports what this process changes too. Nothing is reported from before it was
/// opened: open it, then list the flows. With the sysctl `net.netfilter.nf_conntrack_events` at 2, the default since
/// Linux 5.19, the kernel decides at the first packet of a flow whether it reports on it: what was there before the
/// first monitor ends without an event. At 0 there are none.
///
/// Its file descriptor ([`AsFd`]) is readable when there may be events.
///
/// ```no_run
/// use std::time::Duration;
/// use conntrack_netlink::{Event, EventKinds, FlowEvent, Monitor};
///
/// let mut monitor = Monitor::open(EventKinds::NEW | EventKinds::DESTROYED)?;
/// while let Some(event) = monitor.next(Some(Duration::from_secs(60)))? {
///     match event {
///         Event::Flow(event) => println!("{event}"),
///         Event::Lost => println!("some are missing"),
///         other => println!("{other:?}"),
///     }
/// }
/// # Ok::<(), conntrack_netlink::Error>(())
/// ```
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
    /// Received and not yet returned.
    ready: VecDeque<Event>,
}

impl Monitor {
    /// Opens a socket in the network namespace of this thread.
    ///
    /// # Errors
    /// [`Error::NoConntrack`], [`Error::NotPermitted`], [`Error::Netlink`].
    pub fn open(kinds: EventKinds) -> Result<Self, Error> {
        Self::over(kinds, Ok)
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
    pub fn open(kinds: EventKinds) -> Result<Self, Error> {
        Self::over(kinds, AsyncSocket::new)
    }
}

fn subscribe(kinds: EventKinds) -> Result<Socket, Error> {
    let mut socket =
        Socket::open(netlink::NETLINK_NETFILTER, &SocketOptions::default()).map_err(open_error)?;
    for group in kinds.groups() {
        socket.join(group).map_err(|error| match error {
            netlink_batch::Error::SocketOption { reason, .. } if reason.0 == errno::EPERM => {
                Error::NotPermitted
            }
            error => Error::Netlink(error),
        })?;
    }
    Ok(socket)
}

impl<T: AsyncTransport> Monitor<T> {
    /// A monitor over what `make` makes of a socket.
    ///
    /// # Errors
    /// As [`open`](Monitor::open), and those of `make`.
    pub fn over(
        kinds: EventKinds,
        make: fn(Socket) -> Result<T, netlink_batch::Error>,
    ) -> Result<Self, Error> {
        AsyncMonitor::over(kinds, make).map(Self)
    }

    /// A monitor over a socket that has joined some of the groups of [`uapi`](crate::uapi).
    pub fn new(transport: T) -> Self {
        Self(AsyncMonitor::new(transport))
    }

    /// The next event: one that is there, or one that comes within the time; `None` if none does. Without a
    /// time it does not wait.
    ///
    /// # Errors
    /// [`Error::Monitor`]: the socket failed.
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
    pub fn over(
        kinds: EventKinds,
        make: fn(Socket) -> Result<T, netlink_batch::Error>,
    ) -> Result<Self, Error> {
        make(subscribe(kinds)?)
            .map(Self::new)
            .map_err(Error::Netlink)
    }

    /// A monitor over a socket that has joined some of the groups of [`uapi`](crate::uapi).
    pub fn new(transport: T) -> Self {
        Self {
            transport,
            buffer: vec![0; BUFFER],
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
                    self.buffer.resize(length.min(LARGEST), 0);
                    return Ok(Some(Event::Lost));
                }
                Ok(length) => self.take(length),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) => match Os::from(error) {
                    Os(errno::EINTR) => {}
                    Os(errno::ENOBUFS) => return Ok(Some(Event::Lost)),
                    os => return Err(Error::Monitor(os)),
                },
            }
        }
    }

    fn take(&mut self, length: usize) {
        let datagram = self.buffer.get(..length).unwrap_or_default();
        for message in messages(datagram) {
            let Ok(message) = message else {
                // The kernel sends no such datagram.
                self.ready.push_back(Event::Lost);
                return;
            };
            match parse_event(message.message_type, message.flags, message.payload) {
                Ok(Some(event)) => self.ready.push_back(Event::Flow(Box::new(event))),
                Ok(None) => {}
                Err(error) => self.ready.push_back(Event::Malformed(error)),
            }
        }
    }
}

impl<T: AsFd> AsFd for Monitor<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.transport.as_fd()
    }
}
