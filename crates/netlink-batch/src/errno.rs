//! Error numbers of this machine's kernel ABI, for comparing with
//! [`KernelError::code`](crate::KernelError::code).
//!
//! All positive. Subsystems may answer with numbers of their own above 4095: ipset's begin at 4096.

use nix::libc;

macro_rules! numbers {
    ($($name:ident: $meaning:literal),* $(,)?) => {
        $(#[doc = $meaning] pub const $name: i32 = libc::$name;)*
    };
}

numbers! {
    EPERM: "Operation not permitted.",
    ENOENT: "No such file or directory: the object or a module it needs is missing.",
    ESRCH: "No such process: the object is missing.",
    EINTR: "Interrupted by a signal.",
    E2BIG: "Argument list too long.",
    EAGAIN: "Try again.",
    ENOMEM: "Out of memory.",
    EACCES: "Permission denied.",
    EBUSY: "Device or resource busy.",
    EEXIST: "The object exists.",
    ENODEV: "No such device.",
    EINVAL: "Invalid argument.",
    ENOSPC: "No space left.",
    ERANGE: "Out of range.",
    EMSGSIZE: "Message too long.",
    ENOPROTOOPT: "Protocol not available.",
    EPROTONOSUPPORT: "Protocol not supported.",
    EOPNOTSUPP: "Operation not supported.",
    EAFNOSUPPORT: "Address family not supported.",
    EADDRINUSE: "Address already in use.",
    EADDRNOTAVAIL: "Cannot assign requested address: the address is missing.",
    ENETDOWN: "Network is down: the link is.",
    ENOBUFS: "No buffer space available.",
    ETIMEDOUT: "Timed out.",
}
