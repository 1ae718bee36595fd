//! kube-proxier: the node daemon that takes kube-proxy's place in ipvs mode.

mod event;
pub mod logging;
pub mod options;

pub use event::Event;
