//! Reading one rule.

use std::str::FromStr;

use super::{Counters, Rule, interface_problem};
use crate::address::{Address, Negatable};
use crate::error::ParseReason;
use crate::matches::Match;
use crate::protocol::Protocol;
use crate::target::Target;
use crate::word::{OptionWalk, Splitter, Word};

impl FromStr for Rule {
    type Err = ParseReason;

    /// Reads a rule's specification, `-s 10.0.0.0/8 -m tcp -p tcp --dport 80 -j ACCEPT`: what follows `-A CHAIN`.
    /// Forms and orders that people write and `iptables-save` does not print are taken too.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut splitter = Splitter::default();
        splitter.feed(text);
        if splitter.is_open() {
            return Err(ParseReason::OpenQuote);
        }
        Self::from_words(splitter.into_words())
    }
}

/// What the words being collected belong to.
enum Part {
    Match(String),
    Jump(String),
    Goto(String),
}

impl Rule {
    pub(crate) fn from_words(words: Vec<Word>) -> Result<Self, ParseReason> {
        let mut rule = Self::new();
        let mut target: Option<(Part, Vec<Word>)> = None;
        let mut words = words.into_iter().peekable();
        let mut negated = false;
        while let Some(word) = words.next() {
            let option = word
                .bare()
                .ok_or_else(|| ParseReason::UnexpectedWord(word.as_str().to_owned()))?;
            let mut value = || match words.next() {
                Some(value) => Ok(value.as_str().to_owned()),
                None => Err(ParseReason::MissingValue(option.to_owned())),
            };
            let part = match option {
                "!" if !negated => {
                    negated = true;
                    continue;
                }
                "-m" | "--match" if !negated => Part::Match(value()?),
                "-j" | "--jump" if !negated => Part::Jump(value()?),
                "-g" | "--goto" if !negated => Part::Goto(value()?),
                "-c" | "--set-counters" if !negated => {
                    let counters = Counters {
                        packets: counter(&value()?)?,
                        bytes: counter(&value()?)?,
                    };
                    rule.counters = Some(counters);
                    continue;
                }
                "-f" | "--fragment" | "--fragments" => {
                    put(&mut rule.fragment, Some(!negated), option)?;
                    negated = false;
                    continue;
                }
                // An option of the protocol's own match, which iptables loads without being told.
                _ if option.starts_with("--") && !is_base(option) && rule.protocol.is_some() => {
                    let name = rule
                        .protocol
                        .as_ref()
                        .map(|protocol| protocol_match(&protocol.value));
                    let mut options = vec![word];
                    if std::mem::take(&mut negated) {
                        options.insert(0, Word::bare_literal("!"));
                    }
                    let (more, bang) = rest(&mut words);
                    options.extend(more);
                    negated = bang;
                    rule.matches
                        .push(Match::new(name.unwrap_or_default(), options));
                    continue;
                }
                _ => {
                    rule.base(option, value, std::mem::take(&mut negated))?;
                    continue;
                }
            };
            let (options, bang) = rest(&mut words);
            negated = bang;
            match part {
                Part::Match(name) => rule.matches.push(Match::new(named(name)?, options)),
                Part::Jump(_) | Part::Goto(_) if target.is_some() => {
                    return Err(ParseReason::Repeated(option.to_owned()));
                }
                part => target = Some((part, options)),
            }
        }
        if negated {
            return Err(ParseReason::UnexpectedWord("!".to_owned()));
        }
        rule.target = match target {
            Some((Part::Goto(name), options)) => Some(Target::goto(named(name)?, options)),
            Some((Part::Jump(name) | Part::Match(name), options)) => {
                Some(Target::new(named(name)?, options))
            }
            None => None,
        };
        Ok(rule)
    }

    /// Options that belong to no match.
    fn base(
        &mut self,
        option: &str,
        mut value: impl FnMut() -> Result<String, ParseReason>,
        negated: bool,
    ) -> Result<(), ParseReason> {
        match option {
            "-s" | "--source" | "--src" => put(
                &mut self.source,
                super::condition(address(&value()?, negated)?),
                option,
            ),
            "-d" | "--destination" | "--dst" => put(
                &mut self.destination,
                super::condition(address(&value()?, negated)?),
                option,
            ),
            "-i" | "--in-interface" => put(
                &mut self.in_interface,
                super::interface(interface(value()?, negated)?),
                option,
            ),
            "-o" | "--out-interface" => put(
                &mut self.out_interface,
                super::interface(interface(value()?, negated)?),
                option,
            ),
            "-p" | "--protocol" | "--proto" => {
                let value = Protocol::from(named(value()?)?.as_str());
                let any = value.is_any() && !negated;
                put(
                    &mut self.protocol,
                    (!any).then_some(Negatable { value, negated }),
                    option,
                )
            }
            _ => Err(ParseReason::UnexpectedWord(option.to_owned())),
        }
    }
}

fn is_base(option: &str) -> bool {
    const LONG: &[&str] = &[
        "--source",
        "--src",
        "--destination",
        "--dst",
        "--in-interface",
        "--out-interface",
        "--protocol",
        "--proto",
    ];
    LONG.contains(&option)
}

/// The match that brings the options of a protocol.
fn protocol_match(protocol: &Protocol) -> String {
    match protocol.as_str() {
        "ipv6-icmp" => "icmp6".to_owned(),
        "mobility-header" => "mh".to_owned(),
        name => name.to_owned(),
    }
}

/// The words up to the next match, target or option of the rule itself, and whether a `!` stands before that.
fn rest(words: &mut std::iter::Peekable<std::vec::IntoIter<Word>>) -> (Vec<Word>, bool) {
    let mut options = Vec::new();
    let mut walk = OptionWalk::default();
    while let Some(word) = words.next_if(|word| !walk.ends_at(word)) {
        walk.pass(&word);
        options.push(word);
    }
    let negated =
        words.peek().is_some() && options.last().is_some_and(|last| last.bare() == Some("!"));
    if negated {
        options.pop();
    }
    (options, negated)
}

/// A name of a match, target or protocol: something that reads back as one word.
fn named(name: String) -> Result<String, ParseReason> {
    let odd = |c: char| c.is_whitespace() || c.is_control() || c == '"';
    if name.is_empty() || name.starts_with(['-', '!']) || name.contains(odd) {
        return Err(ParseReason::UnexpectedWord(name));
    }
    Ok(name)
}

fn put<T>(place: &mut Option<T>, value: Option<T>, option: &str) -> Result<(), ParseReason> {
    if place.is_some() {
        return Err(ParseReason::Repeated(option.to_owned()));
    }
    *place = value;
    Ok(())
}

fn address(text: &str, negated: bool) -> Result<Negatable<Address>, ParseReason> {
    Ok(Negatable {
        value: text.parse()?,
        negated,
    })
}

fn interface(name: String, negated: bool) -> Result<Negatable<String>, ParseReason> {
    match interface_problem(&name) {
        Some(_) => Err(ParseReason::BadInterface(name)),
        None => Ok(Negatable {
            value: name,
            negated,
        }),
    }
}

pub(crate) fn counter(text: &str) -> Result<u64, ParseReason> {
    text.parse()
        .map_err(|_| ParseReason::BadCounters(text.to_owned()))
}
