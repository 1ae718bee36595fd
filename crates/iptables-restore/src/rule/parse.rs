//! Parsing of one rule.

mod owner;

use std::str::FromStr;
use std::vec::IntoIter;

use self::owner::protocol_match;
use super::options::{self, Found};
use super::{Counters, Rule, interface_problem};
use crate::address::{Address, Negatable};
use crate::error::ParseReason;
use crate::matches::Match;
use crate::protocol::Protocol;
use crate::target::Target;
use crate::word::{OptionWalk, Splitter, Word};

impl FromStr for Rule {
    type Err = ParseReason;

    /// Parses a rule's specification, `-s 10.0.0.0/8 -m tcp -p tcp --dport 80 -j ACCEPT`: what follows `-A CHAIN`.
    ///
    /// Forms and orders that people write and `iptables-save` does not print are taken too: `-ieth0`, `--dport=22`,
    /// `--proto tcp`, options of a match anywhere after its protocol. Several addresses make several rules, for which
    /// there is [`Rule::parse_all`].
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut rules = Self::parse_all(text)?;
        match rules.pop() {
            Some(rule) if rules.is_empty() => Ok(rule),
            _ => Err(ParseReason::SeveralRules(rules.len() + 1)),
        }
    }
}

/// `-j` and `-g` take a target, `-m` a match; each is followed by options of its own.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Match,
    Jump,
    Goto,
}

/// A match or target and the words that belong to it so far.
struct Extension {
    kind: Kind,
    name: String,
    options: Vec<Word>,
}

/// A rule in the making.
#[derive(Default)]
struct Parser {
    rule: Rule,
    sources: Addresses,
    destinations: Addresses,
    extensions: Vec<Extension>,
    /// The extension whose options the words are now.
    current: Option<usize>,
    walk: OptionWalk,
    negated: bool,
}

/// The addresses of `-s` or `-d`; none where the option is not given.
type Addresses = Option<Vec<Negatable<Address>>>;

impl Rule {
    /// As [`Rule::from_str`], of a specification with any number of addresses: `-s 10.0.0.1,10.0.0.2` makes two rules,
    /// as the tools do.
    ///
    /// ```
    /// use iptables_restore::Rule;
    /// let rules = Rule::parse_all("-s 10.0.0.1,10.0.0.2 -j ACCEPT")?;
    /// assert_eq!(rules.len(), 2);
    /// assert_eq!(rules[1].to_string(), "-s 10.0.0.2/32 -j ACCEPT");
    /// # Ok::<(), iptables_restore::ParseReason>(())
    /// ```
    ///
    /// # Errors
    /// [`ParseReason`]
    pub fn parse_all(text: &str) -> Result<Vec<Self>, ParseReason> {
        let mut splitter = Splitter::default();
        splitter.feed(text);
        if splitter.is_open() {
            return Err(ParseReason::OpenQuote);
        }
        Self::all_from_words(splitter.into_words())
    }

    /// The rules of a line: at least one.
    pub(crate) fn all_from_words(words: Vec<Word>) -> Result<Vec<Self>, ParseReason> {
        let mut parser = Parser::default();
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            parser.word(word, &mut words)?;
        }
        parser.finish()
    }
}

impl Parser {
    fn word(&mut self, word: Word, words: &mut IntoIter<Word>) -> Result<(), ParseReason> {
        let ends = self.walk.ends_at(&word);
        let bare = word.bare().filter(|_| !self.walk.is_in_value());
        match bare {
            Some("!") if !self.negated => {
                self.negated = true;
                Ok(())
            }
            Some("!") => Err(ParseReason::UnexpectedWord("!".to_owned())),
            Some(option) if ends || self.current.is_none() => {
                self.walk = OptionWalk::default();
                match own_option(option) {
                    Some((letter, value)) => self.own(letter, option, value, words),
                    None if option.starts_with("--") => self.long(option, words),
                    None => Err(ParseReason::UnexpectedWord(option.to_owned())),
                }
            }
            Some(option) if option.starts_with("--") => self.long(option, words),
            _ => self.value(word),
        }
    }

    /// A word that is not an option: part of the extension before it.
    fn value(&mut self, word: Word) -> Result<(), ParseReason> {
        let Some(extension) = self.current.and_then(|at| self.extensions.get_mut(at)) else {
            return Err(ParseReason::UnexpectedWord(word.as_str().to_owned()));
        };
        if std::mem::take(&mut self.negated) {
            extension.options.push(Word::bare_literal("!"));
        }
        self.walk.pass(&word);
        extension.options.push(word);
        Ok(())
    }

    /// A long option that is not one of the rule's own written out: of an extension, or abbreviated.
    fn long(&mut self, word: &str, words: &mut IntoIter<Word>) -> Result<(), ParseReason> {
        let (option, value) = match word.split_once('=') {
            Some((option, value)) => (option, Some(value)),
            None => (word, None),
        };
        // Of three dashes the third is part of the name, to getopt_long(3) too.
        let name = option.strip_prefix("--").unwrap_or(option);
        let owner = self.owner(name);
        let (at, name) = match owner {
            Some(Found::Extension(at, name)) => (at, name.to_owned()),
            Some(Found::Own(letter)) => {
                let value = value.map(str::to_owned);
                return self.own(letter, option, value, words);
            }
            // Newer extensions have more options; with nothing before it, it is the protocol's.
            None => match (self.current, &self.rule.protocol) {
                (Some(at), _) => (at, name.to_owned()),
                (None, Some(protocol)) => {
                    (self.load(protocol_match(&protocol.value)), name.to_owned())
                }
                (None, None) => return Err(ParseReason::UnexpectedWord(option.to_owned())),
            },
        };
        self.current = Some(at);
        self.walk = OptionWalk::default();
        self.value(Word::bare_literal(format!("--{name}")))?;
        value.map_or(Ok(()), |value| self.value(self.walk.joined_value(value)))
    }

    /// One of the rule's own options. `given` is the value that stands in the same word.
    fn own(
        &mut self,
        letter: char,
        option: &str,
        given: Option<String>,
        words: &mut IntoIter<Word>,
    ) -> Result<(), ParseReason> {
        self.current = None;
        let negated = std::mem::take(&mut self.negated);
        if letter == 'f' {
            put(&mut self.rule.fragment, Some(!negated), option)?;
            return match given {
                // More options in the same word.
                Some(more) => self.word(Word::bare_literal(format!("-{more}")), words),
                None => Ok(()),
            };
        }
        if negated && matches!(letter, 'm' | 'j' | 'g' | 'c') {
            return Err(ParseReason::UnexpectedWord(option.to_owned()));
        }
        let mut value = given;
        let mut value = || {
            value
                .take()
                .or_else(|| words.next().map(|word| word.as_str().to_owned()))
                .ok_or_else(|| ParseReason::MissingValue(option.to_owned()))
        };
        let rule = &mut self.rule;
        match letter {
            's' => put(
                &mut self.sources,
                Some(addresses(&value()?, negated)?),
                option,
            ),
            'd' => put(
                &mut self.destinations,
                Some(addresses(&value()?, negated)?),
                option,
            ),
            'i' => {
                let name = super::interface(interface(value()?, negated)?);
                put(&mut rule.in_interface, name, option)
            }
            'o' => {
                let name = super::interface(interface(value()?, negated)?);
                put(&mut rule.out_interface, name, option)
            }
            'p' => {
                let value = Protocol::from(named(value()?)?.as_str());
                let any = value.is_any() && !negated;
                let protocol = (!any).then_some(Negatable { value, negated });
                put(&mut rule.protocol, protocol, option)
            }
            'c' => {
                let first = value()?;
                let (packets, bytes) = match first.split_once(',') {
                    Some((packets, bytes)) => (packets.to_owned(), bytes.to_owned()),
                    None => (first, value()?),
                };
                rule.counters = Some(Counters {
                    packets: counter(&packets)?,
                    bytes: counter(&bytes)?,
                });
                Ok(())
            }
            'm' | 'j' | 'g' => {
                let kind = match letter {
                    'm' => Kind::Match,
                    'j' => Kind::Jump,
                    _ => Kind::Goto,
                };
                let name = named(value()?)?;
                let has_target = |it: &Extension| it.kind != Kind::Match;
                if kind != Kind::Match && self.extensions.iter().any(has_target) {
                    return Err(ParseReason::Repeated(option.to_owned()));
                }
                self.current = Some(self.extensions.len());
                self.extensions.push(Extension {
                    kind,
                    name,
                    options: Vec::new(),
                });
                Ok(())
            }
            _ => Err(ParseReason::UnexpectedWord(option.to_owned())),
        }
    }

    fn finish(mut self) -> Result<Vec<Rule>, ParseReason> {
        if self.negated {
            return Err(ParseReason::UnexpectedWord("!".to_owned()));
        }
        for Extension {
            kind,
            name,
            options,
        } in self.extensions
        {
            match kind {
                Kind::Match => {
                    self.rule.matches.reserve_exact(1);
                    self.rule.matches.push(Match::new(name, options));
                }
                Kind::Jump => self.rule.target = Some(Target::new(name, options)),
                Kind::Goto => self.rule.target = Some(Target::goto(name, options)),
            }
        }
        let each = |addresses: Addresses| -> Vec<Option<Negatable<Address>>> {
            match addresses {
                Some(addresses) => addresses.into_iter().map(super::condition).collect(),
                None => vec![None],
            }
        };
        let destinations = each(self.destinations);
        let rule = self.rule;
        let pairs = each(self.sources).into_iter().flat_map(|source| {
            destinations
                .iter()
                .map(move |destination| (source, *destination))
        });
        Ok(pairs
            .map(|(source, destination)| Rule {
                source,
                destination,
                ..rule.clone()
            })
            .collect())
    }
}

/// The letter of one of the rule's own options, and the value that stands in the same word.
fn own_option(word: &str) -> Option<(char, Option<String>)> {
    if let Some(letter) = options::exact(word) {
        let value = word.split_once('=').map(|(_, value)| value.to_owned());
        return Some((letter, value));
    }
    if let Some((letter, value)) = options::glued(word) {
        return Some((letter, Some(value.to_owned())));
    }
    let mut chars = word.strip_prefix('-')?.chars();
    let letter = chars.next()?;
    (chars.as_str().is_empty() && letter != '-').then_some((letter, None))
}

/// A name of a match, target or protocol: one word.
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

/// One or more addresses, joined by commas.
fn addresses(text: &str, negated: bool) -> Result<Vec<Negatable<Address>>, ParseReason> {
    if text.contains(',') && negated {
        return Err(ParseReason::NegatedList(text.to_owned()));
    }
    // As long as an argument may be, so that one line makes no more rules than the tools would.
    if text.len() >= 1024 {
        return Err(ParseReason::LongList(text.len()));
    }
    text.split(',')
        .map(|text| {
            Ok(Negatable {
                value: text.parse::<Address>()?,
                negated,
            })
        })
        .collect()
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
