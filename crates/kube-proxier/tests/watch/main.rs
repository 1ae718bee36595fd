//! The watch of kube-proxier against the API server stand-in: what it sends, and what it asks for.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test that fails should panic"
)]

#[path = "../support/api_server/mod.rs"]
mod api_server;
mod content;
mod each;
mod encoded;
mod examined;
mod forgetful;
mod formats;
mod hostile;
mod http2;
mod kubeconfigs;
mod large;
mod listed;
mod nodes;
mod objects;
mod outages;
mod packed;
mod recorded;
mod resumption;
mod secured;
mod streamed;
mod watched;
