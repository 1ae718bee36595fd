//! The tests of the watch against a stand-in that speaks HTTP/2, as `module_path!` tells it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that fails should panic"
)]

#[path = "../support/api_server/mod.rs"]
mod api_server;
#[path = "../watch/content.rs"]
mod content;
#[path = "../watch/hostile.rs"]
mod hostile;
#[path = "../watch/listed.rs"]
mod listed;
#[path = "../watch/nodes.rs"]
mod nodes;
#[path = "../watch/objects.rs"]
mod objects;
#[path = "../watch/outages.rs"]
mod outages;
#[path = "../watch/packed.rs"]
mod packed;
#[path = "../watch/resumption.rs"]
mod resumption;
#[path = "../watch/streamed.rs"]
mod streamed;
#[path = "../watch/watched.rs"]
mod watched;
