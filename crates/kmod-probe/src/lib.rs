//! Finds out whether a kernel module is loaded, built in or loadable, and loads and unloads it.
//!
//! A program that uses IPVS, ipset or another part of the kernel that may be a module needs to know
//! early whether the kernel has it, can load it, or why not. [`Modules::presence`] finds out, with a
//! reason where the module is missing ([`Absence`]); [`Modules::load`] loads it, with the kernel's
//! reason where that fails ([`RejectReason`]), or the administrator's rule ([`Rule`]): `modprobe` ends with success
//! where `install sctp /bin/true` keeps it from loading anything. [`Modules::unload`] unloads it, with the reason
//! where it is in use ([`UnloadReason`]). [`Modules::configuration`] has all rules of modprobe.d(5) as values.
//!
//! ```
//! use kmod_probe::{Modules, Presence, required_modules};
//!
//! let modules = Modules::of_running_kernel()?;
//! for name in required_modules(modules.version()?, "rr")? {
//!     match modules.presence(&name)? {
//!         Presence::Loadable(file) => match modules.forbidden_by(&name)? {
//!             Some(rule) => println!("{name}: forbidden by {rule}"),
//!             None => println!("{name}: can be loaded from {}", file.path.display()),
//!         },
//!         Presence::Absent(reason) => println!("{name}: missing: {reason}"),
//!         present => println!("{name}: {present}"),
//!     }
//! }
//! # Ok::<(), kmod_probe::Error>(())
//! ```
//!
//! # Try the feature first
//! A feature may be built into the kernel without showing (no `/lib/modules` in a container,
//! `CONFIG_MODULES=n`), and the kernel loads many modules itself when they are first used, also for a
//! container that has no `modprobe`. So try the feature first; use this crate when the feature is
//! missing, to load the module or to explain why it is missing.
//!
//! # What is read
//! | question | files |
//! |---|---|
//! | loaded | `/proc/modules`, `/sys/module/NAME/initstate` |
//! | built in | `/sys/module/NAME`, `modules.builtin`, `modules.builtin.modinfo` (5.2 and later) |
//! | loadable | `modules.dep`, `modules.alias`; `.ko`, `.ko.gz`, `.ko.xz`, `.ko.zst` |
//! | forbidden | `/etc`, `/run`, `/usr/local/lib`, `/usr/lib` and `/lib/modprobe.d/*.conf`; `/proc/cmdline` |
//! | parameters | the same |
//! | loading | `/proc/sys/kernel/modprobe`, `modprobe` in `PATH`, `finit_module(2)` |
//! | unloading | `/proc/modules`, `delete_module(2)` |
//!
//! All of them below a root that can be chosen ([`Modules::at`]).
#![forbid(unsafe_code)]

mod config;
mod error;
mod glob;
mod index;
mod ipvs;
mod live;
mod load;
mod modules;
mod name;
mod presence;
mod process;
mod reject;
mod tree;
mod unload;

pub use config::{Configuration, Directive, Rule};
pub use error::Error;
pub use ipvs::required_modules;
pub use modules::{LoadOutcome, Modules};
pub use name::ModuleName;
pub use netlink_wire::KernelVersion;
pub use presence::{Absence, Compression, ModuleFile, ModuleState, Presence};
pub use reject::RejectReason;
pub use unload::{UnloadOutcome, UnloadReason};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
