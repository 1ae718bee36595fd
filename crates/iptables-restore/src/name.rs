//! Names: of tables, chains and policies.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;

use crate::text::{Shown, byte_len};

/// A name that this crate has no variant for. Only `From<&str>` makes it, so that one name has one value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CustomName(String);

impl CustomName {
    /// The name as it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Name of a table.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum TableName {
    /// `nat`
    Nat,
    /// `filter`
    Filter,
    /// `mangle`
    Mangle,
    /// `raw`
    Raw,
    /// `security`
    Security,
    /// Any other; `TableName::from("…")` makes it.
    Other(CustomName),
}

impl TableName {
    /// The name as the tools write it.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Nat => "nat",
            Self::Filter => "filter",
            Self::Mangle => "mangle",
            Self::Raw => "raw",
            Self::Security => "security",
            Self::Other(name) => name.as_str(),
        }
    }

    /// The built-in chains of the table in the order `iptables-save` prints them; none for other tables.
    pub fn builtin_chains(&self) -> &'static [&'static str] {
        match self {
            Self::Nat => &["PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"],
            Self::Filter | Self::Security => &["INPUT", "FORWARD", "OUTPUT"],
            Self::Mangle => &["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"],
            Self::Raw => &["PREROUTING", "OUTPUT"],
            Self::Other(_) => &[],
        }
    }
}

impl From<&str> for TableName {
    fn from(name: &str) -> Self {
        match name {
            "nat" => Self::Nat,
            "filter" => Self::Filter,
            "mangle" => Self::Mangle,
            "raw" => Self::Raw,
            "security" => Self::Security,
            other => Self::Other(CustomName(other.to_owned())),
        }
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a built-in chain does with a packet that none of its rules decided on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Policy {
    /// `ACCEPT`
    Accept,
    /// `DROP`
    Drop,
    /// Any other word found in that place; `Policy::from("…")` makes it.
    Other(CustomName),
}

impl Policy {
    /// The policy as the tools write it.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Accept => "ACCEPT",
            Self::Drop => "DROP",
            Self::Other(name) => name.as_str(),
        }
    }
}

impl From<&str> for Policy {
    fn from(name: &str) -> Self {
        match name {
            "ACCEPT" => Self::Accept,
            "DROP" => Self::Drop,
            other => Self::Other(CustomName(other.to_owned())),
        }
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Name of a chain.
///
/// [`ChainName::new`] takes what the tools take: 1 to 28 bytes, none of them white space, a control character or a double
/// quote, the first neither `-` nor `!`. What is parsed may have other names: nft(8) makes longer ones, which the tools
/// print and refuse to take. They survive in the model and no edit can name them ([`ChainName::is_writable`]).
///
/// The length is `XT_EXTENSION_MAXNAMELEN` less its NUL
/// (<https://github.com/torvalds/linux/blob/v6.12/include/uapi/linux/netfilter/x_tables.h#L6>).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChainName(String);

impl ChainName {
    /// The longest name, in bytes.
    pub const MAX_LEN: usize = 28;

    /// Takes a name.
    ///
    /// # Errors
    /// [`InvalidChainName`] when the tools would refuse it.
    pub fn new(name: impl Into<String>) -> Result<Self, InvalidChainName> {
        let name = name.into();
        match problem(&name) {
            Some(reason) => Err(InvalidChainName { name, reason }),
            None => Ok(Self(name)),
        }
    }

    /// A name that is in a kernel, whoever made it: any word.
    pub(crate) fn found(name: &str) -> Result<Self, InvalidChainName> {
        if name.is_empty() || name.contains(|c: char| c == ' ' || c.is_control()) {
            return Self::new(name);
        }
        Ok(Self(name.to_owned()))
    }

    /// True if the tools take this name, so that an edit can have it.
    pub fn is_writable(&self) -> bool {
        problem(&self.0).is_none()
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why the tools would refuse the name.
fn problem(name: &str) -> Option<&'static str> {
    if name.is_empty() {
        Some("it is empty")
    } else if byte_len(name) > ChainName::MAX_LEN {
        Some("it has more than 28 bytes")
    } else if name.starts_with(['-', '!']) {
        Some("it starts with `-` or `!`")
    } else if name.contains(|c: char| c.is_whitespace() || c.is_control() || c == '"') {
        Some("it contains white space, a control character or a double quote")
    } else {
        None
    }
}

/// A chain cannot have this name; choose another.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not a chain name: {reason}", Shown(name))]
#[non_exhaustive]
pub struct InvalidChainName {
    /// The name.
    pub name: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl FromStr for ChainName {
    type Err = InvalidChainName;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::new(name)
    }
}

impl TryFrom<&str> for ChainName {
    type Error = InvalidChainName;

    fn try_from(name: &str) -> Result<Self, Self::Error> {
        Self::new(name)
    }
}

impl AsRef<str> for ChainName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for ChainName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl PartialEq<str> for ChainName {
    fn eq(&self, other: &str) -> bool {
        self.0 == other
    }
}

impl PartialEq<&str> for ChainName {
    fn eq(&self, other: &&str) -> bool {
        self.0 == *other
    }
}

impl fmt::Display for ChainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chain_names_the_tools_refuse() {
        for name in [
            "",
            "-X",
            "!X",
            "a b",
            "a\tb",
            "a\"b",
            "KUBE-SERVICES-AND-MORE-THAN-T",
        ] {
            assert!(ChainName::new(name).is_err(), "{name:?}");
        }
        for name in [
            "X",
            "a-b",
            "KUBE-SOURCE-RANGES-FIREWALL1",
            "DOCKER-ISOLATION-STAGE-1",
        ] {
            assert!(ChainName::new(name).is_ok(), "{name:?}");
        }
    }

    #[test]
    fn one_table_name_has_one_value() {
        for name in ["nat", "filter", "mangle", "raw", "security", "broute"] {
            assert_eq!(TableName::from(name).as_str(), name);
        }
        assert_eq!(TableName::from("nat"), TableName::Nat);
    }
}
