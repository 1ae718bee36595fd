//! Links.

use crate::LinkName;

/// The kind of dummy links, as in `ip link add type dummy`.
pub const DUMMY: &str = "dummy";

/// A link as the kernel describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Link {
    /// Its index, from 1.
    pub index: u32,
    /// Its name.
    pub name: LinkName,
    /// Its alternative names (`ip link property add altname`), up to 127 bytes each.
    pub alternative_names: Vec<String>,
    /// The kind of a virtual link: `dummy`, `bridge`, `veth`. `None` for hardware and loopback.
    pub kind: Option<String>,
    /// Whether its administrator set it up (`IFF_UP`).
    pub is_up: bool,
    /// Whether it is a loopback link (`IFF_LOOPBACK`).
    pub is_loopback: bool,
}

impl Link {
    /// Whether it is a dummy link.
    #[must_use]
    pub fn is_dummy(&self) -> bool {
        self.is_kind(DUMMY)
    }

    /// Whether it is a virtual link of this kind.
    #[must_use]
    pub fn is_kind(&self, kind: &str) -> bool {
        self.kind.as_deref() == Some(kind)
    }

    /// Whether this is its name or one of its alternative names.
    #[must_use]
    pub fn has_name(&self, name: &str) -> bool {
        self.name.as_str() == name || self.alternative_names.iter().any(|other| other == name)
    }
}
