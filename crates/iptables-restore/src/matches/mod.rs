//! Matches: the `-m` parts of a rule.

mod addrtype;
mod conntrack;
mod hashlimit;
mod ipvs;
mod limit;
mod mark;
mod options;
mod physdev;
mod ports;
mod recent;
mod set;
mod statistic;

use std::fmt;

pub use addrtype::{AddressTypes, AddrtypeMatch, LimitInterface};
pub use conntrack::{ConntrackMatch, CtStates};
pub use hashlimit::{ByteRate, HashlimitMatch, HashlimitMode, HashlimitRate};
pub use ipvs::{Direction, IpvsMatch};
pub use limit::{LimitMatch, Rate};
pub use mark::MarkMatch;
pub(crate) use mark::{mark_and_mask, number};
pub(crate) use options::{Options, put};
pub use physdev::PhysdevMatch;
pub use ports::{MultiportMatch, PortRange, PortsMatch};
pub use recent::{RecentAction, RecentMatch};
pub use set::SetMatch;
pub use statistic::{Probability, StatisticMatch, StatisticMode};

use crate::word::{OptionWalk, Word};

/// One `-m` part of a rule. Prints as `iptables-save` does.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Match {
    /// `-m comment --comment TEXT`; at most 255 bytes.
    Comment(String),
    /// `-m set --match-set NAME src,dst`
    Set(SetMatch),
    /// `-m mark --mark VALUE/MASK`
    Mark(MarkMatch),
    /// `-m connmark --mark VALUE/MASK`: as [`Match::Mark`], of the connection's mark.
    Connmark(MarkMatch),
    /// `-m limit --limit NUMBER/UNIT`
    Limit(LimitMatch),
    /// `-m hashlimit --hashlimit-upto NUMBER/UNIT --hashlimit-name NAME …`
    Hashlimit(Box<HashlimitMatch>),
    /// `-m statistic --mode random --probability P`, `--mode nth …`
    Statistic(StatisticMatch),
    /// `-m recent --set --name NAME …`
    Recent(Box<RecentMatch>),
    /// `-m conntrack --ctstate STATES`
    Conntrack(ConntrackMatch),
    /// `-m addrtype --src-type TYPES --dst-type TYPES`
    Addrtype(AddrtypeMatch),
    /// `-m physdev --physdev-in NAME …`
    Physdev(PhysdevMatch),
    /// `-m ipvs --vaddr ADDRESS …`
    Ipvs(IpvsMatch),
    /// `-m tcp --sport PORTS --dport PORTS`
    Tcp(PortsMatch),
    /// `-m udp --sport PORTS --dport PORTS`
    Udp(PortsMatch),
    /// `-m sctp --sport PORTS --dport PORTS`
    Sctp(PortsMatch),
    /// `-m multiport --dports PORTS`
    Multiport(MultiportMatch),
    /// Any other match, or other options of those above.
    Other(OtherMatch),
}

/// A match that is kept word by word. [`Match::new`] makes it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct OtherMatch {
    name: String,
    options: Vec<Word>,
}

impl OtherMatch {
    /// Name of the match, without `-m`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its options and their values; `!` is a word of its own.
    pub fn options(&self) -> &[Word] {
        &self.options
    }
}

impl Match {
    /// A match by name and options, typed where this crate has a type for it.
    ///
    /// ```
    /// use iptables_restore::{Match, Word};
    /// let rare = Match::new("length", ["--length", "64:128"].map(Word::from));
    /// assert_eq!(rare.to_string(), "-m length --length 64:128");
    /// let mark = Match::new("mark", ["--mark", "16384/16384"].map(Word::from));
    /// assert_eq!(mark.to_string(), "-m mark --mark 0x4000/0x4000");
    /// ```
    pub fn new(name: impl Into<String>, options: impl IntoIterator<Item = Word>) -> Self {
        let name = name.into();
        let options = OptionWalk::settle(&name, false, options.into_iter().collect());
        Self::typed(&name, &options).unwrap_or(Self::Other(OtherMatch { name, options }))
    }

    /// Name of the match, without `-m`.
    pub fn name(&self) -> &str {
        match self {
            Self::Comment(_) => "comment",
            Self::Set(_) => "set",
            Self::Mark(_) => "mark",
            Self::Connmark(_) => "connmark",
            Self::Limit(_) => "limit",
            Self::Hashlimit(_) => "hashlimit",
            Self::Statistic(_) => "statistic",
            Self::Recent(_) => "recent",
            Self::Conntrack(_) => "conntrack",
            Self::Addrtype(_) => "addrtype",
            Self::Physdev(_) => "physdev",
            Self::Ipvs(_) => "ipvs",
            Self::Tcp(_) => "tcp",
            Self::Udp(_) => "udp",
            Self::Sctp(_) => "sctp",
            Self::Multiport(_) => "multiport",
            Self::Other(other) => &other.name,
        }
    }

    /// The set a rule with this match refers to, which must exist before the rule does.
    pub fn set_name(&self) -> Option<&str> {
        match self {
            Self::Set(set) => Some(&set.name),
            Self::Other(other) if other.name == "set" => {
                let mut words = other.options.iter();
                words.find(|word| word.bare() == Some("--match-set"))?;
                words.next().map(Word::as_str)
            }
            _ => None,
        }
    }

    fn typed(name: &str, words: &[Word]) -> Option<Self> {
        let options = Options::new(words);
        Some(match name {
            "comment" => Self::Comment(comment(options)?),
            "set" => Self::Set(SetMatch::parse(options)?),
            "mark" => Self::Mark(MarkMatch::parse(options)?),
            "connmark" => Self::Connmark(MarkMatch::parse(options)?),
            "limit" => Self::Limit(LimitMatch::parse(options)?),
            "hashlimit" => Self::Hashlimit(Box::new(HashlimitMatch::parse(options)?)),
            "statistic" => Self::Statistic(StatisticMatch::parse(options)?),
            "recent" => Self::Recent(Box::new(RecentMatch::parse(options)?)),
            "conntrack" => Self::Conntrack(ConntrackMatch::parse(options)?),
            "addrtype" => Self::Addrtype(AddrtypeMatch::parse(options)?),
            "physdev" => Self::Physdev(PhysdevMatch::parse(options)?),
            "ipvs" => Self::Ipvs(IpvsMatch::parse(options)?),
            "tcp" => Self::Tcp(PortsMatch::parse(options)?),
            "udp" => Self::Udp(PortsMatch::parse(options)?),
            "sctp" => Self::Sctp(PortsMatch::parse(options)?),
            "multiport" => Self::Multiport(MultiportMatch::parse(options)?),
            _ => return None,
        })
    }
}

fn comment(mut options: Options<'_>) -> Option<String> {
    let (false, "--comment") = options.next_option()? else {
        return None;
    };
    let text = options.value()?.to_owned();
    options.finish()?;
    Some(text)
}

impl fmt::Display for Match {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "-m {}", self.name())?;
        match self {
            Self::Comment(text) => write!(f, " --comment {}", Word::free_text(text)),
            Self::Set(set) => set.write(f),
            Self::Mark(mark) | Self::Connmark(mark) => mark.write(f),
            Self::Limit(limit) => limit.write(f),
            Self::Hashlimit(hashlimit) => hashlimit.write(f),
            Self::Statistic(statistic) => statistic.write(f),
            Self::Recent(recent) => recent.write(f),
            Self::Conntrack(conntrack) => conntrack.write(f),
            Self::Addrtype(addrtype) => addrtype.write(f),
            Self::Physdev(physdev) => physdev.write(f),
            Self::Ipvs(ipvs) => ipvs.write(f),
            Self::Tcp(ports) | Self::Udp(ports) | Self::Sctp(ports) => ports.write(f),
            Self::Multiport(multiport) => multiport.write(f),
            Self::Other(other) => other
                .options
                .iter()
                .try_for_each(|word| write!(f, " {word}")),
        }
    }
}

macro_rules! from_match {
    ($($type:ident => $variant:ident),*) => {$(
        impl From<$type> for Match {
            fn from(value: $type) -> Self {
                Self::$variant(value)
            }
        }
    )*};
}
from_match!(
    SetMatch => Set, MarkMatch => Mark, ConntrackMatch => Conntrack, AddrtypeMatch => Addrtype, PhysdevMatch => Physdev,
    IpvsMatch => Ipvs, MultiportMatch => Multiport, LimitMatch => Limit, StatisticMatch => Statistic
);

impl From<HashlimitMatch> for Match {
    fn from(value: HashlimitMatch) -> Self {
        Self::Hashlimit(Box::new(value))
    }
}

impl From<RecentMatch> for Match {
    fn from(value: RecentMatch) -> Self {
        Self::Recent(Box::new(value))
    }
}

#[cfg(test)]
mod tests;
