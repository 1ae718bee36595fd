//! `-m addrtype`

use std::fmt;

use super::Options;
use super::conntrack::{list, write_list};
use super::options::put;
use crate::address::{Negatable, bang};

bitflags::bitflags! {
    /// Kinds of addresses as the kernel's routing sees them, in the order in which they are printed.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub struct AddressTypes: u16 {
        /// No kind at all, `0.0.0.0`.
        const UNSPEC = 1;
        /// An address reached through a gateway or a link.
        const UNICAST = 1 << 1;
        /// An address of this machine.
        const LOCAL = 1 << 2;
        /// A broadcast address.
        const BROADCAST = 1 << 3;
        /// An anycast address.
        const ANYCAST = 1 << 4;
        /// A multicast address.
        const MULTICAST = 1 << 5;
        /// A route that drops.
        const BLACKHOLE = 1 << 6;
        /// A route that drops and sends "unreachable".
        const UNREACHABLE = 1 << 7;
        /// A route that drops and sends "prohibited".
        const PROHIBIT = 1 << 8;
        /// A route that ends the lookup in its table; the next table is searched.
        const THROW = 1 << 9;
        /// Named, never used.
        const NAT = 1 << 10;
        /// Named, never used.
        const XRESOLVE = 1 << 11;
    }
}

/// The interface on which an address must be local.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum LimitInterface {
    /// `--limit-iface-in`: the one the packet came in by.
    In,
    /// `--limit-iface-out`: the one it goes out by.
    Out,
}

/// The kinds of the packet's addresses: `--dst-type LOCAL`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct AddrtypeMatch {
    /// `--src-type`; not empty.
    pub source: Option<Negatable<AddressTypes>>,
    /// `--dst-type`; not empty.
    pub destination: Option<Negatable<AddressTypes>>,
    /// `--limit-iface-in` or `-out`.
    pub limit: Option<LimitInterface>,
}

impl AddrtypeMatch {
    /// The source is an address of this kind.
    pub fn source(types: AddressTypes) -> Self {
        Self {
            source: Some(Negatable::is(types)),
            ..Self::default()
        }
    }

    /// The source is not an address of this kind.
    pub fn not_source(types: AddressTypes) -> Self {
        Self {
            source: Some(Negatable::not(types)),
            ..Self::default()
        }
    }

    /// The destination is an address of this kind.
    pub fn destination(types: AddressTypes) -> Self {
        Self {
            destination: Some(Negatable::is(types)),
            ..Self::default()
        }
    }

    /// The destination is not an address of this kind.
    pub fn not_destination(types: AddressTypes) -> Self {
        Self {
            destination: Some(Negatable::not(types)),
            ..Self::default()
        }
    }

    pub(super) fn parse(mut options: Options<'_>) -> Option<Self> {
        let mut addrtype = Self::default();
        while !options.is_empty() {
            match options.next_option()? {
                (negated, "--src-type") => {
                    put(
                        &mut addrtype.source,
                        Negatable {
                            value: list(options.value()?)?,
                            negated,
                        },
                    )?;
                }
                (negated, "--dst-type") => {
                    put(
                        &mut addrtype.destination,
                        Negatable {
                            value: list(options.value()?)?,
                            negated,
                        },
                    )?;
                }
                (false, "--limit-iface-in") => put(&mut addrtype.limit, LimitInterface::In)?,
                (false, "--limit-iface-out") => put(&mut addrtype.limit, LimitInterface::Out)?,
                _ => return None,
            }
        }
        Some(addrtype)
    }

    pub(super) fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (option, types) in [
            ("--src-type", &self.source),
            ("--dst-type", &self.destination),
        ] {
            if let Some(types) = types {
                write!(f, " {}{option} ", bang(types.negated))?;
                write_list(&types.value, f)?;
            }
        }
        match self.limit {
            Some(LimitInterface::In) => f.write_str(" --limit-iface-in"),
            Some(LimitInterface::Out) => f.write_str(" --limit-iface-out"),
            None => Ok(()),
        }
    }
}
