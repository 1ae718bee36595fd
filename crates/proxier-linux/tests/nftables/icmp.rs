//! Pings, and questions by UDP, whose errors are seen.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd as _;
use std::time::Duration;

use kernel_test::Netns;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrIn, SockaddrIn6,
    SockaddrLike, connect, recv, send, setsockopt, socket, sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike as _};

const PATIENCE: i64 = 8;

/// An address as system calls take it.
pub(crate) fn sockaddr(address: SocketAddr) -> Box<dyn SockaddrLike> {
    match address {
        SocketAddr::V4(v4) => Box::new(SockaddrIn::from(v4)),
        SocketAddr::V6(v6) => Box::new(SockaddrIn6::from(v6)),
    }
}

/// An echo request, and whether something answers.
pub(crate) fn ping(from: &Netns, to: IpAddr) -> io::Result<()> {
    let (family, protocol, request) = match to {
        // Type 8 and its checksum; type 128, of which the kernel makes the checksum.
        IpAddr::V4(_) => (
            AddressFamily::Inet,
            SockProtocol::Icmp,
            [8, 0, 0xf7, 0xff, 0, 0, 0, 0],
        ),
        IpAddr::V6(_) => (
            AddressFamily::Inet6,
            SockProtocol::IcmpV6,
            [128, 0, 0, 0, 0, 0, 0, 0],
        ),
    };
    let fd = from.run(|| socket(family, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol))?;
    setsockopt(&fd, sockopt::ReceiveTimeout, &TimeVal::seconds(PATIENCE))?;
    connect(fd.as_raw_fd(), &*sockaddr(SocketAddr::new(to, 0)))?;
    send(fd.as_raw_fd(), &request, MsgFlags::empty())?;
    let mut answer = [0; 256];
    loop {
        let length = recv(fd.as_raw_fd(), &mut answer, MsgFlags::empty())?;
        // IPv4 has its header before it. Neighbour discovery is ICMP, too.
        let kind = match to {
            IpAddr::V4(_) => answer[20],
            IpAddr::V6(_) => answer[0],
        };
        if length > 0 && matches!(kind, 0 | 129) {
            return Ok(());
        }
    }
}

/// A datagram, and the error that comes of it.
pub(crate) fn ask_udp(from: &Netns, to: SocketAddr) -> io::Result<()> {
    let any: IpAddr = match to {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = from.run(|| UdpSocket::bind((any, 0)))?;
    socket.set_read_timeout(Some(Duration::from_secs(8)))?;
    socket.connect(to)?;
    socket.send(b"who?")?;
    socket.recv(&mut [0; 64]).map(|_| ())
}
