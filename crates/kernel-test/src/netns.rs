//! More network namespaces, for tests that send packets between them.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;
use std::panic::resume_unwind;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket,
};

use crate::command::{CommandError, try_cmd};
use crate::error::{Context as _, Error};

/// A handle to a network namespace. The namespace lives at least as long as the handle.
///
/// ```no_run
/// # use kernel_test::{Namespace, Netns};
/// # fn pings(node: &Namespace) -> Result<(), kernel_test::Error> {
/// let client = Netns::new()?;
/// client.veth("eth0", node.netns(), "client0");
/// client.cmd("ip addr add 10.0.0.2/24 dev eth0");
/// node.netns().cmd("ip addr add 10.0.0.1/24 dev client0");
/// let stream = client.run(|| std::net::TcpStream::connect("10.0.0.1:80"));
/// # Ok(())
/// # }
/// ```
///
/// A thread inside one sees that namespace's `/proc/sys/net` and `/proc/thread-self/net`, but
/// `/proc/net` is the main thread's. Commands see their own.
#[derive(Clone, Debug)]
pub struct Netns {
    file: Arc<File>,
}

impl Netns {
    /// A new network namespace, with `lo` up.
    ///
    /// # Errors
    /// [`Error::System`] if it cannot be made, or this is not root.
    pub fn new() -> Result<Self, Error> {
        joined(thread::spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET)
                .context(|| "making a network namespace".to_owned())?;
            lo_up()?;
            Self::current()
        }))
    }

    /// The namespace of the calling thread.
    ///
    /// # Errors
    /// [`Error::System`] if `/proc` is not mounted.
    pub fn current() -> Result<Self, Error> {
        let file = File::open("/proc/thread-self/ns/net")
            .context(|| "opening /proc/thread-self/ns/net".to_owned())?;
        Ok(Self {
            file: Arc::new(file),
        })
    }

    /// Calls the closure on a thread inside the namespace and waits for it. Sockets that it returns
    /// stay in the namespace.
    ///
    /// # Panics
    /// If the closure does, or if the namespace cannot be entered.
    pub fn run<T: Send>(&self, inside: impl FnOnce() -> T + Send) -> T {
        thread::scope(|scope| {
            let thread = scope.spawn(|| {
                self.enter();
                inside()
            });
            thread.join().unwrap_or_else(|panic| resume_unwind(panic))
        })
    }

    /// Starts a thread inside the namespace, for a server for example.
    ///
    /// # Panics
    /// The thread, if it cannot enter the namespace.
    pub fn spawn<T: Send + 'static>(
        &self,
        inside: impl FnOnce() -> T + Send + 'static,
    ) -> thread::JoinHandle<T> {
        let netns = self.clone();
        thread::spawn(move || {
            netns.enter();
            inside()
        })
    }

    /// Like [`cmd`](crate::cmd), inside the namespace.
    ///
    /// # Panics
    /// If the command fails.
    #[track_caller]
    pub fn cmd(&self, line: &str) -> String {
        crate::command::expect(self.try_cmd(line))
    }

    /// Like [`try_cmd`](crate::try_cmd), inside the namespace.
    ///
    /// # Errors
    /// [`CommandError`] if the command fails.
    pub fn try_cmd(&self, line: &str) -> Result<String, CommandError> {
        self.run(|| try_cmd(line))
    }

    /// Connects two namespaces by a pair of veth links, `name` in this one and `peer_name` in the peer, both up.
    ///
    /// # Panics
    /// If the links cannot be made, for instance because one of that name exists.
    #[track_caller]
    pub fn veth(&self, name: &str, peer: &Self, peer_name: &str) {
        let there = peer.path();
        self.cmd(&format!(
            "ip link add {name} type veth peer name {peer_name} netns {} && ip link set {name} up",
            there.display()
        ));
        peer.cmd(&format!("ip link set {peer_name} up"));
    }

    /// A path that names the namespace to other programs while this handle exists:
    /// `ip link set eth1 netns PATH`.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        let (process, file) = (std::process::id(), self.file.as_raw_fd());
        PathBuf::from(format!("/proc/{process}/fd/{file}"))
    }

    #[expect(clippy::panic, reason = "a helper for tests, which fail by panicking")]
    fn enter(&self) {
        if let Err(error) = setns(&*self.file, CloneFlags::CLONE_NEWNET) {
            panic!("entering the network namespace: {error}");
        }
    }
}

fn joined<T>(thread: thread::JoinHandle<T>) -> T {
    thread.join().unwrap_or_else(|panic| resume_unwind(panic))
}

/// Sets `lo` of this thread's network namespace up. IPVS refuses destinations where it never was.
pub(crate) fn lo_up() -> Result<(), Error> {
    set_lo_up().context(|| "setting lo up".to_owned())
}

fn set_lo_up() -> io::Result<()> {
    // A hand-made rtnetlink request, so that no test depends on a program or crate for this: nlmsghdr
    // and ifinfomsg, <https://man7.org/linux/man-pages/man7/rtnetlink.7.html>.
    const LENGTH: u32 = 32;
    const RTM_NEWLINK: u16 = 16;
    const REQUEST_ACK: u16 = 1 | 4;
    /// `lo` has this index in every namespace.
    const LO: i32 = 1;
    const IFF_UP: u32 = 1;
    let mut request = Vec::new();
    request.extend(LENGTH.to_ne_bytes());
    request.extend(RTM_NEWLINK.to_ne_bytes());
    request.extend(REQUEST_ACK.to_ne_bytes());
    request.extend([0; 8]); // sequence, port
    request.extend([0; 4]); // family, padding, type
    request.extend(LO.to_ne_bytes());
    request.extend(IFF_UP.to_ne_bytes()); // flags
    request.extend(IFF_UP.to_ne_bytes()); // which of them to change

    let socket = socket(
        AddressFamily::Netlink,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        SockProtocol::NetlinkRoute,
    )?;
    send(socket.as_raw_fd(), &request, MsgFlags::empty())?;
    let mut reply = [0; 1024];
    let length = recv(socket.as_raw_fd(), &mut reply, MsgFlags::empty())?;
    // NLMSG_ERROR: after the header, a negated errno, or 0.
    match reply.get(16..20.min(length)).map(TryInto::try_into) {
        Some(Ok(code)) => match i32::from_ne_bytes(code) {
            0 => Ok(()),
            errno => Err(io::Error::from_raw_os_error(errno.saturating_neg())),
        },
        _ => Err(io::Error::other("truncated netlink reply")),
    }
}
