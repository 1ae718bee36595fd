//! Ports: `-m tcp`, `-m udp`, `-m sctp`, `-m multiport`

use std::fmt;
use std::str::FromStr;

use super::Options;
use super::options::put;
use crate::address::{Negatable, bang};

/// A port, or a range of ports with both its ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortRange {
    /// The lowest port.
    pub first: u16,
    /// The highest port.
    pub last: u16,
}

impl From<u16> for PortRange {
    fn from(port: u16) -> Self {
        Self {
            first: port,
            last: port,
        }
    }
}

impl FromStr for PortRange {
    type Err = std::num::ParseIntError;

    /// Parses `80`, `80:90`, `:90` and `1024:`. Names of services are an error.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            None => Ok(text.parse::<u16>()?.into()),
            Some((first, last)) => Ok(Self {
                first: if first.is_empty() { 0 } else { first.parse()? },
                last: if last.is_empty() {
                    u16::MAX
                } else {
                    last.parse()?
                },
            }),
        }
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.first)?;
        if self.last != self.first {
            write!(f, ":{}", self.last)?;
        }
        Ok(())
    }
}

/// Ports of TCP, UDP or SCTP: `--sport 1024:65535 --dport 80`. The rule needs the protocol too.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct PortsMatch {
    /// `--sport`
    pub source: Option<Negatable<PortRange>>,
    /// `--dport`
    pub destination: Option<Negatable<PortRange>>,
}

impl PortsMatch {
    /// Packets to this port or range.
    pub fn destination(ports: impl Into<PortRange>) -> Self {
        Self {
            destination: Some(Negatable::is(ports.into())),
            source: None,
        }
    }

    /// Packets from this port or range.
    pub fn source(ports: impl Into<PortRange>) -> Self {
        Self {
            source: Some(Negatable::is(ports.into())),
            destination: None,
        }
    }

    pub(super) fn parse(mut options: Options<'_>) -> Option<Self> {
        let mut ports = Self::default();
        while !options.is_empty() {
            let (negated, option) = options.next_option()?;
            let place = match option {
                "--sport" | "--source-port" => &mut ports.source,
                "--dport" | "--destination-port" => &mut ports.destination,
                _ => return None,
            };
            put(
                place,
                Negatable {
                    value: options.value()?.parse().ok()?,
                    negated,
                },
            )?;
        }
        Some(ports)
    }

    pub(super) fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(ports) = &self.source {
            ports.write(f, "--sport")?;
        }
        if let Some(ports) = &self.destination {
            ports.write(f, "--dport")?;
        }
        Ok(())
    }
}

/// One of several ports: `--dports 80,443,1000:2000`. The rule needs the protocol too.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct MultiportMatch {
    /// The ports and ranges; at most 15, a range counting twice.
    pub ports: Vec<PortRange>,
    /// True for `!`: none of these.
    pub negated: bool,
    /// `--sports`, `--dports` or `--ports`.
    option: &'static str,
}

impl MultiportMatch {
    /// `--dports`
    pub fn destination(ports: impl IntoIterator<Item = PortRange>) -> Self {
        Self {
            ports: ports.into_iter().collect(),
            negated: false,
            option: "--dports",
        }
    }

    /// `--sports`
    pub fn source(ports: impl IntoIterator<Item = PortRange>) -> Self {
        Self {
            option: "--sports",
            ..Self::destination(ports)
        }
    }

    /// `--ports`: source or destination.
    pub fn either(ports: impl IntoIterator<Item = PortRange>) -> Self {
        Self {
            option: "--ports",
            ..Self::destination(ports)
        }
    }

    pub(super) fn parse(mut options: Options<'_>) -> Option<Self> {
        let (negated, option) = options.next_option()?;
        let option = match option {
            "--dports" | "--destination-ports" => "--dports",
            "--sports" | "--source-ports" => "--sports",
            "--ports" => "--ports",
            _ => return None,
        };
        let ports = options
            .value()?
            .split(',')
            .map(|ports| ports.parse().ok())
            .collect::<Option<Vec<_>>>()?;
        options.finish()?;
        Some(Self {
            ports,
            negated,
            option,
        })
    }

    pub(super) fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, " {}{} ", bang(self.negated), self.option)?;
        for (position, ports) in self.ports.iter().enumerate() {
            write!(f, "{}{ports}", if position > 0 { "," } else { "" })?;
        }
        Ok(())
    }
}
