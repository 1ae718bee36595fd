//! `-m recent`

use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::IpAddr;

use super::options::put;
use super::{Options, number};
use crate::address::{bang, write_ip};
use crate::rule::is_plain_word;

/// A list of addresses that packets came from lately: `--update --seconds 60 --hitcount 4 --name ssh`.
///
/// No mask, and the one of all bits that the tools print, are equal.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RecentMatch {
    /// What is done with the list.
    pub action: RecentAction,
    /// True for `!` before the action: the outcome is reversed.
    pub negated: bool,
    /// `--seconds`: only if seen within so many seconds; not 0. For [`RecentAction::Check`] and
    /// [`RecentAction::Update`], as are the next three.
    pub seconds: Option<u32>,
    /// `--reap`: forgets what is older; needs `seconds`.
    pub reap: bool,
    /// `--hitcount`: only if seen so many times; not 0.
    pub hitcount: Option<u32>,
    /// `--rttl`: only with the same TTL as the packet that was recorded.
    pub ttl: bool,
    /// `--name`: the list, one word of at most 199 bytes; `DEFAULT` unless given.
    pub name: String,
    /// `--mask`: which bits of an address count; none for all.
    pub mask: Option<IpAddr>,
    /// `--rdest` in place of `--rsource`: destinations, not sources.
    pub destination: bool,
}

/// What `-m recent` does with its list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum RecentAction {
    /// `--set`: puts the address on the list; always matches.
    Set,
    /// `--rcheck`: matches if the address is there.
    Check,
    /// `--update`: the same, and renews its time.
    Update,
    /// `--remove`: the same, and takes it off.
    Remove,
}

impl RecentMatch {
    const NAME: &'static str = "DEFAULT";

    /// The action on the list `DEFAULT`, for sources.
    pub fn new(action: RecentAction) -> Self {
        Self {
            action,
            negated: false,
            seconds: None,
            reap: false,
            hitcount: None,
            ttl: false,
            name: Self::NAME.to_owned(),
            mask: None,
            destination: false,
        }
    }

    /// `--name`
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// `--seconds`
    #[must_use]
    pub fn seconds(mut self, seconds: u32) -> Self {
        self.seconds = Some(seconds);
        self
    }

    /// `--hitcount`
    #[must_use]
    pub fn hitcount(mut self, hits: u32) -> Self {
        self.hitcount = Some(hits);
        self
    }

    /// `--mask`
    #[must_use]
    pub fn mask(mut self, mask: IpAddr) -> Self {
        self.mask = Some(mask);
        self
    }

    pub(super) fn parse(mut options: Options<'_>) -> Option<Self> {
        let (mut action, mut name, mut side) = (None, None, None);
        let mut recent = Self::new(RecentAction::Set);
        while !options.is_empty() {
            let (negated, option) = options.next_option()?;
            let known = match option {
                "--set" => Some(RecentAction::Set),
                "--rcheck" => Some(RecentAction::Check),
                "--update" => Some(RecentAction::Update),
                "--remove" => Some(RecentAction::Remove),
                _ => None,
            };
            if let Some(known) = known {
                put(&mut action, (known, negated))?;
                continue;
            }
            if negated {
                return None;
            }
            match option {
                "--seconds" => put(&mut recent.seconds, number(options.value()?)?)?,
                "--reap" => recent.reap = true,
                "--hitcount" => put(&mut recent.hitcount, number(options.value()?)?)?,
                "--rttl" => recent.ttl = true,
                "--name" => put(&mut name, options.value()?)?,
                "--mask" => put(&mut recent.mask, options.value()?.parse().ok()?)?,
                "--rsource" => put(&mut side, false)?,
                "--rdest" => put(&mut side, true)?,
                _ => return None,
            }
        }
        (recent.action, recent.negated) = action?;
        recent.destination = side.unwrap_or_default();
        recent.name = name.unwrap_or(Self::NAME).to_owned();
        recent.problem().is_none().then_some(recent)
    }

    pub(super) fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let action = match self.action {
            RecentAction::Set => "--set",
            RecentAction::Check => "--rcheck",
            RecentAction::Update => "--update",
            RecentAction::Remove => "--remove",
        };
        write!(f, " {}{action}", bang(self.negated))?;
        if let Some(seconds) = self.seconds {
            write!(f, " --seconds {seconds}")?;
        }
        f.write_str(if self.reap { " --reap" } else { "" })?;
        if let Some(hitcount) = self.hitcount {
            write!(f, " --hitcount {hitcount}")?;
        }
        f.write_str(if self.ttl { " --rttl" } else { "" })?;
        write!(f, " --name {}", self.name)?;
        if let Some(mask) = self.mask {
            f.write_str(" --mask ")?;
            write_ip(f, mask)?;
        }
        f.write_str(if self.destination {
            " --rdest"
        } else {
            " --rsource"
        })
    }

    /// Why the tools would refuse it, or print another.
    pub(crate) fn problem(&self) -> Option<&'static str> {
        let conditions = self.seconds.is_some() || self.hitcount.is_some() || self.ttl;
        let checks = matches!(self.action, RecentAction::Check | RecentAction::Update);
        if conditions && !checks {
            Some("--seconds, --hitcount and --rttl are for --rcheck and --update")
        } else if self.reap && self.seconds.is_none() {
            Some("--reap needs --seconds")
        } else if self.seconds == Some(0) || self.hitcount == Some(0) {
            Some("--seconds and --hitcount are at least 1")
        } else if !is_plain_word(&self.name) || self.name.len() > 199 {
            Some("the name of a recent list is one word of 1 to 199 bytes")
        } else {
            None
        }
    }

    fn key(&self) -> impl PartialEq + Hash {
        let Self {
            action,
            negated,
            seconds,
            reap,
            hitcount,
            ttl,
            name,
            mask,
            destination,
        } = self;
        let mask = mask.filter(|mask| match mask {
            IpAddr::V4(mask) => mask.to_bits() != u32::MAX,
            IpAddr::V6(mask) => mask.to_bits() != u128::MAX,
        });
        (
            (action, negated, destination),
            (seconds, reap, hitcount, ttl),
            (name, mask),
        )
    }
}

impl PartialEq for RecentMatch {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for RecentMatch {}

impl Hash for RecentMatch {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}
