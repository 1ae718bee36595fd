//! Unloading: by `delete_module(2)`.

use std::ffi::CString;
use std::fmt;
use std::io;
use std::path::Path;

use nix::errno::Errno;
use nix::kmod::{DeleteModuleFlags, delete_module};

use crate::{Error, ModuleName, RejectReason, live};

/// What became of a module in [`Modules::unload`](crate::Modules::unload).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UnloadOutcome {
    /// The kernel no longer has it.
    Unloaded,
    /// The module was not loaded, or no module has this name.
    NotLoaded,
}

/// Why a module stays: from the error number of `delete_module(2)` and the state of the system.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UnloadReason {
    /// It is in use (`EWOULDBLOCK`): by modules that depend on it, or by something else, such as a set, a rule or an
    /// open file.
    InUse {
        /// How often, in all.
        references: u32,
        /// The modules that depend on it.
        users: Vec<ModuleName>,
    },
    /// It is part of the kernel itself.
    BuiltIn,
    /// It is made to stay: it has no exit function (`EBUSY`).
    Permanent,
    /// It is being loaded or unloaded at this moment (`EBUSY`).
    Busy,
    /// This process may not unload modules (`EPERM`): it lacks `CAP_SYS_MODULE`, or is in a container.
    NotPermitted,
    /// Nobody may until the next boot (`EPERM`): `kernel.modules_disabled` is 1.
    Disabled,
    /// Anything else, with the error number.
    Other(i32),
}

impl fmt::Display for UnloadReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse { references, users } if users.is_empty() => {
                write!(f, "it is in use ({references} references)")
            }
            Self::InUse { users, .. } => {
                f.write_str("it is in use by")?;
                for (place, user) in users.iter().enumerate() {
                    write!(f, "{} {user}", if place == 0 { "" } else { "," })?;
                }
                f.write_str(": unload these first")
            }
            Self::BuiltIn => f.write_str("it is built into the kernel"),
            Self::Permanent => f.write_str("it cannot be unloaded once it is loaded"),
            Self::Busy => f.write_str("it is being loaded or unloaded"),
            Self::NotPermitted => {
                f.write_str("not permitted: run as root on the host (CAP_SYS_MODULE)")
            }
            Self::Disabled => f.write_str(
                "loading and unloading modules is disabled until the next boot \
                 (kernel.modules_disabled is 1)",
            ),
            Self::Other(errno) => write!(f, "{}", io::Error::from_raw_os_error(*errno)),
        }
    }
}

/// Has the kernel unload the module, without waiting until it is no longer used.
pub(crate) fn remove(root: &Path, module: &ModuleName) -> Result<UnloadOutcome, Error> {
    // A module's name has no NUL.
    let name = CString::new(module.as_str()).unwrap_or_default();
    match delete_module(&name, DeleteModuleFlags::O_NONBLOCK) {
        Ok(()) => Ok(UnloadOutcome::Unloaded),
        Err(Errno::ENOENT) => Ok(UnloadOutcome::NotLoaded),
        Err(errno) => Err(Error::NotUnloaded {
            module: module.clone(),
            reason: reason(root, module, errno)?,
        }),
    }
}

fn reason(root: &Path, module: &ModuleName, errno: Errno) -> Result<UnloadReason, Error> {
    Ok(match errno {
        // EWOULDBLOCK is the same number.
        Errno::EAGAIN => {
            let users = live::users(root, module)?;
            UnloadReason::InUse {
                references: users.references,
                users: users.modules,
            }
        }
        Errno::EBUSY if live::users(root, module)?.is_permanent => UnloadReason::Permanent,
        Errno::EBUSY => UnloadReason::Busy,
        Errno::EPERM => match RejectReason::of_permission(root)? {
            RejectReason::Disabled => UnloadReason::Disabled,
            _ => UnloadReason::NotPermitted,
        },
        other => UnloadReason::Other(other as i32),
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn error_numbers_have_their_reasons() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        fs::create_dir_all(root.join("proc/sys/kernel")).unwrap();
        let list = "ipv6 429085 19 [permanent], Live 0x0\nip_vs 1 2 ip_vs_rr,ip_vs_mh, Live 0x0\n";
        fs::write(root.join("proc/modules"), list).unwrap();
        let why = |name: &str, errno| reason(root, &name.parse().unwrap(), errno).unwrap();
        assert_eq!(why("ipv6", Errno::EBUSY), UnloadReason::Permanent);
        assert_eq!(why("ip_vs", Errno::EBUSY), UnloadReason::Busy);
        assert_eq!(why("ip_vs", Errno::EPERM), UnloadReason::NotPermitted);
        assert_eq!(why("ip_vs", Errno::EINVAL), UnloadReason::Other(22));
        let shown = why("ip_vs", Errno::EWOULDBLOCK).to_string();
        assert_eq!(
            shown,
            "it is in use by ip_vs_rr, ip_vs_mh: unload these first"
        );
        let shown = why("ipv6", Errno::EWOULDBLOCK).to_string();
        assert_eq!(shown, "it is in use (19 references)");
        fs::write(root.join("proc/sys/kernel/modules_disabled"), "1\n").unwrap();
        assert_eq!(why("ip_vs", Errno::EPERM), UnloadReason::Disabled);
    }
}
