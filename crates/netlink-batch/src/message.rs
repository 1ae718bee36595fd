//! Netlink messages and attributes as the kernel sends them: views into a received datagram, read
//! through checked cursors.

use crate::uapi::{NLA_TYPE_MASK, NLMSG_ALIGNTO, NLMSG_HDRLEN};

/// Control messages have types below this (`NLMSG_MIN_TYPE`).
pub(crate) const FIRST_DATA_TYPE: u16 = 16;

/// One message of a datagram. All numbers are in host byte order, as on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message<'a> {
    /// `nlmsg_type`: below 16 a control message, else what the protocol says.
    pub message_type: u16,
    /// `nlmsg_flags`.
    pub flags: u16,
    /// `nlmsg_seq`: that of the request this answers.
    pub sequence: u32,
    /// `nlmsg_pid`: the port of the socket that asked.
    pub port: u32,
    /// What follows the header, without padding.
    pub payload: &'a [u8],
}

impl<'a> Message<'a> {
    fn with_header(header: &[u8], payload: &'a [u8]) -> Self {
        Self {
            message_type: u16::from_ne_bytes(array(header, 4)),
            flags: u16::from_ne_bytes(array(header, 6)),
            sequence: u32::from_ne_bytes(array(header, 8)),
            port: u32::from_ne_bytes(array(header, 12)),
            payload,
        }
    }
}

/// A datagram or a row of attributes that is not what its lengths say. Kernels do not send such.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{what} at byte {offset} says it is {stated} bytes long, {available} are there")]
pub struct Malformed {
    /// "message" or "attribute".
    pub what: &'static str,
    /// Where it starts.
    pub offset: usize,
    /// Its stated length in bytes, or the shortest possible one where even its header is cut off.
    pub stated: usize,
    /// Bytes from there to the end.
    pub available: usize,
}

/// The messages of a datagram, in order; after an error nothing more.
pub fn messages(datagram: &[u8]) -> impl Iterator<Item = Result<Message<'_>, Malformed>> {
    Cursor {
        bytes: datagram,
        offset: 0,
        what: "message",
        header: NLMSG_HDRLEN,
        read: message_length,
    }
    .map(|item| {
        let (header, payload) = item?;
        Ok(Message::with_header(header, payload))
    })
}

/// The head of a message whose end was cut off, with what is there of its payload; `None` if not
/// even the header is whole.
pub(crate) fn cut_message(bytes: &[u8]) -> Option<Message<'_>> {
    let (header, payload) = bytes.split_at_checked(NLMSG_HDRLEN)?;
    Some(Message::with_header(header, payload))
}

/// One attribute: its type without the flag bits, and its value without padding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Attribute<'a> {
    pub(crate) kind: u16,
    pub(crate) value: &'a [u8],
}

impl Attribute<'_> {
    pub(crate) fn u16(&self) -> Option<u16> {
        self.value.try_into().ok().map(u16::from_ne_bytes)
    }

    pub(crate) fn u32(&self) -> Option<u32> {
        self.value.try_into().ok().map(u32::from_ne_bytes)
    }
}

/// The attributes of a payload, in order; after an error nothing more.
pub(crate) fn attributes(bytes: &[u8]) -> impl Iterator<Item = Result<Attribute<'_>, Malformed>> {
    Cursor {
        bytes,
        offset: 0,
        what: "attribute",
        header: 4,
        read: attribute_length,
    }
    .map(|item| {
        let (header, value) = item?;
        Ok(Attribute {
            kind: u16::from_ne_bytes(array(header, 2)) & NLA_TYPE_MASK,
            value,
        })
    })
}

fn message_length(header: &[u8]) -> usize {
    usize::try_from(u32::from_ne_bytes(array(header, 0))).unwrap_or(usize::MAX)
}

fn attribute_length(header: &[u8]) -> usize {
    u16::from_ne_bytes(array(header, 0)).into()
}

/// `N` bytes from `offset`; zeros where there are fewer, which no caller lets happen.
pub(crate) fn array<const N: usize>(bytes: &[u8], offset: usize) -> [u8; N] {
    bytes
        .get(offset..)
        .and_then(|rest| rest.first_chunk())
        .copied()
        .unwrap_or([0; N])
}

/// `length` rounded up to where the next message or attribute begins.
pub(crate) const fn align(length: usize) -> usize {
    length.saturating_add(NLMSG_ALIGNTO - 1) & !(NLMSG_ALIGNTO - 1)
}

/// Walks records that start with a header holding their length, each aligned to four bytes.
struct Cursor<'a> {
    bytes: &'a [u8],
    offset: usize,
    what: &'static str,
    header: usize,
    read: fn(&[u8]) -> usize,
}

impl<'a> Iterator for Cursor<'a> {
    type Item = Result<(&'a [u8], &'a [u8]), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.bytes.is_empty() {
            return None;
        }
        let bytes = std::mem::take(&mut self.bytes);
        let malformed = |stated| Malformed {
            what: self.what,
            offset: self.offset,
            stated,
            available: bytes.len(),
        };
        let Some(header) = bytes.get(..self.header) else {
            return Some(Err(malformed(self.header)));
        };
        let length = (self.read)(header);
        let Some(payload) = bytes.get(self.header..length) else {
            return Some(Err(malformed(length)));
        };
        // The last record's padding may be missing.
        self.bytes = bytes.get(align(length)..).unwrap_or_default();
        self.offset += align(length);
        Some(Ok((header, payload)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn raw(length: u32, payload: &[u8]) -> Vec<u8> {
        let mut bytes = length.to_ne_bytes().to_vec();
        bytes.extend(3u16.to_ne_bytes());
        bytes.extend(2u16.to_ne_bytes());
        bytes.extend(7u32.to_ne_bytes());
        bytes.extend(99u32.to_ne_bytes());
        bytes.extend(payload);
        bytes
    }

    #[test]
    fn reads_messages_one_after_another() {
        let mut datagram = raw(18, &[1, 2, 0, 0]);
        datagram.extend(raw(16, &[]));
        let all: Vec<_> = messages(&datagram).collect::<Result<_, _>>().unwrap();
        let expected = Message {
            message_type: 3,
            flags: 2,
            sequence: 7,
            port: 99,
            payload: &[1, 2],
        };
        assert_eq!(
            all,
            [
                expected,
                Message {
                    payload: &[],
                    ..expected
                }
            ]
        );
    }

    #[test]
    fn the_last_padding_may_be_missing() {
        assert_eq!(
            messages(&raw(17, &[5])).next().unwrap().unwrap().payload,
            [5]
        );
    }

    #[test]
    fn lengths_that_lie_are_errors_and_end_the_walk() {
        for (datagram, stated) in [
            (raw(17, &[]), 17),
            (raw(15, &[]), 15),
            (raw(0, &[]), 0),
            (vec![0; 7], 16),
        ] {
            let all: Vec<_> = messages(&datagram).collect();
            let expected = Malformed {
                what: "message",
                offset: 0,
                stated,
                available: datagram.len(),
            };
            assert_eq!(all, [Err(expected)]);
        }
    }

    #[test]
    fn attributes_lose_their_flag_bits() {
        let bytes = [
            6u16.to_ne_bytes(),
            0x8003u16.to_ne_bytes(),
            513u16.to_ne_bytes(),
            [0, 0],
        ]
        .concat();
        let attribute = attributes(&bytes).next().unwrap().unwrap();
        assert_eq!(
            (attribute.kind, attribute.u16(), attribute.u32()),
            (3, Some(513), None)
        );
    }

    proptest! {
        #[test]
        fn any_bytes_end(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(messages(&bytes).count() <= bytes.len() / 16 + 1);
            prop_assert!(attributes(&bytes).count() <= bytes.len() / 4 + 1);
        }
    }
}
