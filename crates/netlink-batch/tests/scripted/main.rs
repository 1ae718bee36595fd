//! The engine against a scripted socket: replies lost, cut off, reordered, repeated, foreign,
//! failing.

#![allow(
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "the scripted kernel is part of the tests"
)]

mod batches;
mod dropped;
mod dumps;
mod kernel;
mod losses;
mod properties;
#[path = "../suspending/mod.rs"]
mod suspending;
