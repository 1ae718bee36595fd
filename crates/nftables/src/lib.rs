//! nf_tables over netlink: tables, chains, sets, maps and rules, made and changed in whole transactions,
//! listed and watched, without the `nft` binary.
//!
//! - The model, at the root: [`Table`], [`Chain`], [`Set`], [`Element`], [`Rule`], [`Object`], plain values
//!   with a field for each attribute. A rule consists of [`expression`]s. What is not known is kept as it
//!   is and written again.
//! - [`build`]: the bodies of rules, written without registers.
//! - Text: a [`Ruleset`] displays as `nft list ruleset` prints it.
//! - [`message`]: writes requests and [`message::Transaction`]s and reads replies, for any transport.
#![cfg_attr(
    feature = "client",
    doc = "- [`Client`] applies transactions and lists; [`Monitor`] reports what changed and who did it."
)]
//!
//! Sources:
//! [`nf_tables_api.c`](https://github.com/torvalds/linux/blob/v6.12/net/netfilter/nf_tables_api.c),
//! [`nfnetlink.c`](https://github.com/torvalds/linux/blob/v6.12/net/netfilter/nfnetlink.c)
//! and those of [`uapi`].
//!
//! # Features
//! - `client` (default): the blocking client, on the crate `netlink-batch`. Without it the crate is a codec
//!   and makes no system calls.
//! - `tokio`: `AsyncClient` and `AsyncMonitor` on a tokio runtime.
//! - `serde`: `Serialize` and `Deserialize` of the model.
//! - `fuzz`: the bodies of the fuzz targets.
#![forbid(unsafe_code)]

pub mod build;
#[cfg(feature = "client")]
mod client;
mod error;
#[cfg(any(test, feature = "fuzz"))]
pub mod fuzz;
pub mod message;
mod model;
mod text;
pub mod uapi;
mod wire;

#[cfg(feature = "client")]
pub use client::{AsyncClient, AsyncMonitor, Change, Changes, Client, Event, Monitor};
pub use error::Error;
pub use model::*;
pub use netlink_wire::{DecodeError, Family, Problem};

#[cfg(all(doctest, feature = "tokio"))]
#[doc = include_str!("../README.md")]
struct Readme;
