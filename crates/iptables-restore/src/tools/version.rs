//! What `iptables -V` prints, and the features that follow from it.

use std::fmt;
use std::str::FromStr;

/// Where in the kernel the tools keep their rules. Rules of one are not seen by the tools of the other, and packets pass
/// through both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Backend {
    /// The kernel's own tables, `ip_tables` and `ip6_tables`.
    Legacy,
    /// Tables of nftables.
    Nft,
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Legacy => "legacy",
            Self::Nft => "nf_tables",
        })
    }
}

/// A version of iptables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// 1 in 1.8.9.
    pub major: u16,
    /// 8 in 1.8.9.
    pub minor: u16,
    /// 9 in 1.8.9.
    pub patch: u16,
}

impl Version {
    /// A version.
    pub const fn new(major: u16, minor: u16, patch: u16) -> Self {
        Self {
            major,
            minor,
            patch,
        }
    }

    /// What this version can do with this back end.
    pub fn features(self, backend: Backend) -> Features {
        let legacy = backend == Backend::Legacy;
        let since_1_6_2 = self >= Self::new(1, 6, 2);
        Features {
            restore_wait: legacy && since_1_6_2,
            caller_locks: legacy && !since_1_6_2,
            random_fully: since_1_6_2,
        }
    }

    /// Reads what `iptables -V` prints: `iptables v1.8.9 (nf_tables)`. Versions before 1.8 name no back end; theirs is
    /// the legacy one.
    pub(super) fn from_output(line: &str) -> Option<(Self, Backend)> {
        let mut words = line
            .split_whitespace()
            .skip_while(|word| !word.starts_with('v'));
        let version = words.next()?.strip_prefix('v')?.parse().ok()?;
        let backend = match words.next() {
            Some("(nf_tables)") => Backend::Nft,
            Some("(legacy)") | None => Backend::Legacy,
            Some(_) => return None,
        };
        Some((version, backend))
    }
}

/// A text that is not two or three numbers with dots between.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a version: wanted numbers like 1.8.9")]
pub struct InvalidVersion;

impl FromStr for Version {
    type Err = InvalidVersion;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text
            .split('.')
            .map(|part| part.parse::<u16>().map_err(|_| InvalidVersion));
        let (major, minor) = (
            parts.next().ok_or(InvalidVersion)??,
            parts.next().ok_or(InvalidVersion)??,
        );
        let patch = parts.next().transpose()?.unwrap_or(0);
        parts
            .next()
            .is_none()
            .then_some(Self {
                major,
                minor,
                patch,
            })
            .ok_or(InvalidVersion)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// What the tools of a version and back end can do. The first versions with each are from the release notes of netfilter.org.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Features {
    /// `iptables-restore -w SECONDS` waits for the lock: legacy from 1.6.2. The nft back end has no lock.
    pub restore_wait: bool,
    /// `iptables-restore` takes no lock, so its caller has to: legacy before 1.6.2. [`crate::Tools`] does.
    pub caller_locks: bool,
    /// `-j MASQUERADE --random-fully` is known: from 1.6.2.
    pub random_fully: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_as_the_tools_print_them() {
        // Debian 12 and, from their sources' print statements, older ones.
        for (line, expected) in [
            (
                "iptables v1.8.9 (nf_tables)",
                Some((Version::new(1, 8, 9), Backend::Nft)),
            ),
            (
                "ip6tables v1.8.9 (legacy)",
                Some((Version::new(1, 8, 9), Backend::Legacy)),
            ),
            (
                "iptables v1.4.21",
                Some((Version::new(1, 4, 21), Backend::Legacy)),
            ),
            (
                "iptables v1.8 (legacy)",
                Some((Version::new(1, 8, 0), Backend::Legacy)),
            ),
            ("iptables v1.8.9 (quantum)", None),
            ("iptables", None),
            ("", None),
            ("iptables v1.8.9.1.2", None),
        ] {
            assert_eq!(Version::from_output(line), expected, "{line}");
        }
    }

    #[test]
    fn features_by_version_and_back_end() {
        let old = Version::new(1, 4, 21).features(Backend::Legacy);
        assert!(old.caller_locks && !old.restore_wait && !old.random_fully);
        let new = Version::new(1, 6, 2).features(Backend::Legacy);
        assert!(!new.caller_locks && new.restore_wait && new.random_fully);
        let nft = Version::new(1, 8, 9).features(Backend::Nft);
        assert!(!nft.caller_locks && !nft.restore_wait && nft.random_fully);
    }
}
