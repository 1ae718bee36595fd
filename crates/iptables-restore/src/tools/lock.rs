//! The xtables lock, for tools too old to take it themselves.

use std::fs::{File, OpenOptions};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use crate::error::Error;

/// Both locks that versions of iptables have used: the abstract socket `@xtables` (1.4.20) and the lock on a file
/// (1.4.21 on). Released when dropped.
pub(super) struct XtablesLock {
    _socket: UnixListener,
    _file: Flock<File>,
}

impl XtablesLock {
    /// Tries until it has both or the time is over.
    pub(super) fn acquire(path: &Path, wait: Duration) -> Result<Self, Error> {
        let started = Instant::now();
        let io = |source| Error::Io {
            path: path.to_owned(),
            source,
        };
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path);
        let mut file = file.map_err(io)?;
        loop {
            match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
                Ok(locked) => {
                    let _file = locked;
                    if let Some(_socket) = socket().map_err(io)? {
                        return Ok(Self { _socket, _file });
                    }
                    // One is not kept while waiting for the other, or two callers could wait for each other.
                    file = _file.unlock().map_err(|(_, errno)| io(errno.into()))?;
                }
                Err((unlocked, Errno::EWOULDBLOCK | Errno::EINTR)) => file = unlocked,
                Err((_, errno)) => return Err(io(errno.into())),
            }
            if started.elapsed() >= wait {
                return Err(Error::LockHeld { waited: wait });
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}

fn socket() -> std::io::Result<Option<UnixListener>> {
    let address = SocketAddr::from_abstract_name("xtables")?;
    match UnixListener::bind_addr(&address) {
        Ok(socket) => Ok(Some(socket)),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => Ok(None),
        Err(error) => Err(error),
    }
}
