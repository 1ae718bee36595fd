//! kube-proxier: the node daemon that takes kube-proxy's place in ipvs mode.

mod event;
pub mod watch;

pub use event::Event;
