//! The one thing here that needs unsafe code: getsockopt(2) with the options of IPVS and of iptables, which no library has.
#![allow(
    unsafe_code,
    reason = "getsockopt(2) takes a pointer; the one call is below"
)]

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use nix::libc;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
use proxier::cluster::Family;

/// A socket of a family, over which the kernel answers such questions.
#[derive(Debug)]
pub(crate) struct Questions {
    socket: OwnedFd,
    level: libc::c_int,
}

impl Questions {
    /// Opens one in the network namespace of the calling thread.
    pub(crate) fn open(family: Family) -> io::Result<Self> {
        let (domain, level) = match family {
            Family::V4 => (AddressFamily::Inet, libc::SOL_IP),
            Family::V6 => (AddressFamily::Inet6, libc::SOL_IPV6),
        };
        let socket = socket(domain, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
        Ok(Self { socket, level })
    }

    /// Asks for an option. `value` is the question, and the answer takes its place; its length has to be the one that the
    /// kernel's header gives the option's struct.
    pub(crate) fn get(&self, option: libc::c_int, value: &mut [u8]) -> io::Result<()> {
        let mut length = libc::socklen_t::try_from(value.len()).map_err(io::Error::other)?;
        let socket = self.socket.as_fd().as_raw_fd();
        // SAFETY: `value` is `length` bytes that are ours to write, and `length` outlives the call; the kernel writes no
        // more than that many. Every pattern of bits is a valid u8.
        let result = unsafe {
            libc::getsockopt(
                socket,
                self.level,
                option,
                value.as_mut_ptr().cast(),
                &raw mut length,
            )
        };
        if result == 0 {
            Ok(())
        } else {
            Err(io::Error::last_os_error())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_is_answered_and_one_that_there_is_not_is_an_error() {
        let questions = Questions::open(Family::V4).unwrap();
        let mut time_to_live = [0xff; 4];
        questions.get(libc::IP_TTL, &mut time_to_live).unwrap();
        assert!((1..=255).contains(&i32::from_ne_bytes(time_to_live)));
        assert!(questions.get(31_000, &mut [0; 4]).is_err());
    }
}
