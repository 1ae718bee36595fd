//! The text of `ipvsadm`: lines to save and restore, and its table.

pub mod listing;

mod parse;
mod save;
#[cfg(test)]
mod tests;

pub use self::save::SaveLine;
