//! Elements of sets and maps.

use netlink_wire::{Attribute, Fault, Writer};

use crate::model::expression::Stateful;
use crate::model::{Data, Name, TableFamily};
use crate::uapi::NFT_REG32_SIZE;
use crate::wire::{Value, attributes, read_list};

bitflags::bitflags! {
    /// What is special about an element.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
    #[cfg_attr(feature = "serde", serde(transparent))]
    pub struct ElementFlags: u32 {
        /// It is not in the set: the range of the one before it ends here.
        const INTERVAL_END = 1;
        /// It stands for all keys that have no element. It has no key.
        const CATCHALL = 2;
    }
}

attributes! {
    /// An element of a set or map.
    ///
    /// A range of a set with keys of one part is two elements: its first key, and the one behind its last
    /// with [`ElementFlags::INTERVAL_END`]. A range of a set with concatenated keys has both in one
    /// element, the last key included.
    Element: "NFTA_SET_ELEM_LIST_ELEMENTS" {
        /// What is special about it.
        default flags: ElementFlags = NFTA_SET_ELEM_FLAGS,
        /// How long it lives, in milliseconds.
        optional timeout: u64 = NFTA_SET_ELEM_TIMEOUT,
        /// How long it has still to live, in milliseconds.
        optional expiration: u64 = NFTA_SET_ELEM_EXPIRATION,
        /// Its key, or the first of a range.
        optional key: Data = NFTA_SET_ELEM_KEY,
        /// The last key of a range.
        optional key_end: Data = NFTA_SET_ELEM_KEY_END,
        /// What a map has for it.
        optional data: Data = NFTA_SET_ELEM_DATA,
        /// What programs keep with it, a comment: see [`userdata`](crate::userdata).
        default userdata: Vec<u8> = NFTA_SET_ELEM_USERDATA,
        /// The object that a map of objects has for it.
        optional object: Name = NFTA_SET_ELEM_OBJREF,
        /// What it keeps, where that is one expression.
        optional expression: Stateful = NFTA_SET_ELEM_EXPR,
        /// What it keeps.
        default expressions: Vec<Stateful> = NFTA_SET_ELEM_EXPRESSIONS,
    }
}

/// A key of these parts, each padded to a multiple of four bytes; of one part, that part as it is.
///
/// ```
/// let key = nftables_netlink::concat(&[&[10, 96, 0, 1], &[6], &443_u16.to_be_bytes()]);
/// assert_eq!(key, [10, 96, 0, 1, 6, 0, 0, 0, 1, 187, 0, 0]);
/// ```
#[must_use]
pub fn concat(parts: &[&[u8]]) -> Vec<u8> {
    match parts {
        [part] => part.to_vec(),
        parts => {
            let mut key = Vec::with_capacity(parts.len() * NFT_REG32_SIZE);
            for part in parts {
                key.extend_from_slice(part);
                key.resize(key.len().next_multiple_of(NFT_REG32_SIZE), 0);
            }
            key
        }
    }
}

impl Element {
    /// An element with the key of these parts.
    #[must_use]
    pub fn new(parts: &[&[u8]]) -> Self {
        Self {
            key: Some(Data::Value(concat(parts))),
            ..Self::default()
        }
    }

    /// A range of concatenated keys: from the first parts to the last, both included.
    #[must_use]
    pub fn range(first: &[&[u8]], last: &[&[u8]]) -> Self {
        Self {
            key_end: Some(Data::Value(concat(last))),
            ..Self::new(first)
        }
    }

    /// A range of keys of one part, as two elements: from `first` to `last`, both included. A range up to
    /// the last key there is has no end.
    #[must_use]
    pub fn interval(first: &[u8], last: &[u8]) -> Vec<Self> {
        let mut behind = last.to_vec();
        let mut elements = vec![Self::new(&[first])];
        for byte in behind.iter_mut().rev() {
            *byte = byte.wrapping_add(1);
            if *byte != 0 {
                elements.push(Self {
                    flags: ElementFlags::INTERVAL_END,
                    ..Self::new(&[&behind])
                });
                break;
            }
        }
        elements
    }

    /// The element for all keys that have none. From Linux 5.13.
    #[must_use]
    pub fn catchall() -> Self {
        Self {
            flags: ElementFlags::CATCHALL,
            ..Self::default()
        }
    }

    /// Maps the key to these bytes.
    #[must_use]
    pub fn to_value(mut self, value: &[u8]) -> Self {
        self.data = Some(Data::Value(value.to_vec()));
        self
    }

    /// Maps the key to a verdict.
    #[must_use]
    pub fn to_verdict(mut self, verdict: crate::Verdict) -> Self {
        self.data = Some(Data::Verdict(verdict));
        self
    }

    /// Lets it live so many milliseconds.
    #[must_use]
    pub fn timeout(mut self, milliseconds: u64) -> Self {
        self.timeout = Some(milliseconds);
        self
    }

    /// Adds a comment, of at most 128 bytes.
    #[must_use]
    pub fn comment(mut self, comment: &str) -> Self {
        self.userdata = crate::userdata::comment(crate::userdata::ELEMENT_COMMENT, comment);
        self
    }
}

/// A list of elements, numbered from 1 as `nft` does.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(transparent))]
pub struct ElementVec(pub Vec<Element>);

impl Value for ElementVec {
    fn read(attribute: &Attribute<'_>) -> Result<Self, Fault> {
        read_list(attribute).map(Self)
    }

    fn write(&self, writer: &mut Writer<'_>, kind: u16) {
        writer.nest(kind, |writer| {
            // A list of 65,535 bytes has no more elements than attributes have types.
            for (element, number) in self.0.iter().zip(1..=u16::MAX >> 2) {
                element.write(writer, number);
            }
        });
    }
}

attributes! {
    /// Elements of one set or map.
    Elements: "the elements", #[doc = "The family of its table."] family: TableFamily {
        /// The name of the table.
        required table: Name = NFTA_SET_ELEM_LIST_TABLE,
        /// The name of the set.
        required set: Name = NFTA_SET_ELEM_LIST_SET,
        /// The set by its number in this transaction.
        optional set_id: u32 = NFTA_SET_ELEM_LIST_SET_ID,
        /// The elements.
        default list: ElementVec = NFTA_SET_ELEM_LIST_ELEMENTS,
    }
}

impl Elements {
    /// Elements of this set. A list that is too long for one message is divided when it is sent.
    #[must_use]
    pub fn new(
        family: impl Into<TableFamily>,
        table: Name,
        set: Name,
        list: impl IntoIterator<Item = Element>,
    ) -> Self {
        Self {
            family: family.into(),
            table,
            set,
            list: ElementVec(list.into_iter().collect()),
            ..Self::default()
        }
    }
}

impl Elements {
    /// The same elements with their keys alone, as they are named for deleting.
    #[must_use]
    pub fn keys(&self) -> Self {
        let key = |element: &Element| Element {
            flags: element.flags,
            key: element.key.clone(),
            key_end: element.key_end.clone(),
            ..Element::default()
        };
        Self {
            family: self.family,
            table: self.table.clone(),
            set: self.set.clone(),
            set_id: self.set_id,
            list: ElementVec(self.list.0.iter().map(key).collect()),
            ..Self::default()
        }
    }
}
