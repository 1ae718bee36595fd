//! The name of a link, as the kernel accepts it.

use std::fmt;
use std::str::FromStr;

use netlink_wire::InlineName;

/// Longest link name in bytes: `IFNAMSIZ` without its terminating NUL.
///
/// Source: [`linux/if.h`](https://github.com/torvalds/linux/blob/v6.12/include/uapi/linux/if.h).
pub const MAX_NAME_LEN: usize = 15;

/// The name of a network interface: 1 to 15 bytes that the kernel would accept.
///
/// Rejects what [`dev_valid_name`] rejects (`.`, `..`, `/`, `:`, white space), and `%`, which turns
/// the name in a request into a template (`dummy%d`). Names are UTF-8 here; the kernel itself takes
/// other bytes too.
///
/// A small `Copy` value, ordered by its text.
///
/// [`dev_valid_name`]: https://github.com/torvalds/linux/blob/v6.12/net/core/dev.c
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkName(InlineName<MAX_NAME_LEN>);

impl LinkName {
    /// Checks a name.
    ///
    /// # Errors
    /// [`LinkNameError`]: what the kernel would reject.
    pub fn new(name: &str) -> Result<Self, LinkNameError> {
        if name.is_empty() {
            return Err(LinkNameError::Empty);
        }
        if name == "." || name == ".." {
            return Err(LinkNameError::Dots(name.len()));
        }
        if let Some(bad) = name.chars().find(|c| is_rejected(*c)) {
            return Err(LinkNameError::Character {
                name: name.to_owned(),
                character: bad,
            });
        }
        InlineName::new(name)
            .map(Self)
            .ok_or_else(|| LinkNameError::TooLong(name.to_owned()))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    pub(super) const fn inline(self) -> InlineName<MAX_NAME_LEN> {
        self.0
    }
}

/// As `dev_valid_name`, whose `isspace` works on bytes: 0xA0 is a space, also in the middle of a UTF-8
/// sequence.
fn is_rejected(c: char) -> bool {
    matches!(c, '/' | ':' | '%' | ' ' | '\t'..='\r' | '\0')
        || c.encode_utf8(&mut [0; 4]).as_bytes().contains(&0xa0)
}

/// Why a text cannot be a link name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LinkNameError {
    /// The text is empty.
    #[error("a link name must not be empty")]
    Empty,
    /// The text is longer than [`MAX_NAME_LEN`] bytes; the kernel answers `ERANGE`.
    #[error("link name {0:?} is {len} bytes long, at most {MAX_NAME_LEN} are possible", len = .0.len())]
    TooLong(String),
    /// The text is `.` or `..`, which cannot be a file name in `/sys/class/net`. The field counts the
    /// dots.
    #[error("{dots:?} cannot be a link name", dots = ".".repeat(*.0))]
    Dots(usize),
    /// The text holds a character that the kernel rejects.
    #[error(
        "link name {name:?} holds {character:?}: '/', ':', '%', NUL and white space are not allowed"
    )]
    Character {
        /// The whole text.
        name: String,
        /// Its first rejected character.
        character: char,
    },
}

impl FromStr for LinkName {
    type Err = LinkNameError;

    fn from_str(name: &str) -> Result<Self, LinkNameError> {
        Self::new(name)
    }
}

impl TryFrom<&str> for LinkName {
    type Error = LinkNameError;

    fn try_from(name: &str) -> Result<Self, LinkNameError> {
        Self::new(name)
    }
}

impl AsRef<str> for LinkName {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for LinkName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for LinkName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for LinkName {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for LinkName {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = std::borrow::Cow::<str>::deserialize(deserializer)?;
        Self::new(&name).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn accepts_what_the_kernel_accepts() {
        for name in [
            "lo",
            "kube-ipvs0",
            "eth0.100",
            "...",
            "123456789012345",
            "a@b",
            "dümmy",
        ] {
            let parsed: LinkName = name.parse().unwrap();
            assert_eq!(parsed.as_str(), name);
            assert_eq!(parsed.to_string(), name);
        }
    }

    #[test]
    fn rejects_what_the_kernel_rejects() {
        assert_eq!(LinkName::new(""), Err(LinkNameError::Empty));
        assert_eq!(LinkName::new("."), Err(LinkNameError::Dots(1)));
        assert_eq!(LinkName::new(".."), Err(LinkNameError::Dots(2)));
        assert_eq!(
            LinkName::new("1234567890123456"),
            Err(LinkNameError::TooLong("1234567890123456".into()))
        );
        for (name, character) in [
            ("a/b", '/'),
            ("eth0:1", ':'),
            ("a b", ' '),
            ("a\u{b}", '\u{b}'),
            ("dummy%d", '%'),
            ("a\0", '\0'),
        ] {
            assert_eq!(
                LinkName::new(name),
                Err(LinkNameError::Character {
                    name: name.into(),
                    character
                })
            );
        }
        // "à" is C3 A0 in UTF-8, and A0 is a space to the kernel.
        assert!(matches!(
            LinkName::new("voilà"),
            Err(LinkNameError::Character {
                character: 'à', ..
            })
        ));
    }

    #[test]
    fn errors_read_well() {
        assert_eq!(
            LinkName::new("..").unwrap_err().to_string(),
            r#"".." cannot be a link name"#
        );
        assert_eq!(
            LinkName::new("kubernetes-ipvs0").unwrap_err().to_string(),
            r#"link name "kubernetes-ipvs0" is 16 bytes long, at most 15 are possible"#
        );
    }

    proptest! {
        #[test]
        fn any_text_is_a_name_of_that_text_or_an_error(a in "\\PC{0,18}", b in "[a-c.]{1,15}") {
            if let Ok(name) = LinkName::new(&a) {
                prop_assert_eq!(name.as_str(), &a);
            }
            if let (Ok(left), Ok(right)) = (LinkName::new(&a), LinkName::new(&b)) {
                prop_assert_eq!(left.cmp(&right), a.cmp(&b));
                prop_assert_eq!(left == right, a == b);
            }
        }
    }
}
