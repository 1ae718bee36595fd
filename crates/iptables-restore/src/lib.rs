//! The rule sets of iptables as values: parsed from `iptables-save`, rendered to the very text it would print, and
//! changed by transactions for `iptables-restore --noflush`.
//!
//! - [`Ruleset`], [`Table`], [`Chain`], [`Rule`]: the model. Order is kept; counters are observations and take no part
//!   in equality. Matches and targets this crate has no type for are kept word by word, so any user's rules survive.
//! - [`Ruleset::parse`] and [`std::fmt::Display`] are inverses on canonical text, that is on what `iptables-save` prints.
//! - [`RestoreInput`]: a list of edits per table, checked when they are added, rendered for `iptables-restore`;
//!   [`RestoreInput::apply`] says what the kernel's state is afterwards, by the kernel's own rules.
//!
//! - [`ToolFinder`] and [`Tools`]: the programs themselves, of both back ends: found, told apart by version, run with
//!   limits in time, and understood when they fail.
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
//!
//! # When iptables-restore refuses
//! The tools have six ways to say so; each becomes an [`Error`] that holds the line, its [`Edit`], its table and the tables
//! committed before it ([`Rejection`]). All were provoked with iptables 1.8.9, legacy and nft, in `tests/kernel`.
//!
//! | What is printed | By | Becomes | Tests |
//! | --- | --- | --- | --- |
//! | `line N failed` | legacy | [`RejectReason::Inferred`] from the table as read back, at COMMIT [`RejectReason::Commit`] | `each_refusal_names_its_edit`, `what_only_the_commit_shows` |
//! | `line N failed: reason` | nft | [`RejectReason::Other`] | `each_refusal_names_its_edit` |
//! | `reason`, `Error occurred at line: N` | both | [`RejectReason::NoSuchSet`], [`NoSuchTarget`](RejectReason::NoSuchTarget), [`NoSuchMatch`](RejectReason::NoSuchMatch), [`TableUnavailable`](RejectReason::TableUnavailable), else [`Other`](RejectReason::Other) | `each_refusal_names_its_edit`, `texts_made_elsewhere` |
//! | `line N: CHAIN_DEL failed (…): chain X` | nft | [`RejectReason::Kernel`] | `each_refusal_names_its_edit`, `what_only_the_commit_shows` |
//! | `COMMIT expected at line N` | both | [`RejectReason::CommitMissing`] | `texts_made_elsewhere` |
//! | `Another app is currently holding the xtables lock` | legacy | [`Error::LockHeld`] | `the_lock`, `the_lock_of_old_tools` |
//!
//! What the back ends do differently, besides their words:
//! - The legacy kernel takes jumps in a circle behind an unconditional verdict, nft refuses them; so does
//!   [`RestoreInput::apply`].
//! - The tools of nft 1.8.9 remove an empty built-in chain when told to, take a policy for a user's chain and drop it, and
//!   count positions in a chain that was emptied in the same transaction as if it had not been.
//! - A dry run of nft misses all that the kernel would refuse, jumps to missing chains among it; one of legacy misses what
//!   the commit would show.
#![forbid(unsafe_code)]

mod address;
mod error;
#[doc(hidden)]
pub mod fuzz;
mod matches;
mod name;
mod parse;
mod protocol;
mod restore;
mod rule;
mod ruleset;
mod target;
mod tools;
mod word;

#[cfg(test)]
mod strategies;

pub use address::{Address, InvalidAddress, Negatable};
pub use error::{Error, ParseError, ParseReason};
pub use matches::{
    AddressTypes, AddrtypeMatch, ConntrackMatch, CtStates, Direction, IpvsMatch, LimitInterface,
    MarkMatch, Match, MultiportMatch, OtherMatch, PhysdevMatch, PortRange, PortsMatch, SetMatch,
};
pub use name::{ChainName, CustomName, Family, InvalidChainName, Policy, TableName};
pub use protocol::Protocol;
pub use restore::{ApplyError, Edit, InvalidEdit, Place, Refusal, RestoreInput, TableEdits};
pub use rule::{Counters, InvalidRule, Rule};
pub use ruleset::{Chain, Ruleset, SaveFormat, Table};
pub use target::{Mark, Masquerade, OtherTarget, Target};
pub use tools::{
    Backend, Features, RejectReason, Rejection, RestoreOptions, SaveOptions, Surveyed, ToolFinder,
    Tools, Version,
};
pub use word::Word;
