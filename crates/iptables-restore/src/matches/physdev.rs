//! `-m physdev`

use std::fmt;

use super::Options;
use super::options::put;
use crate::address::{Negatable, bang};

/// The bridge ports that a packet came in by and goes out by.
///
/// The three flags are `Some(true)` for the option, `Some(false)` for the option negated.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct PhysdevMatch {
    /// `--physdev-is-in`: it came in by a bridge port.
    pub is_in: Option<bool>,
    /// `--physdev-in NAME`
    pub in_interface: Option<Negatable<String>>,
    /// `--physdev-is-out`: it goes out by a bridge port.
    pub is_out: Option<bool>,
    /// `--physdev-out NAME`
    pub out_interface: Option<Negatable<String>>,
    /// `--physdev-is-bridged`: it is bridged, not routed.
    pub is_bridged: Option<bool>,
}

impl PhysdevMatch {
    /// `--physdev-is-in`, or with `false` `! --physdev-is-in`.
    pub fn is_in(yes: bool) -> Self {
        Self {
            is_in: Some(yes),
            ..Self::default()
        }
    }

    pub(super) fn parse(mut options: Options<'_>) -> Option<Self> {
        let mut physdev = Self::default();
        while !options.is_empty() {
            match options.next_option()? {
                (negated, "--physdev-is-in") => put(&mut physdev.is_in, !negated)?,
                (negated, "--physdev-is-out") => put(&mut physdev.is_out, !negated)?,
                (negated, "--physdev-is-bridged") => put(&mut physdev.is_bridged, !negated)?,
                (negated, "--physdev-in") => {
                    put(
                        &mut physdev.in_interface,
                        Negatable {
                            value: interface(&mut options)?,
                            negated,
                        },
                    )?;
                }
                (negated, "--physdev-out") => {
                    put(
                        &mut physdev.out_interface,
                        Negatable {
                            value: interface(&mut options)?,
                            negated,
                        },
                    )?;
                }
                _ => return None,
            }
        }
        Some(physdev)
    }

    pub(super) fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flag = |f: &mut fmt::Formatter<'_>, flag: Option<bool>, option: &str| match flag {
            Some(yes) => write!(f, " {}{option}", bang(!yes)),
            None => Ok(()),
        };
        flag(f, self.is_in, "--physdev-is-in")?;
        if let Some(name) = &self.in_interface {
            name.write(f, "--physdev-in")?;
        }
        flag(f, self.is_out, "--physdev-is-out")?;
        if let Some(name) = &self.out_interface {
            name.write(f, "--physdev-out")?;
        }
        flag(f, self.is_bridged, "--physdev-is-bridged")
    }
}

fn interface(options: &mut Options<'_>) -> Option<String> {
    let name = options.value()?;
    crate::rule::interface_problem(name)
        .is_none()
        .then(|| name.to_owned())
}
