//! Notifications of changes to links, addresses, rules and routes.

mod changes;

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::time::{Duration, Instant};

use netlink_batch::messages;
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{MsgFlags, recv, setsockopt, sockopt::RcvBuf};

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

/// Waits for changes of links and addresses, and where asked for, of rules and routes, in the network namespace that the opening thread was in.
///
/// It reports that something changed, not what, and the caller lists everything again, so that nothing
/// is missed. Only of [watched](Self::watching) links it reports what was removed. It needs no
/// capability. Open it before the first listing, or a change in between stays unnoticed.
///
/// Its file descriptor ([`AsFd`]) is readable when there may be notifications: with tokio's `AsyncFd`,
/// clear readiness only after [`wait`](Self::wait) with a timeout of 0 returned `None`.
#[derive(Debug)]
pub struct Monitor {
    socket: Socket,
    buffer: Vec<u8>,
    settle: Duration,
    filter: Filter,
    /// Whether it is subscribed to rules and routes.
    routing: bool,
    /// The socket is new, and changes before it was opened are unknown.
    reopened: bool,
}

impl Monitor {
    /// Subscribes to notifications.
    ///
    /// # Errors
    /// [`Error::Monitor`].
    pub fn open() -> Result<Self, Error> {
        Ok(Self {
            socket: subscribe(false).map_err(|error| monitor_error("open", &error))?,
            buffer: vec![0; BUFFER],
            settle: Duration::ZERO,
            filter: Filter::default(),
            routing: false,
            reopened: false,
        })
    }

    /// Subscribes anew, with the same settings, after an error. The next [`wait`](Self::wait) returns
    /// at once with [`Changes::lost`].
    ///
    /// # Errors
    /// [`Error::Monitor`]: the monitor is as it was, and this can be tried again.
    pub fn reopen(&mut self) -> Result<(), Error> {
        self.socket = subscribe(self.routing).map_err(|error| monitor_error("open", &error))?;
        self.reopened = true;
        Ok(())
    }

    /// Ignores all changes of the link of this name and its addresses. The link need not exist yet.
    ///
    /// A link that is renamed to this name is ignored from then on; one that is renamed to another
    /// name is reported.
    #[must_use]
    pub fn ignoring(self, link: LinkName) -> Self {
        self.with_interest(link, Interest::Ignored)
    }

    /// Reports of the link of this name only what is removed: addresses, and the link itself
    /// ([`Changes::removed`]). So a program that adds to the link is not woken by what it adds, and
    /// learns at once what others take away; its own removals it recognises. The link need not exist
    /// yet.
    #[must_use]
    pub fn watching(self, link: LinkName) -> Self {
        self.with_interest(link, Interest::Watched)
    }

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

    fn subscribe_to_routing(&mut self) -> Result<(), Error> {
        self.routing = true;
        join(&mut self.socket, &ROUTING).map_err(|error| monitor_error("open", &error))
    }

    fn with_interest(mut self, link: LinkName, interest: Interest) -> Self {
        self.filter.add(link, interest);
        self
    }

    /// After the first notification waits this long for more, so that a burst is one report (default:
    /// no wait; what has arrived is one report). Further notifications do not prolong the wait, and the
    /// timeout ends it.
    #[must_use]
    pub fn settling(mut self, settle: Duration) -> Self {
        self.settle = settle;
        self
    }

    /// Waits until something changes, at most for this time, and returns all that has changed by then
    /// as one report. `None`: nothing changed. With a timeout of 0 it does not block.
    ///
    /// # Errors
    /// [`Error::Monitor`] if the socket fails; [`reopen`](Self::reopen) it then. Notifications that the
    /// kernel had to drop (`ENOBUFS`) are not an error but [`Changes::lost`].
    pub fn wait(&mut self, timeout: Duration) -> Result<Option<Changes>, Error> {
        let deadline = Instant::now().checked_add(timeout);
        let mut changes = Changes::default();
        if std::mem::take(&mut self.reopened) {
            self.filter.lose(&mut changes);
        }
        let mut settled = None;
        loop {
            self.receive(&mut changes)?;
            let until = match (changes.is_any(), settled) {
                (false, _) => deadline,
                (true, Some(settled)) => Some(settled),
                (true, None) => {
                    let end = Instant::now().checked_add(self.settle);
                    let end = end.into_iter().chain(deadline).min();
                    settled = end;
                    end
                }
            };
            // What can still be read at the end is for the next report.
            if !self.is_readable(until)? || until.is_some_and(|until| until <= Instant::now()) {
                return Ok(changes.is_any().then_some(changes));
            }
        }
    }

    /// Adds what has arrived, without waiting.
    fn receive(&mut self, changes: &mut Changes) -> Result<(), Error> {
        for _ in 0..MAX_DATAGRAMS {
            let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_TRUNC;
            match recv(self.socket.as_raw_fd(), &mut self.buffer, flags) {
                Ok(length) => self.read(length, changes),
                Err(Errno::EAGAIN) => break,
                Err(Errno::EINTR) => {}
                Err(Errno::ENOBUFS) => self.filter.lose(changes),
                Err(errno) => return Err(monitor_error("read", &errno.into())),
            }
        }
        Ok(())
    }

    /// Reads a datagram of this length.
    fn read(&mut self, length: usize, changes: &mut Changes) {
        let Some(datagram) = self.buffer.get(..length) else {
            return self.filter.lose(changes);
        };
        for message in messages(datagram) {
            match message {
                Ok(message) => self.filter.record(&message, changes),
                Err(_) => self.filter.lose(changes),
            }
        }
    }

    /// Whether there is something to read before the deadline; without one, waits for it.
    fn is_readable(&self, deadline: Option<Instant>) -> Result<bool, Error> {
        loop {
            let timeout = match deadline {
                None => PollTimeout::NONE,
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    // Rounded up, so as not to poll again and again during the last millisecond.
                    let milliseconds = left.as_micros().div_ceil(1000);
                    PollTimeout::try_from(milliseconds).unwrap_or(PollTimeout::MAX)
                }
            };
            let mut sockets = [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)];
            match poll(&mut sockets, timeout) {
                Ok(0) if deadline.is_some_and(|deadline| deadline > Instant::now()) => {}
                Ok(ready) => return Ok(ready > 0),
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(monitor_error("wait for", &errno.into())),
            }
        }
    }
}

fn subscribe(routing: bool) -> Result<Socket, io::Error> {
    let mut socket = Socket::new(NETLINK_ROUTE)?;
    // With a smaller buffer more is lost, which is reported.
    let _ = setsockopt(&socket, RcvBuf, &RECEIVE_BUFFER);
    socket.bind(&SocketAddr::new(0, 0))?;
    // Connected, the socket accepts messages from the kernel only.
    socket.connect(&SocketAddr::new(0, 0))?;
    join(&mut socket, &LINKS)?;
    if routing {
        join(&mut socket, &ROUTING)?;
    }
    Ok(socket)
}

fn join(socket: &mut Socket, groups: &[u32]) -> Result<(), io::Error> {
    groups
        .iter()
        .try_for_each(|group| socket.add_membership(*group))
}

fn monitor_error(action: &'static str, error: &io::Error) -> Error {
    Error::Monitor {
        action,
        reason: error.to_string(),
        code: error.raw_os_error(),
    }
}

impl AsFd for Monitor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
