//! Kernel versions, read from the strings that `uname -r` prints.

use std::fmt;
use std::str::FromStr;

/// The three leading numbers of a kernel release, such as `5.15.0` of `5.15.0-91-generic`.
///
/// What follows them names a distribution's build and is not kept. Distributions port features back
/// without changing the numbers, so a version is a good default but not a proof. Where possible, try
/// the feature itself.
///
/// ```
/// # use netlink_wire::KernelVersion;
/// let version: KernelVersion = "5.15.0-91-generic".parse()?;
/// assert_eq!(version, KernelVersion::new(5, 15, 0));
/// assert!(version >= KernelVersion::new(4, 19, 0));
/// # Ok::<(), netlink_wire::ParseKernelVersionError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KernelVersion {
    /// The first number, `5` of `5.15.0`.
    pub major: u32,
    /// The second number, `15` of `5.15.0`.
    pub minor: u32,
    /// The third number, `0` of `5.15.0`; also `0` where the release has none (`6.1-rc3`).
    pub patch: u32,
}

impl KernelVersion {
    /// The version with these three numbers.
    #[must_use]
    pub const fn new(major: u32, minor: u32, patch: u32) -> Self {
        Self {
            major,
            minor,
            patch,
        }
    }
}

/// Text that is not a kernel release.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("kernel release {text:?}: expected what `uname -r` prints, such as 5.15.0-91-generic")]
#[non_exhaustive]
pub struct ParseKernelVersionError {
    /// The text as given.
    pub text: String,
}

impl FromStr for KernelVersion {
    type Err = ParseKernelVersionError;

    /// Reads the string that `uname -r` prints.
    ///
    /// # Errors
    /// The text does not start with two numbers joined by a dot, or one of them exceeds `u32`.
    fn from_str(release: &str) -> Result<Self, ParseKernelVersionError> {
        let bad = || ParseKernelVersionError {
            text: release.to_owned(),
        };
        let (major, rest) = number(release).ok_or_else(bad)?;
        let rest = rest.strip_prefix('.').ok_or_else(bad)?;
        let (minor, rest) = number(rest).ok_or_else(bad)?;
        let patch = match rest.strip_prefix('.') {
            // `6.1.x86_64` is a 6.1; a number that is too large makes the text invalid.
            Some(rest) if rest.starts_with(|c: char| c.is_ascii_digit()) => {
                number(rest).ok_or_else(bad)?.0
            }
            _ => 0,
        };
        Ok(Self::new(major, minor, patch))
    }
}

/// Splits the leading decimal number off.
fn number(text: &str) -> Option<(u32, &str)> {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, rest) = text.split_at_checked(end)?;
    Some((digits.parse().ok()?, rest))
}

impl fmt::Display for KernelVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(release: &str) -> KernelVersion {
        release.parse().unwrap()
    }

    #[test]
    fn reads_releases_of_distributions() {
        for (release, expected) in [
            ("5.15.0-91-generic", (5, 15, 0)),
            ("6.1.176", (6, 1, 176)),
            ("3.10.0-1160.el7.x86_64", (3, 10, 0)),
            ("6.18.44-fc-v669", (6, 18, 44)),
            ("2.6.32.71", (2, 6, 32)),
            ("6.1-rc3", (6, 1, 0)),
            ("5.4+", (5, 4, 0)),
            ("6.1.x86_64", (6, 1, 0)),
            ("5.10.", (5, 10, 0)),
        ] {
            let (major, minor, patch) = expected;
            assert_eq!(
                parsed(release),
                KernelVersion::new(major, minor, patch),
                "{release}"
            );
        }
    }

    #[test]
    fn orders_by_number_not_by_text() {
        assert!(parsed("4.9.337") < parsed("4.19.0"));
        assert!(parsed("4.19.0") < parsed("4.19.1"));
        assert!(parsed("5.0") > parsed("4.20.17"));
    }

    #[test]
    fn prints_its_numbers() {
        assert_eq!(parsed("5.15.0-91-generic").to_string(), "5.15.0");
        assert_eq!(parsed("6.1-rc3").to_string(), "6.1.0");
    }

    #[test]
    fn rejects_what_is_not_a_release() {
        for release in [
            "",
            "6",
            "6.",
            ".1",
            "linux-6.1",
            "-1.2",
            " 6.1",
            "6.99999999999",
            "6.1.99999999999",
        ] {
            let error = release.parse::<KernelVersion>().unwrap_err();
            assert_eq!(error.text, release);
            assert!(error.to_string().contains(&format!("{release:?}")));
        }
    }
}
