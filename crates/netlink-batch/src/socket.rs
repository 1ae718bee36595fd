//! The real transport: a netlink socket.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::time::Instant;

use netlink_sys::SocketAddr;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::sockopt::{RcvBuf, RcvBufForce, SndBuf, SndBufForce};
use nix::sys::socket::{MsgFlags, getsockopt, recv, send, setsockopt};

use crate::error::Os;
use crate::{Error, Transport};

/// What the kernel keeps free of `SO_SNDBUF` when it checks a datagram's length
/// ([`netlink_sendmsg`](https://github.com/torvalds/linux/blob/v6.12/net/netlink/af_netlink.c)).
const SEND_RESERVE: usize = 32;

/// How a [`Socket`] is set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct SocketOptions {
    /// Wanted receive buffer in bytes (`SO_RCVBUFFORCE`, else `SO_RCVBUF`). A limit, not memory
    /// taken. Default: 4 MiB.
    pub receive_buffer: usize,
    /// Wanted send buffer in bytes (`SO_SNDBUFFORCE`, else `SO_SNDBUF`). Default: 512 KiB.
    pub send_buffer: usize,
    /// Whether errors echo the payload of the request (`NETLINK_CAP_ACK` off). Default: no.
    pub echo: bool,
    /// Whether get requests are checked strictly and dumps filtered by the kernel
    /// (`NETLINK_GET_STRICT_CHK`, from Linux 4.20; older kernels ignore the filter). Default: no.
    pub strict: bool,
}

impl SocketOptions {
    /// Echo the payload of failed requests, or not.
    #[must_use]
    pub fn echo(self, echo: bool) -> Self {
        Self { echo, ..self }
    }

    /// Check get requests strictly, or not.
    #[must_use]
    pub fn strict(self, strict: bool) -> Self {
        Self { strict, ..self }
    }

    /// Wants these buffers, in bytes.
    #[must_use]
    pub fn buffers(self, send: usize, receive: usize) -> Self {
        Self {
            send_buffer: send,
            receive_buffer: receive,
            ..self
        }
    }
}

impl Default for SocketOptions {
    fn default() -> Self {
        Self {
            receive_buffer: 4 << 20,
            send_buffer: 512 << 10,
            echo: false,
            strict: false,
        }
    }
}

/// A netlink socket connected to the kernel, of the network namespace that the opening thread was
/// in.
///
/// Extended acknowledgement is on where the kernel has it (from Linux 4.12).
#[derive(Debug)]
pub struct Socket {
    socket: netlink_sys::Socket,
    protocol: u16,
    port: u32,
    send_limit: usize,
    receive_limit: usize,
}

impl Socket {
    /// Opens a socket of a protocol, [`uapi::NETLINK_GENERIC`](crate::uapi::NETLINK_GENERIC) for
    /// one.
    ///
    /// # Errors
    /// [`Error::Open`] (`EPROTONOSUPPORT`: this kernel lacks the protocol),
    /// [`Error::SocketOption`].
    pub fn open(protocol: u16, options: &SocketOptions) -> Result<Self, Error> {
        let open = |error: io::Error| Error::Open {
            protocol,
            reason: error.into(),
        };
        let mut socket = netlink_sys::Socket::new(isize::from(protocol as i16)).map_err(open)?;
        let port = socket.bind_auto().map_err(open)?.port_number();
        // Connected, the socket takes messages from the kernel only.
        socket.connect(&SocketAddr::new(0, 0)).map_err(open)?;

        where_known("NETLINK_EXT_ACK", socket.set_ext_ack(true))?;
        where_known("NETLINK_CAP_ACK", socket.set_cap_ack(!options.echo))?;
        if options.strict {
            where_known(
                "NETLINK_GET_STRICT_CHK",
                socket.set_netlink_get_strict_chk(true),
            )?;
        }
        if setsockopt(&socket, RcvBufForce, &options.receive_buffer).is_err() {
            option(
                "SO_RCVBUF",
                setsockopt(&socket, RcvBuf, &options.receive_buffer),
            )?;
        }
        if setsockopt(&socket, SndBufForce, &options.send_buffer).is_err() {
            option(
                "SO_SNDBUF",
                setsockopt(&socket, SndBuf, &options.send_buffer),
            )?;
        }
        let receive_limit = option("SO_RCVBUF", getsockopt(&socket, RcvBuf))?;
        let send_limit =
            option("SO_SNDBUF", getsockopt(&socket, SndBuf))?.saturating_sub(SEND_RESERVE);
        Ok(Self {
            socket,
            protocol,
            port,
            send_limit,
            receive_limit,
        })
    }

    /// Joins a multicast group, whose messages come with all others from then on. A socket that has joined
    /// one is for [`Transport::receive`], not for a [`Connection`](crate::Connection).
    ///
    /// # Errors
    /// [`Error::SocketOption`] (`EPERM`: the group takes a capability).
    pub fn join(&mut self, group: u32) -> Result<(), Error> {
        self.socket
            .add_membership(group)
            .map_err(|error| Error::SocketOption {
                option: "NETLINK_ADD_MEMBERSHIP",
                reason: error.into(),
            })
    }

    /// Changes the send buffer, in bytes (`SO_SNDBUFFORCE`, else `SO_SNDBUF`), for longer datagrams.
    ///
    /// # Errors
    /// [`Error::SocketOption`].
    pub fn set_send_buffer(&mut self, bytes: usize) -> Result<(), Error> {
        if setsockopt(&self.socket, SndBufForce, &bytes).is_err() {
            option("SO_SNDBUF", setsockopt(&self.socket, SndBuf, &bytes))?;
        }
        self.send_limit =
            option("SO_SNDBUF", getsockopt(&self.socket, SndBuf))?.saturating_sub(SEND_RESERVE);
        Ok(())
    }

    /// Waits for something to receive.
    fn wait(&self, deadline: Instant) -> io::Result<()> {
        let left = deadline.saturating_duration_since(Instant::now());
        // Rounded up, so as not to poll again and again during the last millisecond.
        let milliseconds = left.as_micros().div_ceil(1000);
        let timeout = PollTimeout::try_from(milliseconds).unwrap_or(PollTimeout::MAX);
        match poll(
            &mut [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)],
            timeout,
        )? {
            0 => Err(Errno::EAGAIN.into()),
            _ => Ok(()),
        }
    }
}

impl Transport for Socket {
    fn send(&mut self, datagram: &[u8]) -> io::Result<()> {
        // Without an address it goes where the socket is connected to. A datagram is sent whole or
        // not at all.
        send(self.socket.as_raw_fd(), datagram, MsgFlags::empty())?;
        Ok(())
    }

    fn receive(&mut self, buffer: &mut [u8], deadline: Option<Instant>) -> io::Result<usize> {
        loop {
            // With MSG_TRUNC the kernel returns the true length.
            let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_TRUNC;
            match (recv(self.socket.as_raw_fd(), buffer, flags), deadline) {
                (Err(Errno::EAGAIN), Some(deadline)) => self.wait(deadline)?,
                (result, _) => return Ok(result?),
            }
        }
    }

    fn port(&self) -> u32 {
        self.port
    }

    fn protocol(&self) -> u16 {
        self.protocol
    }

    fn send_limit(&self) -> usize {
        self.send_limit
    }

    fn receive_limit(&self) -> usize {
        self.receive_limit
    }

    fn set_send_buffer(&mut self, bytes: usize) -> Result<(), Error> {
        Self::set_send_buffer(self, bytes)
    }

    fn join(&mut self, group: u32) -> Result<(), Error> {
        Self::join(self, group)
    }
}

impl AsRawFd for Socket {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn option<T>(option: &'static str, result: nix::Result<T>) -> Result<T, Error> {
    result.map_err(|errno| Error::SocketOption {
        option,
        reason: errno.into(),
    })
}

/// The result of an option that older kernels lack; their replies then come without what it adds.
fn where_known(option: &'static str, result: io::Result<()>) -> Result<(), Error> {
    match result.map_err(Os::from) {
        Err(reason) if reason.0 != crate::errno::ENOPROTOOPT => {
            Err(Error::SocketOption { option, reason })
        }
        _ => Ok(()),
    }
}
