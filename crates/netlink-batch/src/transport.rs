//! The seam between the engine and the socket.

use std::io;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use crate::Error;

/// What a [`Connection`](crate::Connection) needs of a socket: to send datagrams to the kernel and
/// to receive its own.
///
/// [`Socket`](crate::Socket) is the real one. Tests implement it with scripts that lose, cut,
/// reorder and repeat replies. Errors are recognised by [`io::Error::raw_os_error`] and, if
/// nothing was received, [`io::ErrorKind::WouldBlock`].
pub trait Transport {
    /// Sends one datagram.
    ///
    /// # Errors
    /// `EMSGSIZE` or `ENOBUFS` when it is too long, which makes the engine try with fewer requests;
    /// `EINTR`, which makes it try again; others end the run. A datagram that failed has not
    /// reached the kernel, not even in part.
    fn send(&mut self, datagram: &[u8]) -> io::Result<()>;

    /// Receives one datagram and returns its true length, even if that is more than the buffer
    /// took.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] when none came before the deadline, or none is there already
    /// if there is no deadline; `ENOBUFS` when the kernel had to drop replies; `EINTR`.
    fn receive(&mut self, buffer: &mut [u8], deadline: Option<Instant>) -> io::Result<usize>;

    /// The port (`nlmsg_pid`) the kernel addresses replies to.
    fn port(&self) -> u32;

    /// Number of the netlink protocol, [`uapi::NETLINK_ROUTE`](crate::uapi::NETLINK_ROUTE) for one.
    fn protocol(&self) -> u16;

    /// The longest datagram that can be sent, in bytes.
    fn send_limit(&self) -> usize;

    /// How many bytes of replies can wait, counted as the kernel does: with its overhead.
    fn receive_limit(&self) -> usize;

    /// Makes room for datagrams of so many bytes, where the transport can. By default it does nothing.
    ///
    /// # Errors
    /// [`Error::SocketOption`].
    fn set_send_buffer(&mut self, bytes: usize) -> Result<(), Error> {
        let _ = bytes;
        Ok(())
    }

    /// Joins a multicast group, where the transport can. By default it does nothing.
    ///
    /// # Errors
    /// [`Error::SocketOption`].
    fn join(&mut self, group: u32) -> Result<(), Error> {
        let _ = group;
        Ok(())
    }
}

impl<T: Transport + ?Sized> Transport for &mut T {
    fn send(&mut self, datagram: &[u8]) -> io::Result<()> {
        (**self).send(datagram)
    }

    fn receive(&mut self, buffer: &mut [u8], deadline: Option<Instant>) -> io::Result<usize> {
        (**self).receive(buffer, deadline)
    }

    fn port(&self) -> u32 {
        (**self).port()
    }

    fn protocol(&self) -> u16 {
        (**self).protocol()
    }

    fn send_limit(&self) -> usize {
        (**self).send_limit()
    }

    fn receive_limit(&self) -> usize {
        (**self).receive_limit()
    }

    fn set_send_buffer(&mut self, bytes: usize) -> Result<(), Error> {
        (**self).set_send_buffer(bytes)
    }

    fn join(&mut self, group: u32) -> Result<(), Error> {
        (**self).join(group)
    }
}

/// What an [`AsyncConnection`](crate::AsyncConnection) needs of a socket. With the feature `tokio`
/// `AsyncSocket` is the real one; other runtimes can implement it.
///
/// Every [`Transport`] is one that is always ready: it blocks the thread instead. So the engine, and
/// each client on it, is written once.
///
/// Errors are those of [`Transport`]. A call that returned [`Poll::Pending`] has done nothing yet, and
/// may be dropped; the waker is called when it is worth another try.
pub trait AsyncTransport {
    /// Sends one datagram, whole or not at all.
    ///
    /// # Errors
    /// As [`Transport::send`].
    fn poll_send(&mut self, context: &mut Context<'_>, datagram: &[u8]) -> Poll<io::Result<()>>;

    /// Receives one datagram, and returns its true length.
    ///
    /// # Errors
    /// As [`Transport::receive`]: [`io::ErrorKind::WouldBlock`] once the [`Wait`] is over.
    fn poll_receive(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut [u8],
        wait: Wait,
    ) -> Poll<io::Result<usize>>;

    /// Sleeps until then.
    fn poll_sleep(&mut self, context: &mut Context<'_>, until: Instant) -> Poll<()>;

    /// The socket's port, protocol and limits.
    fn socket_info(&self) -> SocketInfo;

    /// Makes room for datagrams of so many bytes, where the transport can.
    ///
    /// # Errors
    /// [`Error::SocketOption`].
    fn reserve_send(&mut self, bytes: usize) -> Result<(), Error>;

    /// Joins a multicast group, where the transport can.
    ///
    /// # Errors
    /// [`Error::SocketOption`].
    fn join_group(&mut self, group: u32) -> Result<(), Error>;
}

/// How long to wait for a datagram when none is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// Not at all.
    No,
    /// Until this time.
    Until(Instant),
    /// As long as it takes.
    Forever,
}

impl Wait {
    /// For so long from now on.
    #[must_use]
    pub fn within(time: Duration) -> Self {
        Instant::now()
            .checked_add(time)
            .map_or(Self::Forever, Self::Until)
    }
}

/// Facts about a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SocketInfo {
    /// The port (`nlmsg_pid`) the kernel addresses replies to.
    pub port: u32,
    /// Number of the netlink protocol.
    pub protocol: u16,
    /// The longest datagram that can be sent, in bytes.
    pub send_limit: usize,
    /// How many bytes of replies can wait, counted as the kernel does: with its overhead.
    pub receive_limit: usize,
}

/// How long one of the calls lasts of which waiting forever consists.
const LONG: Duration = Duration::from_secs(3600);

impl<T: Transport> AsyncTransport for T {
    fn poll_send(&mut self, _: &mut Context<'_>, datagram: &[u8]) -> Poll<io::Result<()>> {
        Poll::Ready(self.send(datagram))
    }

    fn poll_receive(
        &mut self,
        _: &mut Context<'_>,
        buffer: &mut [u8],
        wait: Wait,
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(match wait {
            Wait::No => self.receive(buffer, None),
            Wait::Until(deadline) => self.receive(buffer, Some(deadline)),
            Wait::Forever => loop {
                match self.receive(buffer, Instant::now().checked_add(LONG)) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    result => break result,
                }
            },
        })
    }

    fn poll_sleep(&mut self, _: &mut Context<'_>, until: Instant) -> Poll<()> {
        std::thread::sleep(until.saturating_duration_since(Instant::now()));
        Poll::Ready(())
    }

    fn socket_info(&self) -> SocketInfo {
        SocketInfo {
            port: self.port(),
            protocol: self.protocol(),
            send_limit: self.send_limit(),
            receive_limit: self.receive_limit(),
        }
    }

    fn reserve_send(&mut self, bytes: usize) -> Result<(), Error> {
        self.set_send_buffer(bytes)
    }

    fn join_group(&mut self, group: u32) -> Result<(), Error> {
        self.join(group)
    }
}
