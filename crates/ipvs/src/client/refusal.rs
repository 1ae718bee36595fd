//! What the kernel's error numbers mean. One number means different things to different requests.

use std::fmt;

use netlink_batch::{KernelError, errno};

use crate::{Error, PersistenceEngine, Request, Scheduler};

/// A request that the kernel refused. Displays as which and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The request.
    pub request: Request,
    /// The kernel's answer.
    pub kernel: KernelError,
}

/// Why the kernel refused a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// `ESRCH`.
    #[error("there is no such virtual server")]
    NoSuchService,
    /// `EEXIST`.
    #[error("the virtual server exists: change it instead")]
    ServiceExists,
    /// `ENOENT`, to a request about a destination.
    #[error("the virtual server has no such destination")]
    NoSuchDestination,
    /// `EEXIST`, to a request about a destination.
    #[error("the destination exists: change it instead")]
    DestinationExists,
    /// `ENOENT`, to a request about a virtual server. The kernel does not report which of the two is missing.
    #[error("{}", missing_module(*scheduler, *engine))]
    ModuleMissing {
        /// The scheduler asked for, module `ip_vs_<name>`.
        scheduler: Scheduler,
        /// The engine asked for, module `ip_vs_pe_<name>`.
        engine: Option<PersistenceEngine>,
    },
    /// `ERANGE`.
    #[error("the weight is above 2147483647, or the lower threshold above the upper")]
    OutOfRange,
    /// `EPERM`.
    #[error(
        "CAP_NET_ADMIN in the initial user namespace is needed: run it as root, and not in a rootless container"
    )]
    NotPermitted,
    /// `EAFNOSUPPORT`.
    #[error("this kernel's IPVS was built without IPv6")]
    FamilyUnsupported,
    /// `EEXIST`, to a request to start a sync daemon.
    #[error("a sync daemon of this role runs: stop it first")]
    DaemonRunning,
    /// `ESRCH`, to a request to stop a sync daemon.
    #[error("no sync daemon of this role runs")]
    NoSuchDaemon,
    /// `ENODEV`.
    #[error("there is no such interface")]
    NoSuchInterface,
    /// `EINVAL`.
    #[error("{0}")]
    Invalid(&'static str),
    /// `ENOENT`, to a request that misses nothing else.
    #[error("the IPVS module was unloaded since the client was opened: open it again")]
    Unloaded,
    /// `ENOPROTOOPT`.
    #[error("the network namespace is going away")]
    NamespaceGone,
    /// Anything else: see [`Refusal::kernel`].
    #[error("the kernel refused it")]
    Other,
}

impl Refusal {
    /// What the kernel's error number means to this request.
    ///
    /// From `ip_vs_genl_set_cmd` and what it calls:
    /// <https://github.com/torvalds/linux/blob/v6.12/net/netfilter/ipvs/ip_vs_ctl.c>.
    pub fn reason(&self) -> Reason {
        use Object::{Daemon, Destination, Service};

        let object = Object::of(&self.request);
        match (self.kernel.code, object) {
            (errno::EPERM, _) => Reason::NotPermitted,
            (errno::ESRCH, Daemon) => Reason::NoSuchDaemon,
            (errno::ESRCH, _) => Reason::NoSuchService,
            (errno::EEXIST, Service) => Reason::ServiceExists,
            (errno::EEXIST, Destination) => Reason::DestinationExists,
            (errno::EEXIST, Daemon) => Reason::DaemonRunning,
            (errno::ENOENT, Destination) => Reason::NoSuchDestination,
            (errno::ENOENT, _) => match self.request {
                Request::NewService { config, .. } | Request::SetService { config, .. } => {
                    Reason::ModuleMissing {
                        scheduler: config.scheduler,
                        engine: config.engine,
                    }
                }
                _ => Reason::Unloaded,
            },
            (errno::ERANGE, _) => Reason::OutOfRange,
            (errno::EAFNOSUPPORT, _) => Reason::FamilyUnsupported,
            (errno::ENODEV, Daemon) => Reason::NoSuchInterface,
            (errno::EINVAL, object) => Reason::Invalid(object.rules()),
            (errno::ENOPROTOOPT, _) => Reason::NamespaceGone,
            _ => Reason::Other,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "cannot {}: {} ({})",
            self.request,
            self.reason(),
            self.kernel
        )
    }
}

impl std::error::Error for Refusal {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.kernel)
    }
}

impl Error {
    /// What went wrong with a request, or before there was one.
    pub(crate) fn transport(request: Option<Request>, error: netlink_batch::Error) -> Self {
        match (error, request) {
            (netlink_batch::Error::FamilyMissing { .. }, _) => Self::NotLoaded,
            (netlink_batch::Error::Kernel(kernel), Some(request)) => {
                Self::Refused(Box::new(Refusal { request, kernel }))
            }
            (error, request) => Self::Transport {
                request: request.map(Box::new),
                error,
            },
        }
    }
}

/// What a request is about.
#[derive(Clone, Copy)]
enum Object {
    Service,
    Destination,
    Daemon,
    Other,
}

impl Object {
    const fn of(request: &Request) -> Self {
        match request {
            Request::NewService { .. }
            | Request::SetService { .. }
            | Request::DeleteService { .. }
            | Request::GetService { .. }
            | Request::Zero(Some(_)) => Self::Service,
            Request::NewDestination { .. }
            | Request::SetDestination { .. }
            | Request::DeleteDestination { .. } => Self::Destination,
            Request::NewDaemon(_) | Request::DeleteDaemon(_) => Self::Daemon,
            Request::GetServices
            | Request::GetDestinations { .. }
            | Request::GetDaemons
            | Request::SetTimeouts(_)
            | Request::GetTimeouts
            | Request::GetInfo
            | Request::Zero(None)
            | Request::Flush => Self::Other,
        }
    }

    /// The rules that the kernel checks before it answers `EINVAL` without an explanation.
    const fn rules(self) -> &'static str {
        match self {
            Self::Service => {
                "an IPv6 netmask is 1 to 128, and not every scheduler and engine takes every virtual server"
            }
            Self::Destination => {
                "its address must be unicast, not link-local, of the virtual server's family unless the method is tunnel, and then no sync daemon may run; GUE needs a port; the loopback interface must have been up"
            }
            Self::Daemon => {
                "the group must be a multicast address, and no destination may have another family than its virtual server"
            }
            Self::Other => "a value is out of range",
        }
    }
}

fn missing_module(scheduler: Scheduler, engine: Option<PersistenceEngine>) -> String {
    match engine {
        None => format!(
            "the kernel has no scheduler {scheduler} and cannot load it: install or load the module ip_vs_{scheduler}"
        ),
        Some(engine) => format!(
            "the kernel has no scheduler {scheduler} or no persistence engine {engine} and cannot load it: install or load the modules ip_vs_{scheduler} and ip_vs_pe_{engine}"
        ),
    }
}
