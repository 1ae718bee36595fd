//! `ipset restore`: whole files as commands.

mod draft;
#[cfg(test)]
mod tests;

use std::fmt;

use crate::message::Mode;
#[cfg(not(feature = "client"))]
use crate::restore::draft::Draft;
#[cfg(feature = "client")]
pub(crate) use crate::restore::draft::{Draft, at};
use crate::{Entry, Error, SetName, SetSpec, SetType};

/// The commands of a file for `ipset restore`, each with the line it stands on.
///
/// Displays as a file that reads back as the same commands, one to a line. (`-exist` holds from its line on, so
/// that of commands put together by hand a [`Mode::Strict`] one behind a [`Mode::Idempotent`] one reads back as
/// idempotent too.)
///
/// ```
/// use ipset_netlink::{RestoreCommand, RestoreFile};
///
/// let file = RestoreFile::parse("create -exist web hash:ip,port\n\n-F web\n-A web 10.0.0.1,80\r\n")?;
/// let numbers: Vec<_> = file.lines.iter().map(|line| line.number).collect();
/// assert_eq!(numbers, [1, 3, 4]);
/// assert!(matches!(&file.lines[1].command, RestoreCommand::Flush { set: Some(_) }));
/// assert_eq!(file.lines[2].command.to_string(), "add web 10.0.0.1,tcp:80 -exist");
/// # Ok::<(), ipset_netlink::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RestoreFile {
    /// The commands, in order.
    pub lines: Vec<RestoreLine>,
}

/// A command and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RestoreLine {
    /// The number of the line, from 1.
    pub number: usize,
    /// What it asks for.
    pub command: RestoreCommand,
}

/// A command that a file for `ipset restore` can have. Displays as its line.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RestoreCommand {
    /// `create NAME TYPE …`
    Create {
        /// The set.
        spec: Box<SetSpec>,
        /// Whether it may exist.
        mode: Mode,
    },
    /// `add NAME ENTRY`
    Add {
        /// The set.
        set: SetName,
        /// The entry.
        entry: Entry,
        /// Whether it may be in the set.
        mode: Mode,
    },
    /// `del NAME ENTRY`
    Del {
        /// The set.
        set: SetName,
        /// The entry.
        entry: Entry,
        /// Whether it may be missing.
        mode: Mode,
    },
    /// `test NAME ENTRY`: fails if the set does not match the entry.
    Test {
        /// The set.
        set: SetName,
        /// The entry.
        entry: Entry,
    },
    /// `flush`, `flush NAME`
    Flush {
        /// The set, or all.
        set: Option<SetName>,
    },
    /// `destroy`, `destroy NAME`
    Destroy {
        /// The set, or all.
        set: Option<SetName>,
        /// Whether it may be missing.
        mode: Mode,
    },
    /// `rename FROM TO`
    Rename {
        /// The old name.
        from: SetName,
        /// The new name.
        to: SetName,
    },
    /// `swap ONE OTHER`
    Swap {
        /// One set.
        one: SetName,
        /// The other.
        other: SetName,
    },
}

impl RestoreFile {
    /// Parses a file that creates every set to which it adds entries, or from which it deletes them.
    /// [`parse_with`](Self::parse_with) is for files about sets that exist.
    ///
    /// Lines are read as ipset 7 reads them: commands may be abbreviated or old options (`-N`, `--add`), `-exist`
    /// and `-!` may stand anywhere and hold from their line to the end of the file, and types may have their old
    /// names (`iphash`). Empty lines, lines that start with `#`, and `COMMIT` mean nothing; lines may end in CR LF;
    /// `quit` ends the file. (There ipset 7.17 drops entries that it has collected and not sent yet; here all lines
    /// before it count.)
    ///
    /// Only the text is checked. Whether the kernel takes an entry is known when it has been sent;
    /// [`parse_save`](crate::parse_save) checks files that are nothing but `create` and `add` lines.
    ///
    /// # Errors
    /// [`Error::Line`] with the number of the first bad line: text that cannot be read, an entry of a set that no
    /// line before creates ([`Error::UnknownSet`]), a command that prints something (`list`, `save`, `help`,
    /// `version`) or that is not one.
    pub fn parse(text: impl AsRef<[u8]>) -> Result<Self, Error> {
        Self::parse_with(text, |_| None)
    }

    /// As [`parse`](Self::parse), of a file that also changes sets which it does not create: `type_of` knows the
    /// type of each, by its name before the file is carried out. Elements are read by the type of their set.
    ///
    /// ```
    /// use ipset_netlink::{RestoreFile, SetType};
    ///
    /// let text = "rename old new\nadd new 10.0.0.0/8\n";
    /// let file = RestoreFile::parse_with(text, |set| (set.as_str() == "old").then_some(SetType::HASH_NET))?;
    /// assert_eq!(file.to_string(), text);
    /// # Ok::<(), ipset_netlink::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`parse`](Self::parse); [`Error::UnknownSet`] where `type_of` has no type for the set.
    pub fn parse_with(
        text: impl AsRef<[u8]>,
        type_of: impl FnMut(SetName) -> Option<SetType>,
    ) -> Result<Self, Error> {
        Draft::read(text.as_ref()).resolve(type_of)
    }

    /// The same with `-exist` on every line, as `ipset -exist restore` carries it out: sets and entries to create
    /// may exist, those to delete may be missing.
    #[must_use]
    pub fn with_exist(mut self) -> Self {
        for line in &mut self.lines {
            match &mut line.command {
                RestoreCommand::Create { mode, .. }
                | RestoreCommand::Add { mode, .. }
                | RestoreCommand::Del { mode, .. }
                | RestoreCommand::Destroy { mode, .. } => *mode = Mode::Idempotent,
                _ => {}
            }
        }
        self
    }

    /// The file, its comments byte for byte. `Display` has the same as text.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for line in &self.lines {
            line.command.write_to(&mut bytes);
            bytes.push(b'\n');
        }
        bytes
    }
}

impl RestoreCommand {
    /// The line, its comment byte for byte.
    fn write_to(&self, bytes: &mut Vec<u8>) {
        let (Self::Add { entry, .. } | Self::Del { entry, .. } | Self::Test { entry, .. }) = self
        else {
            return bytes.extend(self.to_string().as_bytes());
        };
        bytes.extend(self.head().as_bytes());
        entry.write_to(bytes);
        bytes.extend(self.exist().as_bytes());
    }

    /// What stands before the entry.
    fn head(&self) -> String {
        match self {
            Self::Add { set, .. } => format!("add {set} "),
            Self::Del { set, .. } => format!("del {set} "),
            Self::Test { set, .. } => format!("test {set} "),
            _ => String::new(),
        }
    }

    fn exist(&self) -> &'static str {
        match self {
            Self::Create { mode, .. }
            | Self::Add { mode, .. }
            | Self::Del { mode, .. }
            | Self::Destroy { mode, .. }
                if *mode == Mode::Idempotent =>
            {
                " -exist"
            }
            _ => "",
        }
    }
}

impl fmt::Display for RestoreCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exist = self.exist();
        match self {
            Self::Create { spec, .. } => write!(f, "{spec}{exist}"),
            Self::Add { entry, .. } | Self::Del { entry, .. } | Self::Test { entry, .. } => {
                write!(f, "{}{entry}{exist}", self.head())
            }
            Self::Flush { set: None } => f.write_str("flush"),
            Self::Flush { set: Some(set) } => write!(f, "flush {set}"),
            Self::Destroy { set: None, .. } => write!(f, "destroy{exist}"),
            Self::Destroy { set: Some(set), .. } => write!(f, "destroy {set}{exist}"),
            Self::Rename { from, to } => write!(f, "rename {from} {to}"),
            Self::Swap { one, other } => write!(f, "swap {one} {other}"),
        }
    }
}

impl fmt::Display for RestoreFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines
            .iter()
            .try_for_each(|line| writeln!(f, "{}", line.command))
    }
}
