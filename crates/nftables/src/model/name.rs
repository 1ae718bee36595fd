//! Names of tables, chains, sets and objects.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use netlink_wire::{Attribute, Fault, Writer};

use crate::uapi::NFT_NAME_MAXLEN;
use crate::wire::Value;

/// The name of a table, chain, set, map or object, or another short text that the kernel keeps, such as
/// the prefix of a log line.
///
/// The kernel takes any bytes but NUL. Names display as text, with what is not printable ASCII or UTF-8
/// as `\xNN`. Cloning one shares its bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Arc<[u8]>);

/// Text that is not a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the name {name:?} is not usable: a name has 1 to 255 bytes, none of them NUL")]
#[non_exhaustive]
pub struct NameError {
    /// The text as given, its end cut off where it is long.
    pub name: String,
}

impl Name {
    /// A name of 1 to 255 bytes without NUL.
    ///
    /// # Errors
    /// [`NameError`] for other text.
    pub fn new(text: &str) -> Result<Self, NameError> {
        let fits = (1..NFT_NAME_MAXLEN).contains(&text.len());
        if fits && !text.as_bytes().contains(&0) {
            return Ok(Self(text.as_bytes().into()));
        }
        Err(NameError {
            name: text.chars().take(NFT_NAME_MAXLEN).collect(),
        })
    }

    /// The bytes as the kernel has them, without the NUL that ends them.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The name as text, if it is UTF-8.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }
}

/// The empty name, which no object has.
impl Default for Name {
    fn default() -> Self {
        Self([].into())
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::new(text)
    }
}

impl TryFrom<&str> for Name {
    type Error = NameError;

    fn try_from(text: &str) -> Result<Self, NameError> {
        Self::new(text)
    }
}

impl PartialEq<str> for Name {
    fn eq(&self, other: &str) -> bool {
        *self.0 == *other.as_bytes()
    }
}

impl PartialEq<&str> for Name {
    fn eq(&self, other: &&str) -> bool {
        *self == **other
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            for char in chunk.valid().chars() {
                if char.is_control() || char == '\\' {
                    let mut bytes = [0; 4];
                    for byte in char.encode_utf8(&mut bytes).bytes() {
                        write!(f, "\\x{byte:02x}")?;
                    }
                } else {
                    write!(f, "{char}")?;
                }
            }
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

impl Value for Name {
    fn read(attribute: &Attribute<'_>) -> Result<Self, Fault> {
        Ok(Self(attribute.until_nul().into()))
    }

    fn write(&self, writer: &mut Writer<'_>, kind: u16) {
        writer.c_string(kind, &self.0);
    }
}

/// As the text that it displays as.
#[cfg(feature = "serde")]
impl serde::Serialize for Name {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for Name {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str> as serde::Deserialize>::deserialize(deserializer)?;
        unescape(&text)
            .map(|bytes| Self(bytes.into()))
            .ok_or_else(|| {
                serde::de::Error::custom(format_args!(
                    "a name has no NUL, and a backslash in it is written as \\x5c, found {text:?}"
                ))
            })
    }
}

/// The bytes that display as this text.
#[cfg(feature = "serde")]
fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut parts = text.split("\\x");
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        bytes.extend(rest.as_bytes());
    }
    (!bytes.contains(&0)).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_one_to_255_bytes_without_nul() {
        for bad in [String::new(), "a".repeat(256), "a\0b".to_owned()] {
            assert!(Name::new(&bad).is_err(), "{bad:?}");
        }
        assert_eq!(Name::new(&"a".repeat(255)).unwrap().as_bytes().len(), 255);
        assert!(Name::new("services").unwrap() == "services");
    }

    #[test]
    fn what_cannot_be_printed_is_escaped() {
        let name = Name::read(&Attribute::new(1, b"a\xff\n\\\xc3\xa9\0rest")).unwrap();
        assert_eq!(name.to_string(), "a\\xff\\x0a\\x5c\u{e9}");
        assert_eq!(name.as_str(), None);
        #[cfg(feature = "serde")]
        {
            let json = serde_json::to_string(&name).unwrap();
            assert_eq!(serde_json::from_str::<Name>(&json).unwrap(), name);
        }
    }
}
