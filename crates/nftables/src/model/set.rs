//! Sets and maps.

use netlink_wire::{Attribute, Fault, Writer};

use crate::model::expression::Stateful;
use crate::model::{DataType, Name, ObjectKind, TableFamily, TypeOf, type_of, userdata};
use crate::uapi::{NFTA_LIST_ELEM, NFTA_SET_FIELD_LEN};
use crate::wire::{Value, attributes};

bitflags::bitflags! {
    /// Properties of a set.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
    #[cfg_attr(feature = "serde", serde(transparent))]
    pub struct SetFlags: u32 {
        /// It belongs to one rule, and the kernel names it.
        const ANONYMOUS = 0x1;
        /// It does not change while a rule uses it.
        const CONSTANT = 0x2;
        /// Its elements are ranges.
        const INTERVAL = 0x4;
        /// It is a map.
        const MAP = 0x8;
        /// Its elements may have a timeout.
        const TIMEOUT = 0x10;
        /// Rules change it.
        const DYNAMIC = 0x20;
        /// It maps to objects.
        const OBJECT = 0x40;
        /// Its keys are concatenations of which each part may be a range. From Linux 5.6.
        const CONCAT = 0x80;
        /// Its elements have expressions.
        const EXPR = 0x100;
    }
}

/// The lengths of the parts of a key, in bytes, without padding.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(transparent))]
pub struct FieldLengths(pub Vec<u32>);

impl Value for FieldLengths {
    fn read(attribute: &Attribute<'_>) -> Result<Self, Fault> {
        let mut lengths = Vec::new();
        for field in attribute.nested() {
            for part in field?.nested() {
                let part = part?;
                if part.kind() == NFTA_SET_FIELD_LEN {
                    lengths.push(part.u32_be()?);
                }
            }
        }
        Ok(Self(lengths))
    }

    fn write(&self, writer: &mut Writer<'_>, kind: u16) {
        writer.nest(kind, |writer| {
            for length in &self.0 {
                writer.nest(NFTA_LIST_ELEM, |writer| {
                    writer.u32_be(NFTA_SET_FIELD_LEN, *length);
                });
            }
        });
    }
}

attributes! {
    /// What the kernel chooses a set's data structure by.
    SetDescription: "NFTA_SET_DESC" {
        /// The most elements it can have.
        optional size: u32 = NFTA_SET_DESC_SIZE,
        /// The parts of its key, where each may be a range.
        default fields: FieldLengths = NFTA_SET_DESC_CONCAT,
    }
}

attributes! {
    /// A set or a map, without its elements.
    Set: "the set", #[doc = "The family of its table."] family: TableFamily {
        /// The name of its table.
        required table: Name = NFTA_SET_TABLE,
        /// Its name. Of an anonymous set a pattern (`__set%d`), which the kernel fills in.
        required name: Name = NFTA_SET_NAME,
        /// Its properties.
        written flags: SetFlags = NFTA_SET_FLAGS,
        /// The type of its keys.
        default key_type: DataType = NFTA_SET_KEY_TYPE,
        /// Bytes of a key, with the padding of its parts.
        default key_length: u32 = NFTA_SET_KEY_LEN,
        /// The type of a map's data.
        optional data_type: DataType = NFTA_SET_DATA_TYPE,
        /// Bytes of a map's data.
        optional data_length: u32 = NFTA_SET_DATA_LEN,
        /// The type of objects that it maps to.
        optional object_kind: ObjectKind = NFTA_SET_OBJ_TYPE,
        /// A number that names it within a transaction.
        optional id: u32 = NFTA_SET_ID,
        /// 1: rather little memory than speed.
        optional policy: u32 = NFTA_SET_POLICY,
        /// What the kernel chooses its data structure by.
        default description: SetDescription = NFTA_SET_DESC,
        /// How long elements live that state nothing else, in milliseconds.
        optional timeout: u64 = NFTA_SET_TIMEOUT,
        /// How often elements whose time is over are cleared away, in milliseconds.
        optional gc_interval: u32 = NFTA_SET_GC_INTERVAL,
        /// What programs keep with it: byte orders, a comment. See [`userdata`](crate::userdata).
        default userdata: Vec<u8> = NFTA_SET_USERDATA,
        /// What each element keeps, where that is one expression.
        optional expression: Stateful = NFTA_SET_EXPR,
        /// What each element keeps.
        default expressions: Vec<Stateful> = NFTA_SET_EXPRESSIONS,
        /// The number that the kernel gave it.
        optional handle: u64 = NFTA_SET_HANDLE,
        /// The data structure that the kernel chose, from Linux 6.16.
        optional backend: Name = NFTA_SET_TYPE,
        /// How many elements it has, from Linux 6.16.
        optional count: u32 = NFTA_SET_COUNT,
    }
}

/// Bytes of a key of parts of these lengths, each padded to a multiple of four.
fn padded_length(parts: &[u32]) -> u32 {
    const REGISTER: u32 = 4;
    match parts {
        [part] => *part,
        parts => parts
            .iter()
            .map(|part| part.next_multiple_of(REGISTER))
            .sum(),
    }
}

/// The type of parts that are taken from these, and their bytes.
fn type_and_length(parts: &[TypeOf]) -> (DataType, u32) {
    let types: Vec<_> = parts.iter().map(|part| part.data_type()).collect();
    let lengths: Vec<_> = parts.iter().map(|part| part.byte_len()).collect();
    (DataType::concat(&types), padded_length(&lengths))
}

impl Set {
    /// A set of keys of these types; several are a concatenation.
    ///
    /// Types without a length of their own ([`DataType::byte_len`]) need `key_length` set.
    #[must_use]
    pub fn new(family: impl Into<TableFamily>, table: Name, name: Name, key: &[DataType]) -> Self {
        let lengths = key.iter().map(|part| part.byte_len().unwrap_or_default());
        Self {
            family: family.into(),
            table,
            name,
            key_type: DataType::concat(key),
            key_length: padded_length(&lengths.collect::<Vec<_>>()),
            userdata: userdata::set(key, None, None),
            ..Self::default()
        }
    }

    /// Makes it a map to data of this type, [`DataType::VERDICT`] too.
    #[must_use]
    pub fn map_to(mut self, data: DataType) -> Self {
        self.flags |= SetFlags::MAP;
        self.data_type = Some(data);
        self.data_length = Some(data.byte_len().unwrap_or_default());
        self.userdata = userdata::set(&self.key_type.parts(), Some(data), None);
        self
    }

    /// A set of keys that are taken from these, for parts whose type has no name: `nft` lists it so that it loads again.
    #[must_use]
    pub fn of_typeof(
        family: impl Into<TableFamily>,
        table: Name,
        name: Name,
        key: &[TypeOf],
    ) -> Self {
        let (key_type, key_length) = type_and_length(key);
        let mut set = Self {
            family: family.into(),
            table,
            name,
            key_type,
            key_length,
            userdata: userdata::set(&key_type.parts(), None, None),
            ..Self::default()
        };
        let key = type_of::write(key);
        userdata::push(&mut set.userdata, userdata::SET_KEY_TYPEOF, &key);
        set
    }

    /// Makes a set [of keys that are taken from something](Self::of_typeof) a map to such data.
    #[must_use]
    pub fn map_to_typeof(mut self, data: &[TypeOf]) -> Self {
        let key = userdata::items(&self.userdata)
            .find(|(kind, _)| *kind == userdata::SET_KEY_TYPEOF)
            .map(|(_, key)| key.to_vec());
        let (data_type, length) = type_and_length(data);
        self.flags |= SetFlags::MAP;
        (self.data_type, self.data_length) = (Some(data_type), Some(length));
        self.userdata = userdata::set(&self.key_type.parts(), Some(data_type), None);
        for (kind, value) in [
            (userdata::SET_KEY_TYPEOF, key),
            (userdata::SET_DATA_TYPEOF, Some(type_of::write(data))),
            (userdata::SET_DATA_INTERVAL, Some(vec![0; 4])),
        ] {
            if let Some(value) = value {
                userdata::push(&mut self.userdata, kind, &value);
            }
        }
        self
    }

    /// Makes it a map to objects of a kind.
    #[must_use]
    pub fn map_to_objects(mut self, kind: ObjectKind) -> Self {
        self.flags |= SetFlags::OBJECT;
        self.object_kind = Some(kind);
        self
    }

    /// Lets its elements be ranges, of each part where it has several.
    #[must_use]
    pub fn intervals(mut self) -> Self {
        self.flags |= SetFlags::INTERVAL;
        let parts = self.key_type.parts();
        if parts.len() > 1 {
            self.flags |= SetFlags::CONCAT;
            let lengths = parts.iter().map(|part| part.byte_len().unwrap_or_default());
            self.description.fields = FieldLengths(lengths.collect());
        }
        self
    }

    /// Lets elements have timeouts, of this many milliseconds where they state none.
    #[must_use]
    pub fn timeouts(mut self, default: Option<u64>) -> Self {
        self.flags |= SetFlags::TIMEOUT;
        self.timeout = default;
        self
    }

    /// Lets rules change it, up to so many elements.
    #[must_use]
    pub fn dynamic(mut self, size: u32) -> Self {
        self.flags |= SetFlags::DYNAMIC;
        self.description.size = Some(size);
        self
    }

    /// Gives each element a counter.
    #[must_use]
    pub fn counters(mut self) -> Self {
        self.expression =
            Some(crate::Expression::from(crate::expression::Counter::default()).into());
        self
    }

    /// Adds a comment, of at most 128 bytes.
    #[must_use]
    pub fn comment(mut self, comment: &str) -> Self {
        self.userdata = userdata::set(&self.key_type.parts(), self.data_type, Some(comment));
        self
    }
}
