//! Reading what `iptables-save` prints.

use std::collections::HashMap;
use std::str::FromStr;

use crate::error::{ParseError, ParseReason};
use crate::name::{ChainName, Policy, TableName};
use crate::rule::{Counters, Rule};
use crate::ruleset::{Chain, Ruleset, Table};
use crate::word::{Splitter, Word};

impl Ruleset {
    /// Reads what `iptables-save` prints, of either back end, with or without `-c`. Comment lines and empty lines are
    /// passed over, the warnings about tables of the other back end among them.
    ///
    /// # Errors
    /// [`ParseError`] with the first line that is not understood. Matches and targets are never that: those that have
    /// no type here are kept word by word.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let mut reader = Reader::default();
        let mut lines = text.split('\n').enumerate();
        while let Some((number, line)) = lines.next() {
            let mut splitter = Splitter::default();
            if line.starts_with(['-', '[']) {
                splitter.feed(line);
                while splitter.is_open() {
                    let Some((_, next)) = lines.next() else {
                        return Err(ParseError::new(number, line, ParseReason::OpenQuote));
                    };
                    splitter.feed(next);
                }
            }
            reader
                .line(line, splitter)
                .map_err(|reason| ParseError::new(number, line, reason))?;
        }
        match reader.open {
            Some(table) => Err(ParseError {
                line: text.lines().count(),
                text: format!("*{}", table.table.name),
                reason: ParseReason::Truncated,
            }),
            None => Ok(reader.done),
        }
    }
}

impl FromStr for Ruleset {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl ParseError {
    fn new(index: usize, text: &str, reason: ParseReason) -> Self {
        Self {
            line: index + 1,
            text: text.to_owned(),
            reason,
        }
    }
}

#[derive(Default)]
struct Reader {
    done: Ruleset,
    open: Option<OpenTable>,
}

/// A table before its COMMIT, with the places of its chains.
struct OpenTable {
    table: Table,
    places: HashMap<ChainName, usize>,
}

impl Reader {
    fn line(&mut self, line: &str, words: Splitter) -> Result<(), ParseReason> {
        if line.is_empty() || line.starts_with('#') {
            return Ok(());
        }
        if line.ends_with('\r') {
            return Err(ParseReason::CarriageReturn);
        }
        if let Some(name) = line.strip_prefix('*') {
            return self.start(name.trim_end_matches([' ', '\t']));
        }
        let Some(table) = &mut self.open else {
            return Err(ParseReason::OutsideTable);
        };
        if let Some(chain) = line.strip_prefix(':') {
            return table.declare(chain);
        }
        if line.starts_with(['-', '[']) {
            return table.rule(words.into_words());
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

impl OpenTable {
    /// `CHAIN POLICY [PACKETS:BYTES]`
    fn declare(&mut self, line: &str) -> Result<(), ParseReason> {
        let mut words = line.split([' ', '\t']).filter(|word| !word.is_empty());
        let mut chain = Chain::new(ChainName::new(words.next().unwrap_or_default())?);
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
    fn rule(&mut self, mut words: Vec<Word>) -> Result<(), ParseReason> {
        let counted = words
            .first()
            .and_then(Word::bare)
            .filter(|word| word.starts_with('['))
            .map(counters)
            .transpose()?;
        let rest = words.split_off(if counted.is_some() { 1 } else { 0 }.min(words.len()));
        let mut head = rest.into_iter();
        match head.next() {
            Some(word) if matches!(word.bare(), Some("-A" | "--append")) => {}
            other => {
                return Err(ParseReason::UnexpectedWord(
                    other
                        .map(|word| word.as_str().to_owned())
                        .unwrap_or_default(),
                ));
            }
        }
        let Some(name) = head.next() else {
            return Err(ParseReason::MissingValue("-A".to_owned()));
        };
        let place = self.places.get(name.as_str()).copied();
        let Some(chain) = place.and_then(|place| self.table.chains.get_mut(place)) else {
            return Err(ParseReason::UnknownChain(name.as_str().to_owned()));
        };
        let mut rule = Rule::from_words(head.collect())?;
        rule.counters = counted.or(rule.counters);
        chain.rules.push(rule);
        Ok(())
    }
}

/// `[PACKETS:BYTES]`
fn counters(text: &str) -> Result<Counters, ParseReason> {
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
