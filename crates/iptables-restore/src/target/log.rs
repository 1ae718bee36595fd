//! `-j LOG`, `-j NFLOG`

use std::fmt;

use crate::matches::{Options, number, put};
use crate::text::byte_len;
use crate::word::Word;

/// Options of `LOG`: a line in the kernel's log.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Log {
    /// `--log-prefix`: 1 to 29 bytes before each line.
    pub prefix: Option<String>,
    /// `--log-level`: 0 (emergency) to 7 (debug), as syslog has them; 4 (warning) unless given.
    pub level: u8,
    /// `--log-tcp-sequence`
    pub tcp_sequence: bool,
    /// `--log-tcp-options`
    pub tcp_options: bool,
    /// `--log-ip-options`
    pub ip_options: bool,
    /// `--log-uid`: the user that owns the socket.
    pub uid: bool,
    /// `--log-macdecode`
    pub macdecode: bool,
}

impl Log {
    /// The most bytes of a prefix that the kernel keeps (`struct xt_log_info`).
    pub const MAX_PREFIX: usize = 29;
    const WARNING: u8 = 4;

    /// `-j LOG`
    pub fn new() -> Self {
        Self {
            prefix: None,
            level: Self::WARNING,
            tcp_sequence: false,
            tcp_options: false,
            ip_options: false,
            uid: false,
            macdecode: false,
        }
    }

    /// `--log-prefix`
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = Some(prefix.into());
        self
    }

    /// `--log-level`: 0 (emergency) to 7 (debug).
    #[must_use]
    pub fn level(mut self, level: u8) -> Self {
        self.level = level;
        self
    }

    pub(super) fn parse(options: &mut Options<'_>) -> Option<Self> {
        let mut log = Self::new();
        let mut level = None;
        while !options.is_empty() {
            match options.next_option()? {
                (false, "--log-prefix") => put(&mut log.prefix, options.value()?.to_owned())?,
                (false, "--log-level") => put(&mut level, level_of(options.value()?)?)?,
                (false, "--log-tcp-sequence") => log.tcp_sequence = true,
                (false, "--log-tcp-options") => log.tcp_options = true,
                (false, "--log-ip-options") => log.ip_options = true,
                (false, "--log-uid") => log.uid = true,
                (false, "--log-macdecode") => log.macdecode = true,
                _ => return None,
            }
        }
        log.level = level.unwrap_or(Self::WARNING);
        log.problem().is_none().then_some(log)
    }

    pub(super) fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(prefix) = &self.prefix {
            write!(f, " --log-prefix {}", Word::free_text(prefix))?;
        }
        if self.level != Self::WARNING {
            write!(f, " --log-level {}", self.level)?;
        }
        for (given, option) in [
            (self.tcp_sequence, " --log-tcp-sequence"),
            (self.tcp_options, " --log-tcp-options"),
            (self.ip_options, " --log-ip-options"),
            (self.uid, " --log-uid"),
            (self.macdecode, " --log-macdecode"),
        ] {
            f.write_str(if given { option } else { "" })?;
        }
        Ok(())
    }

    /// Why the tools would refuse it, or print another.
    pub(crate) fn problem(&self) -> Option<&'static str> {
        let prefix = self.prefix.as_deref().map(byte_len);
        if prefix.is_some_and(|length| !(1..=Self::MAX_PREFIX).contains(&length)) {
            Some("a prefix of LOG has 1 to 29 bytes")
        } else if self.level > 7 {
            Some("a level of LOG is 0 to 7")
        } else {
            None
        }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self::new()
    }
}

/// A level by its number, or by a name that the tools have.
fn level_of(text: &str) -> Option<u8> {
    Some(match text {
        "emerg" | "panic" => 0,
        "alert" => 1,
        "crit" => 2,
        "error" => 3,
        "warning" => 4,
        "notice" => 5,
        "info" => 6,
        "debug" => 7,
        _ => u8::try_from(number(text)?).ok()?,
    })
}

/// Options of `NFLOG`: to programs that listen to the kernel's netlink log.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Nflog {
    /// `--nflog-prefix`: 1 to 63 bytes that go with each packet.
    pub prefix: Option<String>,
    /// `--nflog-group`: which listeners.
    pub group: u16,
    /// `--nflog-size`: how many bytes of a packet are copied; all unless given.
    pub size: Option<u32>,
    /// `--nflog-threshold`: how many packets are collected for one message; 0 leaves it to the listener.
    pub threshold: u16,
}

impl Nflog {
    /// The most bytes of a prefix that the kernel keeps (`struct xt_nflog_info`).
    pub const MAX_PREFIX: usize = 63;

    /// `--nflog-group`
    pub fn group(group: u16) -> Self {
        Self {
            group,
            ..Self::default()
        }
    }

    /// `--nflog-prefix`
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = Some(prefix.into());
        self
    }

    pub(super) fn parse(options: &mut Options<'_>) -> Option<Self> {
        let mut nflog = Self::default();
        let (mut group, mut threshold) = (None, None);
        while !options.is_empty() {
            match options.next_option()? {
                (false, "--nflog-prefix") => put(&mut nflog.prefix, options.value()?.to_owned())?,
                (false, "--nflog-group") => put(&mut group, short(options.value()?)?)?,
                (false, "--nflog-size") => put(&mut nflog.size, number(options.value()?)?)?,
                (false, "--nflog-threshold") => put(&mut threshold, short(options.value()?)?)?,
                _ => return None,
            }
        }
        nflog.group = group.unwrap_or_default();
        nflog.threshold = threshold.unwrap_or_default();
        nflog.problem().is_none().then_some(nflog)
    }

    pub(super) fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(prefix) = &self.prefix {
            write!(f, " --nflog-prefix {}", Word::free_text(prefix))?;
        }
        if self.group != 0 {
            write!(f, " --nflog-group {}", self.group)?;
        }
        if let Some(size) = self.size {
            write!(f, " --nflog-size {size}")?;
        }
        if self.threshold != 0 {
            write!(f, " --nflog-threshold {}", self.threshold)?;
        }
        Ok(())
    }

    /// Why the tools would refuse it, or print another.
    pub(crate) fn problem(&self) -> Option<&'static str> {
        let prefix = self.prefix.as_deref().map(byte_len);
        prefix
            .is_some_and(|length| !(1..=Self::MAX_PREFIX).contains(&length))
            .then_some("a prefix of NFLOG has 1 to 63 bytes")
    }
}

fn short(text: &str) -> Option<u16> {
    u16::try_from(number(text)?).ok()
}
