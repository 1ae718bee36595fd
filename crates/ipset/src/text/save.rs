//! `ipset save`: sets as lines.

use std::collections::HashMap;
use std::fmt;
use std::ops::ControlFlow;

use crate::text::{Command, Words, parse_create, parse_entry};
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
        /// The entry.
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

    /// The set as `ipset save` prints it, its comments byte for byte: what `ipset restore` reads back.
    /// `Display` has the same as text.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = format!("{}\n", self.spec).into_bytes();
        for entry in &self.entries {
            bytes.extend(format!("add {} ", self.spec.name).as_bytes());
            entry.write_to(&mut bytes);
            bytes.push(b'\n');
        }
        bytes
    }
}

/// Parses what `ipset save` prints, or the lines of an `ipset restore` file that describe sets:
/// `create` and `add` lines.
///
/// Lines are read as ipset 7 reads them: commands may be abbreviated or old options (`n`, `-N`,
/// `--add`), `-exist` and `-!` may stand anywhere and hold from their line on, names of options may have `--` in front of them, and
/// types may have their old names (`iphash`). Numbers behind `0x` are hexadecimal and those behind `0`
/// octal. Empty lines, comments (`#`), `COMMIT` and options such as `-exist` and `-quiet` mean nothing
/// here and are passed over; `quit` ends the text. (ipset 7.17 skips what follows a line with an old
/// option that it ignores, such as `probes`, and reports success. This function reads on.)
///
/// Entries are checked against their set ([`SetSpec::check`]), but neither compared with each other
/// nor counted: a set may have an entry twice, or more of them than its `maxelem`.
///
/// The text may be `&str`, or bytes where comments need not be UTF-8.
///
/// # Errors
/// [`Error::Line`] with the number of the first bad line: text that cannot be read, a set or entry
/// that the kernel would refuse, an entry before its set ([`Error::UnknownSet`]), a set twice
/// ([`Error::DuplicateSet`]; with `-exist` only if its type or options differ), or another command of
/// `ipset` such as `flush`.
pub fn parse_save(text: impl AsRef<[u8]>) -> Result<Vec<Set>, Error> {
    let mut saved = Saved::default();
    for (line, number) in text.as_ref().split(|byte| *byte == b'\n').zip(1..) {
        match saved.line(line) {
            Ok(ControlFlow::Continue(())) => {}
            Ok(ControlFlow::Break(())) => break,
            Err(error) => {
                return Err(Error::Line {
                    line: number,
                    error: Box::new(error),
                });
            }
        }
    }
    Ok(saved.sets)
}

#[derive(Default)]
struct Saved {
    sets: Vec<Set>,
    /// Where each set is in `sets`.
    positions: HashMap<SetName, usize>,
    /// `-exist` was on a line so far: it holds to the end.
    exist: bool,
}

impl Saved {
    fn line(&mut self, line: &[u8]) -> Result<ControlFlow<()>, Error> {
        if line.trim_ascii_start().starts_with(b"#") {
            return Ok(ControlFlow::Continue(()));
        }
        let mut words = Words::new(line);
        let Some(word) = words.next()? else {
            self.exist |= words.exist();
            return Ok(ControlFlow::Continue(()));
        };
        match Command::of(&word) {
            Some(Command::Create) => self.create(&mut words)?,
            Some(Command::Add) => self.add(&mut words)?,
            Some(Command::Quit) => return Ok(ControlFlow::Break(())),
            None if *word == *b"COMMIT" => words.end()?,
            _ => {
                return Err(Error::token(
                    "a line of a saved set",
                    String::from_utf8_lossy(&word),
                    "only `create` and `add` lines describe sets",
                ));
            }
        }
        self.exist |= words.exist();
        Ok(ControlFlow::Continue(()))
    }

    fn create(&mut self, words: &mut Words<'_>) -> Result<(), Error> {
        let spec = parse_create(words)?;
        let known = self.positions.get(&spec.name);
        match known.and_then(|position| self.sets.get(*position)) {
            None => {
                self.positions.insert(spec.name, self.sets.len());
                self.sets.push(Set::new(spec));
                Ok(())
            }
            Some(set) if (self.exist || words.exist()) && set.spec.same_set(&spec) => Ok(()),
            Some(_) => Err(Error::DuplicateSet { set: spec.name }),
        }
    }

    fn add(&mut self, words: &mut Words<'_>) -> Result<(), Error> {
        let name = SetName::new(&words.text("the name of a set")?)?;
        let position = self.positions.get(&name);
        let set = position
            .and_then(|position| self.sets.get_mut(*position))
            .ok_or(Error::UnknownSet { set: name })?;
        let entry = parse_entry(&set.spec.set_type, words)?;
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
