//! Hearing of changes to links and addresses.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::time::{Duration, Instant};

use netlink_batch::{Message, messages};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{MsgFlags, recv, setsockopt, sockopt::RcvBuf};

use crate::message::uapi::{
    RTM_DELADDR, RTM_DELLINK, RTM_NEWADDR, RTM_NEWLINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR,
    RTNLGRP_LINK,
};
use crate::message::{parse_address, parse_link};
use crate::{Client, Error, LinkName};

/// Longest notification that is read whole; of a longer one it is only known that it came.
const BUFFER: usize = 32 << 10;

/// Wanted receive buffer in bytes. What it cannot hold is told as [`Notice::missed`].
const RECEIVE_BUFFER: usize = 1 << 20;

/// Something about the links or addresses of the node changed: look at them again
/// ([`Client::node_links`](crate::Client::node_links)).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Notice {
    /// A link came, went or changed.
    pub links: bool,
    /// An address came, went or changed.
    pub addresses: bool,
    /// More happened than the kernel could tell of; what, is not known.
    pub missed: bool,
}

impl Notice {
    fn is_any(self) -> bool {
        self.links || self.addresses || self.missed
    }
}

/// Hears when links or addresses change, in the network namespace that the opening thread was in.
///
/// It says that something changed, not what: whoever is told looks at everything, so that nothing
/// can be missed. Needs no capability. Open it before the first look, or a change in between goes
/// unheard.
///
/// Its file descriptor ([`AsFd`]) is readable when there may be something to hear: with tokio's
/// `AsyncFd`, clear readiness only after [`wait`](Self::wait) with a timeout of 0 returned `None`.
#[derive(Debug)]
pub struct Monitor {
    socket: Socket,
    buffer: Vec<u8>,
    settle: Duration,
    ignored: Vec<LinkName>,
    /// The indexes of those ignored, unless something was missed since; `None`: to be looked up.
    ignored_indexes: Option<BTreeSet<u32>>,
}

impl Monitor {
    /// Begins to listen.
    ///
    /// # Errors
    /// [`Error::Monitor`].
    pub fn open() -> Result<Self, Error> {
        let open = |reason: io::Error| Error::Monitor {
            action: "open",
            reason: reason.to_string(),
        };
        let mut socket = Socket::new(NETLINK_ROUTE).map_err(open)?;
        // A smaller buffer only means that more is missed, which is told.
        let _ = setsockopt(&socket, RcvBuf, &RECEIVE_BUFFER);
        socket.bind(&SocketAddr::new(0, 0)).map_err(open)?;
        // Connected, the socket takes messages from the kernel only.
        socket.connect(&SocketAddr::new(0, 0)).map_err(open)?;
        for group in [RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR] {
            socket.add_membership(group).map_err(open)?;
        }
        Ok(Self {
            socket,
            buffer: vec![0; BUFFER],
            settle: Duration::ZERO,
            ignored: Vec::new(),
            ignored_indexes: None,
        })
    }

    /// Passes over whatever happens to the link of this name and its addresses: what a program does
    /// itself need not wake it. The link need not exist yet.
    ///
    /// A link that is renamed to this name is passed over from then on; one that is renamed away
    /// from it is heard of.
    #[must_use]
    pub fn ignoring(mut self, link: LinkName) -> Self {
        self.ignored.push(link);
        self.ignored_indexes = None;
        self
    }

    /// After the first thing heard waits this long for more, so that a burst is one notice
    /// (default: not at all, and what is there already is one notice). The wait is not made longer
    /// by what comes, and ends with the timeout.
    #[must_use]
    pub fn settling(mut self, settle: Duration) -> Self {
        self.settle = settle;
        self
    }

    /// Waits until something changes, at most this long, and takes all that there is to hear as one
    /// notice. `None`: nothing did. With a timeout of 0 it does not block.
    ///
    /// # Errors
    /// [`Error::Monitor`] if the socket fails. Too many changes at a time are none:
    /// [`Notice::missed`].
    pub fn wait(&mut self, timeout: Duration) -> Result<Option<Notice>, Error> {
        let deadline = Instant::now().checked_add(timeout);
        let mut notice = Notice::default();
        let mut settled = None;
        loop {
            notice = self.hear(notice)?;
            let until = match (notice.is_any(), settled) {
                (false, _) => deadline,
                (true, Some(settled)) => Some(settled),
                (true, None) => {
                    let end = Instant::now().checked_add(self.settle);
                    let end = end.into_iter().chain(deadline).min();
                    settled = end;
                    end
                }
            };
            if !self.is_readable(until)? {
                return Ok(notice.is_any().then_some(notice));
            }
            if until.is_some_and(|until| until <= Instant::now()) {
                // What there still is to read is heard of next time.
                return Ok(notice.is_any().then_some(notice));
            }
        }
    }

    /// Adds what there is to hear, without waiting.
    fn hear(&mut self, mut notice: Notice) -> Result<Notice, Error> {
        // As long as changes come faster than they are read, some are left for the next notice.
        for _ in 0..1024 {
            let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_TRUNC;
            match recv(self.socket.as_raw_fd(), &mut self.buffer, flags) {
                Ok(length) => match self.buffer.get(..length) {
                    Some(_) => self.read(length, &mut notice),
                    None => self.miss(&mut notice),
                },
                Err(Errno::EAGAIN) => break,
                Err(Errno::EINTR) => {}
                Err(Errno::ENOBUFS) => self.miss(&mut notice),
                Err(errno) => {
                    return Err(Error::Monitor {
                        action: "read",
                        reason: errno.to_string(),
                    });
                }
            }
        }
        Ok(notice)
    }

    fn read(&mut self, length: usize, notice: &mut Notice) {
        let buffer = std::mem::take(&mut self.buffer);
        for message in messages(buffer.get(..length).unwrap_or_default()) {
            match message {
                Ok(message) => self.note(&message, notice),
                Err(_) => self.miss(notice),
            }
        }
        self.buffer = buffer;
    }

    fn note(&mut self, message: &Message<'_>, notice: &mut Notice) {
        match message.message_type {
            RTM_NEWLINK | RTM_DELLINK => match parse_link(message.payload) {
                Ok(link) => {
                    let is_ignored = self.ignored.contains(&link.name);
                    let lives = message.message_type == RTM_NEWLINK;
                    if let Some(indexes) = &mut self.ignored_indexes {
                        if is_ignored && lives {
                            indexes.insert(link.index);
                        } else {
                            indexes.remove(&link.index);
                        }
                    }
                    notice.links |= !is_ignored;
                }
                Err(_) => self.miss(notice),
            },
            RTM_NEWADDR | RTM_DELADDR => match parse_address(message.payload) {
                Ok(Some(bound)) => notice.addresses |= !self.is_ignored(bound.index),
                // Of another family.
                Ok(None) => {}
                Err(_) => self.miss(notice),
            },
            _ => {}
        }
    }

    /// What was missed may have been about an ignored link.
    fn miss(&mut self, notice: &mut Notice) {
        notice.missed = true;
        self.ignored_indexes = None;
    }

    /// Whether the link with this index has the name of an ignored one, which a notice about its
    /// address does not say.
    fn is_ignored(&mut self, index: u32) -> bool {
        let ignored = &self.ignored;
        self.ignored_indexes
            .get_or_insert_with(|| look_up(ignored))
            .contains(&index)
    }

    /// Whether there is something to read before the deadline; without one, whenever that is.
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
                Err(errno) => {
                    return Err(Error::Monitor {
                        action: "wait for",
                        reason: errno.to_string(),
                    });
                }
            }
        }
    }
}

/// The indexes of those links that exist. One that cannot be looked up is not ignored: to be told
/// too much does no harm.
fn look_up(links: &[LinkName]) -> BTreeSet<u32> {
    let Some(mut client) = (!links.is_empty()).then(Client::open).and_then(Result::ok) else {
        return BTreeSet::new();
    };
    let found = links.iter().filter_map(|link| client.link(*link).ok());
    found.map(|link| link.index).collect()
}

impl AsFd for Monitor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
