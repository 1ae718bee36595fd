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

#[cfg(test)]
mod tests {
    use netlink_packet_core::Emitable;

    use super::*;
    use crate::SetName;
    use crate::message::captured::hex;
    use crate::message::{Mode, Payload, Request};

    #[test]
    fn a_batch_holds_what_a_message_takes() {
        let entries: Vec<_> = (0..5000u16)
            .map(|port| Entry::ip_port([10, 0, 0, 1].into(), crate::Protocol::TCP, port))
            .collect();
        let mut rest = &entries[..];
        let mut sizes = Vec::new();
        while let Some((batch, after)) = EntryBatch::split(rest) {
            sizes.push(batch.entries().len());
            let request = Request::Add {
                set: SetName::new("h").unwrap(),
                entries: batch,
                mode: Mode::Strict,
            };
            let payload = Payload {
                protocol: 7,
                request: &request,
            };
            assert!(payload.buffer_len() < 32_800);
            rest = after;
        }
        // 32,768 bytes, 40 each, less the header of the nest.
        assert_eq!(sizes, [819, 819, 819, 819, 819, 819, 86]);
    }

    /// Were it written as it is, its end would be read as attributes of its own.
    #[test]
    fn a_comment_beyond_all_bounds_is_cut_where_the_kernel_still_refuses_it() {
        let entry = Entry::ip([10, 0, 0, 1].into()).with_comment("x".repeat(100_000));
        let entries = [entry, Entry::ip([10, 0, 0, 2].into())];
        let (batch, rest) = EntryBatch::split(&entries).unwrap();
        assert!(rest.is_empty());
        let request = Request::Add {
            set: SetName::new("h").unwrap(),
            entries: batch,
            mode: Mode::Strict,
        };
        let payload = Payload {
            protocol: 7,
            request: &request,
        };
        let mut bytes = vec![0; payload.buffer_len()];
        payload.emit(&mut bytes);
        // 256 and the NUL, one more than the kernel's longest.
        assert_eq!(bytes.iter().filter(|byte| **byte == b'x').count(), 256);
        assert!(hex(&bytes).contains(&format!("05011a00{}", "78".repeat(256))));
    }
}
