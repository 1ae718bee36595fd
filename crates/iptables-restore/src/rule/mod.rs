//! One rule.

mod extensions;
mod options;
mod parse;
mod validate;

use std::fmt;
use std::hash::{Hash, Hasher};

pub(crate) use options::{
    command as command_letter, exact as exact_option, glued as glued_option,
    is_foreign as is_foreign_option,
};
pub(crate) use parse::counter;
pub use validate::InvalidRule;
pub(crate) use validate::{interface_problem, is_plain_word};

use crate::address::{Address, Negatable, bang};
use crate::matches::{Match, SetMatch};
use crate::protocol::Protocol;
use crate::target::Target;

/// How many packets and bytes a rule or chain has seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Counters {
    /// Packets.
    pub packets: u64,
    /// Bytes.
    pub bytes: u64,
}

impl fmt::Display for Counters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}:{}]", self.packets, self.bytes)
    }
}

/// One rule, without the chain it is in.
///
/// Two rules are equal when `iptables -D` would take one for the other: counters are not compared, and `-j REJECT` equals
/// the same with the type it stands for. Matches and targets without a type here are compared word by word; write them
/// as `iptables-save` prints them, or they never equal what is read back.
/// Displays as the rule's specification, `-s 10.0.0.0/8 -j ACCEPT`; [`Rule::display_in`] puts `-A CHAIN` before it.
///
/// ```
/// use iptables_restore::{Mark, Protocol, Rule};
/// let rule = Rule::new().protocol(Protocol::TCP).match_set("NODE-PORTS", "dst").jump(Mark::set(0x4000));
/// assert_eq!(
///     rule.display_in("PREROUTING").to_string(),
///     "-A PREROUTING -p tcp -m set --match-set NODE-PORTS dst -j MARK --set-xmark 0x4000/0x4000"
/// );
/// ```
#[derive(Debug, Clone, Default)]
pub struct Rule {
    /// `-s`
    pub source: Option<Negatable<Address>>,
    /// `-d`
    pub destination: Option<Negatable<Address>>,
    /// `-i`; a `+` at the end stands for any rest.
    pub in_interface: Option<Negatable<String>>,
    /// `-o`; a `+` at the end stands for any rest.
    pub out_interface: Option<Negatable<String>>,
    /// `-p`
    pub protocol: Option<Negatable<Protocol>>,
    /// `-f`: `Some(true)` for second and further fragments, `Some(false)` for `! -f`. IPv4 only.
    pub fragment: Option<bool>,
    /// The `-m` parts, tried in this order.
    pub matches: Vec<Match>,
    /// `-j` or `-g`; none only counts.
    pub target: Option<Target>,
    /// What the kernel has counted, where it was asked for.
    pub counters: Option<Counters>,
    pub(crate) verbatim: Option<Box<str>>,
}

impl Rule {
    /// A rule that matches everything and does nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// `-s`; a network of length 0 adds no condition.
    #[must_use]
    pub fn source(mut self, address: impl Into<Address>) -> Self {
        self.source = condition(Negatable::is(address.into()));
        self
    }

    /// `! -s`
    #[must_use]
    pub fn not_source(mut self, address: impl Into<Address>) -> Self {
        self.source = condition(Negatable::not(address.into()));
        self
    }

    /// `-d`; a network of length 0 adds no condition.
    #[must_use]
    pub fn destination(mut self, address: impl Into<Address>) -> Self {
        self.destination = condition(Negatable::is(address.into()));
        self
    }

    /// `! -d`
    #[must_use]
    pub fn not_destination(mut self, address: impl Into<Address>) -> Self {
        self.destination = condition(Negatable::not(address.into()));
        self
    }

    /// `-i`; a `+` at the end stands for any rest.
    #[must_use]
    pub fn in_interface(mut self, name: impl Into<String>) -> Self {
        self.in_interface = interface(Negatable::is(name.into()));
        self
    }

    /// `! -i`
    #[must_use]
    pub fn not_in_interface(mut self, name: impl Into<String>) -> Self {
        self.in_interface = interface(Negatable::not(name.into()));
        self
    }

    /// `-o`; a `+` at the end stands for any rest.
    #[must_use]
    pub fn out_interface(mut self, name: impl Into<String>) -> Self {
        self.out_interface = interface(Negatable::is(name.into()));
        self
    }

    /// `! -o`
    #[must_use]
    pub fn not_out_interface(mut self, name: impl Into<String>) -> Self {
        self.out_interface = interface(Negatable::not(name.into()));
        self
    }

    /// `-p`; `all` adds no condition.
    #[must_use]
    pub fn protocol(mut self, protocol: impl Into<Protocol>) -> Self {
        let protocol = protocol.into();
        self.protocol = (!protocol.is_any()).then_some(Negatable::is(protocol));
        self
    }

    /// `! -p`
    #[must_use]
    pub fn not_protocol(mut self, protocol: impl Into<Protocol>) -> Self {
        self.protocol = Some(Negatable::not(protocol.into()));
        self
    }

    /// `-m comment --comment TEXT`; at most 255 bytes.
    #[must_use]
    pub fn comment(self, text: impl Into<String>) -> Self {
        self.matching(Match::Comment(text.into()))
    }

    /// `-m set --match-set NAME DIRECTIONS`; the directions are `src` and `dst` joined by commas.
    #[must_use]
    pub fn match_set(self, name: impl Into<String>, directions: impl Into<String>) -> Self {
        self.matching(SetMatch {
            name: name.into(),
            directions: directions.into(),
            negated: false,
        })
    }

    /// `-m set ! --match-set NAME DIRECTIONS`
    #[must_use]
    pub fn not_match_set(self, name: impl Into<String>, directions: impl Into<String>) -> Self {
        self.matching(SetMatch {
            name: name.into(),
            directions: directions.into(),
            negated: true,
        })
    }

    /// One more match, after those there are.
    #[must_use]
    pub fn matching(mut self, next: impl Into<Match>) -> Self {
        // A table has tens of thousands of rules with two or three each: no room is made for more.
        self.matches.reserve_exact(1);
        self.matches.push(next.into());
        self
    }

    /// `-j`: a [`Target`], or the name of a verdict, extension or chain.
    #[must_use]
    pub fn jump(mut self, target: impl Into<Target>) -> Self {
        self.target = Some(target.into());
        self
    }

    /// `-g`: on to a chain, never back.
    #[must_use]
    pub fn goto(mut self, chain: impl Into<String>) -> Self {
        self.target = Some(Target::Goto(chain.into()));
        self
    }

    /// What the rule has counted so far, for `--counters`.
    #[must_use]
    pub fn with_counters(mut self, counters: Counters) -> Self {
        self.counters = Some(counters);
        self
    }

    /// A rule that was found and not understood.
    pub(crate) fn from_verbatim(text: String) -> Self {
        Self {
            verbatim: Some(text.into()),
            ..Self::default()
        }
    }

    /// The text of a rule that was found in a kernel and that this crate does not understand; `iptables-save` prints some
    /// that not even `iptables-restore` would. It is all that there is of such a rule: the other fields are empty, and no
    /// edit takes it.
    pub fn verbatim(&self) -> Option<&str> {
        self.verbatim.as_deref()
    }

    /// True if `iptables -D` would take one rule for the other: all but the counters is equal. The same as `==`.
    pub fn same_rule(&self, other: &Self) -> bool {
        self.key() == other.key()
    }

    /// Names of the sets that must exist before this rule does.
    pub fn set_names(&self) -> impl Iterator<Item = &str> {
        self.matches.iter().filter_map(Match::set_name)
    }

    /// Whether every packet matches it: it has no condition but comments. A rule that was not understood
    /// ([`Rule::verbatim`]) is taken to have one.
    pub fn is_unconditional(&self) -> bool {
        let comments = |part: &Match| matches!(part, Match::Comment(_));
        self.verbatim.is_none()
            && self.source.is_none()
            && self.destination.is_none()
            && self.in_interface.is_none()
            && self.out_interface.is_none()
            && self.protocol.is_none()
            && self.fragment.is_none()
            && self.matches.iter().all(comments)
    }

    /// The rule as a line that appends it to a chain: `-A CHAIN …`.
    pub fn display_in<'a>(
        &'a self,
        chain: &'a (impl AsRef<str> + ?Sized),
    ) -> impl fmt::Display + 'a {
        RuleLine {
            operation: "-A",
            chain: chain.as_ref(),
            rule: self,
        }
    }

    fn key(&self) -> impl PartialEq + Hash {
        let Self {
            source,
            destination,
            in_interface,
            out_interface,
            protocol,
            fragment,
            matches,
            target,
            counters: _,
            verbatim,
        } = self;
        let target = target.as_ref().map(Target::key);
        (
            (source, destination),
            (in_interface, out_interface),
            (protocol, fragment),
            (matches, target, verbatim),
        )
    }
}

fn condition(address: Negatable<Address>) -> Option<Negatable<Address>> {
    (address.negated || !address.value.is_any()).then_some(address)
}

fn interface(name: Negatable<String>) -> Option<Negatable<String>> {
    (name.negated || name.value != "+").then_some(name)
}

impl PartialEq for Rule {
    fn eq(&self, other: &Self) -> bool {
        self.same_rule(other)
    }
}

impl Eq for Rule {}

impl Hash for Rule {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = String::new();
        write_specification(self, &mut line)?;
        f.write_str(line.trim_start())
    }
}

/// A rule as a line of restore input: `-A CHAIN …`, `-I CHAIN 3 …`, `-D CHAIN …`.
pub(crate) struct RuleLine<'a> {
    pub(crate) operation: &'a str,
    pub(crate) chain: &'a str,
    pub(crate) rule: &'a Rule,
}

impl fmt::Display for RuleLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.operation, self.chain)?;
        write_specification(self.rule, f)
    }
}

/// In the order in which `iptables-save` prints the parts, a space before each.
fn write_specification(rule: &Rule, f: &mut dyn fmt::Write) -> fmt::Result {
    if let Some(text) = &rule.verbatim {
        return write!(f, " {text}");
    }
    if let Some(Negatable { value, negated }) = &rule.source {
        write!(f, " {}-s {value}", bang(*negated))?;
    }
    if let Some(Negatable { value, negated }) = &rule.destination {
        write!(f, " {}-d {value}", bang(*negated))?;
    }
    if let Some(Negatable { value, negated }) = &rule.in_interface {
        write!(f, " {}-i {value}", bang(*negated))?;
    }
    if let Some(Negatable { value, negated }) = &rule.out_interface {
        write!(f, " {}-o {value}", bang(*negated))?;
    }
    if let Some(Negatable { value, negated }) = &rule.protocol {
        write!(f, " {}-p {value}", bang(*negated))?;
    }
    if let Some(yes) = rule.fragment {
        write!(f, " {}-f", bang(!yes))?;
    }
    for part in &rule.matches {
        write!(f, " {part}")?;
    }
    match &rule.target {
        Some(target) => write!(f, " {target}"),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
