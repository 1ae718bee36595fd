//! `-j CT`

use std::fmt;

use crate::matches::{Options, number, put};
use crate::rule::is_plain_word;

/// Options of `CT`: how a connection is tracked. For the raw table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Ct {
    /// `--notrack`: it is not tracked.
    pub notrack: bool,
    /// `--helper`: the helper for connections that announce others, such as `ftp`; 1 to 15 bytes.
    pub helper: Option<String>,
    /// `--timeout`: a timeout policy (`nfct timeout`); 1 to 31 bytes.
    pub timeout: Option<String>,
    /// `--ctevents`: which of its events are reported; none given reports all.
    pub events: CtEvents,
    /// `--expevents new`: new expectations are reported.
    pub new_expectations: bool,
    /// `--zone`, `--zone-orig` or `--zone-reply`
    pub zone: Option<CtZone>,
}

/// The zone in which a connection is looked up: connections of different zones may have the same addresses and ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct CtZone {
    /// Packets of which direction; `None` for both.
    pub direction: Option<CtDirection>,
    /// Its number, not 0; `None` for the packet's mark.
    pub id: Option<u16>,
}

/// A direction of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum CtDirection {
    /// As the first packet.
    Original,
    /// The other way.
    Reply,
}

bitflags::bitflags! {
    /// Events of a connection, in the order in which `--ctevents` prints them.
    #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub struct CtEvents: u16 {
        /// `new`
        const NEW = 1;
        /// `related`
        const RELATED = 1 << 1;
        /// `destroy`
        const DESTROY = 1 << 2;
        /// `reply`: the first packet the other way.
        const REPLY = 1 << 3;
        /// `assured`
        const ASSURED = 1 << 4;
        /// `protoinfo`: the state of TCP, for one.
        const PROTOINFO = 1 << 5;
        /// `helper`
        const HELPER = 1 << 6;
        /// `mark`
        const MARK = 1 << 7;
        /// `natseqinfo`
        const NATSEQINFO = 1 << 8;
        /// `secmark`
        const SECMARK = 1 << 9;
    }
}

impl CtZone {
    /// `--zone`
    pub fn new(id: u16) -> Self {
        Self {
            direction: None,
            id: Some(id),
        }
    }
}

impl Ct {
    /// `--notrack`
    pub fn notrack() -> Self {
        Self {
            notrack: true,
            ..Self::default()
        }
    }

    /// `--zone`
    pub fn zone(zone: CtZone) -> Self {
        Self {
            zone: Some(zone),
            ..Self::default()
        }
    }

    /// `--helper`
    pub fn helper(name: impl Into<String>) -> Self {
        Self {
            helper: Some(name.into()),
            ..Self::default()
        }
    }

    pub(super) fn parse(options: &mut Options<'_>) -> Option<Self> {
        let mut ct = Self::default();
        let mut events = None;
        while !options.is_empty() {
            let (false, option) = options.next_option()? else {
                return None;
            };
            match option {
                "--notrack" => ct.notrack = true,
                "--helper" => put(&mut ct.helper, options.value()?.to_owned())?,
                "--timeout" => put(&mut ct.timeout, options.value()?.to_owned())?,
                "--ctevents" => put(&mut events, events_of(options.value()?)?)?,
                "--expevents" if options.value()? == "new" => ct.new_expectations = true,
                "--zone" => put(&mut ct.zone, zone(None, options)?)?,
                "--zone-orig" => {
                    put(&mut ct.zone, zone(Some(CtDirection::Original), options)?)?;
                }
                "--zone-reply" => put(&mut ct.zone, zone(Some(CtDirection::Reply), options)?)?,
                _ => return None,
            }
        }
        ct.events = events.unwrap_or_default();
        // The zone of all that have none.
        let none = CtZone::new(0);
        ct.zone = ct.zone.filter(|zone| *zone != none);
        ct.problem().is_none().then_some(ct)
    }

    pub(super) fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.notrack { " --notrack" } else { "" })?;
        if let Some(helper) = &self.helper {
            write!(f, " --helper {helper}")?;
        }
        if let Some(timeout) = &self.timeout {
            write!(f, " --timeout {timeout}")?;
        }
        for (position, (name, _)) in self.events.iter_names().enumerate() {
            f.write_str(if position == 0 { " --ctevents " } else { "," })?;
            f.write_str(&name.to_ascii_lowercase())?;
        }
        f.write_str(if self.new_expectations {
            " --expevents new"
        } else {
            ""
        })?;
        let Some(zone) = self.zone else {
            return Ok(());
        };
        f.write_str(match zone.direction {
            None => " --zone ",
            Some(CtDirection::Original) => " --zone-orig ",
            Some(CtDirection::Reply) => " --zone-reply ",
        })?;
        match zone.id {
            Some(id) => write!(f, "{id}"),
            None => f.write_str("mark"),
        }
    }

    /// Why the tools would refuse it, or print another.
    pub(crate) fn problem(&self) -> Option<&'static str> {
        let bad = |name: &Option<String>, longest: usize| {
            name.as_ref()
                .is_some_and(|name| !is_plain_word(name) || name.len() > longest)
        };
        if bad(&self.helper, 15) {
            Some("a helper's name is one word of 1 to 15 bytes")
        } else if bad(&self.timeout, 31) {
            Some("a timeout policy's name is one word of 1 to 31 bytes")
        } else if self.zone.is_some_and(|zone| zone.id == Some(0)) {
            Some("zone 0 is where connections are without this")
        } else {
            None
        }
    }
}

/// `new,destroy`; not empty.
fn events_of(text: &str) -> Option<CtEvents> {
    text.split(',').try_fold(CtEvents::empty(), |all, name| {
        let mut known = CtEvents::all().iter_names();
        let (_, event) = known.find(|(known, _)| known.to_ascii_lowercase() == name)?;
        Some(all | event)
    })
}

fn zone(direction: Option<CtDirection>, options: &mut Options<'_>) -> Option<CtZone> {
    let id = match options.value()? {
        "mark" => None,
        id => Some(u16::try_from(number(id)?).ok()?),
    };
    Some(CtZone { direction, id })
}
