//! `-j DNAT`, `-j SNAT`, `-j REDIRECT`, `-j MASQUERADE`

use std::fmt;

use super::nat_range::{Dashed, NatRange, dashed};
use crate::matches::{Options, PortRange, put};

/// Options of `DNAT`: another destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Dnat {
    /// `--to-destination`
    pub to: NatRange,
    /// `--random`: the port is random.
    pub random: bool,
    /// `--persistent`: a client has the same address for each of its connections.
    pub persistent: bool,
}

impl Dnat {
    /// `--to-destination`
    pub fn new(to: impl Into<NatRange>) -> Self {
        Self {
            to: to.into(),
            random: false,
            persistent: false,
        }
    }

    /// `--random`
    #[must_use]
    pub fn random(mut self) -> Self {
        self.random = true;
        self
    }

    /// `--persistent`
    #[must_use]
    pub fn persistent(mut self) -> Self {
        self.persistent = true;
        self
    }

    pub(super) fn parse(options: &mut Options<'_>) -> Option<Self> {
        let mut to = None;
        let (mut random, mut persistent) = (false, false);
        while !options.is_empty() {
            match options.next_option()? {
                (false, "--to-destination") => put(&mut to, options.value()?.parse().ok()?)?,
                (false, "--random") => random = true,
                (false, "--persistent") => persistent = true,
                _ => return None,
            }
        }
        Some(Self {
            to: to?,
            random,
            persistent,
        })
    }

    pub(super) fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, " --to-destination {}", self.to)?;
        f.write_str(if self.random { " --random" } else { "" })?;
        f.write_str(if self.persistent { " --persistent" } else { "" })
    }
}

/// Options of `SNAT`: another source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Snat {
    /// `--to-source`; it has no [`NatRange::base`].
    pub to: NatRange,
    /// `--random`: the port is random.
    pub random: bool,
    /// `--random-fully`: with a better random number. iptables 1.6.2 or later.
    pub random_fully: bool,
    /// `--persistent`: a client has the same address for each of its connections.
    pub persistent: bool,
}

impl Snat {
    /// `--to-source`
    pub fn new(to: impl Into<NatRange>) -> Self {
        Self {
            to: to.into(),
            random: false,
            random_fully: false,
            persistent: false,
        }
    }

    /// `--random`
    #[must_use]
    pub fn random(mut self) -> Self {
        self.random = true;
        self
    }

    /// `--random-fully`
    #[must_use]
    pub fn random_fully(mut self) -> Self {
        self.random_fully = true;
        self
    }

    /// `--persistent`
    #[must_use]
    pub fn persistent(mut self) -> Self {
        self.persistent = true;
        self
    }

    pub(super) fn parse(options: &mut Options<'_>) -> Option<Self> {
        let mut to: Option<NatRange> = None;
        let (mut random, mut random_fully, mut persistent) = (false, false, false);
        while !options.is_empty() {
            match options.next_option()? {
                (false, "--to-source") => put(&mut to, options.value()?.parse().ok()?)?,
                (false, "--random") => random = true,
                (false, "--random-fully") => random_fully = true,
                (false, "--persistent") => persistent = true,
                _ => return None,
            }
        }
        let to = to.filter(|to| to.base().is_none())?;
        Some(Self {
            to,
            random,
            random_fully,
            persistent,
        })
    }

    pub(super) fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, " --to-source {}", self.to)?;
        f.write_str(if self.random { " --random" } else { "" })?;
        f.write_str(if self.random_fully {
            " --random-fully"
        } else {
            ""
        })?;
        f.write_str(if self.persistent { " --persistent" } else { "" })
    }
}

/// Options of `REDIRECT`: to this machine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Redirect {
    /// `--to-ports`: the port, or those to choose from; none keeps the port.
    pub to_ports: Option<PortRange>,
    /// `--random`: the port is random.
    pub random: bool,
}

impl Redirect {
    /// `-j REDIRECT`
    pub fn new() -> Self {
        Self::default()
    }

    /// `--to-ports`
    #[must_use]
    pub fn to_ports(mut self, ports: impl Into<PortRange>) -> Self {
        self.to_ports = Some(ports.into());
        self
    }

    /// `--random`
    #[must_use]
    pub fn random(mut self) -> Self {
        self.random = true;
        self
    }

    pub(super) fn parse(options: &mut Options<'_>) -> Option<Self> {
        let mut redirect = Self::default();
        while !options.is_empty() {
            match options.next_option()? {
                (false, "--to-ports") => {
                    let ports =
                        dashed(options.value()?).filter(|ports| ports.first <= ports.last)?;
                    put(&mut redirect.to_ports, ports)?;
                }
                (false, "--random") => redirect.random = true,
                _ => return None,
            }
        }
        Some(redirect)
    }

    pub(super) fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(ports) = self.to_ports {
            write!(f, " --to-ports {}", Dashed(ports))?;
        }
        f.write_str(if self.random { " --random" } else { "" })
    }
}

/// Options of `MASQUERADE`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Masquerade {
    /// `--to-ports`: source ports to choose from.
    pub to_ports: Option<PortRange>,
    /// `--random`: the source port is random.
    pub random: bool,
    /// `--random-fully`: with a better random number. iptables 1.6.2 or later.
    pub random_fully: bool,
}

impl Masquerade {
    /// `-j MASQUERADE`
    pub fn new() -> Self {
        Self::default()
    }

    /// `--to-ports`
    #[must_use]
    pub fn to_ports(mut self, ports: PortRange) -> Self {
        self.to_ports = Some(ports);
        self
    }

    /// `--random`
    #[must_use]
    pub fn random(mut self) -> Self {
        self.random = true;
        self
    }

    /// `--random-fully`
    #[must_use]
    pub fn random_fully(mut self) -> Self {
        self.random_fully = true;
        self
    }

    pub(super) fn parse(options: &mut Options<'_>) -> Option<Self> {
        let mut masquerade = Self::default();
        while !options.is_empty() {
            match options.next_option()? {
                (false, "--random") => masquerade.random = true,
                (false, "--random-fully") => masquerade.random_fully = true,
                (false, "--to-ports") if masquerade.to_ports.is_none() => {
                    masquerade.to_ports = Some(dashed(options.value()?)?);
                }
                _ => return None,
            }
        }
        Some(masquerade)
    }

    pub(super) fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(ports) = self.to_ports {
            write!(f, " --to-ports {}", Dashed(ports))?;
        }
        f.write_str(if self.random { " --random" } else { "" })?;
        f.write_str(if self.random_fully {
            " --random-fully"
        } else {
            ""
        })
    }
}
