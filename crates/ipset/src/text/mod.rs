//! The text of `ipset save`, `ipset restore` and `ipset list`.

mod entry;
mod listing;
mod save;
#[cfg(test)]
mod tests;
mod tokens;

pub use self::listing::Listing;
pub use self::save::{SaveLine, Set, parse_save};
pub(crate) use self::{entry::parse as parse_entry, tokens::Tokens};
