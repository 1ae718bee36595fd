//! `ipset list`: sets for people.

use std::fmt;

use crate::Set;
use crate::text::header::Header;

/// A set that prints as `ipset list` shows it, but for the lines whose value is not known.
///
/// ```
/// use ipset_netlink::{Entry, Listing, Set, SetName, SetSpec};
/// let mut set = Set::new(SetSpec::bitmap_port(SetName::new("ports")?, 0..=65535));
/// set.entries.push(Entry::port(30080));
/// assert_eq!(
///     Listing::new(&set).to_string(),
///     "Name: ports\nType: bitmap:port\nHeader: range 0-65535\nNumber of entries: 1\nMembers:\n30080\n"
/// );
/// # Ok::<(), ipset_netlink::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Listing<'a> {
    set: &'a Set,
    /// Revision of the type that the kernel made the set with.
    pub revision: Option<u8>,
    /// Bytes the kernel needs for it.
    pub memory_size: Option<u32>,
    /// Rules and sets that name it.
    pub references: Option<u32>,
}

impl<'a> Listing<'a> {
    /// A listing without what only the kernel knows; fill that in where it is known.
    #[must_use]
    pub fn new(set: &'a Set) -> Self {
        Self {
            set,
            revision: None,
            memory_size: None,
            references: None,
        }
    }
}

impl fmt::Display for Listing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Set { spec, entries } = self.set;
        writeln!(f, "Name: {}\nType: {}", spec.name, spec.set_type)?;
        if let Some(revision) = self.revision {
            writeln!(f, "Revision: {revision}")?;
        }
        writeln!(f, "Header:{}", Header(spec))?;
        if let Some(bytes) = self.memory_size {
            writeln!(f, "Size in memory: {bytes}")?;
        }
        if let Some(references) = self.references {
            writeln!(f, "References: {references}")?;
        }
        writeln!(f, "Number of entries: {}\nMembers:", entries.len())?;
        entries.iter().try_for_each(|entry| writeln!(f, "{entry}"))
    }
}
