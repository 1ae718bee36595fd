//! Why the kernel rejects a module.

use std::fmt;
use std::io;
use std::path::Path;

use nix::errno::Errno;

use crate::{Compression, Error, tree};

/// Why the kernel rejects a module: from the error number of `finit_module(2)` and the state of the
/// system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RejectReason {
    /// This process may not load modules (`EPERM`): it lacks `CAP_SYS_MODULE`, or is in a container.
    NotPermitted,
    /// Nobody may until the next boot (`EPERM`): `kernel.modules_disabled` is 1.
    Disabled,
    /// The kernel is locked down and the module is not signed (`EPERM`).
    LockedDown,
    /// The kernel demands signatures, and this one is missing or not by a key it trusts (`ENOKEY`,
    /// `EKEYREJECTED`, `EBADMSG`, …).
    Signature,
    /// The file is not a module, or is for another kernel or processor (`ENOEXEC`).
    WrongKernel,
    /// The module needs something that the kernel does not have: one that it depends on, or another
    /// version of it (`ENOENT`).
    UnknownSymbol,
    /// The module did not find its device (`ENODEV`).
    NoDevice,
    /// The file is compressed, and the kernel cannot unpack it itself (`EOPNOTSUPP`, `EINVAL` before
    /// Linux 5.17).
    Compressed(Compression),
    /// Anything else, with the error number.
    Other(i32),
}

impl RejectReason {
    pub(crate) fn of(errno: Errno, compression: Option<Compression>) -> Self {
        match (errno, compression) {
            (Errno::EOPNOTSUPP | Errno::EINVAL, Some(compression)) => Self::Compressed(compression),
            (Errno::EACCES, _) => Self::NotPermitted,
            (
                Errno::ENOKEY
                | Errno::EKEYREJECTED
                | Errno::EKEYEXPIRED
                | Errno::EKEYREVOKED
                | Errno::EBADMSG
                | Errno::ENOPKG,
                _,
            ) => Self::Signature,
            // ESRCH is kmod's for a module built against other symbol versions.
            (Errno::ENOEXEC | Errno::ESRCH, _) => Self::WrongKernel,
            (Errno::ENOENT, _) => Self::UnknownSymbol,
            (Errno::ENODEV, _) => Self::NoDevice,
            (other, _) => Self::Other(other as i32),
        }
    }

    /// `EPERM` has several reasons; this checks which of them holds.
    pub(crate) fn of_permission(root: &Path) -> Result<Self, Error> {
        let disabled = tree::read(&root.join("proc/sys/kernel/modules_disabled"))?;
        if disabled.is_some_and(|value| value.trim_end() == "1") {
            return Ok(Self::Disabled);
        }
        if !may_load(root)? {
            return Ok(Self::NotPermitted);
        }
        // "none [integrity] confidentiality"; not everybody may read it.
        let lockdown = tree::read(&root.join("sys/kernel/security/lockdown"));
        let locked = lockdown.ok().flatten().unwrap_or_default();
        Ok(
            if locked.contains("[integrity]") || locked.contains("[confidentiality]") {
                Self::LockedDown
            } else {
                Self::NotPermitted
            },
        )
    }
}

/// Whether this process has `CAP_SYS_MODULE`.
pub(crate) fn may_load(root: &Path) -> Result<bool, Error> {
    /// <https://elixir.bootlin.com/linux/v6.12/source/include/uapi/linux/capability.h#L212>
    const CAP_SYS_MODULE: u64 = 1 << 16;
    let status = tree::read(&root.join("proc/self/status"))?.unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let effective = effective.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    Ok(effective.is_none_or(|mask| mask & CAP_SYS_MODULE != 0))
}

impl fmt::Display for RejectReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::NotPermitted => "not permitted: run as root on the host (CAP_SYS_MODULE)",
            Self::Disabled => {
                "loading modules is disabled until the next boot (kernel.modules_disabled is 1): \
                 load it earlier, from /etc/modules-load.d"
            }
            Self::LockedDown => "the kernel is locked down and the module is not signed",
            Self::Signature => "the kernel demands a signature by a key it trusts",
            Self::WrongKernel => "its file is not a module for this kernel and processor",
            Self::UnknownSymbol => {
                "it needs a symbol that the kernel does not have: another module, or another \
                 build of the kernel (see dmesg; run `depmod -a`)"
            }
            Self::NoDevice => "there is no device for it",
            Self::Compressed(compression) => {
                return write!(
                    f,
                    "its file is compressed ({compression}) and the kernel cannot unpack it: \
                     install modprobe (package kmod)"
                );
            }
            Self::Other(errno) => {
                return write!(f, "{}", io::Error::from_raw_os_error(*errno));
            }
        };
        f.write_str(text)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn error_numbers_have_their_reasons() {
        for (errno, compression, why) in [
            (Errno::ENOEXEC, None, RejectReason::WrongKernel),
            (Errno::ENOKEY, None, RejectReason::Signature),
            (Errno::EKEYREJECTED, None, RejectReason::Signature),
            (Errno::ENOENT, None, RejectReason::UnknownSymbol),
            (Errno::EINVAL, None, RejectReason::Other(22)),
            (
                Errno::EINVAL,
                Some(Compression::Xz),
                RejectReason::Compressed(Compression::Xz),
            ),
            (
                Errno::EOPNOTSUPP,
                Some(Compression::Zstd),
                RejectReason::Compressed(Compression::Zstd),
            ),
            (
                Errno::ENOEXEC,
                Some(Compression::Xz),
                RejectReason::WrongKernel,
            ),
        ] {
            assert_eq!(RejectReason::of(errno, compression), why, "{errno}");
        }
    }

    /// EPERM as root of the machine, of a container, with loading disabled, and locked down.
    #[test]
    fn a_missing_permission_has_several_reasons() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        let write = |path: &str, text: &str| {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let why = || RejectReason::of_permission(root).unwrap();
        assert_eq!(why(), RejectReason::NotPermitted);
        write(
            "sys/kernel/security/lockdown",
            "none [integrity] confidentiality\n",
        );
        assert_eq!(why(), RejectReason::LockedDown);
        write("proc/self/status", "CapEff:\t00000000a80425fb\n"); // Docker's default
        assert_eq!(why(), RejectReason::NotPermitted);
        write("proc/self/status", "CapEff:\t000001ffffffffff\n");
        assert_eq!(why(), RejectReason::LockedDown);
        write(
            "sys/kernel/security/lockdown",
            "[none] integrity confidentiality\n",
        );
        assert_eq!(why(), RejectReason::NotPermitted);
        write("proc/sys/kernel/modules_disabled", "1\n");
        assert_eq!(why(), RejectReason::Disabled);
    }
}
