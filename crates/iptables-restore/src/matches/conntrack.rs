//! `-m conntrack`

use std::fmt;

use super::Options;
use crate::address::bang;

bitflags::bitflags! {
    /// States of a connection, in the order in which `--ctstate` prints them.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub struct CtStates: u8 {
        /// The packet belongs to no connection that conntrack understands.
        const INVALID = 1;
        /// The first packet of a connection.
        const NEW = 1 << 1;
        /// A new connection that another one announced, or an ICMP error about one.
        const RELATED = 1 << 2;
        /// A connection that has seen packets both ways.
        const ESTABLISHED = 1 << 3;
        /// Packets that the raw table exempted from tracking.
        const UNTRACKED = 1 << 4;
        /// Connections whose source address is translated.
        const SNAT = 1 << 5;
        /// Connections whose destination address is translated.
        const DNAT = 1 << 6;
    }
}

/// The state of the packet's connection: `--ctstate RELATED,ESTABLISHED`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct ConntrackMatch {
    /// Any of these; not empty.
    pub states: CtStates,
    /// True for `!`: none of these.
    pub negated: bool,
}

impl ConntrackMatch {
    /// `--ctstate STATES`
    pub fn states(states: CtStates) -> Self {
        Self {
            states,
            negated: false,
        }
    }

    /// `! --ctstate STATES`
    pub fn not_states(states: CtStates) -> Self {
        Self {
            states,
            negated: true,
        }
    }

    pub(super) fn parse(mut options: Options<'_>) -> Option<Self> {
        let (negated, "--ctstate") = options.next_option()? else {
            return None;
        };
        let states = list(options.value()?)?;
        options.finish()?;
        Some(Self { states, negated })
    }

    pub(super) fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, " {}--ctstate ", bang(self.negated))?;
        write_list(&self.states, f)
    }
}

/// Flags by name, joined by commas.
pub(super) fn list<F: bitflags::Flags>(text: &str) -> Option<F> {
    text.split(',')
        .try_fold(F::empty(), |all, name| Some(all.union(F::from_name(name)?)))
}

/// The names of the flags in the order of their bits, joined by commas.
pub(super) fn write_list<F: bitflags::Flags>(flags: &F, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (position, (name, _)) in flags.iter_names().enumerate() {
        if position > 0 {
            f.write_str(",")?;
        }
        f.write_str(name)?;
    }
    Ok(())
}
