//! What things are called: families, tables, chains, policies.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;

/// Address family of a rule set: which of the two sets of tools and kernel tables it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// IPv4: `iptables-save`, `iptables-restore`.
    Inet,
    /// IPv6: `ip6tables-save`, `ip6tables-restore`.
    Inet6,
}

/// A name for which this crate has no constant. Made only by parsing, so that one name has one value.
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

    /// The built-in chains of the table in the order `iptables-save` prints them; none for a table not known here.
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

/// Name of a chain that the tools would take: 1 to 28 bytes, none of them white space, a control character or a double
/// quote, the first neither `-` nor `!`.
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
        let reason = if name.is_empty() {
            "it is empty"
        } else if name.len() > Self::MAX_LEN {
            "it has more than 28 bytes"
        } else if name.starts_with(['-', '!']) {
            "it starts with `-` or `!`"
        } else if name.contains(|c: char| c.is_whitespace() || c.is_control() || c == '"') {
            "it contains white space, a control character or a double quote"
        } else {
            return Ok(Self(name));
        };
        Err(InvalidChainName { name, reason })
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A chain cannot have this name; choose another.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name:?} is no chain name: {reason}")]
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
