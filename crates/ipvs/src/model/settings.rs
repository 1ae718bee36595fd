//! Settings and information of IPVS as a whole.

use std::fmt;
use std::str::FromStr;

use crate::{Error, Result};

/// Timeouts of connections in seconds. In a request, 0 leaves a timeout as it is.
///
/// Displays as the line of `ipvsadm -L --timeout`, and parses from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Timeouts {
    /// Established TCP connections without traffic.
    pub tcp: u32,
    /// TCP connections after a FIN.
    pub tcp_fin: u32,
    /// UDP, since the last datagram.
    pub udp: u32,
}

const TIMEOUT_LINE: &str = "Timeout (tcp tcpfin udp):";

impl fmt::Display for Timeouts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{TIMEOUT_LINE} {} {} {}",
            self.tcp, self.tcp_fin, self.udp
        )
    }
}

impl FromStr for Timeouts {
    type Err = Error;

    fn from_str(line: &str) -> Result<Self> {
        let parse = || {
            let mut numbers = line
                .trim()
                .strip_prefix(TIMEOUT_LINE)?
                .split_ascii_whitespace();
            let mut next = || numbers.next()?.parse().ok();
            let timeouts = Self {
                tcp: next()?,
                tcp_fin: next()?,
                udp: next()?,
            };
            numbers.next().is_none().then_some(timeouts)
        };
        parse()
            .ok_or_else(|| Error::text(line, "a line like `Timeout (tcp tcpfin udp): 900 120 300`"))
    }
}

/// Version of the IPVS code, as `0x010201` for 1.2.1. Displays as `1.2.1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub u32);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [_, major, minor, patch] = self.0.to_be_bytes();
        write!(f, "{major}.{minor}.{patch}")
    }
}

impl FromStr for Version {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut numbers = text.split('.').map(|number| number.parse::<u8>().ok());
        let mut next = || numbers.next().flatten();
        match (next(), next(), next(), numbers.next()) {
            (Some(major), Some(minor), Some(patch), None) => {
                Ok(Self(u32::from_be_bytes([0, major, minor, patch])))
            }
            _ => Err(Error::text(text, "a version of three numbers: 1.2.1")),
        }
    }
}

/// Version and size of IPVS, as the kernel reports them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Info {
    /// Version of its code; 1.2.1 since Linux 2.6.
    pub version: Version,
    /// Buckets of the connection table.
    pub connection_table_size: u32,
}

impl Info {
    /// Information of this version and size.
    #[must_use]
    pub const fn new(version: Version, connection_table_size: u32) -> Self {
        Self {
            version,
            connection_table_size,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_the_line_of_ipvsadm() {
        // ipvsadm 1.31, Linux 6.1.
        let line = "Timeout (tcp tcpfin udp): 900 120 300";
        let timeouts = Timeouts {
            tcp: 900,
            tcp_fin: 120,
            udp: 300,
        };
        assert_eq!(timeouts.to_string(), line);
        assert_eq!(line.parse(), Ok(timeouts));
        assert_eq!(format!("{line}\n").parse(), Ok(timeouts));
        for broken in ["", "900 120 300", &line[..33], &format!("{line} 5")] {
            assert!(broken.parse::<Timeouts>().is_err(), "{broken}");
        }
    }

    #[test]
    fn versions_are_dotted() {
        assert_eq!(Version(0x01_0201).to_string(), "1.2.1");
        assert_eq!("1.2.1".parse(), Ok(Version(0x01_0201)));
        for text in ["", "1.2", "1.2.1.0", "1.2.256", "1.2.x"] {
            assert!(text.parse::<Version>().is_err(), "{text}");
        }
    }
}
