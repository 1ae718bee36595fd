//! Checks that a rule arrives in the kernel as it is.

use super::Rule;
use crate::address::Negatable;
use crate::matches::Match;
use crate::name::{ChainName, InvalidChainName};
use crate::target::{Log, Nflog, Target};
use crate::text::{Shown, byte_len};
use crate::word::{Splitter, Word};

/// A rule that iptables-restore would refuse, cut short, or read as something else.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidRule {
    /// The kernel keeps 255 bytes of a comment and drops the rest without a word; the rule read back would differ.
    #[error(
        "the comment `{}` has {length} bytes, the kernel keeps 255: shorten it",
        Shown(text)
    )]
    LongComment {
        /// The comment.
        text: String,
        /// Its length in bytes.
        length: usize,
    },
    /// iptables-restore refuses arguments of 1,024 bytes or more ("Parameter too long!").
    #[error(
        "the argument `{}` has {length} bytes, iptables-restore takes at most 1023: shorten it",
        Shown(text)
    )]
    LongArgument {
        /// The argument.
        text: String,
        /// Its length in bytes.
        length: usize,
    },
    /// iptables-restore refuses lines of more than 254 arguments, its own among them.
    #[error("the line has {count} arguments, iptables-restore takes at most 254: split the rule")]
    ManyArguments {
        /// How many there are, those that iptables-restore adds included.
        count: usize,
    },
    /// A line feed would end the line, a NUL the text.
    #[error(
        "`{}` contains a line feed or NUL, which restore input cannot carry: remove it",
        Shown(text)
    )]
    LineFeed {
        /// The argument.
        text: String,
    },
    /// A rule that was found in a kernel and not understood, [`Rule::verbatim`].
    #[error(
        "`{}` is a rule that was found and not understood, so that it cannot be written",
        Shown(text)
    )]
    Verbatim {
        /// The rule.
        text: String,
    },
    /// The target cannot be a chain of this name.
    #[error(transparent)]
    ChainName(#[from] InvalidChainName),
    /// A value out of the range of its option.
    #[error("`{}`: {reason}", Shown(text))]
    Value {
        /// The part of the rule.
        text: String,
        /// What it has to be.
        reason: &'static str,
    },
}

impl Rule {
    /// Checks what the types do not: lengths, names and values that iptables-restore would refuse or misread.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn validate(&self) -> Result<(), InvalidRule> {
        // iptables-restore -t TABLE -A CHAIN
        self.validate_after(5)
    }

    /// As [`Rule::validate`], with this many arguments before the rule's own.
    pub(crate) fn validate_after(&self, before: usize) -> Result<(), InvalidRule> {
        if let Some(text) = self.verbatim() {
            return Err(InvalidRule::Verbatim {
                text: text.to_owned(),
            });
        }
        for name in [&self.in_interface, &self.out_interface]
            .into_iter()
            .flatten()
        {
            if let Some(reason) = interface_problem(&name.value) {
                return Err(InvalidRule::Value {
                    text: name.value.clone(),
                    reason,
                });
            }
        }
        if let (Some(Negatable { value: a, .. }), Some(Negatable { value: b, .. })) =
            (&self.source, &self.destination)
        {
            if a.is_ipv6() != b.is_ipv6() {
                return Err(InvalidRule::Value {
                    text: format!("{a} {b}"),
                    reason: "source and destination differ in family",
                });
            }
        }
        let protocol = self
            .protocol
            .as_ref()
            .and_then(|protocol| protocol.value.unknown_name());
        if let Some((name, reason)) = protocol.and_then(|name| Some((name, name_problem(name)?))) {
            return Err(InvalidRule::Value {
                text: name.to_owned(),
                reason,
            });
        }
        self.matches.iter().try_for_each(check_match)?;
        if let Some(target) = &self.target {
            check_target(target)?;
        }
        check_arguments(self, before)
    }
}

fn check_match(part: &Match) -> Result<(), InvalidRule> {
    let reason = match part {
        Match::Comment(text) if byte_len(text) > 255 => {
            return Err(InvalidRule::LongComment {
                text: text.clone(),
                length: byte_len(text),
            });
        }
        Match::Set(set) => set.problem(),
        Match::Conntrack(conntrack) if conntrack.states.is_empty() => {
            Some("a conntrack match needs a state")
        }
        Match::Addrtype(addrtype) => {
            let empty = [addrtype.source, addrtype.destination]
                .iter()
                .flatten()
                .any(|types| types.value.is_empty());
            empty.then_some("an addrtype match needs a type")
        }
        Match::Physdev(physdev) => {
            let names = [&physdev.in_interface, &physdev.out_interface];
            names
                .into_iter()
                .flatten()
                .find_map(|name| interface_problem(&name.value))
        }
        Match::Multiport(multiport) => {
            let slots: usize = multiport
                .ports
                .iter()
                .map(|ports| if ports.first == ports.last { 1 } else { 2 })
                .sum();
            (slots == 0 || slots > 15)
                .then_some("a multiport match takes 1 to 15 ports, a range counting twice")
        }
        Match::Limit(limit) => limit.problem(),
        Match::Hashlimit(hashlimit) => hashlimit.problem(),
        Match::Statistic(statistic) => statistic.problem(),
        Match::Recent(recent) => recent.problem(),
        Match::Other(other) => name_problem(other.name()),
        _ => None,
    };
    reason.map_or(Ok(()), |reason| {
        Err(InvalidRule::Value {
            text: part.to_string(),
            reason,
        })
    })
}

fn check_target(target: &Target) -> Result<(), InvalidRule> {
    let reason = match target {
        Target::Jump(chain) => {
            ChainName::new(chain.as_str())?;
            // Else the chain's name would be read back as that target.
            (Target::from(chain.as_str()) != *target)
                .then_some("this is the name of a target, not of a chain")
        }
        Target::Goto(chain) => ChainName::new(chain.as_str()).map(|_| None)?,
        Target::Reject { with: Some(with) } => {
            let plain =
                !with.is_empty() && with.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
            (!plain || with.starts_with('-'))
                .then_some("--reject-with takes the name of an ICMP type")
        }
        Target::Dnat(dnat) => dnat.to.problem(true),
        Target::Snat(snat) => snat.to.problem(false),
        Target::Log(log) => log.problem(),
        Target::Nflog(nflog) => nflog.problem(),
        Target::Ct(ct) => ct.problem(),
        Target::Other(other) => name_problem(other.name()),
        _ => None,
    };
    reason.map_or(Ok(()), |reason| {
        Err(InvalidRule::Value {
            text: target.to_string(),
            reason,
        })
    })
}

/// `before`: how many arguments stand before the rule's own, those that iptables-restore adds included.
fn check_arguments(rule: &Rule, before: usize) -> Result<(), InvalidRule> {
    let mut texts: Vec<&str> = Vec::new();
    for part in &rule.matches {
        match part {
            Match::Comment(text) => texts.push(text),
            Match::Other(other) => texts.extend(other.options().iter().map(Word::as_str)),
            _ => {}
        }
    }
    match &rule.target {
        Some(Target::Other(other)) => texts.extend(other.options().iter().map(Word::as_str)),
        Some(Target::Log(Log { prefix, .. }) | Target::Nflog(Nflog { prefix, .. })) => {
            texts.extend(prefix.as_deref());
        }
        _ => {}
    }
    for text in &texts {
        if text.contains(['\n', '\0']) {
            return Err(InvalidRule::LineFeed {
                text: (*text).to_owned(),
            });
        }
        if byte_len(text) >= 1024 {
            return Err(InvalidRule::LongArgument {
                text: (*text).to_owned(),
                length: byte_len(text),
            });
        }
    }
    // No typed match has more than 24 words, so that few rules need to be counted.
    if rule.matches.len() > 8 || texts.len() > 30 {
        let mut splitter = Splitter::default();
        splitter.feed(&rule.to_string());
        let count = before + splitter.into_words().len();
        if count > MAX_ARGUMENTS {
            return Err(InvalidRule::ManyArguments { count });
        }
    }
    Ok(())
}

/// Measured: with one more, iptables-restore 1.8.9 of either back end prints "Parser cannot handle more arguments".
const MAX_ARGUMENTS: usize = 254;

fn name_problem(name: &str) -> Option<&'static str> {
    let odd = |c: char| c.is_whitespace() || c.is_control() || c == '"';
    (name.is_empty() || name.starts_with(['-', '!']) || name.contains(odd)).then_some(
        "a match, target or protocol has a name of one word that does not start with `-` or `!`",
    )
}

/// Whether a name is printed and read back as one word without quotes.
pub(crate) fn is_plain_word(name: &str) -> bool {
    name_problem(name).is_none()
}

/// Why an interface cannot have this name; names are 15 bytes at most (`IFNAMSIZ` less its NUL).
pub(crate) fn interface_problem(name: &str) -> Option<&'static str> {
    let odd = |c: char| c.is_whitespace() || c.is_control() || c == '"' || c == '/';
    (name.is_empty() || byte_len(name) > 15 || name.contains(odd) || name.starts_with(['-', '!']))
        .then_some("an interface's name has 1 to 15 bytes, none of them white space, `/` or a double quote")
}
