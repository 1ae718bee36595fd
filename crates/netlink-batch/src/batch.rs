//! Requests, encoded one after another into one buffer.

use netlink_packet_core::Emitable;

use crate::message::{align, array};
use crate::uapi::{NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NLMSG_HDRLEN};

/// The type and the flags in a request's message header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// `nlmsg_type`: the id of the generic-netlink family, `subsystem << 8 | command` of nfnetlink,
    /// `RTM_*` of rtnetlink.
    pub message_type: u16,
    /// `nlmsg_flags` without `NLM_F_REQUEST` and `NLM_F_ACK`, which this crate sets.
    pub flags: u16,
}

impl Header {
    /// A request of this type without flags.
    pub const fn new(message_type: u16) -> Self {
        Self {
            message_type,
            flags: 0,
        }
    }

    /// Adds flags: `NLM_F_CREATE`, `NLM_F_EXCL` and the like.
    #[must_use]
    pub const fn with(self, flags: u16) -> Self {
        Self {
            flags: self.flags | flags,
            ..self
        }
    }

    /// A dump: the request for all objects.
    pub const fn dump(message_type: u16) -> Self {
        Self::new(message_type).with(NLM_F_DUMP)
    }
}

/// Requests to be sent together, each with a result of its own.
///
/// All are encoded in place into one buffer that [`clear`](Self::clear) keeps, so that a batch that
/// is used again allocates nothing. Requests are known by their index, from 0 in the order they
/// were added.
///
/// Dumps do not belong in a batch: [`Connection::dump`](crate::Connection::dump).
#[derive(Debug, Clone, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    /// Where each request begins.
    starts: Vec<usize>,
    pub(crate) idempotent: bool,
    pub(crate) reply_room: usize,
}

impl Batch {
    /// A batch without requests.
    pub fn new() -> Self {
        Self::default()
    }

    /// A batch with memory for so many requests of so many bytes in total.
    pub fn with_capacity(requests: usize, bytes: usize) -> Self {
        Self {
            bytes: Vec::with_capacity(bytes),
            starts: Vec::with_capacity(requests),
            ..Self::default()
        }
    }

    /// Sets whether the requests may be repeated without harm (default: no). If so,
    /// requests whose answer got lost are sent again, instead of being reported as
    /// [`Error::Unknown`](crate::Error::Unknown).
    pub fn set_idempotent(&mut self, idempotent: bool) {
        self.idempotent = idempotent;
    }

    /// Sets how many bytes of data the kernel replies to each request, besides acknowledging it
    /// (default: 0), so that not more are sent at once than have room in the socket's receive
    /// buffer.
    pub fn set_reply_room(&mut self, bytes: usize) {
        self.reply_room = bytes;
    }

    /// Adds a request and returns its index.
    ///
    /// The payload is what follows the netlink header: `Prefixed` puts a generic-netlink or
    /// nfnetlink header before it.
    pub fn push(&mut self, header: Header, payload: &(impl Emitable + ?Sized)) -> usize {
        self.push_with(header, |space| {
            payload.emit(space.zeroed(payload.buffer_len()));
        })
    }

    /// Adds a request whose payload is written by `encode`, and returns its index.
    pub fn push_with(&mut self, header: Header, encode: impl FnOnce(&mut Payload<'_>)) -> usize {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 4]);
        self.bytes
            .extend_from_slice(&header.message_type.to_ne_bytes());
        self.bytes
            .extend_from_slice(&(header.flags | NLM_F_REQUEST).to_ne_bytes());
        // Sequence number and port: the first is set when it is sent, the second by the kernel.
        self.bytes.extend_from_slice(&[0; 8]);
        encode(&mut Payload {
            start: self.bytes.len(),
            bytes: &mut self.bytes,
        });
        // A request of 4 GiB is refused when it is to be sent.
        let length = u32::try_from(self.bytes.len() - start).unwrap_or(u32::MAX);
        self.put(start, length.to_ne_bytes());
        self.bytes.resize(align(self.bytes.len()), 0);
        self.starts.push(start);
        self.starts.len() - 1
    }

    /// How many requests there are.
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// Whether the batch is empty.
    pub fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    /// Bytes of all requests together.
    pub fn byte_len(&self) -> usize {
        self.bytes.len()
    }

    /// Removes all requests and keeps the memory and the settings.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.starts.clear();
    }

    /// Bytes of a request with its padding; 0 if there is no such request.
    pub(crate) fn length(&self, index: usize) -> usize {
        self.start(index + 1).saturating_sub(self.start(index))
    }

    /// Bytes of a request's payload, padding included.
    pub(crate) fn payload_length(&self, index: usize) -> usize {
        self.length(index).saturating_sub(NLMSG_HDRLEN)
    }

    /// Numbers the requests `first..end` from `sequence` on and asks for acknowledgement of the
    /// last or of each; returns them as the one datagram they are.
    pub(crate) fn seal(
        &mut self,
        first: usize,
        end: usize,
        sequence: u32,
        acknowledge_each: bool,
    ) -> &[u8] {
        self.seal_with(first, end, sequence, |index| {
            acknowledge_each || index + 1 == end
        })
    }

    /// Like [`seal`](Self::seal), with acknowledgement of those for which `acknowledge` is true.
    pub(crate) fn seal_with(
        &mut self,
        first: usize,
        end: usize,
        sequence: u32,
        acknowledge: impl Fn(usize) -> bool,
    ) -> &[u8] {
        let mut number = sequence;
        for index in first..end {
            let start = self.start(index);
            let mut flags = u16::from_ne_bytes(array(&self.bytes, start.saturating_add(6)));
            flags &= !NLM_F_ACK;
            if acknowledge(index) {
                flags |= NLM_F_ACK;
            }
            self.put(start + 6, flags.to_ne_bytes());
            self.put(start + 8, number.to_ne_bytes());
            number = number.wrapping_add(1);
        }
        self.bytes
            .get(self.start(first)..self.start(end))
            .unwrap_or_default()
    }

    fn start(&self, index: usize) -> usize {
        self.starts.get(index).copied().unwrap_or(self.bytes.len())
    }

    fn put<const N: usize>(&mut self, offset: usize, value: [u8; N]) {
        if let Some(space) = self
            .bytes
            .get_mut(offset..)
            .and_then(|rest| rest.first_chunk_mut())
        {
            *space = value;
        }
    }
}

/// The payload of a request being written, at the end of its batch.
#[derive(Debug)]
pub struct Payload<'a> {
    bytes: &'a mut Vec<u8>,
    start: usize,
}

impl Payload<'_> {
    /// Appends bytes.
    pub fn extend(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Appends so many zeros and returns them for writing.
    pub fn zeroed(&mut self, length: usize) -> &mut [u8] {
        let from = self.bytes.len();
        self.bytes.resize(from.saturating_add(length), 0);
        self.bytes.get_mut(from..).unwrap_or_default()
    }

    /// What was written of this payload so far, for filling in lengths.
    pub fn written(&mut self) -> &mut [u8] {
        self.bytes.get_mut(self.start..).unwrap_or_default()
    }
}

/// Bytes that are a payload as they stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bytes<'a>(pub &'a [u8]);

impl Emitable for Bytes<'_> {
    fn buffer_len(&self) -> usize {
        self.0.len()
    }

    fn emit(&self, buffer: &mut [u8]) {
        buffer.copy_from_slice(self.0);
    }
}

/// A payload behind a fixed header: `struct genlmsghdr` (`[command, version, 0, 0]`) or `struct
/// nfgenmsg` (`[family, version, 0, 0]`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prefixed<'a, P: ?Sized> {
    /// The header.
    pub prefix: [u8; 4],
    /// What follows it.
    pub payload: &'a P,
}

impl<P: Emitable + ?Sized> Emitable for Prefixed<'_, P> {
    fn buffer_len(&self) -> usize {
        self.prefix.len() + self.payload.buffer_len()
    }

    fn emit(&self, buffer: &mut [u8]) {
        let (prefix, payload) = buffer.split_at_mut(self.prefix.len());
        prefix.copy_from_slice(&self.prefix);
        self.payload.emit(payload);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::messages;
    use crate::uapi::NLM_F_CREATE;

    #[test]
    fn a_window_is_one_datagram_of_numbered_requests() {
        let mut batch = Batch::new();
        assert_eq!(batch.push(Header::new(20), &Bytes(&[1, 2, 3, 4, 5])), 0);
        assert_eq!(
            batch.push(
                Header::new(21).with(NLM_F_CREATE),
                &Prefixed {
                    prefix: [9; 4],
                    payload: &Bytes(&[7])
                }
            ),
            1
        );
        let third = batch.push_with(Header::new(22), |payload| {
            payload.extend(&[0, 1]);
            payload.zeroed(2).fill(8);
            payload.written()[0] = 4;
        });
        assert_eq!((third, batch.len()), (2, 3));
        assert_eq!(
            (
                batch.length(0),
                batch.payload_length(0),
                batch.length(2),
                batch.length(3)
            ),
            (24, 8, 20, 0)
        );

        let datagram = batch.seal(1, 3, u32::MAX, false).to_vec();
        let sealed: Vec<_> = messages(&datagram).collect::<Result<_, _>>().unwrap();
        let seen: Vec<_> = sealed
            .iter()
            .map(|m| (m.message_type, m.flags, m.sequence, m.payload))
            .collect();
        assert_eq!(
            seen,
            [
                (
                    21,
                    NLM_F_REQUEST | NLM_F_CREATE,
                    u32::MAX,
                    &[9, 9, 9, 9, 7][..]
                ),
                (22, NLM_F_REQUEST | NLM_F_ACK, 0, &[4, 1, 8, 8]),
            ]
        );

        // Sealed again otherwise, nothing of the first time is left.
        let datagram = batch.seal(0, 3, 5, true).to_vec();
        assert!(messages(&datagram).all(|m| m.unwrap().flags & NLM_F_ACK != 0));
        let datagram = batch.seal(0, 3, 5, false).to_vec();
        let acks = messages(&datagram).map(|m| m.unwrap().flags & NLM_F_ACK != 0);
        assert_eq!(acks.collect::<Vec<_>>(), [false, false, true]);
    }

    #[test]
    fn clearing_keeps_memory_and_settings() {
        let mut batch = Batch::with_capacity(4, 100);
        batch.set_idempotent(true);
        batch.push(Header::dump(1), &Bytes(&[]));
        assert_eq!(batch.byte_len(), 16);
        batch.clear();
        assert!(batch.is_empty() && batch.idempotent && batch.bytes.capacity() >= 100);
    }
}
