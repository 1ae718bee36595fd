//! Sets with their entries, and what the kernel counts of them.

use crate::{Entry, SetSpec};

/// A set and what it holds.
///
/// Prints as `ipset save` does: its `create` line, then an `add` line for each entry, in their
/// order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Set {
    /// Name, type, family and options.
    pub spec: SetSpec,
    /// The entries.
    pub entries: Vec<Entry>,
}

/// The size and the users of a set, as the kernel reports them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Usage {
    /// How many entries it has (since Linux 4.9
    /// [`IPSET_ATTR_ELEMENTS`](crate::uapi::IPSET_ATTR_ELEMENTS)); expired ones may count until
    /// they are swept.
    pub entries: Option<u32>,
    /// Bytes of memory.
    pub memory_size: Option<u32>,
    /// How many rules and sets refer to it.
    pub references: Option<u32>,
}

impl Set {
    /// A set without entries.
    #[must_use]
    pub fn new(spec: SetSpec) -> Self {
        Self {
            spec,
            entries: Vec::new(),
        }
    }
}
