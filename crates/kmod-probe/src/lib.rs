//! Is a kernel module loaded, built in, loadable; load it.
//!
//! A program that uses IPVS, ipset or another part of the kernel that may be a module wants to know
//! before it fails whether the kernel has it, can get it, or why not. [`Modules::presence`] answers
//! that, each "no" with its reason ([`Absence`]); [`Modules::load`] changes it, each failure with the
//! kernel's reason ([`Refusal`]).
//!
//! ```
//! use kmod_probe::{Modules, Presence, required_modules};
//!
//! let modules = Modules::of_running_kernel()?;
//! for name in required_modules(modules.version()?, "rr")? {
//!     match modules.presence(&name)? {
//!         Presence::Loadable(file) => println!("{name}: can be loaded from {}", file.path.display()),
//!         Presence::Absent(why) => println!("{name}: not here, {why}"),
//!         there => println!("{name}: {there}"),
//!     }
//! }
//! # Ok::<(), kmod_probe::Error>(())
//! ```
//!
//! # What it is not
//! The last word. A feature may be built into the kernel without showing (no `/lib/modules` in a
//! container, `CONFIG_MODULES=n`), and the kernel loads many modules itself when they are first used,
//! also for a container that has no `modprobe`. So try the feature first; ask this crate when it is
//! not there, to say why or to load the module.
//!
//! # Where it looks
//! | question | files |
//! |---|---|
//! | loaded | `/proc/modules`, `/sys/module/NAME/initstate` |
//! | built in | `/sys/module/NAME`, `modules.builtin`, `modules.builtin.modinfo` (5.2 and later) |
//! | loadable | `modules.dep`, `modules.alias`; `.ko`, `.ko.gz`, `.ko.xz`, `.ko.zst` |
//! | load | `/proc/sys/kernel/modprobe`, `modprobe` in `PATH`, `finit_module(2)` |
//!
//! All of them below a root that can be chosen ([`Modules::at`]).
#![forbid(unsafe_code)]

mod error;
mod glob;
mod ipvs;
mod listed;
mod live;
mod load;
mod modules;
mod name;
mod presence;
mod refusal;
mod tree;
mod version;

pub use error::Error;
pub use ipvs::required_modules;
pub use modules::{Loading, Modules};
pub use name::ModuleName;
pub use presence::{Absence, Compression, ModuleFile, Presence, Stage};
pub use refusal::Refusal;
pub use version::KernelVersion;
