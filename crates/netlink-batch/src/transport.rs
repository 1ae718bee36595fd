//! The seam between the engine and the socket.

use std::io;
use std::time::Instant;

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
}
