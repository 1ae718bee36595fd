//! Transactions: changes that are made all or none.

use netlink_wire::{Writer, measure};

use super::{Item, Operation, Verb};
use crate::model::{ElementVec, Elements};
use crate::uapi::{NFNL_BATCH_GENID, NFNL_SUBSYS_NFTABLES};
use crate::wire::Value;

/// Most bytes of elements in one message. The list is an attribute, which has at most 65,535.
const ELEMENT_BYTES: usize = 60_000;

/// The numbers that sets get which have none begin behind this one.
const FIRST_SET_ID: u32 = 0x4000_0000;

/// Changes that the kernel makes all or none.
///
/// A set gets a number for this transaction, unless it has one. A long list of elements is divided over several messages, as the kernel needs it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Transaction {
    operations: Vec<Operation>,
    generation: Option<u32>,
    /// How many sets were given a number.
    sets: u32,
}

impl Transaction {
    /// No changes yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets the kernel refuse if the generation is not this one any more, that is, if anybody has changed
    /// anything since it was read.
    #[must_use]
    pub fn at_generation(mut self, generation: u32) -> Self {
        self.generation = Some(generation);
        self
    }

    /// The generation that it asks for.
    #[must_use]
    pub const fn generation(&self) -> Option<u32> {
        self.generation
    }

    /// Makes something, unless it exists.
    pub fn add(&mut self, item: impl Into<Item>) -> &mut Self {
        self.push(Verb::Add, item.into())
    }

    /// Makes something that must not exist.
    pub fn create(&mut self, item: impl Into<Item>) -> &mut Self {
        self.push(Verb::Create, item.into())
    }

    /// Deletes something that must exist.
    pub fn delete(&mut self, item: impl Into<Item>) -> &mut Self {
        self.push(Verb::Delete, item.into())
    }

    /// Deletes something if it exists. From Linux 6.3; before, [`add`](Self::add) and then
    /// [`delete`](Self::delete) do the same.
    pub fn destroy(&mut self, item: impl Into<Item>) -> &mut Self {
        self.push(Verb::Destroy, item.into())
    }

    /// Does something with an item.
    pub fn push(&mut self, verb: Verb, item: Item) -> &mut Self {
        match item {
            // The kernel takes no list without elements, unless to delete all.
            Item::Elements(elements)
                if elements.list.0.is_empty() && !matches!(verb, Verb::Delete | Verb::Destroy) => {}
            Item::Elements(elements) => {
                for item in split(elements).map(Item::Elements) {
                    self.operations.push(Operation { verb, item });
                }
            }
            Item::Set(mut set) => {
                // The kernel takes no set without a number.
                if set.id.is_none() && !matches!(verb, Verb::Delete | Verb::Destroy) {
                    self.sets += 1;
                    set.id = Some(FIRST_SET_ID + self.sets);
                }
                let item = Item::Set(set);
                self.operations.push(Operation { verb, item });
            }
            item => self.operations.push(Operation { verb, item }),
        }
        self
    }

    /// The changes, in order.
    #[must_use]
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// Whether it holds no changes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    /// The first change that no message can hold: a name or a rule is too long.
    #[must_use]
    pub fn oversized(&self) -> Option<&Operation> {
        self.operations
            .iter()
            .find(|operation| operation.overflows())
    }
}

/// The same elements in lists that fit a message.
fn split(elements: Elements) -> impl Iterator<Item = Elements> {
    let mut all = elements.list.0.into_iter().peekable();
    let head = Elements {
        list: ElementVec::default(),
        ..elements
    };
    let mut first = true;
    std::iter::from_fn(move || {
        // A list without elements means all of them, and is one message.
        if !std::mem::take(&mut first) && all.peek().is_none() {
            return None;
        }
        let mut length = 0;
        let mut list = Vec::new();
        while let Some(element) = all.peek() {
            let next = measure(|writer| element.write(writer, 1));
            if !list.is_empty() && length + next > ELEMENT_BYTES {
                break;
            }
            length += next;
            list.extend(all.next());
        }
        Some(Elements {
            list: ElementVec(list),
            ..head.clone()
        })
    })
}

/// The payload of the message that begins a transaction (`NFNL_MSG_BATCH_BEGIN`).
pub fn begin(generation: Option<u32>, writer: &mut Writer<'_>) {
    writer.header(subsystem());
    if let Some(generation) = generation {
        writer.u32_be(NFNL_BATCH_GENID, generation);
    }
}

/// The payload of the message that ends a transaction (`NFNL_MSG_BATCH_END`).
pub fn end(writer: &mut Writer<'_>) {
    writer.header(subsystem());
}

/// `struct nfgenmsg` with the subsystem as its resource id, in network byte order.
const fn subsystem() -> [u8; 4] {
    let [high, low] = NFNL_SUBSYS_NFTABLES.to_be_bytes();
    [0, 0, high, low]
}
