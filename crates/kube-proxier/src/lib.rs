//! kube-proxier: the node daemon that takes kube-proxy's place in ipvs mode.
#![forbid(unsafe_code)]

pub mod config;
mod conntrack;
pub mod daemon;
pub mod doctor;
mod event;
pub mod health;
mod http;
mod instance;
mod links;
mod local_ports;
pub mod logging;
mod machine;
pub mod metrics;
pub mod options;
mod process;
pub mod service_health;
mod status;
mod stop;
pub mod sync;
pub mod watch;

pub use event::Event;
pub use http::Connections;
pub use instance::{Instance, InstanceError};
pub use machine::{Machine, ThisMachine};
pub use stop::Stop;
