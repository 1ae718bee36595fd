//! Parsing of what `iptables-save` prints.

use std::collections::HashMap;
use std::str::FromStr;

use crate::error::{ParseError, ParseReason};
use crate::name::{ChainName, Policy, TableName};
use crate::rule::{Counters, Rule};
use crate::ruleset::{Chain, Ruleset, Table};
use crate::text;
use crate::word::Splitter;

impl Ruleset {
    /// Parses what `iptables-save` prints, of either back end, with or without `-c`. Comment lines and empty lines are
    /// skipped, the warnings about tables of the other back end among them. A rule with several sources or destinations
    /// (`-s 10.0.0.1,10.0.0.2`) becomes one rule for each pair, as the tools do.
    ///
    /// # Errors
    /// [`ParseError`] with the first line that is not understood. Matches and targets are never that: those that have
    /// no type here are kept word by word.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let read = Reader::read(text, false)?;
        match read.open {
            Some(table) => Err(ParseError {
                line: text.lines().count(),
                text: format!("*{}", table.table.name),
                table: Some(table.table.name),
                reason: ParseReason::Truncated,
            }),
            None => Ok(read.done),
        }
    }

    /// As [`Ruleset::parse`], of bytes: those that are not UTF-8 (in comments, names of chains and of interfaces) come
    /// out of [`Ruleset::to_bytes`] as they were. In between, in the `String`s of the model, the byte 0xNN is the
    /// character U+10FFNN.
    ///
    /// ```
    /// use iptables_restore::{Ruleset, SaveFormat};
    /// let latin1 = b"*nat\n:X - [0:0]\n-A X -m comment --comment \"caf\xe9\" -j ACCEPT\nCOMMIT\n";
    /// let read = Ruleset::parse_bytes(latin1)?;
    /// assert_eq!(read.to_bytes(SaveFormat::SAVE), latin1);
    /// # Ok::<(), iptables_restore::ParseError>(())
    /// ```
    ///
    /// # Errors
    /// As [`Ruleset::parse`].
    pub fn parse_bytes(bytes: &[u8]) -> Result<Self, ParseError> {
        Self::parse(&text::from_bytes(bytes))
    }
}

impl FromStr for Ruleset {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

/// What a tool printed, as far as it goes.
#[cfg(feature = "tools")]
pub(crate) struct Saved<'a> {
    /// The tables that are complete.
    pub(crate) ruleset: Ruleset,
    /// The comment lines.
    pub(crate) remarks: Vec<&'a str>,
    /// The table that the text ends in.
    pub(crate) open: Option<TableName>,
}

#[cfg(feature = "tools")]
impl<'a> Saved<'a> {
    /// Parses as [`Ruleset::parse`], but keeps a rule that is not understood as its line, and takes a text that ends too
    /// early.
    pub(crate) fn read(text: &'a str) -> Result<Self, ParseError> {
        let read = Reader::read(text, true)?;
        Ok(Self {
            ruleset: read.done,
            remarks: read.remarks,
            open: read.open.map(|open| open.table.name),
        })
    }
}

#[derive(Default)]
struct Reader<'a> {
    /// Keeps rules that are not understood.
    lenient: bool,
    done: Ruleset,
    open: Option<OpenTable>,
    remarks: Vec<&'a str>,
}

impl<'a> Reader<'a> {
    fn read(text: &'a str, lenient: bool) -> Result<Self, ParseError> {
        let mut reader = Self {
            lenient,
            ..Self::default()
        };
        let mut lines = Lines {
            rest: text,
            next: 0,
        };
        while !lines.is_empty() {
            let number = lines.next;
            let line = lines.next_line();
            reader.line(line, &mut lines).map_err(|reason| ParseError {
                line: number + 1,
                text: line.to_owned(),
                table: reader.open.as_ref().map(|open| open.table.name.clone()),
                reason,
            })?;
        }
        Ok(reader)
    }

    /// `line` and, where a quote stays open, those after it.
    fn line(&mut self, line: &'a str, lines: &mut Lines<'a>) -> Result<(), ParseReason> {
        if line.is_empty() {
            return Ok(());
        }
        if line.starts_with('#') {
            self.remarks.push(line);
            return Ok(());
        }
        if line.ends_with('\r') {
            return Err(ParseReason::CarriageReturn);
        }
        if let Some(name) = line.strip_prefix('*') {
            return self.start(name.trim_end_matches([' ', '\t']));
        }
        let lenient = self.lenient;
        let Some(table) = &mut self.open else {
            return Err(ParseReason::OutsideTable);
        };
        if let Some(chain) = line.strip_prefix(':') {
            return table.declare(chain);
        }
        if line.starts_with(['-', '[']) {
            return table.rule(line, lines, lenient);
        }
        if line.trim_end_matches([' ', '\t']) != "COMMIT" {
            return Err(ParseReason::UnexpectedWord(
                line.split([' ', '\t']).next().unwrap_or(line).to_owned(),
            ));
        }
        self.done
            .tables
            .extend(self.open.take().map(|open| open.table));
        Ok(())
    }

    fn start(&mut self, name: &str) -> Result<(), ParseReason> {
        if self.open.is_some() {
            return Err(ParseReason::MissingCommit);
        }
        if name.is_empty() || name.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(ParseReason::TableName);
        }
        let name = TableName::from(name);
        if self.done.table(&name).is_some() {
            return Err(ParseReason::Repeated(format!("table {name}")));
        }
        self.open = Some(OpenTable {
            table: Table::new(name),
            places: HashMap::new(),
        });
        Ok(())
    }
}

/// The lines of a text that are left.
#[derive(Clone)]
pub(crate) struct Lines<'a> {
    rest: &'a str,
    /// Place of the next one, from 0.
    next: usize,
}

impl<'a> Lines<'a> {
    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next line; empty at the end.
    pub(crate) fn next_line(&mut self) -> &'a str {
        let (line, rest) = self.rest.split_once('\n').unwrap_or((self.rest, ""));
        self.rest = rest;
        self.next += 1;
        line
    }
}

/// A table before its COMMIT, with the places of its chains.
struct OpenTable {
    table: Table,
    places: HashMap<ChainName, usize>,
}

impl OpenTable {
    /// `CHAIN POLICY [PACKETS:BYTES]`
    fn declare(&mut self, line: &str) -> Result<(), ParseReason> {
        let mut words = line.split([' ', '\t']).filter(|word| !word.is_empty());
        let mut chain = Chain::new(ChainName::found(words.next().unwrap_or_default())?);
        chain.policy = match words.next() {
            None => return Err(ParseReason::MissingValue(format!(":{}", chain.name))),
            Some("-") => None,
            Some(policy) if policy.contains(|c: char| !c.is_ascii_alphanumeric()) => {
                return Err(ParseReason::UnexpectedWord(policy.to_owned()));
            }
            Some(policy) => Some(Policy::from(policy)),
        };
        chain.counters = words.next().map(counters).transpose()?;
        if let Some(more) = words.next() {
            return Err(ParseReason::UnexpectedWord(more.to_owned()));
        }
        if self
            .places
            .insert(chain.name.clone(), self.table.chains.len())
            .is_some()
        {
            return Err(ParseReason::Repeated(format!("chain {}", chain.name)));
        }
        self.table.chains.push(chain);
        Ok(())
    }

    /// `-A CHAIN …`, before it counters perhaps.
    fn rule(
        &mut self,
        line: &str,
        lines: &mut Lines<'_>,
        lenient: bool,
    ) -> Result<(), ParseReason> {
        let (counted, rest) = match line.starts_with('[') {
            true => {
                let (word, rest) = next_word(line);
                (Some(counters(word)?), rest)
            }
            false => (None, line),
        };
        let (option, rest) = next_word(rest);
        let (name, rest) = match option {
            "-A" | "--append" => next_word(rest),
            _ => return Err(ParseReason::UnexpectedWord(option.to_owned())),
        };
        if name.is_empty() {
            return Err(ParseReason::MissingValue("-A".to_owned()));
        }
        // A chain's name is a word whatever it consists of: the tools print it as it is.
        let place = self.places.get(name).copied();
        let Some(chain) = place.and_then(|place| self.table.chains.get_mut(place)) else {
            return Err(ParseReason::UnknownChain(name.to_owned()));
        };
        let mut after = lines.clone();
        let parsed = match Splitter::of_line(rest, &mut after) {
            Some(words) => Rule::all_from_words(words),
            None => Err(ParseReason::OpenQuote),
        };
        let mut rules = match parsed {
            Ok(rules) => {
                *lines = after;
                rules
            }
            Err(reason) if !lenient => return Err(reason),
            Err(_) => vec![Rule::from_verbatim(unparsed(rest, lines))],
        };
        for rule in &mut rules {
            rule.counters = counted.or(rule.counters);
        }
        chain.rules.append(&mut rules);
        Ok(())
    }
}

/// The text of a rule that this crate cannot parse: its line, and the lines after it that continue it.
fn unparsed(start: &str, lines: &mut Lines<'_>) -> String {
    let mut text = start.to_owned();
    loop {
        let mut after = lines.clone();
        let line = after.next_line();
        let own = lines.is_empty()
            || line.starts_with(['-', '[', '#', '*', ':'])
            || line.trim_end() == "COMMIT";
        if own {
            return text;
        }
        text.push('\n');
        text.push_str(line);
        *lines = after;
    }
}

pub(crate) fn next_word(text: &str) -> (&str, &str) {
    let text = text.trim_start_matches([' ', '\t']);
    let (word, rest) = text.split_once([' ', '\t']).unwrap_or((text, ""));
    (word, rest.trim_start_matches([' ', '\t']))
}

/// `[PACKETS:BYTES]`
pub(crate) fn counters(text: &str) -> Result<Counters, ParseReason> {
    let bad = || ParseReason::BadCounters(text.to_owned());
    let inner = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'))
        .ok_or_else(bad)?;
    let (packets, bytes) = inner.split_once(':').ok_or_else(bad)?;
    let number = |text: &str| text.parse::<u64>().map_err(|_| bad());
    Ok(Counters {
        packets: number(packets)?,
        bytes: number(bytes)?,
    })
}

#[cfg(test)]
mod tests;
