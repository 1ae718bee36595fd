//! Notifications of changes to links, addresses, rules and routes.

mod changes;

use std::future::poll_fn;
use std::io::ErrorKind;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

#[cfg(feature = "tokio")]
use netlink_batch::AsyncSocket;
use netlink_batch::{
    AsyncTransport, Os, Socket, SocketOptions, Wait, errno, messages, uapi::NETLINK_ROUTE,
};

use crate::uapi::{
    RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV4_RULE, RTNLGRP_IPV6_IFADDR,
    RTNLGRP_IPV6_ROUTE, RTNLGRP_IPV6_RULE, RTNLGRP_LINK,
};
use crate::{Error, LinkName, RoutingProtocol, Table};
pub use changes::{Changes, Removal};
use changes::{Filter, Interest};

/// Longest datagram that is read whole; a longer one counts as lost.
const BUFFER: usize = 32 << 10;

/// Requested receive buffer in bytes. What does not fit is reported as [`Changes::lost`].
const RECEIVE_BUFFER: usize = 1 << 20;

/// Most datagrams that are read for one report, so that changes which come faster than they are read do
/// not keep it from being returned.
const MAX_DATAGRAMS: usize = 1024;

const LINKS: [u32; 3] = [RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR];
const ROUTING: [u32; 4] = [
    RTNLGRP_IPV4_RULE,
    RTNLGRP_IPV6_RULE,
    RTNLGRP_IPV4_ROUTE,
    RTNLGRP_IPV6_ROUTE,
];

/// Waits for changes of links and addresses, and where asked for, of rules and routes, in the network
/// namespace that the opening thread was in. It blocks; [`AsyncMonitor`] is for async code.
///
/// It reports that something changed, not what, and the caller lists everything again, so that nothing
/// is missed. Only of [watched](Self::watching) links it reports what was removed. It needs no
/// capability. Open it before the first listing, or a change in between stays unnoticed.
///
/// Its file descriptor ([`AsFd`]) is readable when there may be notifications: a program with an event loop
/// of its own calls [`wait`](Self::wait) then, with a timeout of 0, until it returns `None`.
#[derive(Debug)]
pub struct Monitor<T = Socket>(AsyncMonitor<T>);

/// The same as [`Monitor`], for async code.
///
/// A dropped future loses nothing: the next one reports what it would have reported.
#[derive(Debug)]
pub struct AsyncMonitor<#[cfg(feature = "tokio")] T = AsyncSocket, #[cfg(not(feature = "tokio"))] T>
{
    transport: T,
    /// Makes the transport of a socket.
    make: Make<T>,
    buffer: Vec<u8>,
    settle: Duration,
    filter: Filter,
    /// Whether it is subscribed to rules and routes.
    routing: bool,
    /// What has changed since the last report.
    changes: Changes,
    /// When the report of these changes is due.
    due: Option<Instant>,
}

type Make<T> = fn(Socket) -> Result<T, netlink_batch::Error>;

impl Monitor {
    /// Subscribes to notifications.
    ///
    /// # Errors
    /// [`Error::Monitor`].
    pub fn open() -> Result<Self, Error> {
        Self::over(Ok)
    }
}

#[cfg(feature = "tokio")]
impl AsyncMonitor<AsyncSocket> {
    /// Subscribes to notifications, for the tokio runtime that this is called in.
    ///
    /// # Errors
    /// [`Error::Monitor`].
    ///
    /// # Panics
    /// As [`AsyncSocket::new`].
    pub fn open() -> Result<Self, Error> {
        Self::over(AsyncSocket::new)
    }
}

impl<T: AsyncTransport> Monitor<T> {
    /// Subscribes to notifications, through what `make` makes of a socket.
    ///
    /// # Errors
    /// [`Error::Monitor`].
    pub fn over(make: fn(Socket) -> Result<T, netlink_batch::Error>) -> Result<Self, Error> {
        AsyncMonitor::over(make).map(Self)
    }

    /// Subscribes anew, with the same settings, after an error. The next [`wait`](Self::wait) returns
    /// at once with [`Changes::lost`].
    ///
    /// # Errors
    /// [`Error::Monitor`]: the monitor is as it was, and this can be tried again.
    pub fn reopen(&mut self) -> Result<(), Error> {
        self.0.reopen()
    }

    /// Waits until something changes, at most for this time, and returns all that has changed by then
    /// as one report. `None`: nothing changed. With a timeout of 0 it does not block.
    ///
    /// # Errors
    /// [`Error::Monitor`] if the socket fails; [`reopen`](Self::reopen) it then. Notifications that the
    /// kernel had to drop (`ENOBUFS`) are not an error but [`Changes::lost`].
    pub fn wait(&mut self, timeout: Duration) -> Result<Option<Changes>, Error> {
        netlink_batch::block_on(self.0.report(Instant::now().checked_add(timeout)))
    }
}

/// Makes settings of [`AsyncMonitor`], and the same of [`Monitor`].
macro_rules! settings {
    (
        $(
            $(#[$meta:meta])*
            pub fn $name:ident(mut $self:ident $(, $argument:ident: $type:ty)?) -> Self $body:block
        )*
        fallible:
        $(
            $(#[$fallible_meta:meta])*
            pub fn $fallible:ident(mut $this:ident $(, $parameter:ident: $of:ty)?)
                -> Result<Self, Error> $fallible_body:block
        )*
    ) => {
        impl<T: AsyncTransport> AsyncMonitor<T> {
            $(
                $(#[$meta])*
                #[must_use]
                pub fn $name(mut $self $(, $argument: $type)?) -> Self $body
            )*
            $(
                $(#[$fallible_meta])*
                pub fn $fallible(mut $this $(, $parameter: $of)?) -> Result<Self, Error>
                $fallible_body
            )*
        }

        impl<T: AsyncTransport> Monitor<T> {
            $(
                $(#[$meta])*
                #[must_use]
                pub fn $name($self $(, $argument: $type)?) -> Self {
                    Self($self.0.$name($($argument)?))
                }
            )*
            $(
                $(#[$fallible_meta])*
                pub fn $fallible($this $(, $parameter: $of)?) -> Result<Self, Error> {
                    $this.0.$fallible($($parameter)?).map(Self)
                }
            )*
        }
    };
}

settings! {
    /// Ignores all changes of the link of this name and its addresses. The link need not exist yet.
    ///
    /// A link that is renamed to this name is ignored from then on; one that is renamed to another
    /// name is reported.
    pub fn ignoring(mut self, link: LinkName) -> Self {
        self.filter.add(link, Interest::Ignored);
        self
    }

    /// Reports of the link of this name only what is removed: addresses, and the link itself
    /// ([`Changes::removed`]). So a program that adds to the link is not woken by what it adds, and
    /// learns at once what others take away; its own removals it recognises. The link need not exist
    /// yet.
    pub fn watching(mut self, link: LinkName) -> Self {
        self.filter.add(link, Interest::Watched);
        self
    }

    /// After the first notification waits this long for more, so that a burst is one report (default:
    /// no wait; what has arrived is one report). Further notifications do not prolong the wait, and the
    /// timeout ends it.
    pub fn settling(mut self, settle: Duration) -> Self {
        self.settle = settle;
        self
    }

    fallible:

    /// Reports changes of rules and routes too ([`Changes::rules`], [`Changes::routes`]).
    ///
    /// A node whose routes come from a routing daemon changes them often. IPv4 routes that go together
    /// with their link are not notified, the link's change is.
    ///
    /// # Errors
    /// [`Error::Monitor`].
    pub fn with_routing(mut self) -> Result<Self, Error> {
        self.subscribe_to_routing()?;
        self.filter.routing = true;
        Ok(self)
    }

    /// Reports of the routes of this table, and of the rules that look it up, only what is removed
    /// ([`Changes::removed`]). So a program with a table of its own is not woken by what it adds, and
    /// learns at once what others take away; its own removals it recognises.
    ///
    /// The kernel notifies a route that was replaced by another one only as the new one. After
    /// `ip route replace` in this table, [`Changes::routes`] is set.
    ///
    /// # Errors
    /// [`Error::Monitor`].
    pub fn watching_table(mut self, table: Table) -> Result<Self, Error> {
        self.subscribe_to_routing()?;
        self.filter.tables.insert(table);
        Ok(self)
    }

    /// Reports of the rules and routes of this protocol number, whatever their tables, only what is removed, as
    /// [`watching_table`](Self::watching_table) does of a table. Kernels before 4.17 do not keep the number of a rule.
    ///
    /// # Errors
    /// [`Error::Monitor`].
    pub fn watching_protocol(mut self, protocol: RoutingProtocol) -> Result<Self, Error> {
        self.subscribe_to_routing()?;
        self.filter.protocols.insert(protocol);
        Ok(self)
    }
}

impl<T: AsyncTransport> AsyncMonitor<T> {
    /// Subscribes to notifications, through what `make` makes of a socket.
    ///
    /// # Errors
    /// [`Error::Monitor`].
    pub fn over(make: fn(Socket) -> Result<T, netlink_batch::Error>) -> Result<Self, Error> {
        Ok(Self {
            transport: subscribe(make, false).map_err(|error| open_error(&error))?,
            make,
            buffer: vec![0; BUFFER],
            settle: Duration::ZERO,
            filter: Filter::default(),
            routing: false,
            changes: Changes::default(),
            due: None,
        })
    }

    /// Subscribes anew, with the same settings, after an error. The next [`next`](Self::next) returns
    /// at once with [`Changes::lost`].
    ///
    /// # Errors
    /// [`Error::Monitor`]: the monitor is as it was, and this can be tried again.
    pub fn reopen(&mut self) -> Result<(), Error> {
        self.transport = subscribe(self.make, self.routing).map_err(|error| open_error(&error))?;
        // Changes before it was opened are unknown.
        self.filter.lose(&mut self.changes);
        Ok(())
    }

    /// Waits until something changes, and returns all that has changed by then as one report.
    ///
    /// # Errors
    /// As [`Monitor::wait`].
    pub async fn next(&mut self) -> Result<Changes, Error> {
        loop {
            if let Some(changes) = self.report(None).await? {
                return Ok(changes);
            }
        }
    }

    fn subscribe_to_routing(&mut self) -> Result<(), Error> {
        self.routing = true;
        join(&mut self.transport, &ROUTING).map_err(|error| open_error(&error))
    }

    /// What changes until the deadline, or if nothing does, `None`.
    async fn report(&mut self, deadline: Option<Instant>) -> Result<Option<Changes>, Error> {
        loop {
            self.receive_all().await?;
            let until = if self.changes.is_any() {
                let settled = || Instant::now().checked_add(self.settle);
                self.due = self.due.or_else(settled);
                self.due.into_iter().chain(deadline).min()
            } else {
                deadline
            };
            // What can still be read at the end is for the next report.
            let is_over = until.is_some_and(|until| until <= Instant::now());
            if is_over
                || !self
                    .receive(until.map_or(Wait::Forever, Wait::Until))
                    .await?
            {
                self.due = None;
                let changes = std::mem::take(&mut self.changes);
                return Ok(changes.is_any().then_some(changes));
            }
        }
    }

    /// Takes what has arrived, without waiting.
    async fn receive_all(&mut self) -> Result<(), Error> {
        for _ in 0..MAX_DATAGRAMS {
            if !self.receive(Wait::No).await? {
                break;
            }
        }
        Ok(())
    }

    /// Takes a datagram. `false` if none came.
    async fn receive(&mut self, wait: Wait) -> Result<bool, Error> {
        let received =
            poll_fn(|context| self.transport.poll_receive(context, &mut self.buffer, wait));
        match received.await {
            Ok(length) => self.read(length),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(error) => match Os::from(error) {
                Os(errno::EINTR) => {}
                Os(errno::ENOBUFS) => self.filter.lose(&mut self.changes),
                os => return Err(monitor_error("read", os)),
            },
        }
        Ok(true)
    }

    /// Reads a datagram of this length.
    fn read(&mut self, length: usize) {
        let Some(datagram) = self.buffer.get(..length) else {
            return self.filter.lose(&mut self.changes);
        };
        for message in messages(datagram) {
            match message {
                Ok(message) => self.filter.record(&message, &mut self.changes),
                Err(_) => self.filter.lose(&mut self.changes),
            }
        }
    }
}

fn subscribe<T: AsyncTransport>(make: Make<T>, routing: bool) -> Result<T, netlink_batch::Error> {
    // With a smaller receive buffer more is lost, which is reported.
    let options = SocketOptions::default();
    let options = options.buffers(options.send_buffer, RECEIVE_BUFFER);
    let mut transport = make(Socket::open(NETLINK_ROUTE, &options)?)?;
    join(&mut transport, &LINKS)?;
    if routing {
        join(&mut transport, &ROUTING)?;
    }
    Ok(transport)
}

fn join(transport: &mut impl AsyncTransport, groups: &[u32]) -> Result<(), netlink_batch::Error> {
    groups
        .iter()
        .try_for_each(|group| transport.join_group(*group))
}

fn open_error(error: &netlink_batch::Error) -> Error {
    use netlink_batch::Error as Netlink;
    let os = match error {
        Netlink::Open { reason, .. } | Netlink::SocketOption { reason, .. } => Some(*reason),
        _ => None,
    };
    Error::Monitor {
        action: "open",
        reason: os.map_or_else(|| error.to_string(), |os| os.to_string()),
        code: os.map(|os| os.0),
    }
}

fn monitor_error(action: &'static str, os: Os) -> Error {
    Error::Monitor {
        action,
        reason: os.to_string(),
        code: Some(os.0),
    }
}

impl<T: AsFd> AsFd for Monitor<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.transport.as_fd()
    }
}
