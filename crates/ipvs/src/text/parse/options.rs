//! The options of `ipvsadm`, and dividing a line into them (its library is popt).

use std::iter::Peekable;
use std::str::SplitAsciiWhitespace;

use crate::{Error, ForwardingMethod, Protocol, Result, TunnelFlags};

/// The meaning of an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    AddService,
    AddDestination,
    Service(Protocol),
    Mark,
    Ipv6,
    Scheduler,
    Persistent,
    Netmask,
    Engine,
    OnePacket,
    SchedulerFlags,
    Destination,
    Forwarding(ForwardingMethod),
    Weight,
    UpperThreshold,
    LowerThreshold,
    TunnelType,
    TunnelPort,
    NoChecksum,
    TunnelFlag(TunnelFlags),
}

impl Kind {
    /// Whether it configures a virtual server.
    pub(super) const fn is_of_service(self) -> bool {
        matches!(
            self,
            Self::Scheduler
                | Self::Persistent
                | Self::Netmask
                | Self::Engine
                | Self::OnePacket
                | Self::SchedulerFlags
        )
    }

    /// Whether it identifies or configures a destination.
    pub(super) const fn is_of_destination(self) -> bool {
        matches!(
            self,
            Self::Destination
                | Self::Forwarding(_)
                | Self::Weight
                | Self::UpperThreshold
                | Self::LowerThreshold
                | Self::TunnelType
                | Self::TunnelPort
                | Self::NoChecksum
                | Self::TunnelFlag(_)
        )
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Value {
    None,
    Required,
    Optional,
}

type Spelling = (Option<char>, &'static str, Kind, Value);

const SPELLINGS: [Spelling; 25] = {
    use {ForwardingMethod as Method, Value::None as Alone, Value::Optional, Value::Required};
    [
        (Some('A'), "add-service", Kind::AddService, Alone),
        (Some('a'), "add-server", Kind::AddDestination, Alone),
        (
            Some('t'),
            "tcp-service",
            Kind::Service(Protocol::TCP),
            Required,
        ),
        (
            Some('u'),
            "udp-service",
            Kind::Service(Protocol::UDP),
            Required,
        ),
        (
            None,
            "sctp-service",
            Kind::Service(Protocol::SCTP),
            Required,
        ),
        (Some('f'), "fwmark-service", Kind::Mark, Required),
        (Some('6'), "ipv6", Kind::Ipv6, Alone),
        (Some('s'), "scheduler", Kind::Scheduler, Required),
        (Some('p'), "persistent", Kind::Persistent, Optional),
        (Some('M'), "netmask", Kind::Netmask, Required),
        (None, "pe", Kind::Engine, Required),
        (Some('o'), "ops", Kind::OnePacket, Alone),
        (Some('b'), "sched-flags", Kind::SchedulerFlags, Required),
        (Some('r'), "real-server", Kind::Destination, Required),
        (
            Some('m'),
            "masquerading",
            Kind::Forwarding(Method::Masquerade),
            Alone,
        ),
        (Some('i'), "ipip", Kind::Forwarding(Method::Tunnel), Alone),
        (
            Some('g'),
            "gatewaying",
            Kind::Forwarding(Method::DirectRoute),
            Alone,
        ),
        (Some('w'), "weight", Kind::Weight, Required),
        (Some('x'), "u-threshold", Kind::UpperThreshold, Required),
        (Some('y'), "l-threshold", Kind::LowerThreshold, Required),
        (None, "tun-type", Kind::TunnelType, Required),
        (None, "tun-port", Kind::TunnelPort, Required),
        (None, "tun-nocsum", Kind::NoChecksum, Alone),
        (
            None,
            "tun-csum",
            Kind::TunnelFlag(TunnelFlags::CHECKSUM),
            Alone,
        ),
        (
            None,
            "tun-remcsum",
            Kind::TunnelFlag(TunnelFlags::REMOTE_CHECKSUM),
            Alone,
        ),
    ]
};

/// An option with its value, which is empty if it takes none.
pub(super) struct GivenOption<'a> {
    pub(super) kind: Kind,
    /// The word it was found in, for errors.
    pub(super) word: &'a str,
    pub(super) value: &'a str,
}

/// The options of a line, one after another.
pub(super) struct Words<'a> {
    words: Peekable<SplitAsciiWhitespace<'a>>,
    /// What is left of a word of several short options, and the word.
    cluster: Option<(&'a str, &'a str)>,
}

impl<'a> Words<'a> {
    pub(super) fn of(line: &'a str) -> Self {
        let mut words = line.split_ascii_whitespace().peekable();
        words.next_if_eq(&"ipvsadm");
        Self {
            words,
            cluster: None,
        }
    }

    fn option(&mut self, word: &'a str) -> Result<GivenOption<'a>> {
        if let Some(long) = word.strip_prefix("--") {
            let (name, value) = match long.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (long, None),
            };
            let (kind, takes) = long_option(name).ok_or_else(|| Error::save_line(word, UNKNOWN))?;
            if takes == Value::None && value.is_some() {
                return Err(Error::save_line(word, "takes no value"));
            }
            return self.with_value(kind, takes, word, value);
        }
        match word.strip_prefix('-') {
            Some(shorts) if !shorts.is_empty() => self.short(shorts, word),
            _ => Err(Error::save_line(word, "not an option")),
        }
    }

    /// The first of `shorts`; the rest is its value, or more options.
    fn short(&mut self, shorts: &'a str, word: &'a str) -> Result<GivenOption<'a>> {
        let mut chars = shorts.chars();
        let letter = chars.next();
        let known = SPELLINGS
            .iter()
            .find(|(short, ..)| short.is_some() && *short == letter);
        let Some(&(_, _, kind, takes)) = known else {
            return Err(Error::save_line(word, UNKNOWN));
        };
        let rest = Some(chars.as_str()).filter(|rest| !rest.is_empty());
        if takes == Value::None {
            self.cluster = rest.map(|rest| (rest, word));
            return Ok(GivenOption {
                kind,
                word,
                value: "",
            });
        }
        let value = rest.map(|rest| rest.strip_prefix('=').unwrap_or(rest));
        self.with_value(kind, takes, word, value)
    }

    fn with_value(
        &mut self,
        kind: Kind,
        takes: Value,
        word: &'a str,
        value: Option<&'a str>,
    ) -> Result<GivenOption<'a>> {
        let next = match takes {
            Value::None => None,
            Value::Required => value.or_else(|| self.words.next()),
            Value::Optional => value.or_else(|| self.words.next_if(|word| !word.starts_with('-'))),
        };
        if takes == Value::Required && next.is_none() {
            return Err(Error::save_line(word, "needs a value"));
        }
        Ok(GivenOption {
            kind,
            word,
            value: next.unwrap_or_default(),
        })
    }
}

impl<'a> Iterator for Words<'a> {
    type Item = Result<GivenOption<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some((shorts, word)) = self.cluster.take() {
            return Some(self.short(shorts, word));
        }
        let word = self.words.next()?;
        Some(self.option(word))
    }
}

const UNKNOWN: &str = "not an option of ipvsadm's -A and -a";

fn long_option(name: &str) -> Option<(Kind, Value)> {
    if let Some(&(_, _, kind, takes)) = SPELLINGS.iter().find(|(_, long, ..)| *long == name) {
        return Some((kind, takes));
    }
    // How this crate prints services that ipvsadm has no option for.
    let number = name.strip_prefix("protocol-")?.strip_suffix("-service")?;
    Some((
        Kind::Service(Protocol(number.parse().ok()?)),
        Value::Required,
    ))
}
