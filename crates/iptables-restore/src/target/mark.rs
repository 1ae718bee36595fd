//! `-j MARK`, `-j CONNMARK`

use std::fmt;

use crate::matches::{Options, mark_and_mask, number, put};

/// `--set-xmark VALUE/MASK`: clears the bits of the mask, then flips those of the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Mark {
    /// The bits to flip.
    pub value: u32,
    /// The bits to clear first.
    pub mask: u32,
}

impl Mark {
    /// Sets these bits and leaves the others.
    pub fn set(bits: u32) -> Self {
        Self {
            value: bits,
            mask: bits,
        }
    }

    /// Flips these bits.
    pub fn flip(bits: u32) -> Self {
        Self {
            value: bits,
            mask: 0,
        }
    }
}

impl Mark {
    /// All five options; the kernel has `--set-xmark` alone.
    pub(super) fn parse(options: &mut Options<'_>) -> Option<Self> {
        let (false, option) = options.next_option()? else {
            return None;
        };
        let text = options.value()?;
        Some(match option {
            "--set-xmark" => {
                let (value, mask) = mark_and_mask(text)?;
                Self {
                    value,
                    mask: mask.unwrap_or(u32::MAX),
                }
            }
            "--set-mark" => {
                let (value, mask) = mark_and_mask(text)?;
                Self {
                    value,
                    mask: mask.map_or(u32::MAX, |mask| mask | value),
                }
            }
            "--or-mark" => Self::set(number(text)?),
            "--xor-mark" => Self::flip(number(text)?),
            "--and-mark" => Self {
                value: 0,
                mask: !number(text)?,
            },
            _ => return None,
        })
    }
}

impl fmt::Display for Mark {
    /// `0x1/0x1`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}/{:#x}", self.value, self.mask)
    }
}

/// Options of `CONNMARK`: the mark of the connection. Shifts are kept word by word, in [`Target::Other`](super::Target).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Connmark {
    /// `--set-xmark VALUE/MASK`
    Set(Mark),
    /// `--save-mark`: the connection's bits of `connection_mask` are cleared, then the packet's of `packet_mask` flip them.
    Save {
        /// `--nfmask`
        packet_mask: u32,
        /// `--ctmask`
        connection_mask: u32,
    },
    /// `--restore-mark`: the packet's bits of `packet_mask` are cleared, then the connection's of `connection_mask` flip
    /// them.
    Restore {
        /// `--nfmask`
        packet_mask: u32,
        /// `--ctmask`
        connection_mask: u32,
    },
}

impl Connmark {
    /// `--save-mark`: the packet's mark, all of it, becomes that of the connection.
    pub fn save() -> Self {
        Self::Save {
            packet_mask: u32::MAX,
            connection_mask: u32::MAX,
        }
    }

    /// `--restore-mark`: the connection's mark, all of it, becomes that of the packet.
    pub fn restore() -> Self {
        Self::Restore {
            packet_mask: u32::MAX,
            connection_mask: u32::MAX,
        }
    }

    pub(super) fn parse(options: &mut Options<'_>) -> Option<Self> {
        let (mut save, mut packet, mut connection) = (None, None, None);
        let mut ahead = options.clone();
        if !matches!(
            ahead.next_option()?,
            (
                false,
                "--save-mark" | "--restore-mark" | "--mask" | "--nfmask" | "--ctmask"
            )
        ) {
            return Some(Self::Set(Mark::parse(options)?));
        }
        while !options.is_empty() {
            match options.next_option()? {
                (false, "--save-mark") => put(&mut save, true)?,
                (false, "--restore-mark") => put(&mut save, false)?,
                (false, "--nfmask") => put(&mut packet, number(options.value()?)?)?,
                (false, "--ctmask") => put(&mut connection, number(options.value()?)?)?,
                (false, "--mask") => {
                    let mask = number(options.value()?)?;
                    put(&mut packet, mask)?;
                    put(&mut connection, mask)?;
                }
                _ => return None,
            }
        }
        let packet_mask = packet.unwrap_or(u32::MAX);
        let connection_mask = connection.unwrap_or(u32::MAX);
        Some(match save? {
            true => Self::Save {
                packet_mask,
                connection_mask,
            },
            false => Self::Restore {
                packet_mask,
                connection_mask,
            },
        })
    }

    pub(super) fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (option, packet, connection) = match self {
            Self::Set(mark) => return write!(f, " --set-xmark {mark}"),
            Self::Save {
                packet_mask,
                connection_mask,
            } => ("--save-mark", packet_mask, connection_mask),
            Self::Restore {
                packet_mask,
                connection_mask,
            } => ("--restore-mark", packet_mask, connection_mask),
        };
        write!(f, " {option} --nfmask {packet:#x} --ctmask {connection:#x}")
    }
}
