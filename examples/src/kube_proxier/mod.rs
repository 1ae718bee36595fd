//! kube-proxier: the node daemon that takes kube-proxy's place in ipvs mode.

pub mod doctor;
mod event;
pub mod health;
pub mod http;
pub mod logging;
pub mod metrics;
pub mod options;
pub mod service_health;

pub use event::Event;
