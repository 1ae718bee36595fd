//! Labels of addresses.

use std::fmt;
use std::str::FromStr;

use netlink_wire::InlineName;

use crate::{LinkName, MAX_NAME_LEN};

/// The label of an IPv4 address (`IFA_LABEL`): 1 to 15 bytes, by which tools name the address.
///
/// The kernel labels an address with the name of its link unless it is given a label, and keeps none for IPv6.
/// It takes any text. `ip` and `ifconfig` expect the name of the link, or that name, a colon and more:
/// `eth0:web`.
///
/// A small `Copy` value, ordered by its text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AddressLabel(InlineName<MAX_NAME_LEN>);

impl AddressLabel {
    /// Checks a label.
    ///
    /// # Errors
    /// [`AddressLabelError`]: the text is empty, longer than 15 bytes, or holds a control character.
    pub fn new(label: &str) -> Result<Self, AddressLabelError> {
        if label.chars().any(char::is_control) {
            return Err(AddressLabelError(label.to_owned()));
        }
        InlineName::new(label)
            .map(Self)
            .ok_or_else(|| AddressLabelError(label.to_owned()))
    }

    /// The label as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

/// A text that cannot be the label of an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a label of 1 to {MAX_NAME_LEN} bytes without control characters")]
pub struct AddressLabelError(String);

impl From<LinkName> for AddressLabel {
    /// The label that the kernel chooses: the name of the link.
    fn from(link: LinkName) -> Self {
        Self(link.inline())
    }
}

impl FromStr for AddressLabel {
    type Err = AddressLabelError;

    fn from_str(label: &str) -> Result<Self, AddressLabelError> {
        Self::new(label)
    }
}

impl AsRef<str> for AddressLabel {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for AddressLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for AddressLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for AddressLabel {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for AddressLabel {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let label = std::borrow::Cow::<str>::deserialize(deserializer)?;
        Self::new(&label).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_have_1_to_15_bytes() {
        for label in ["lo", "eth0:web", "fifteen-bytes:x", "dümmy:1"] {
            assert_eq!(AddressLabel::new(label).unwrap().to_string(), label);
        }
        for label in ["", "sixteen-bytes:xy", "a\0", "a\nb"] {
            assert!(AddressLabel::new(label).is_err(), "{label:?}");
        }
        assert_eq!(
            AddressLabel::new("a\n").unwrap_err().to_string(),
            r#""a\n" is not a label of 1 to 15 bytes without control characters"#
        );
        let link = LinkName::new("kube-ipvs0").unwrap();
        assert_eq!(AddressLabel::from(link).as_str(), "kube-ipvs0");
    }
}
