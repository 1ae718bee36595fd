//! Errors, split by who is at fault.

use std::fmt;
use std::time::Duration;

use netlink_wire::DecodeError;

use crate::{Malformed, errno};

/// Why a request failed, or a socket could not be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The kernel refused the request.
    #[error(transparent)]
    Kernel(#[from] KernelError),
    /// The request was sent, and its answer was lost: the kernel may have carried it out or not.
    /// Read the object back, or send the request again if repeating it does no harm.
    #[error("it is unknown whether the kernel carried out the request: {0}")]
    Unknown(#[source] Loss),
    /// The request never reached the kernel.
    #[error("the request was not sent: {0}")]
    NotSent(Os),
    /// The request is longer than the socket can send; it was not sent.
    #[error("a request of {length} bytes is longer than the {limit} the socket can send: split it")]
    TooLong {
        /// Bytes of the request, header included.
        length: usize,
        /// The longest possible datagram.
        limit: usize,
    },
    /// The dump changed under the reader each of this many times it was tried.
    #[error(
        "the kernel's tables changed during each of {attempts} attempts to read them: try later"
    )]
    DumpInterrupted {
        /// How often the dump was started.
        attempts: u32,
    },
    /// The kernel carried out the request but sent no reply.
    #[error("the kernel acknowledged the request without the reply it should have sent")]
    NoReply,
    /// The kernel does not have this generic-netlink family: its module is not loaded, or was never
    /// built.
    #[error("the kernel has no generic-netlink family {name:?}: load the module that provides it")]
    FamilyMissing {
        /// The name that was looked up.
        name: String,
    },
    /// The kernel's description of a generic-netlink family cannot be read.
    #[error("cannot read the kernel's description of generic-netlink family {name:?}: {error}")]
    FamilyMalformed {
        /// The name that was looked up.
        name: String,
        /// What is wrong with the description.
        #[source]
        error: DecodeError,
    },
    /// The socket could not be opened.
    #[error("cannot open a netlink socket of protocol {protocol}: {reason}")]
    Open {
        /// Number of the protocol.
        protocol: u16,
        /// The operating system's reason.
        reason: Os,
    },
    /// The runtime cannot watch the socket.
    #[cfg(feature = "tokio")]
    #[error("the runtime cannot watch the socket: {0}")]
    Register(Os),
    /// An option of the socket could not be set or read.
    #[error("cannot use the socket option {option}: {reason}")]
    SocketOption {
        /// Name of the option.
        option: &'static str,
        /// The operating system's reason.
        reason: Os,
    },
}

impl Error {
    /// The kernel's error number (positive) if this is a refusal by the kernel.
    pub fn code(&self) -> Option<i32> {
        match self {
            Self::Kernel(error) => Some(error.code),
            _ => None,
        }
    }

    /// Whether a socket could not be opened since the kernel lacks its protocol. Of `NETLINK_NETFILTER`: there is no
    /// nfnetlink, and so no subsystem of it.
    #[must_use]
    pub const fn lacks_protocol(&self) -> bool {
        matches!(self, Self::Open { reason, .. } if reason.0 == errno::EPROTONOSUPPORT)
    }
}

/// The kernel's answer to a request that failed.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct KernelError {
    /// The error number, positive: one of [`errno`](crate::errno), or one of the subsystem's own
    /// (above 4095).
    pub code: i32,
    /// The kernel's message (extended acknowledgement), if it sent one.
    pub message: Option<Box<str>>,
    /// Where in the request the offending attribute is, in bytes from the start of the message header.
    pub offset: Option<u32>,
    /// The type of a required attribute that the request lacked.
    pub missing: Option<u32>,
    /// The payload of the request as the kernel echoed it. It is empty unless the socket asked for it
    /// ([`SocketOptions::echo`](crate::SocketOptions::echo)) or the subsystem always echoes (ipset).
    pub request: Box<[u8]>,
}

impl KernelError {
    /// An error with its number alone.
    pub fn new(code: i32) -> Self {
        Self {
            code,
            message: None,
            offset: None,
            missing: None,
            request: Box::default(),
        }
    }
}

impl fmt::Display for KernelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code {
            4096.. => write!(
                f,
                "the kernel's subsystem refused the request with its error {}",
                self.code
            )?,
            _ => write!(f, "{}", Os(self.code))?,
        }
        if let Some(message) = &self.message {
            write!(f, ": {message}")?;
        }
        if let Some(missing) = self.missing {
            write!(f, ": attribute {missing} is missing")?;
        }
        if let Some(offset) = self.offset {
            write!(f, " (at byte {offset} of the request)")?;
        }
        Ok(())
    }
}

impl fmt::Debug for KernelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "KernelError({self}; {} bytes echoed)",
            self.request.len()
        )
    }
}

impl std::error::Error for KernelError {}

/// How an answer was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Loss {
    /// The receive buffer of the socket overflowed (`ENOBUFS`).
    #[error("replies overflowed the socket's receive buffer")]
    Overflow,
    /// No reply came within this time.
    #[error("no reply within {0:?}")]
    Timeout(Duration),
    /// A reply was longer than the receive buffer, which has grown since: send the request again.
    #[error("a reply of {0} bytes was cut off")]
    Truncated(usize),
    /// A reply was not a netlink message.
    #[error("a reply is malformed: {0}")]
    Malformed(#[source] Malformed),
    /// An acknowledgement of so many bytes had no room for its error number.
    #[error("an acknowledgement of {0} bytes has no error number")]
    ShortAcknowledgement(usize),
    /// Receiving failed.
    #[error("cannot receive: {0}")]
    Receive(Os),
}

/// An error number of the operating system, positive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Os(pub i32);

impl fmt::Display for Os {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&std::io::Error::from_raw_os_error(self.0), f)
    }
}

impl From<std::io::Error> for Os {
    fn from(error: std::io::Error) -> Self {
        Self(error.raw_os_error().unwrap_or(errno::EINVAL))
    }
}

impl From<nix::errno::Errno> for Os {
    fn from(errno: nix::errno::Errno) -> Self {
        Self(errno as i32)
    }
}
