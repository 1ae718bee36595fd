//! Flows as plain values.

mod filter;
mod flow;
mod state;
mod status;
mod tuple;
mod update;

pub use filter::{Filter, Mark};
pub use flow::{Counters, Flow, FlowKey};
pub use state::{ProtocolState, SctpState, TcpState};
pub use status::Status;
pub use tuple::{Layer4, Tuple};
pub use update::FlowUpdate;
