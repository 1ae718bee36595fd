//! `-m set`

use std::fmt;

use super::Options;
use crate::address::bang;

/// Whether the packet's addresses and ports are in an IP set: `--match-set NAME src,dst`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SetMatch {
    /// Name of the set, at most 31 bytes. It must exist when the rule is added, and cannot be destroyed before it.
    pub name: String,
    /// For each dimension of the set `src` or `dst`, joined by commas.
    pub directions: String,
    /// True for `!`: not in the set.
    pub negated: bool,
}

impl SetMatch {
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

    /// Why the tools would refuse this, or not read it back as it is.
    pub(crate) fn problem(&self) -> Option<&'static str> {
        let odd = |c: char| c.is_whitespace() || c.is_control() || c == '"';
        let count = self.directions.split(',').count();
        if self.name.is_empty()
            || self.name.len() > 31
            || self.name.contains(odd)
            || self.name.starts_with('-')
        {
            Some(
                "a set's name has 1 to 31 bytes, no white space and no double quote, and starts not with `-`",
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
