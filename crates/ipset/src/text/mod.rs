//! The text of `ipset save`, `ipset restore` and `ipset list`.

mod command;
mod create;
mod entry;
mod header;
mod listing;
mod save;
#[cfg(test)]
mod tests;
mod words;

pub(crate) use crate::text::{
    command::Command,
    create::parse_create,
    entry::parse as parse_entry,
    header::family_name,
    words::{Words, text},
};
pub use crate::text::{
    listing::Listing,
    save::{SaveLine, parse_save},
};
