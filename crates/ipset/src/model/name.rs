//! The names of sets and of network interfaces.

use std::fmt;
use std::str::FromStr;

use netlink_wire::InlineName;

use crate::Error;
use crate::model::GlobalOption;

/// The name of a set: 1 to 31 bytes (`IPSET_MAXNAMELEN` less its NUL).
///
/// The kernel takes any bytes. The text format of `ipset` can carry neither whitespace nor control
/// characters nor `"` in a name, and no name that is one of its options (`-exist`, `-n`, …), so these
/// are refused here.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SetName(InlineName<31>);

impl SetName {
    /// The most bytes a name can have.
    pub const MAX_LEN: usize = 31;

    /// A name from `text`.
    ///
    /// # Errors
    /// [`Error::InvalidSetName`] where it is empty, longer than [`Self::MAX_LEN`] bytes, or has a
    /// character that `ipset` cannot write.
    pub fn new(text: &str) -> Result<Self, Error> {
        let reason = if text.is_empty() {
            "it is empty"
        } else if text.contains(unwritable) {
            "it has whitespace, a control character or a double quote"
        } else if GlobalOption::of(text.as_bytes()).is_some() {
            "`ipset` reads it as an option"
        } else if let Some(name) = InlineName::new(text) {
            return Ok(Self(name));
        } else {
            "it is longer than 31 bytes"
        };
        Err(Error::InvalidSetName {
            name: text.to_owned(),
            reason,
        })
    }

    /// A name from as much of `text` as fits, cut between characters.
    ///
    /// Two long names may become one: the caller decides whether that matters.
    ///
    /// # Errors
    /// [`Error::InvalidSetName`] where what is left is empty or has a character that `ipset` cannot
    /// write.
    pub fn truncated(text: &str) -> Result<Self, Error> {
        let mut end = text.len().min(Self::MAX_LEN);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        Self::new(text.get(..end).unwrap_or_default())
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

/// The name of a network interface in a `hash:net,iface` element: 1 to 15 bytes (`IFNAMSIZ` less
/// its NUL).
///
/// Commas, whitespace, control characters and `"` are refused: `ipset` cannot write them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InterfaceName(InlineName<15>);

impl InterfaceName {
    /// A name from `text`.
    ///
    /// # Errors
    /// [`Error::InvalidInterfaceName`] where it is empty, too long, or has a character that `ipset`
    /// cannot write.
    pub fn new(text: &str) -> Result<Self, Error> {
        let reason = if text.is_empty() {
            "it is empty"
        } else if text.contains(|c| c == ',' || unwritable(c)) {
            "it has a comma, whitespace, a control character or a double quote"
        } else if text.starts_with("physdev:") {
            "`physdev:` is how ipset marks a bridge port; pass that separately"
        } else if let Some(name) = InlineName::new(text) {
            return Ok(Self(name));
        } else {
            "it is longer than 15 bytes"
        };
        Err(Error::InvalidInterfaceName {
            name: text.to_owned(),
            reason,
        })
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

fn unwritable(c: char) -> bool {
    c.is_ascii_whitespace() || c.is_ascii_control() || c == '"'
}

/// The traits of a name, alike for both.
macro_rules! name_traits {
    ($name:ident) => {
        impl FromStr for $name {
            type Err = Error;
            fn from_str(text: &str) -> Result<Self, Error> {
                Self::new(text)
            }
        }

        impl TryFrom<&str> for $name {
            type Error = Error;
            fn try_from(text: &str) -> Result<Self, Error> {
                Self::new(text)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                self.as_str()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(self.as_str(), f)
            }
        }
    };
}

name_traits!(SetName);
name_traits!(InterfaceName);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_at_the_limits() {
        assert_eq!(SetName::new(&"a".repeat(31)).unwrap().as_str().len(), 31);
        assert!(SetName::new(&"a".repeat(32)).is_err());
        assert!(SetName::new("").is_err());
        assert!(InterfaceName::new(&"a".repeat(15)).is_ok());
        assert!(InterfaceName::new(&"a".repeat(16)).is_err());
    }

    /// Each was created on kernel 6.1 with ipset 7.17 and came back from `ipset save`.
    #[test]
    fn odd_names_the_kernel_and_ipset_take() {
        for name in ["a:b", "a-b.c/d", "a,b", "ü", "-a"] {
            assert_eq!(SetName::new(name).unwrap().to_string(), name);
        }
    }

    #[test]
    fn what_the_text_format_cannot_carry_is_refused() {
        for name in [
            "a b", "a\tb", "a\0", "a\n", "\"a\"", "\x7f", "-!", "-exist", "-n",
        ] {
            let error = SetName::new(name).unwrap_err();
            assert!(
                matches!(error, Error::InvalidSetName { .. }),
                "{name:?}: {error}"
            );
        }
        assert!(InterfaceName::new("a,b").is_err());
        assert!(InterfaceName::new("physdev:eth0").is_err());
    }

    #[test]
    fn truncation_keeps_whole_characters() {
        let kube = SetName::truncated("KUBE-6-LOAD-BALANCER-SOURCE-CIDR").unwrap();
        assert_eq!(kube.as_str(), "KUBE-6-LOAD-BALANCER-SOURCE-CID");
        let umlauts = SetName::truncated(&"ü".repeat(16)).unwrap();
        assert_eq!(umlauts.as_str(), "ü".repeat(15));
    }

    #[test]
    fn names_sort_as_text() {
        let mut names = [
            SetName::new("b").unwrap(),
            SetName::new("ab").unwrap(),
            SetName::new("a").unwrap(),
        ];
        names.sort();
        assert_eq!(names.map(|n| n.to_string()), ["a", "ab", "b"]);
    }
}
