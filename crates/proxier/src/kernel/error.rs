//! Why a kernel refuses an operation, or cannot be read.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use crate::plan::Operation;

/// Why a kernel refused an operation, or could not be read.
///
/// [`kind`](Self::kind) is what went wrong, the same for the same fault in every [`Kernel`](super::Kernel);
/// [`part`](Self::part) is the part of the kernel that was asked. The error of the crate that talks to that part is the
/// [`source`](Error::source), where there is one. It displays with the object and the reason, sources included.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct KernelError {
    /// What went wrong.
    pub kind: KernelErrorKind,
    /// The part of the kernel that was asked.
    pub part: KernelPart,
    /// The kernel's error number, positive, where it gave one. A subsystem's own numbers are above 4095.
    pub errno: Option<i32>,
    message: Box<str>,
    source: Option<Arc<dyn Error + Send + Sync>>,
}

/// What went wrong, whichever part of the kernel was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum KernelErrorKind {
    /// The object exists already (`EEXIST`).
    Exists,
    /// The object does not exist (`ENOENT`, `ESRCH`, `ENODEV`, `EADDRNOTAVAIL`).
    Missing,
    /// Something else refers to the object, or holds a lock on it (`EBUSY`).
    Busy,
    /// A set has no room for another member (`IPSET_ERR_HASH_FULL`).
    Full,
    /// The kernel does not take such a value (`EINVAL`, `ERANGE`).
    Invalid,
    /// The process lacks a capability (`EPERM`, `EACCES`).
    Permission,
    /// This kernel lacks what is asked for, a module mostly (`EOPNOTSUPP`, `EAFNOSUPPORT`, a missing scheduler).
    Unsupported,
    /// No answer came in time, or a tool did not end in time.
    TimedOut,
    /// The kernel is out of memory or of buffers (`ENOMEM`, `ENOBUFS`).
    Exhausted,
    /// What the kernel, or a tool, answered cannot be read.
    Unreadable,
    /// It is not known what became of an operation: its result is missing, or was lost.
    Unknown,
    /// It was not tried, since another operation that was handed over along with it was refused: it can be tried by itself.
    Unattempted,
    /// Anything else.
    Other,
}

impl KernelErrorKind {
    /// A short name, for metrics: `exists`, `missing`, `timed_out`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Exists => "exists",
            Self::Missing => "missing",
            Self::Busy => "busy",
            Self::Full => "full",
            Self::Invalid => "invalid",
            Self::Permission => "permission",
            Self::Unsupported => "unsupported",
            Self::TimedOut => "timed_out",
            Self::Exhausted => "exhausted",
            Self::Unreadable => "unreadable",
            Self::Unknown => "unknown",
            Self::Unattempted => "unattempted",
            Self::Other => "other",
        }
    }
}

/// A part of the kernel that a plan changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum KernelPart {
    /// Virtual servers, destinations and connection timeouts.
    Ipvs,
    /// Sets and their members.
    Ipset,
    /// The rules of iptables and ip6tables.
    Rules,
    /// The proxy's link and its addresses.
    Links,
    /// Values under `/proc/sys`.
    Sysctl,
    /// Connection tracking.
    Conntrack,
    /// Tables of nf_tables.
    Nftables,
    /// Routing rules and routes.
    Routing,
}

impl KernelPart {
    /// The part that an operation changes.
    #[must_use]
    pub const fn of(operation: &Operation) -> Self {
        match operation {
            Operation::SetSysctl { .. } => Self::Sysctl,
            Operation::CreateLink
            | Operation::DeleteLink
            | Operation::BindAddress(_)
            | Operation::UnbindAddress(_) => Self::Links,
            Operation::CreateSet(_)
            | Operation::AddEntry { .. }
            | Operation::DeleteEntry { .. }
            | Operation::SwapSets { .. }
            | Operation::DestroySet(_) => Self::Ipset,
            Operation::RestoreRules(_) => Self::Rules,
            Operation::WriteTable(_)
            | Operation::DeleteTable(_)
            | Operation::AddTablePart(_)
            | Operation::DeleteTablePart(_)
            | Operation::AddElement { .. }
            | Operation::ChangeElement { .. }
            | Operation::DeleteElement { .. } => Self::Nftables,
            Operation::AddRoutingRule(_)
            | Operation::DeleteRoutingRule(_)
            | Operation::AddRoute(_)
            | Operation::DeleteRoute(_) => Self::Routing,
            Operation::SetTimeouts(_)
            | Operation::AddServer { .. }
            | Operation::SetServer { .. }
            | Operation::DeleteServer(_)
            | Operation::AddDestination { .. }
            | Operation::SetDestination { .. }
            | Operation::DeleteDestination { .. } => Self::Ipvs,
        }
    }

    /// A short name, for metrics and messages: `ipvs`, `ipset`, `rules`, `links`, `sysctl`, `conntrack`,
    /// `nftables`, `routing`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ipvs => "ipvs",
            Self::Ipset => "ipset",
            Self::Rules => "rules",
            Self::Links => "links",
            Self::Sysctl => "sysctl",
            Self::Conntrack => "conntrack",
            Self::Nftables => "nftables",
            Self::Routing => "routing",
        }
    }
}

impl fmt::Display for KernelPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for KernelErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl KernelError {
    /// An error without a source. `message` names the object and the reason.
    pub fn new(part: KernelPart, kind: KernelErrorKind, message: impl Into<Box<str>>) -> Self {
        Self {
            kind,
            part,
            errno: None,
            message: message.into(),
            source: None,
        }
    }

    /// The same error with the kernel's error number.
    #[must_use]
    pub fn with_errno(mut self, errno: Option<i32>) -> Self {
        self.errno = errno;
        self
    }

    /// The same error with its source.
    #[must_use]
    pub fn caused_by(mut self, source: impl Error + Send + Sync + 'static) -> Self {
        self.source = Some(Arc::new(source));
        self
    }

    /// The same error, its message preceded by what was being done.
    #[must_use]
    pub fn while_doing(mut self, what: impl fmt::Display) -> Self {
        self.message = format!("{what}: {}", self.message).into();
        self
    }

    /// `object` exists already.
    pub(crate) fn exists(part: KernelPart, object: impl fmt::Display) -> Self {
        Self::new(
            part,
            KernelErrorKind::Exists,
            format!("{object} exists already"),
        )
    }

    /// `object` does not exist.
    pub(crate) fn missing(part: KernelPart, object: impl fmt::Display) -> Self {
        Self::new(
            part,
            KernelErrorKind::Missing,
            format!("{object} does not exist"),
        )
    }

    /// `object` is not as the kernel wants it.
    pub(crate) fn invalid(
        part: KernelPart,
        object: impl fmt::Display,
        reason: impl fmt::Display,
    ) -> Self {
        let message = format!("{object}: {reason}");
        Self::new(part, KernelErrorKind::Invalid, message)
    }
}

impl fmt::Display for KernelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for KernelError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source
            .as_deref()
            .map(|source| source as &(dyn Error + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_keeps_its_source_and_its_number() {
        let source = std::io::Error::from_raw_os_error(1);
        let error = KernelError::new(
            KernelPart::Sysctl,
            KernelErrorKind::Permission,
            "not allowed",
        )
        .with_errno(source.raw_os_error())
        .caused_by(source)
        .while_doing("net/ipv4/ip_forward = 1");
        assert_eq!(error.to_string(), "net/ipv4/ip_forward = 1: not allowed");
        assert_eq!(error.errno, Some(1));
        let source = error.clone();
        let source = source
            .source()
            .and_then(|s| s.downcast_ref::<std::io::Error>());
        assert_eq!(source.and_then(std::io::Error::raw_os_error), Some(1));
    }
}
