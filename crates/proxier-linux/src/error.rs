//! What the errors of the kernel crates are to a plan.

use std::error::Error;
use std::io;

use netlink_batch::{Error as Transport, Loss, errno};
use proxier::{KernelError, KernelErrorKind as Kind, KernelPart as Part};

/// An error of a part of the kernel.
///
/// Both kernels, this and `proxier::MemoryKernel`, give one fault the same kind; the test `errors::*` of
/// `tests/kernel` holds them together.
pub(crate) trait PartError: Error + Send + Sync + 'static {
    /// The part of the kernel.
    const PART: Part;

    /// What went wrong, and the kernel's error number where it is known.
    fn classify(&self) -> (Kind, Option<i32>);
}

/// The error of a part of the kernel as that of a [`proxier::Kernel`]. It keeps its source.
pub(crate) fn failed<E: PartError>(error: E) -> KernelError {
    let (kind, errno) = error.classify();
    KernelError::new(E::PART, kind, error.to_string())
        .with_errno(errno)
        .caused_by(error)
}

/// An error of connection tracking as that of a [`proxier::Kernel`].
#[must_use]
pub fn conntrack_error(error: conntrack_netlink::Error) -> KernelError {
    failed(error)
}

/// An error with a file below `/proc/sys`.
pub(crate) fn sysctl_failed(what: &str, error: io::Error) -> KernelError {
    let (kind, errno) = of_io(&error);
    KernelError::new(Part::Sysctl, kind, format!("{what}: {error}"))
        .with_errno(errno)
        .caused_by(error)
}

/// What an error number of the kernel means, where the part of the kernel gives it no other meaning.
pub(crate) const fn of_errno(code: i32) -> Kind {
    match code {
        errno::EPERM | errno::EACCES => Kind::Permission,
        errno::EEXIST => Kind::Exists,
        errno::ENOENT | errno::ESRCH | errno::ENODEV | errno::EADDRNOTAVAIL => Kind::Missing,
        errno::EBUSY | errno::EADDRINUSE | errno::EAGAIN => Kind::Busy,
        errno::EINVAL | errno::ERANGE | errno::E2BIG | errno::EMSGSIZE => Kind::Invalid,
        errno::ENOPROTOOPT | errno::EPROTONOSUPPORT | errno::EOPNOTSUPP | errno::EAFNOSUPPORT => {
            Kind::Unsupported
        }
        errno::ETIMEDOUT => Kind::TimedOut,
        errno::ENOMEM | errno::ENOBUFS | errno::ENOSPC => Kind::Exhausted,
        _ => Kind::Other,
    }
}

fn of_io(error: &io::Error) -> (Kind, Option<i32>) {
    let code = error.raw_os_error();
    (code.map_or(Kind::Other, of_errno), code)
}

pub(crate) fn of_transport(error: &Transport) -> (Kind, Option<i32>) {
    let of_os = |os: &netlink_batch::Os| (of_errno(os.0), Some(os.0));
    match error {
        Transport::Kernel(refused) => (of_errno(refused.code), Some(refused.code)),
        Transport::Unknown(Loss::Timeout(_)) => (Kind::TimedOut, None),
        Transport::Unknown(_) | Transport::NoReply => (Kind::Unknown, None),
        Transport::NotSent(os) => of_os(os),
        Transport::Open { reason, .. } | Transport::SocketOption { reason, .. } => of_os(reason),
        Transport::TooLong { .. } => (Kind::Invalid, None),
        Transport::DumpInterrupted { .. } => (Kind::Busy, None),
        Transport::FamilyMissing { .. } => (Kind::Unsupported, None),
        Transport::FamilyMalformed { .. } => (Kind::Unreadable, None),
        _ => (Kind::Other, None),
    }
}

impl PartError for ipvs_netlink::Error {
    const PART: Part = Part::Ipvs;

    fn classify(&self) -> (Kind, Option<i32>) {
        use ipvs_netlink::client::Reason;
        match self {
            Self::Refused(refusal) => {
                let code = refusal.kernel.code;
                // `ENOENT` to these does not say that the virtual server is missing.
                let kind = match refusal.reason() {
                    Reason::ModuleMissing { .. } | Reason::Unloaded => Kind::Unsupported,
                    _ => of_errno(code),
                };
                (kind, Some(code))
            }
            Self::NotLoaded => (Kind::Unsupported, None),
            Self::Transport { error, .. } => of_transport(error),
            Self::Decode(_) => (Kind::Unreadable, None),
            _ => (Kind::Invalid, None),
        }
    }
}

impl PartError for ipset_netlink::Error {
    const PART: Part = Part::Ipset;

    fn classify(&self) -> (Kind, Option<i32>) {
        use ipset_netlink::ErrorKind;
        match self {
            Self::Kernel {
                kind: refused,
                code,
                ..
            } => {
                let kind = match refused {
                    ErrorKind::Permission => Kind::Permission,
                    ErrorKind::NoSuchSet | ErrorKind::NoSecondSet | ErrorKind::EntryMissing => {
                        Kind::Missing
                    }
                    ErrorKind::SetExists | ErrorKind::NameTaken | ErrorKind::EntryExists => {
                        Kind::Exists
                    }
                    ErrorKind::InUse | ErrorKind::Referenced => Kind::Busy,
                    ErrorKind::Full | ErrorKind::ListFull => Kind::Full,
                    ErrorKind::TooManySets | ErrorKind::NoMemory => Kind::Exhausted,
                    ErrorKind::UnknownType => Kind::Unsupported,
                    ErrorKind::Other(code) => of_errno(*code),
                    _ => Kind::Invalid,
                };
                (kind, Some(*code))
            }
            Self::OldRevision { .. } | Self::ProtocolVersion { .. } | Self::NoIpset => {
                (Kind::Unsupported, None)
            }
            Self::Leftover { error, .. } => error.classify(),
            Self::Decode { .. } => (Kind::Unreadable, None),
            Self::Netlink { error, .. } => of_transport(error),
            _ => (Kind::Invalid, None),
        }
    }
}

impl PartError for dummy_link::Error {
    const PART: Part = Part::Links;

    fn classify(&self) -> (Kind, Option<i32>) {
        match self {
            Self::LinkMissing { .. } => (Kind::Missing, Some(errno::ENODEV)),
            Self::NotDummy { .. } | Self::NameTaken { .. } => (Kind::Exists, None),
            Self::NotPermitted { .. } => (Kind::Permission, Some(errno::EPERM)),
            Self::DummyUnsupported { .. }
            | Self::Ipv6Disabled { .. }
            | Self::Ipv6Unsupported { .. } => (Kind::Unsupported, None),
            Self::Address { reason, .. } | Self::Link { reason, .. } | Self::Netlink(reason) => {
                of_transport(reason)
            }
            Self::Malformed { .. } => (Kind::Unreadable, None),
            _ => (Kind::Other, None),
        }
    }
}

impl PartError for nftables_netlink::Error {
    const PART: Part = Part::Nftables;

    fn classify(&self) -> (Kind, Option<i32>) {
        crate::nftables::classify(self)
    }
}

/// An error with a routing rule or route.
pub(crate) fn routing_failed(error: dummy_link::Error) -> KernelError {
    use dummy_link::Error;
    let (kind, errno) = match &error {
        Error::RouteTaken { .. } => (Kind::Exists, Some(errno::EEXIST)),
        Error::LinkDown { .. } => (Kind::Missing, Some(errno::ENETDOWN)),
        Error::RoutingNotPermitted => (Kind::Permission, Some(errno::EPERM)),
        Error::RoutingUnsupported { .. } => (Kind::Unsupported, None),
        Error::Rule { reason, .. }
        | Error::Route { reason, .. }
        | Error::RoutingList { reason, .. } => of_transport(reason),
        other => other.classify(),
    };
    KernelError::new(Part::Routing, kind, error.to_string())
        .with_errno(errno)
        .caused_by(error)
}

impl PartError for conntrack_netlink::Error {
    const PART: Part = Part::Conntrack;

    fn classify(&self) -> (Kind, Option<i32>) {
        match self {
            Self::NoConntrack => (Kind::Unsupported, None),
            Self::NotPermitted => (Kind::Permission, Some(errno::EPERM)),
            Self::NotDeleted { reason, .. } | Self::Netlink(reason) => of_transport(reason),
            Self::Malformed(_) => (Kind::Unreadable, None),
            _ => (Kind::Other, None),
        }
    }
}

impl PartError for iptables_restore::Error {
    const PART: Part = Part::Rules;

    fn classify(&self) -> (Kind, Option<i32>) {
        let kind = match self {
            Self::Rejected(rejection) => return rejection.classify(),
            Self::NotPermitted { .. } => return (Kind::Permission, Some(errno::EPERM)),
            Self::Io { source, .. } => return of_io(source),
            Self::LockHeld { .. } => Kind::Busy,
            Self::TimedOut { .. } => Kind::TimedOut,
            Self::ToolsNotFound { .. } | Self::Version { .. } => Kind::Unsupported,
            Self::Output { .. } | Self::Parse(_) => Kind::Unreadable,
            Self::Edit(_) | Self::Apply(_) => Kind::Invalid,
            _ => Kind::Other,
        };
        (kind, None)
    }
}

impl PartError for iptables_restore::Rejection {
    const PART: Part = Part::Rules;

    fn classify(&self) -> (Kind, Option<i32>) {
        use iptables_restore::RejectReason;
        let kind = match &self.reason {
            RejectReason::NoSuchSet(_) => Kind::Missing,
            RejectReason::NoSuchMatch(_)
            | RejectReason::NoSuchTarget(_)
            | RejectReason::TableUnavailable(_) => Kind::Unsupported,
            RejectReason::Unexplained => Kind::Unknown,
            RejectReason::TooLong => return (Kind::Exhausted, Some(errno::EMSGSIZE)),
            _ => Kind::Invalid,
        };
        (kind, None)
    }
}
