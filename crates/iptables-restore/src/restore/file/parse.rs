//! Parsing of files for `iptables-restore`.

use std::str::FromStr;

use super::{RestoreCommand, RestoreFile, RestoreLine, RestoreSection};
use crate::error::{ParseError, ParseReason};
use crate::name::{ChainName, Policy, TableName};
use crate::parse::{counters, next_word};
use crate::restore::Edit;
use crate::rule::{Counters, Rule, command_letter, counter};
use crate::text;
use crate::word::{Splitter, Word};

/// White space between words; a file may have CR LF line ends.
const BLANKS: [char; 3] = [' ', '\t', '\r'];

impl RestoreFile {
    /// Parses a file for `iptables-restore`.
    ///
    /// It may have all that `iptables-save` prints and every command that changes a table, counters in brackets before a
    /// command, comment lines, blank lines, white space at the start and the end of lines, and CR LF line ends. (The tools
    /// are stricter: 1.8.9 takes neither white space around `COMMIT` and `#` nor CR LF.) Chains need not be declared: the
    /// kernel may have them. Matches and targets that have no type here are kept word by word, also if a tool would refuse
    /// those words.
    ///
    /// # Errors
    /// [`ParseError`] with the first line that is not understood: no command (`-L` and `-S`, which print, are none here),
    /// a rule that cannot be read, a table within a table, no `COMMIT` at the end.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let mut file = Self::default();
        let mut open: Option<RestoreSection> = None;
        let lines = text.strip_suffix('\n').unwrap_or(text);
        for (line, number) in lines.split('\n').zip(1..) {
            let read = read_line(line, number, &mut open);
            let section = read.map_err(|reason| ParseError {
                line: number,
                text: line.trim_end_matches('\r').to_owned(),
                table: open.as_ref().map(|open| open.table.clone()),
                reason,
            })?;
            file.sections.extend(section);
        }
        match open {
            None => Ok(file),
            Some(open) => Err(ParseError {
                line: lines.split('\n').count(),
                text: format!("*{}", open.table),
                table: Some(open.table),
                reason: ParseReason::Truncated,
            }),
        }
    }

    /// As [`RestoreFile::parse`], of bytes, as [`Ruleset::parse_bytes`](crate::Ruleset::parse_bytes) reads them.
    ///
    /// # Errors
    /// As [`RestoreFile::parse`].
    pub fn parse_bytes(bytes: &[u8]) -> Result<Self, ParseError> {
        Self::parse(&text::from_bytes(bytes))
    }
}

impl FromStr for RestoreFile {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

/// Reads a line into the open section; the section, if the line ends it.
fn read_line(
    line: &str,
    number: usize,
    open: &mut Option<RestoreSection>,
) -> Result<Option<RestoreSection>, ParseReason> {
    let line = line.trim_matches(BLANKS);
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    if let Some(name) = line.strip_prefix('*') {
        if open.is_some() {
            return Err(ParseReason::MissingCommit);
        }
        let name = name.trim_matches(BLANKS);
        if name.is_empty() || name.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(ParseReason::TableName);
        }
        *open = Some(RestoreSection {
            table: TableName::from(name),
            number,
            lines: Vec::new(),
            commit: 0,
        });
        return Ok(None);
    }
    let section = open.as_mut().ok_or(ParseReason::OutsideTable)?;
    if line == "COMMIT" {
        section.commit = number;
        return Ok(open.take());
    }
    let mut add = |command, counters| {
        section.lines.push(RestoreLine {
            number,
            command,
            counters,
        });
    };
    if let Some(chain) = line.strip_prefix(':') {
        let (command, counters) = declaration(chain)?;
        add(command, counters);
        return Ok(None);
    }
    let (counted, line) = match line.starts_with('[') {
        true => {
            let (word, rest) = next_word(line);
            (Some(counters(word)?), rest)
        }
        false => (None, line),
    };
    Command::read(line, counted)?.finish(&mut add)?;
    Ok(None)
}

/// `CHAIN POLICY [PACKETS:BYTES]`, the counters as the case may be.
fn declaration(line: &str) -> Result<(RestoreCommand, Option<Counters>), ParseReason> {
    let mut words = line.split(BLANKS).filter(|word| !word.is_empty());
    let chain = ChainName::new(words.next().unwrap_or_default())?;
    let policy = words
        .next()
        .ok_or_else(|| ParseReason::MissingValue(format!(":{chain}")))?;
    let counters = words.next().map(counters).transpose()?;
    if let Some(more) = words.next() {
        return Err(ParseReason::UnexpectedWord(more.to_owned()));
    }
    if policy == "-" {
        return Ok((RestoreCommand::Edit(Edit::DeclareChain { chain }), None));
    }
    let policy = policy_of(policy)?;
    let command = RestoreCommand::Edit(Edit::SetPolicy { chain, policy });
    Ok((command, counters))
}

fn policy_of(policy: &str) -> Result<Policy, ParseReason> {
    match policy.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        true if !policy.is_empty() => Ok(Policy::from(policy)),
        _ => Err(ParseReason::UnexpectedWord(policy.to_owned())),
    }
}

/// A command whose words after the chain have not been read.
struct Command<'l> {
    letter: char,
    /// The option, for errors.
    option: &'l str,
    chain: Option<ChainName>,
    rest: &'l str,
    counters: Option<Counters>,
}

impl<'l> Command<'l> {
    fn read(line: &'l str, counters: Option<Counters>) -> Result<Self, ParseReason> {
        let (option, rest) = next_word(line);
        let unexpected = || ParseReason::UnexpectedWord(option.to_owned());
        let (letter, glued) = command_letter(option).ok_or_else(unexpected)?;
        let (name, rest) = match glued {
            Some(chain) => (chain, rest),
            None => next_word(rest),
        };
        let chain = match name {
            "" if "FXZ".contains(letter) => None,
            "" => return Err(ParseReason::MissingValue(option.to_owned())),
            name => Some(ChainName::new(name)?),
        };
        Ok(Self {
            letter,
            option,
            chain,
            rest,
            counters,
        })
    }

    fn finish(
        mut self,
        add: &mut impl FnMut(RestoreCommand, Option<Counters>),
    ) -> Result<(), ParseReason> {
        let Some(chain) = self.chain.take() else {
            self.end()?;
            let (chain, position) = (None, None);
            let command = match self.letter {
                'F' => RestoreCommand::FlushAll,
                'X' => RestoreCommand::DeleteChains,
                _ => RestoreCommand::Zero { chain, position },
            };
            add(command, None);
            return Ok(());
        };
        let edit = RestoreCommand::Edit;
        match self.letter {
            'A' => {
                for rule in self.rules()? {
                    let chain = chain.clone();
                    add(edit(Edit::Append { chain, rule }), None);
                }
            }
            'I' => {
                let position = self.position()?.unwrap_or(1);
                for rule in self.rules()? {
                    let chain = chain.clone();
                    let insert = Edit::Insert {
                        chain,
                        position,
                        rule,
                    };
                    add(edit(insert), None);
                }
            }
            'D' => {
                if let Some(position) = self.position()? {
                    self.end()?;
                    add(RestoreCommand::DeleteAt { chain, position }, None);
                    return Ok(());
                }
                for rule in self.rules()? {
                    let chain = chain.clone();
                    add(edit(Edit::Delete { chain, rule }), None);
                }
            }
            'R' => {
                let position = self.position()?;
                let position =
                    position.ok_or_else(|| ParseReason::MissingValue(self.option.to_owned()))?;
                let mut rules = self.rules()?;
                let rule = match rules.pop() {
                    Some(rule) if rules.is_empty() => rule,
                    _ => return Err(ParseReason::SeveralRules(rules.len() + 1)),
                };
                let replace = RestoreCommand::Replace {
                    chain,
                    position,
                    rule,
                };
                add(replace, None);
            }
            'C' => {
                for rule in self.rules()? {
                    let chain = chain.clone();
                    add(RestoreCommand::Check { chain, rule }, None);
                }
            }
            'F' => {
                self.end()?;
                add(edit(Edit::Flush { chain }), None);
            }
            'N' => {
                self.end()?;
                add(RestoreCommand::NewChain { chain }, None);
            }
            'X' => {
                self.end()?;
                add(edit(Edit::DeleteChain { chain }), None);
            }
            'P' => {
                let policy = policy_of(self.word()?)?;
                let counters = self.set_counters()?.or(self.counters);
                self.end()?;
                add(edit(Edit::SetPolicy { chain, policy }), counters);
            }
            'E' => {
                let to = ChainName::new(self.word()?)?;
                self.end()?;
                add(RestoreCommand::RenameChain { chain, to }, None);
            }
            _ => {
                let position = self.position()?;
                self.end()?;
                let chain = Some(chain);
                add(RestoreCommand::Zero { chain, position }, None);
            }
        }
        Ok(())
    }

    /// The next word, which must be there.
    fn word(&mut self) -> Result<&'l str, ParseReason> {
        let (word, rest) = next_word(self.rest);
        self.rest = rest;
        match word {
            "" => Err(ParseReason::MissingValue(self.option.to_owned())),
            word => Ok(word),
        }
    }

    /// The place of a rule, where one is given: a word that starts neither an option nor a negation.
    fn position(&mut self) -> Result<Option<usize>, ParseReason> {
        let (word, rest) = next_word(self.rest);
        if word.is_empty() || word.starts_with(['-', '!']) {
            return Ok(None);
        }
        self.rest = rest;
        let digits = word.bytes().all(|byte| byte.is_ascii_digit());
        let position = digits.then(|| word.parse().ok()).flatten();
        match position {
            Some(position) if position > 0 => Ok(Some(position)),
            _ => Err(ParseReason::BadPosition(word.to_owned())),
        }
    }

    /// `-c PACKETS BYTES` behind a policy.
    fn set_counters(&mut self) -> Result<Option<Counters>, ParseReason> {
        let (word, rest) = next_word(self.rest);
        if !["-c", "--set-counters"].contains(&word) {
            return Ok(None);
        }
        self.rest = rest;
        let (packets, bytes) = match self.word()? {
            both if both.contains(',') => both.split_once(',').unwrap_or_default(),
            packets => (packets, self.word()?),
        };
        Ok(Some(Counters {
            packets: counter(packets)?,
            bytes: counter(bytes)?,
        }))
    }

    /// That nothing follows.
    fn end(&self) -> Result<(), ParseReason> {
        match next_word(self.rest) {
            ("", _) => Ok(()),
            (word, _) => Err(ParseReason::UnexpectedWord(word.to_owned())),
        }
    }

    /// The rules that the rest of the line stands for, at least one.
    fn rules(&self) -> Result<Vec<Rule>, ParseReason> {
        let mut splitter = Splitter::default();
        splitter.feed(self.rest);
        if splitter.is_open() {
            return Err(ParseReason::OpenQuote);
        }
        let words: Vec<Word> = splitter.into_words();
        let mut rules = Rule::all_from_words(words)?;
        for rule in &mut rules {
            rule.counters = self.counters.or(rule.counters);
        }
        Ok(rules)
    }
}

#[cfg(test)]
mod tests;
