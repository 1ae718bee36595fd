//! The errors of this crate.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use netlink_wire::ParseKernelVersionError;

use crate::{Absence, Directive, ModuleName, RejectReason, Rule, UnloadReason};

/// Why a module could not be found, loaded or unloaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The kernel's release does not start with two numbers.
    #[error(transparent)]
    KernelRelease(#[from] ParseKernelVersionError),

    /// A text cannot be the name of a module.
    #[error(
        "module name {name:?}: expected 1 to 55 ASCII letters, digits, `_`, `-`, `+` or `.`, \
         starting with a letter, a digit or `_`"
    )]
    ModuleName {
        /// The text as it was given.
        name: String,
    },

    /// A file exists but could not be read, so that nothing is known about the module.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },

    /// The kernel did not report its release.
    #[error("cannot get the kernel's release (uname): {0}")]
    Uname(#[source] io::Error),

    /// The module was not found.
    #[error("cannot load module {module}: {reason}")]
    Absent {
        /// The module that was asked for.
        module: ModuleName,
        /// Why it is missing.
        reason: Absence,
    },

    /// The module is on disk, but the kernel rejected it.
    #[error("cannot load module {module}: {reason}")]
    Rejected {
        /// The module that was asked for, or one that it depends on.
        module: ModuleName,
        /// The kernel's reason.
        reason: RejectReason,
    },

    /// The module could not be unloaded.
    #[error("cannot unload module {module}: {reason}")]
    NotUnloaded {
        /// The module.
        module: ModuleName,
        /// Why it stays.
        reason: UnloadReason,
    },

    /// The administrator of this machine forbids the module.
    #[error(
        "module {module} is not loaded, because the administrator forbids it ({rule}): {}",
        remedy(rule)
    )]
    Forbidden {
        /// The module that was asked for.
        module: ModuleName,
        /// The rule that forbids it, or one that it depends on.
        rule: Box<Rule>,
    },

    /// `modprobe` reported success, but the module is not loaded.
    #[error(
        "module {module} is not loaded, although {} reported success{}",
        program.display(),
        rule.as_ref().map(|rule| format!("; it followed {rule}")).unwrap_or_default()
    )]
    NotLoaded {
        /// The module that was asked for.
        module: ModuleName,
        /// The program.
        program: PathBuf,
        /// The rule of modprobe.d(5) that it followed instead of loading the module, if there is one.
        rule: Option<Box<Rule>>,
    },

    /// `modprobe` could not be started.
    #[error("cannot run {}: {source}", program.display())]
    ModprobeNotRun {
        /// The program.
        program: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },

    /// `modprobe` did not end in time, and was killed.
    #[error("{} {module} did not end within {} seconds and was killed", program.display(), limit.as_secs())]
    ModprobeTimeout {
        /// The program.
        program: PathBuf,
        /// The module that was asked for.
        module: ModuleName,
        /// How long it was given.
        limit: Duration,
    },

    /// `modprobe` failed, for a reason other than the kernel's.
    #[error("{} {module} failed ({status}): {}", program.display(), one_line(stderr))]
    Modprobe {
        /// The program.
        program: PathBuf,
        /// The module that was asked for.
        module: ModuleName,
        /// How it ended.
        status: ExitStatus,
        /// The start of what it printed to stderr.
        stderr: String,
    },
}

/// How a rule is lifted.
fn remedy(rule: &Rule) -> &'static str {
    match rule.directive {
        Directive::KernelBlacklist => "remove it from the kernel's command line and reboot",
        Directive::Blacklist => "remove that rule, or ask for the module by its own name",
        _ => "remove that rule",
    }
}

/// A program's output without line breaks and control characters.
fn one_line(text: &str) -> String {
    let printable = |c: char| {
        if c.is_control() { ' ' } else { c }
    };
    text.lines()
        .collect::<Vec<_>>()
        .join("; ")
        .chars()
        .map(printable)
        .collect()
}

impl Error {
    pub(crate) fn read(path: &Path, source: io::Error) -> Self {
        Self::Read {
            path: path.to_owned(),
            source,
        }
    }
}
