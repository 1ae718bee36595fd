//! The rule sets of iptables as values: parsed from what `iptables-save` prints, rendered to that same text, and changed
//! by transactions for `iptables-restore --noflush`.
//!
//! - [`Ruleset`], [`Table`], [`Chain`], [`Rule`]: the model. Order is kept; counters are observations and take no part
//!   in equality. Matches and targets this crate has no type for are kept word by word, so any user's rules survive.
//! - [`Ruleset::parse`] and [`std::fmt::Display`] are inverses on canonical text, that is on what `iptables-save` prints.
//! - [`RestoreInput`]: a list of edits per table, checked when they are added, rendered for `iptables-restore`;
//!   [`RestoreInput::apply`] computes the tables afterwards, by the kernel's own rules.
//! - [`RestoreFile`]: a file for `iptables-restore` that others wrote, with every command; [`RestoreFile::apply`] computes
//!   what it makes of the tables.
//!
//! - `ToolFinder` and `Tools`: the programs themselves, of both back ends: found, distinguished by version, run with
//!   limits, and understood when they fail.
//!
//! # Features
//! - `tools` (default): `ToolFinder`, `Tools` and their errors. Without it this crate is the model, the parser and the
//!   renderer; it runs no program and opens no file.
//! - `serde`: `Serialize` and `Deserialize` of the model, in the tools' words.
//! - `fuzz`: the bodies of the fuzz targets.
//!
//! This crate knows one address family at a time: IPv4 rules live in one [`Ruleset`], IPv6 rules in another, as they do
//! in the kernel; [`Family`] says which tools serve which.
//!
//! ```
//! use iptables_restore::{RestoreInput, Rule, Ruleset, TableName};
//!
//! let mut kernel = Ruleset::parse("*nat\n:PREROUTING ACCEPT [0:0]\nCOMMIT\n")?;
//!
//! let mut change = RestoreInput::new();
//! change
//!     .table(TableName::Nat)
//!     .declare_chain("WEB")?
//!     .append("WEB", Rule::new().comment("all that is ours").match_set("OURS", "dst,dst").jump("ACCEPT"))?
//!     .append("PREROUTING", Rule::new().not_in_interface("veth+").jump("WEB"))?;
//!
//! assert_eq!(
//!     change.to_string(),
//!     "*nat\n:WEB - [0:0]\n\
//!      -A WEB -m comment --comment \"all that is ours\" -m set --match-set OURS dst,dst -j ACCEPT\n\
//!      -A PREROUTING ! -i veth+ -j WEB\nCOMMIT\n"
//! );
//! change.apply(&mut kernel)?;
//! let nat = kernel.table(&TableName::Nat).ok_or("no nat table")?;
//! assert_eq!(nat.chain("WEB").map(|chain| chain.rules.len()), Some(1));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod address;
mod error;
#[cfg(any(test, feature = "fuzz"))]
pub mod fuzz;
mod matches;
mod name;
mod parse;
mod protocol;
mod restore;
mod rule;
mod rules;
mod ruleset;
#[cfg(feature = "serde")]
mod serde;
mod target;
mod text;
#[cfg(feature = "tools")]
mod tools;
mod word;

#[cfg(test)]
mod strategies;

pub use address::{Address, InvalidAddress, Negatable};
pub use error::{Error, ParseError, ParseReason};
pub use matches::{
    AddressTypes, AddrtypeMatch, ByteRate, ConntrackMatch, CtStates, Direction, HashlimitMatch,
    HashlimitMode, HashlimitRate, IpvsMatch, LimitInterface, LimitMatch, MarkMatch, Match,
    MultiportMatch, OtherMatch, PhysdevMatch, PortRange, PortsMatch, Probability, Rate,
    RecentAction, RecentMatch, SetMatch, StatisticMatch, StatisticMode,
};
pub use name::{ChainName, CustomName, InvalidChainName, Policy, TableName};
pub use netlink_wire::Family;
pub use protocol::Protocol;
pub use restore::{
    ApplyError, ApplyErrorKind, ApplyOptions, Edit, InsertAt, InvalidEdit, RestoreCommand,
    RestoreFile, RestoreFileError, RestoreInput, RestoreLine, RestoreSection, TableEdits,
};
pub use rule::{Counters, InvalidRule, Rule};
pub use rules::Rules;
pub use ruleset::{Chain, Ruleset, SaveFormat, Table};
pub use target::{
    Connmark, Ct, CtDirection, CtEvents, CtZone, Dnat, Log, Mark, Masquerade, NatRange, Nflog,
    OtherTarget, Redirect, Snat, Target, Tproxy,
};
#[cfg(feature = "tools")]
pub use tools::{
    Backend, BackendRules, Features, IncompleteReason, IncompleteTable, RejectReason, Rejection,
    RestoreOptions, SaveOptions, SavedText, ToolFinder, Tools, Version,
};
pub use word::Word;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
