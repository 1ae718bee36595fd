//! As many entries as one message takes.

use std::borrow::Cow;

use netlink_wire::{NLA_HDRLEN, Writer, attributes, measure};

use crate::Entry;
use crate::uapi::{IPSET_ATTR_ADT, IPSET_ATTR_DATA, IPSET_ATTR_LINENO};
use crate::wire::{IpsetWriter, encode_entry};

/// Most bytes of entries in a message. An attribute could have twice as many; but the kernel brings
/// the whole message back when it refuses an entry, and that shall fit into what readers of netlink
/// usually have ready for a datagram.
const MAX_ENTRIES: usize = 1 << 15;

/// Bytes of `struct nfgenmsg`.
const NFGENMSG: usize = 4;

/// One entry or more, as many as one message takes: about 800 of `hash:ip,port`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryBatch<'a>(Cow<'a, [Entry]>);

impl<'a> EntryBatch<'a> {
    /// As many entries from the start as fit, and the rest; `None` if `entries` is empty.
    #[must_use]
    pub fn split(entries: &'a [Entry]) -> Option<(Self, &'a [Entry])> {
        let mut length = NLA_HDRLEN;
        let mut fitting = 0;
        for (entry, line) in entries.iter().zip(1..) {
            length += measure(|writer| {
                writer.nest(IPSET_ATTR_DATA, |writer| {
                    encode_entry(entry, Some(line), writer);
                });
            });
            // One always goes; the kernel judges it.
            if length > MAX_ENTRIES && fitting > 0 {
                break;
            }
            fitting += 1;
        }
        let (batch, rest) = entries.split_at_checked(fitting)?;
        (fitting > 0).then_some((Self(batch.into()), rest))
    }

    /// One entry.
    #[must_use]
    pub fn one(entry: &'a Entry) -> Self {
        Self(std::slice::from_ref(entry).into())
    }

    /// The entries.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.0
    }

    /// Which entry of a message the kernel refused: `echo` is what follows the netlink header in
    /// the request that its error brings back. `None` if the kernel names no entry.
    ///
    /// The kernel writes the line of the entry over that of the message.
    #[must_use]
    pub fn failed(echo: &[u8]) -> Option<usize> {
        let line = attributes(echo.get(NFGENMSG..)?)
            .map_while(Result::ok)
            .find(|attribute| attribute.kind() == IPSET_ATTR_LINENO)?;
        let line = line.u32_by_flag().ok()?;
        usize::try_from(line).ok()?.checked_sub(1)
    }

    /// The same, independent of what it was made from.
    #[must_use]
    pub fn into_owned(self) -> EntryBatch<'static> {
        EntryBatch(self.0.into_owned().into())
    }

    /// One entry goes alone; several go in a nest, each with its line number, which the kernel
    /// names when it refuses one.
    pub(super) fn encode(&self, writer: &mut Writer<'_>) {
        if let [entry] = self.entries() {
            writer.nest(IPSET_ATTR_DATA, |writer| {
                encode_entry(entry, Some(0), writer);
            });
            return;
        }
        // Without this one the kernel refuses the message, and it overwrites it with the line that
        // failed.
        writer.be32(IPSET_ATTR_LINENO, 1);
        writer.nest(IPSET_ATTR_ADT, |writer| {
            for (entry, line) in self.entries().iter().zip(1..) {
                writer.nest(IPSET_ATTR_DATA, |writer| {
                    encode_entry(entry, Some(line), writer);
                });
            }
        });
    }
}
