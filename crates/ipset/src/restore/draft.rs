//! A file whose entries are not read yet: how they are read depends on the types of their sets, of which the kernel
//! may have to be asked.

use std::collections::HashMap;

use crate::message::Mode;
use crate::restore::{RestoreCommand, RestoreFile, RestoreLine};
use crate::text::{Command, Words, parse_create, parse_entry};
use crate::{Entry, EntryOptions, Error, SetName, SetSpec, SetType};

/// The lines of a file, up to the first that cannot be read.
pub(crate) struct Draft<'t> {
    lines: Vec<(usize, Line<'t>)>,
    error: Option<Error>,
}

/// Where a set comes from.
#[derive(Clone, Copy)]
enum Origin {
    /// A line before made it.
    Made(SetType),
    /// It was there before the file, under this name.
    Found(SetName),
}

/// What a line asks for.
enum Line<'t> {
    Create(Box<SetSpec>, bool),
    /// `add`, `del` or `test`, the set, where it comes from unless no line up to here leaves it there, and the words
    /// of the entry.
    Entry(Command, SetName, Option<Origin>, Words<'t>),
    Flush(Option<SetName>, bool),
    Destroy(Option<SetName>, bool),
    Rename(SetName, SetName, bool),
    Swap(SetName, SetName, bool),
    /// Nothing but `-exist`.
    Exist,
}

/// Which sets there are, as far as the lines so far tell.
#[derive(Default)]
struct Sets {
    /// Those that lines named; `None` for what they destroyed or renamed.
    known: HashMap<SetName, Option<Origin>>,
    /// All that there were have been destroyed.
    cleared: bool,
}

impl Sets {
    fn origin(&self, set: SetName) -> Option<Origin> {
        match self.known.get(&set) {
            Some(origin) => *origin,
            None => (!self.cleared).then_some(Origin::Found(set)),
        }
    }

    fn pass(&mut self, line: &Line<'_>) {
        match line {
            Line::Create(spec, _) => {
                let made = Origin::Made(spec.set_type);
                self.known.insert(spec.name, Some(made));
            }
            Line::Destroy(Some(set), _) => _ = self.known.insert(*set, None),
            Line::Destroy(None, _) => {
                self.known.clear();
                self.cleared = true;
            }
            Line::Rename(from, to, _) => {
                let origin = self.origin(*from);
                self.known.insert(*from, None);
                self.known.insert(*to, origin);
            }
            Line::Swap(one, other, _) => {
                let origins = (self.origin(*one), self.origin(*other));
                self.known.insert(*one, origins.1);
                self.known.insert(*other, origins.0);
            }
            Line::Entry(..) | Line::Flush(..) | Line::Exist => {}
        }
    }
}

impl<'t> Draft<'t> {
    pub(crate) fn read(text: &'t [u8]) -> Self {
        let mut draft = Self {
            lines: Vec::new(),
            error: None,
        };
        let mut sets = Sets::default();
        for (line, number) in text.split(|byte| *byte == b'\n').zip(1..) {
            match read_line(line, &sets) {
                Ok(Read::Line(line)) => {
                    sets.pass(&line);
                    draft.lines.push((number, line));
                }
                Ok(Read::Nothing) => {}
                Ok(Read::Quit) => break,
                Err(error) => {
                    draft.error = Some(at(number, error));
                    break;
                }
            }
        }
        draft
    }

    /// The sets whose types are needed and which no line creates, by the names that they have before the file.
    #[cfg(feature = "client")]
    pub(crate) fn found_sets(&self) -> std::collections::BTreeSet<SetName> {
        let found = |(_, line): &(usize, Line<'_>)| match line {
            Line::Entry(_, _, Some(Origin::Found(set)), _) => Some(*set),
            _ => None,
        };
        self.lines.iter().filter_map(found).collect()
    }

    /// The file, with the types of sets that no line creates.
    pub(crate) fn resolve(
        self,
        mut type_of: impl FnMut(SetName) -> Option<SetType>,
    ) -> Result<RestoreFile, Error> {
        let mut file = RestoreFile::default();
        let mut exist = false;
        for (number, line) in self.lines {
            let command = line
                .command(&mut exist, &mut type_of)
                .map_err(|error| at(number, error))?;
            file.lines
                .extend(command.map(|command| RestoreLine { number, command }));
        }
        self.error.map_or(Ok(file), Err)
    }
}

pub(crate) fn at(line: usize, error: Error) -> Error {
    Error::Line {
        line,
        error: Box::new(error),
    }
}

enum Read<'t> {
    Line(Line<'t>),
    Nothing,
    Quit,
}

fn read_line<'t>(line: &'t [u8], sets: &Sets) -> Result<Read<'t>, Error> {
    if line.trim_ascii_start().starts_with(b"#") {
        return Ok(Read::Nothing);
    }
    let mut words = Words::new(line);
    let Some(word) = words.next()? else {
        return Ok(match words.exist() {
            true => Read::Line(Line::Exist),
            false => Read::Nothing,
        });
    };
    let name = |words: &mut Words<'_>| SetName::new(&words.text("the name of a set")?);
    let command = Command::of(&word);
    let line = match command {
        Some(Command::Create) => {
            let spec = Box::new(parse_create(&mut words)?);
            Line::Create(spec, words.exist())
        }
        Some(command @ (Command::Add | Command::Del | Command::Test)) => {
            let set = name(&mut words)?;
            Line::Entry(command, set, sets.origin(set), words)
        }
        Some(command @ (Command::Flush | Command::Destroy)) => {
            let set = match words.next()? {
                Some(word) => Some(SetName::new(&crate::text::text(
                    word,
                    "the name of a set",
                )?)?),
                None => None,
            };
            words.end()?;
            match command {
                Command::Flush => Line::Flush(set, words.exist()),
                _ => Line::Destroy(set, words.exist()),
            }
        }
        Some(command @ (Command::Rename | Command::Swap)) => {
            let (one, other) = (name(&mut words)?, name(&mut words)?);
            words.end()?;
            match command {
                Command::Rename => Line::Rename(one, other, words.exist()),
                _ => Line::Swap(one, other, words.exist()),
            }
        }
        Some(Command::Quit) => return Ok(Read::Quit),
        None if *word == *b"COMMIT" => {
            words.end()?;
            return Ok(Read::Nothing);
        }
        Some(_) => {
            return Err(Error::token(
                "a command that changes sets",
                String::from_utf8_lossy(&word),
                "it prints something, or is not for files: remove the line",
            ));
        }
        None => {
            return Err(Error::token(
                "a command",
                String::from_utf8_lossy(&word),
                "see ipset(8) for the commands",
            ));
        }
    };
    Ok(Read::Line(line))
}

impl Line<'_> {
    /// The command; `exist` is whether `-exist` was on a line before, and becomes whether it has been.
    fn command(
        self,
        exist: &mut bool,
        type_of: &mut impl FnMut(SetName) -> Option<SetType>,
    ) -> Result<Option<RestoreCommand>, Error> {
        let mut mode = |here: bool| {
            *exist |= here;
            if *exist {
                Mode::Idempotent
            } else {
                Mode::Strict
            }
        };
        Ok(Some(match self {
            Self::Create(spec, here) => RestoreCommand::Create {
                spec,
                mode: mode(here),
            },
            Self::Entry(command, set, origin, mut words) => {
                let set_type = match origin {
                    Some(Origin::Made(set_type)) => Some(set_type),
                    Some(Origin::Found(before)) => type_of(before),
                    None => None,
                };
                let set_type = set_type.ok_or(Error::UnknownSet { set })?;
                let entry = parse_entry(&set_type, &mut words)?;
                let mode = mode(words.exist());
                match command {
                    Command::Add => {
                        check_comment(set, &entry)?;
                        RestoreCommand::Add { set, entry, mode }
                    }
                    Command::Del => {
                        without_options(&entry, false)?;
                        RestoreCommand::Del { set, entry, mode }
                    }
                    _ => {
                        without_options(&entry, true)?;
                        RestoreCommand::Test { set, entry }
                    }
                }
            }
            Self::Flush(set, here) => {
                mode(here);
                RestoreCommand::Flush { set }
            }
            Self::Destroy(set, here) => RestoreCommand::Destroy {
                set,
                mode: mode(here),
            },
            Self::Rename(from, to, here) => {
                mode(here);
                RestoreCommand::Rename { from, to }
            }
            Self::Swap(one, other, here) => {
                mode(here);
                RestoreCommand::Swap { one, other }
            }
            Self::Exist => {
                mode(true);
                return Ok(None);
            }
        }))
    }
}

fn check_comment(set: SetName, entry: &Entry) -> Result<(), Error> {
    match &entry.options().comment {
        Some(comment) if !comment.is_valid() => Err(Error::InvalidComment {
            set,
            entry: Box::new(entry.clone()),
        }),
        _ => Ok(()),
    }
}

/// That an entry to delete or to test has no options but its position, and to test `nomatch`: what ipset takes.
fn without_options(entry: &Entry, nomatch: bool) -> Result<(), Error> {
    let given = entry.options();
    let kept = EntryOptions {
        position: given.position,
        nomatch: given.nomatch && nomatch,
        ..EntryOptions::default()
    };
    if *given == kept {
        return Ok(());
    }
    let option = [
        (given.timeout.is_some(), "timeout"),
        (given.nomatch && !nomatch, "nomatch"),
        (given.counters.is_some(), "packets"),
        (given.comment.is_some(), "comment"),
    ]
    .into_iter()
    .find_map(|(given, option)| given.then_some(option));
    Err(Error::token(
        "an option of an entry that is deleted or tested",
        option.unwrap_or("skbinfo"),
        "only `add` takes it",
    ))
}
