//! Tables.

use crate::model::{Name, TableFamily};
use crate::wire::attributes;

bitflags::bitflags! {
    /// Properties of a table.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
    #[cfg_attr(feature = "serde", serde(transparent))]
    pub struct TableFlags: u32 {
        /// Its chains see no packets.
        const DORMANT = 1;
        /// It belongs to the socket that made it: others can neither change nor delete it. It goes with
        /// the socket, unless it is [`PERSIST`](Self::PERSIST). From Linux 5.12.
        const OWNER = 2;
        /// It outlives its owner, and can be taken over by the next one. From Linux 6.9.
        const PERSIST = 4;
    }
}

attributes! {
    /// A table: the name under which chains, sets and objects are kept.
    Table: "the table", #[doc = "Its family."] family: TableFamily {
        /// Its name.
        required name: Name = NFTA_TABLE_NAME,
        /// Its properties.
        written flags: TableFlags = NFTA_TABLE_FLAGS,
        /// The number that the kernel gave it.
        optional handle: u64 = NFTA_TABLE_HANDLE,
        /// How many chains, sets and objects it has.
        optional uses: u32 = NFTA_TABLE_USE,
        /// What programs keep with it, a comment for one: see [`userdata`](crate::userdata).
        default userdata: Vec<u8> = NFTA_TABLE_USERDATA,
        /// The port of the socket that owns it.
        optional owner: u32 = NFTA_TABLE_OWNER,
    }
}

impl Table {
    /// A table of this name.
    #[must_use]
    pub fn new(family: impl Into<TableFamily>, name: Name) -> Self {
        Self {
            family: family.into(),
            name,
            ..Self::default()
        }
    }

    /// Adds these properties.
    #[must_use]
    pub fn with(mut self, flags: TableFlags) -> Self {
        self.flags |= flags;
        self
    }
}
