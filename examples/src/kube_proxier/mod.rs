//! kube-proxier: the node daemon that takes kube-proxy's place in ipvs mode.

mod event;
mod instance;
mod machine;
pub mod sync;
pub mod watch;

pub use event::Event;
pub use instance::{Instance, InstanceError};
pub use machine::{Machine, ThisMachine};
