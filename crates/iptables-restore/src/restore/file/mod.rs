//! Files for `iptables-restore`, as people and programs write them.

mod parse;
#[cfg(test)]
mod tests;

use std::fmt;

use crate::name::{ChainName, TableName};
use crate::restore::Edit;
use crate::rule::{Counters, Rule, RuleLine};
use crate::text::to_bytes;

/// What a file for `iptables-restore` asks for, line by line: not only what `iptables-save` prints, but all commands that
/// change a table (`-I`, `-D`, `-R`, `-F`, `-N`, `-X`, `-P`, `-E`, `-Z`, `-C`), in their short and long forms.
///
/// [`RestoreFile::parse`] reads one, [`RestoreFile::apply`] computes what it makes of the tables. Displays as a file with
/// the same commands, without comments.
///
/// ```
/// use iptables_restore::{ApplyOptions, RestoreFile, Ruleset};
///
/// let file = RestoreFile::parse("*filter\r\n-I INPUT 1 -i lo -j ACCEPT\r\n--delete INPUT 2\r\nCOMMIT\r\n")?;
/// assert_eq!(file.sections[0].lines[1].number, 3);
///
/// let mut rules = Ruleset::parse("*filter\n:INPUT DROP [0:0]\n-A INPUT -j LOG\nCOMMIT\n")?;
/// file.apply(&mut rules, ApplyOptions::noflush())?;
/// assert_eq!(rules.to_string(), "*filter\n:INPUT DROP [0:0]\n-A INPUT -i lo -j ACCEPT\nCOMMIT\n");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RestoreFile {
    /// The tables, in order. One may come several times.
    pub sections: Vec<RestoreSection>,
}

/// The lines from `*TABLE` to `COMMIT`, which are committed together.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RestoreSection {
    /// The table.
    pub table: TableName,
    /// The number of its `*TABLE` line, from 1.
    pub number: usize,
    /// The commands, in order.
    pub lines: Vec<RestoreLine>,
    /// The number of its `COMMIT` line, from 1.
    pub commit: usize,
}

/// A command and where it stands. A line with several addresses makes several of them.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RestoreLine {
    /// The number of the line, from 1.
    pub number: usize,
    /// What it asks for.
    pub command: RestoreCommand,
    /// The counters of the policy that it sets, where it has any. Those of a rule are in the rule.
    pub counters: Option<Counters>,
}

/// A command of a file. Displays as its line.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RestoreCommand {
    /// One that a transaction can have too: `:CHAIN POLICY` and `-P`, `-A`, `-I`, `-D` with a rule, `-F CHAIN`, `-X CHAIN`.
    Edit(Edit),
    /// `-N CHAIN`: makes a chain, which must not exist.
    NewChain {
        /// The chain.
        chain: ChainName,
    },
    /// `-D CHAIN POSITION`
    DeleteAt {
        /// The chain.
        chain: ChainName,
        /// The rule's place, from 1.
        position: usize,
    },
    /// `-R CHAIN POSITION …`
    Replace {
        /// The chain.
        chain: ChainName,
        /// The rule's place, from 1.
        position: usize,
        /// The rule that takes the place.
        rule: Rule,
    },
    /// `-C CHAIN …`: changes nothing, and fails if the chain has no such rule.
    Check {
        /// The chain.
        chain: ChainName,
        /// The rule.
        rule: Rule,
    },
    /// `-E CHAIN NAME`; rules that jump to it go on to do so.
    RenameChain {
        /// The chain.
        chain: ChainName,
        /// Its new name.
        to: ChainName,
    },
    /// `-Z`, `-Z CHAIN`, `-Z CHAIN POSITION`: sets counters to zero.
    Zero {
        /// The chain, or all.
        chain: Option<ChainName>,
        /// The place of one rule, from 1, or all rules and the policy.
        position: Option<usize>,
    },
    /// `-F`: removes all rules of all chains.
    FlushAll,
    /// `-X`: removes all users' chains, which must be empty and not jumped to.
    DeleteChains,
}

impl RestoreFile {
    /// The bytes of the text; see [`Ruleset::to_bytes`](crate::Ruleset::to_bytes).
    pub fn to_bytes(&self) -> Vec<u8> {
        to_bytes(&self.to_string()).into_owned()
    }
}

impl fmt::Display for RestoreFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.sections.iter().try_for_each(|section| {
            writeln!(f, "*{}", section.table)?;
            for line in &section.lines {
                writeln!(f, "{line}")?;
            }
            writeln!(f, "COMMIT")
        })
    }
}

impl fmt::Display for RestoreLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.command, self.counters) {
            (RestoreCommand::Edit(Edit::SetPolicy { chain, policy }), Some(counters)) => {
                write!(f, ":{chain} {policy} {counters}")
            }
            (command, _) => command.fmt(f),
        }
    }
}

impl fmt::Display for RestoreCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Edit(Edit::SetPolicy { chain, policy }) => write!(f, "-P {chain} {policy}"),
            Self::Edit(edit) => edit.fmt(f),
            Self::NewChain { chain } => write!(f, "-N {chain}"),
            Self::DeleteAt { chain, position } => write!(f, "-D {chain} {position}"),
            Self::Replace {
                chain,
                position,
                rule,
            } => {
                if let Some(counters) = rule.counters {
                    write!(f, "{counters} ")?;
                }
                RuleLine {
                    operation: "-R",
                    chain: &format!("{chain} {position}"),
                    rule,
                }
                .fmt(f)
            }
            Self::Check { chain, rule } => RuleLine {
                operation: "-C",
                chain: chain.as_str(),
                rule,
            }
            .fmt(f),
            Self::RenameChain { chain, to } => write!(f, "-E {chain} {to}"),
            Self::Zero { chain: None, .. } => f.write_str("-Z"),
            Self::Zero {
                chain: Some(chain),
                position: None,
            } => write!(f, "-Z {chain}"),
            Self::Zero {
                chain: Some(chain),
                position: Some(position),
            } => write!(f, "-Z {chain} {position}"),
            Self::FlushAll => f.write_str("-F"),
            Self::DeleteChains => f.write_str("-X"),
        }
    }
}
