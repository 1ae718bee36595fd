//! What can go wrong.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use crate::{Absence, ModuleName, Refusal};

/// Everything this crate's functions can fail with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A kernel release does not start with two numbers.
    #[error(
        "kernel release {release:?}: expected what `uname -r` prints, such as 5.15.0-91-generic"
    )]
    KernelRelease {
        /// The text as it was given.
        release: String,
    },

    /// A text cannot be the name of a module.
    #[error(
        "module name {name:?}: expected 1 to 55 ASCII letters, digits, `_`, `-`, `+` or `.`, \
         starting with a letter, a digit or `_`"
    )]
    ModuleName {
        /// The text as it was given.
        name: String,
    },

    /// A file that is there could not be read, so that nothing can be said about a module.
    #[error("reading {}: {source}", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },

    /// The kernel's release could not be asked for.
    #[error("uname: {0}")]
    Uname(#[source] io::Error),

    /// A module cannot be loaded, because there is none.
    #[error("module {module} was not found: {why}")]
    Absent {
        /// The module that was asked for.
        module: ModuleName,
        /// Why it is not there.
        why: Absence,
    },

    /// A module is there, but the kernel does not take it.
    #[error("loading module {module}: {why}")]
    Refused {
        /// The module that was asked for, or one that it depends on.
        module: ModuleName,
        /// The kernel's reason.
        why: Refusal,
    },

    /// `modprobe` is there but could not be run.
    #[error("running {}: {source}", program.display())]
    ModprobeNotRun {
        /// The program.
        program: PathBuf,
        /// The system's answer.
        source: io::Error,
    },

    /// `modprobe` failed, for a reason that is not the kernel's.
    #[error("{} {module}: {status}: {stderr}", program.display())]
    Modprobe {
        /// The program.
        program: PathBuf,
        /// The module that it was asked for.
        module: ModuleName,
        /// How it ended.
        status: ExitStatus,
        /// What it said.
        stderr: String,
    },
}

impl Error {
    pub(crate) fn read(path: &Path, source: io::Error) -> Self {
        Self::Read {
            path: path.to_owned(),
            source,
        }
    }
}
