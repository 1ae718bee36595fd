//! `ipset save`: sets as lines.

use std::collections::HashMap;
use std::fmt;

use crate::text::{Tokens, parse_create, parse_entry};
use crate::{Entry, Error, Set, SetName, SetSpec};

/// A line of `ipset save`, without the line break.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SaveLine {
    /// `create NAME TYPE …`
    Create(SetSpec),
    /// `add NAME ELEMENT …`
    Add {
        /// The set.
        set: SetName,
        /// What is added.
        entry: Entry,
    },
}

impl Set {
    /// The lines of `ipset save`.
    pub fn lines(&self) -> impl Iterator<Item = SaveLine> {
        let add = |entry: &Entry| SaveLine::Add {
            set: self.spec.name,
            entry: entry.clone(),
        };
        std::iter::once(SaveLine::Create(self.spec.clone())).chain(self.entries.iter().map(add))
    }
}

/// Reads what `ipset save` prints, or the part of what `ipset restore` takes that says what sets
/// there shall be: `create` and `add` lines. Empty lines, `#` comments, `COMMIT` and the option
/// `-exist` say nothing and are passed over.
///
/// Entries are checked against their set ([`SetSpec::check`]), but neither compared with each other
/// nor counted: a set may come out with an entry twice or with more than its `maxelem`.
///
/// # Errors
/// [`Error::Line`] with the number of the first bad line: text that cannot be read, a set or entry
/// that the kernel would refuse, an entry before its set ([`Error::UnknownSet`]), a set twice
/// ([`Error::DuplicateSet`]), or another command of `ipset` such as `flush`.
pub fn parse_save(text: &str) -> Result<Vec<Set>, Error> {
    let mut saved = Saved::default();
    for (index, line) in text.lines().enumerate() {
        saved.line(line).map_err(|error| Error::Line {
            line: index + 1,
            error: Box::new(error),
        })?;
    }
    Ok(saved.sets)
}

#[derive(Default)]
struct Saved {
    sets: Vec<Set>,
    /// Where each set is in `sets`.
    places: HashMap<SetName, usize>,
}

impl Saved {
    fn line(&mut self, line: &str) -> Result<(), Error> {
        if line.trim_ascii_start().starts_with('#') {
            return Ok(());
        }
        let mut tokens = Tokens::new(line);
        let mut command = tokens.next()?;
        while let Some("-exist" | "-!" | "--exist") = command {
            command = tokens.next()?;
        }
        match command {
            None | Some("COMMIT") => Ok(()),
            Some("create" | "-N" | "--create") => self.create(&mut tokens),
            Some("add" | "-A" | "--add") => self.add(&mut tokens),
            Some(other) => Err(Error::token(
                "line of a saved set",
                other,
                "only `create` and `add` say what sets there are; other commands of ipset change them",
            )),
        }
    }

    fn create(&mut self, tokens: &mut Tokens<'_>) -> Result<(), Error> {
        let spec = parse_create(tokens)?;
        if self.places.insert(spec.name, self.sets.len()).is_some() {
            return Err(Error::DuplicateSet { set: spec.name });
        }
        self.sets.push(Set::new(spec));
        Ok(())
    }

    fn add(&mut self, tokens: &mut Tokens<'_>) -> Result<(), Error> {
        let name = SetName::new(tokens.require("the name of a set")?)?;
        let place = self.places.get(&name);
        let set = place
            .and_then(|place| self.sets.get_mut(*place))
            .ok_or(Error::UnknownSet { set: name })?;
        let entry = parse_entry(&set.spec.set_type, tokens)?;
        set.spec.check(&entry)?;
        set.entries.push(entry);
        Ok(())
    }
}

impl fmt::Display for SaveLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create(spec) => write!(f, "{spec}"),
            Self::Add { set, entry } => write!(f, "add {set} {entry}"),
        }
    }
}

impl fmt::Display for Set {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.spec)?;
        self.entries
            .iter()
            .try_for_each(|entry| writeln!(f, "add {} {entry}", self.spec.name))
    }
}
