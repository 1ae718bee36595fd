//! `-m set`

use std::fmt;

use super::Options;
use crate::address::bang;

/// Whether the packet's addresses and ports are in an IP set: `--match-set NAME src,dst`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct SetMatch {
    /// Name of the set, at most 31 bytes. It must exist when the rule is added, and cannot be destroyed before it.
    pub name: String,
    /// For each dimension of the set `src` or `dst`, joined by commas.
    pub directions: String,
    /// True for `!`: not in the set.
    pub negated: bool,
}

impl SetMatch {
    /// `--match-set NAME DIRECTIONS`
    pub fn new(name: impl Into<String>, directions: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            directions: directions.into(),
            negated: false,
        }
    }

    /// The same with `!`.
    #[must_use]
    pub fn negated(mut self) -> Self {
        self.negated = true;
        self
    }

    pub(super) fn parse(mut options: Options<'_>) -> Option<Self> {
        let (negated, "--match-set") = options.next_option()? else {
            return None;
        };
        let (name, directions) = (options.value()?.to_owned(), options.value()?.to_owned());
        options.finish()?;
        let set = Self {
            name,
            directions,
            negated,
        };
        set.problem().is_none().then_some(set)
    }

    pub(super) fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            " {}--match-set {} {}",
            bang(self.negated),
            self.name,
            self.directions
        )
    }

    /// Why the tools would refuse this match, or print another one.
    pub(crate) fn problem(&self) -> Option<&'static str> {
        let odd = |c: char| c.is_whitespace() || c.is_control() || c == '"';
        let count = self.directions.split(',').count();
        if self.name.is_empty()
            || self.name.len() > 31
            || self.name.contains(odd)
            || self.name.starts_with('-')
        {
            Some(
                "a set's name has 1 to 31 bytes, none of them white space or a double quote, and does not start with `-`",
            )
        } else if count > 6
            || self
                .directions
                .split(',')
                .any(|word| word != "src" && word != "dst")
        {
            Some("the directions of a set match are `src` and `dst`, one to six, joined by commas")
        } else {
            None
        }
    }
}
