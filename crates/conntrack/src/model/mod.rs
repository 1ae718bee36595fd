//! Flows as plain values.

mod flow;
mod tuple;

pub use flow::{Flow, FlowKey};
pub use tuple::{Layer4, Tuple};
