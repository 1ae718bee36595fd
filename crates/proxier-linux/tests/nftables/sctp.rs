//! SCTP, one association like one TCP connection.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::thread;

use kernel_test::Netns;
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockProtocol, SockType, bind, connect, listen, setsockopt,
    socket, sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike as _};

use crate::icmp::sockaddr;
use scenarios::client::Asker;

/// How long connecting, accepting and receiving may take, seconds: a chunk that is lost is sent again after 3, 6 and 12 s
/// (RFC 9260, section 6.3), and an emulated machine that has much else to do loses some.
const PATIENCE: i64 = 45;

fn open(netns: &Netns, family: AddressFamily) -> io::Result<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC;
    let fd = netns.run(|| socket(family, SockType::Stream, flags, SockProtocol::Sctp))?;
    // Of connecting and accepting, too.
    setsockopt(&fd, sockopt::SendTimeout, &TimeVal::seconds(PATIENCE))?;
    Ok(fd)
}

/// Gives each that connects this name.
pub(crate) fn serve(netns: &Netns, name: &'static str, port: u16) {
    let fd = open(netns, AddressFamily::Inet6).unwrap();
    let all = SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
    bind(fd.as_raw_fd(), &*sockaddr(all)).unwrap();
    listen(&fd, Backlog::new(16).unwrap()).unwrap();
    // Its calls are those of any stream.
    let listener = TcpListener::from(fd);
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.write_all(name.as_bytes());
            let _ = stream.read(&mut [0; 8]);
        }
    });
}

/// The name of who answers.
///
/// The association has one address on this side. With several, what is sent again may go to or from another of them
/// (RFC 9260, section 6.4), and so past the Service.
#[track_caller]
pub(crate) fn ask(from: &Netns, to: SocketAddr) -> String {
    let family = match to {
        SocketAddr::V4(_) => AddressFamily::Inet,
        SocketAddr::V6(_) => AddressFamily::Inet6,
    };
    let fd = open(from, family).unwrap();
    if to.is_ipv6() {
        setsockopt(&fd, sockopt::Ipv6V6Only, &true).unwrap();
    }
    // As the kernel would choose the address, but a port that no other association of this test has had.
    let source = Asker::new(from, to).and_then(|asker| asker.source());
    bind(fd.as_raw_fd(), &*sockaddr(source.unwrap())).unwrap();
    setsockopt(&fd, sockopt::ReceiveTimeout, &TimeVal::seconds(PATIENCE)).unwrap();
    connect(fd.as_raw_fd(), &*sockaddr(to)).unwrap_or_else(|error| panic!("to {to}: {error}"));
    let mut stream = TcpStream::from(fd);
    let mut name = [0; 32];
    let length = stream
        .read(&mut name)
        .unwrap_or_else(|error| panic!("to {to}: {error}"));
    String::from_utf8_lossy(&name[..length]).into_owned()
}
