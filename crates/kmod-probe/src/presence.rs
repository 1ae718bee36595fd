//! Where a module is, or why it is missing.

use std::fmt;
use std::path::PathBuf;

use crate::ModuleName;

/// Where a module is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Presence {
    /// The kernel has it as a module.
    Loaded(ModuleState),
    /// It is part of the kernel itself and needs no loading.
    BuiltIn,
    /// It is on disk, and is not loaded yet.
    Loadable(ModuleFile),
    /// It was not found.
    Absent(Absence),
}

impl Presence {
    /// Whether the kernel has the module now.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        matches!(self, Self::Loaded(ModuleState::Live) | Self::BuiltIn)
    }

    /// Whether the kernel has the module now, or can get it.
    #[must_use]
    pub fn is_available(&self) -> bool {
        !matches!(self, Self::Absent(_))
    }
}

impl fmt::Display for Presence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Loaded(ModuleState::Live) => f.write_str("loaded"),
            Self::Loaded(ModuleState::Loading) => f.write_str("being loaded"),
            Self::Loaded(ModuleState::Unloading) => f.write_str("being unloaded"),
            Self::BuiltIn => f.write_str("built in"),
            Self::Loadable(file) => write!(f, "loadable from {}", file.path.display()),
            Self::Absent(why) => write!(f, "absent: {why}"),
        }
    }
}

/// The state of a loaded module: the kernel's `enum module_state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ModuleState {
    /// It is ready for use.
    Live,
    /// Its initialisation is running.
    Loading,
    /// Its removal is running.
    Unloading,
}

/// A module's file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ModuleFile {
    /// The module's name.
    pub name: ModuleName,
    /// The file.
    pub path: PathBuf,
    /// How it is compressed, going by the file's name.
    pub compression: Option<Compression>,
}

/// How a module's file is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Compression {
    /// `.ko.gz`
    Gzip,
    /// `.ko.xz`
    Xz,
    /// `.ko.zst`
    Zstd,
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gzip => "gzip",
            Self::Xz => "xz",
            Self::Zstd => "zstd",
        })
    }
}

/// Why a module was not found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Absence {
    /// This kernel's modules are here, listed, and it is not one of them.
    NotListed {
        /// The folder of the kernel's modules.
        folder: PathBuf,
    },
    /// There is no folder for this kernel's modules, as in most containers. Then it is not known either
    /// what is built in, so the kernel may well have the feature.
    NoFolder {
        /// The kernel's release.
        release: String,
    },
    /// The kernel's modules are here, without the lists that `depmod` makes.
    NoList {
        /// The list that is missing.
        list: PathBuf,
    },
    /// It is listed, but its file is gone: removed by an update of the kernel's package, usually.
    FileMissing {
        /// The file that should be there.
        path: PathBuf,
    },
    /// The kernel was built without loadable modules (`CONFIG_MODULES=n`), and nothing shows that it
    /// has this one built in. Not every built-in module shows.
    NoModuleSupport,
}

impl fmt::Display for Absence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotListed { folder } => write!(
                f,
                "it is not among the modules of this kernel in {}; \
                 some distributions have more in a separate package (linux-modules-extra, kernel-modules)",
                folder.display()
            ),
            Self::NoFolder { release } => write!(
                f,
                "there is no /lib/modules/{release}; in a container, mount the host's /lib/modules. \
                 The kernel may have it built in, or load it itself when it is first used"
            ),
            Self::NoList { list } => {
                write!(f, "there is no {}; run `depmod -a`", list.display())
            }
            Self::FileMissing { path } => write!(
                f,
                "its file {} is missing; reboot into the installed kernel, or reinstall this one's modules",
                path.display()
            ),
            Self::NoModuleSupport => f.write_str(
                "this kernel has no loadable modules (CONFIG_MODULES is not set); \
                 it may have it built in without showing so",
            ),
        }
    }
}
