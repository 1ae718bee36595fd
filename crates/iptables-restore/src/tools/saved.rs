//! What iptables-save printed, before it is parsed.

use std::fmt;
use std::path::PathBuf;

use super::incomplete::{self, IncompleteTable};
use super::process::Output;
use super::{SaveOptions, Tools};
use crate::error::Error;
use crate::ruleset::Ruleset;

/// What `iptables-save` printed. [`Tools::save_text`] gives it, [`parse`](Self::parse) makes rules of it.
///
/// For a program with a thread that waits for tools: rules take several times the memory of their text, and an allocator keeps
/// the memory that one thread has freed from the others. They should be parsed where they are kept.
pub struct SavedText {
    pub(super) program: PathBuf,
    pub(super) output: Output,
    pub(super) options: SaveOptions,
}

impl SavedText {
    /// The rules.
    ///
    /// # Errors
    /// [`Error::IncompleteTable`] and [`Error::Output`], as [`Tools::save`] has them, and [`Error::Failed`] where there is
    /// nothing but an error's text.
    pub fn parse(&self) -> Result<Ruleset, Error> {
        match self.parse_all()? {
            (_, Some(incomplete)) => Err(Error::IncompleteTable(Box::new(incomplete))),
            (ruleset, None) => Ok(ruleset),
        }
    }

    /// All that could be read, and the first table that could not be read whole.
    pub(super) fn parse_all(&self) -> Result<(Ruleset, Option<IncompleteTable>), Error> {
        incomplete::read(&self.program, &self.output, &self.options)
    }
}

impl fmt::Debug for SavedText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SavedText")
            .field("program", &self.program)
            .field("bytes", &self.output.stdout.len())
            .finish_non_exhaustive()
    }
}

impl Tools {
    /// Reads the kernel's rules as text: the first half of [`save`](Self::save).
    ///
    /// # Errors
    /// As [`save`](Self::save), without what only parsing shows.
    pub fn save_text(&self, options: &SaveOptions) -> Result<SavedText, Error> {
        self.save_text_within(options, self.time_limit)
    }
}
