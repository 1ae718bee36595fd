//! Is a kernel module loaded, built in, loadable; load it.
#![forbid(unsafe_code)]

mod error;
mod ipvs;
mod name;
mod version;

pub use error::Error;
pub use ipvs::required_modules;
pub use name::ModuleName;
pub use version::KernelVersion;
