//! `-j TPROXY`

use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::IpAddr;

use super::mark::Mark;
use crate::address::write_ip;
use crate::matches::{Options, mark_and_mask, number, put};

/// Options of `TPROXY`: to a socket of this machine, without a change to the packet.
///
/// No address and the unspecified one, which the tools print, are equal.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Tproxy {
    /// `--on-port`; 0 for the packet's own.
    pub on_port: u16,
    /// `--on-ip`; none for that of the interface that the packet came in by.
    pub on_ip: Option<IpAddr>,
    /// `--tproxy-mark`: the bits of the mask are cleared in the packet's mark, then those of the value are flipped.
    pub mark: Mark,
}

impl Tproxy {
    /// `--on-port`
    pub fn on_port(port: u16) -> Self {
        Self {
            on_port: port,
            on_ip: None,
            mark: Mark { value: 0, mask: 0 },
        }
    }

    /// `--on-ip`
    #[must_use]
    pub fn on_ip(mut self, address: IpAddr) -> Self {
        self.on_ip = Some(address);
        self
    }

    /// `--tproxy-mark`
    #[must_use]
    pub fn mark(mut self, mark: Mark) -> Self {
        self.mark = mark;
        self
    }

    pub(super) fn parse(options: &mut Options<'_>) -> Option<Self> {
        let (mut port, mut address, mut mark) = (None, None, None);
        while !options.is_empty() {
            match options.next_option()? {
                (false, "--on-port") => {
                    put(&mut port, u16::try_from(number(options.value()?)?).ok()?)?;
                }
                (false, "--on-ip") => put(&mut address, options.value()?.parse().ok()?)?,
                (false, "--tproxy-mark") => {
                    let (value, mask) = mark_and_mask(options.value()?)?;
                    let mask = mask.unwrap_or(u32::MAX);
                    put(&mut mark, Mark { value, mask })?;
                }
                _ => return None,
            }
        }
        Some(Self {
            on_port: port?,
            on_ip: address,
            mark: mark.unwrap_or(Mark { value: 0, mask: 0 }),
        })
    }

    pub(super) fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, " --on-port {}", self.on_port)?;
        if let Some(address) = self.on_ip {
            f.write_str(" --on-ip ")?;
            write_ip(f, address)?;
        }
        write!(f, " --tproxy-mark {}", self.mark)
    }

    fn key(&self) -> impl PartialEq + Hash {
        let address = self.on_ip.filter(|address| !address.is_unspecified());
        (self.on_port, address, self.mark)
    }
}

impl PartialEq for Tproxy {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Tproxy {}

impl Hash for Tproxy {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}
