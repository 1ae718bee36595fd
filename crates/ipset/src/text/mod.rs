//! The text of `ipset save`, `ipset restore` and `ipset list`.

mod create;
mod entry;
mod header;
mod listing;
mod save;
#[cfg(test)]
mod tests;
mod tokens;

pub(crate) use crate::text::{create::parse_create, entry::parse as parse_entry, tokens::Tokens};
pub use crate::text::{
    listing::Listing,
    save::{SaveLine, parse_save},
};
