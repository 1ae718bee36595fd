//! One daemon for each network namespace.

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};

/// Proof that no other daemon programs this network namespace, for as long as it lives.
///
/// It is a socket with an abstract name ([`unix(7)`](https://man7.org/linux/man-pages/man7/unix.7.html)): such
/// names belong to the network namespace, whatever container a process is in, and go with the process however
/// it ends.
#[derive(Debug)]
pub struct Instance {
    _socket: UnixListener,
}

/// Why this instance may not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InstanceError {
    /// There is another one.
    #[error(
        "another kube-proxier programs this node already; stop it first, or let it do the work \
         (`ss -xlp | grep kube-proxier` shows its process)"
    )]
    Another,
    /// It could not be found out.
    #[error("cannot find out whether another kube-proxier runs here: {0}")]
    Unknown(#[source] io::Error),
}

impl Instance {
    /// Claims this network namespace.
    ///
    /// # Errors
    ///
    /// [`InstanceError::Another`] where that is done already.
    pub fn claim() -> Result<Self, InstanceError> {
        Self::named("kube-proxier")
    }

    fn named(name: &str) -> Result<Self, InstanceError> {
        let address = SocketAddr::from_abstract_name(name).map_err(InstanceError::Unknown)?;
        match UnixListener::bind_addr(&address) {
            Ok(socket) => Ok(Self { _socket: socket }),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => Err(InstanceError::Another),
            Err(error) => Err(InstanceError::Unknown(error)),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn a_second_one_stays_out_until_the_first_is_gone() {
        let name = format!("kube-proxier-test-{}", std::process::id());
        let first = Instance::named(&name).unwrap();
        assert!(matches!(
            Instance::named(&name),
            Err(InstanceError::Another)
        ));
        drop(first);
        // What a test beside this one starts has the socket, too, until its own exec.
        let deadline = Instant::now() + Duration::from_secs(60);
        while let Err(error) = Instance::named(&name) {
            assert!(Instant::now() < deadline, "{error}");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}
