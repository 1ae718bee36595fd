//! Netlink messages as the kernel sends them: views into a received datagram, read through a checked
//! cursor.

use crate::uapi::{NLMSG_ALIGNTO, NLMSG_HDRLEN};

/// Control messages have types below this (`NLMSG_MIN_TYPE`).
pub(crate) const FIRST_DATA_TYPE: u16 = 16;

/// One message of a datagram. All numbers are in host byte order, as on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message<'a> {
    /// `nlmsg_type`: below 16 a control message, else a number of the protocol.
    pub message_type: u16,
    /// `nlmsg_flags`.
    pub flags: u16,
    /// `nlmsg_seq`: the number of the request that this answers.
    pub sequence: u32,
    /// `nlmsg_pid`: the port of the socket that sent the request.
    pub port: u32,
    /// The bytes after the header, without padding.
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

/// A datagram whose lengths are inconsistent. The kernel does not send such datagrams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the message at byte {offset} states a length of {stated} bytes, {available} are left")]
#[non_exhaustive]
pub struct Malformed {
    /// Where the message starts.
    pub offset: usize,
    /// Its stated length in bytes, or the shortest possible one if even its header is cut off.
    pub stated: usize,
    /// Bytes from there to the end.
    pub available: usize,
}

/// The messages of a datagram, in order. The iterator ends after an error.
pub fn messages(datagram: &[u8]) -> impl Iterator<Item = Result<Message<'_>, Malformed>> {
    Messages {
        bytes: datagram,
        offset: 0,
    }
}

/// A message whose end was cut off, with the part of its payload that was received; `None` if even
/// the header is cut off.
pub(crate) fn cut_message(bytes: &[u8]) -> Option<Message<'_>> {
    let (header, payload) = bytes.split_at_checked(NLMSG_HDRLEN)?;
    Some(Message::with_header(header, payload))
}

/// `N` bytes from `offset`; zeros if there are fewer, which no caller allows.
pub(crate) fn array<const N: usize>(bytes: &[u8], offset: usize) -> [u8; N] {
    bytes
        .get(offset..)
        .and_then(|rest| rest.first_chunk())
        .copied()
        .unwrap_or([0; N])
}

/// `length` rounded up to where the next message begins.
pub(crate) const fn align(length: usize) -> usize {
    length.saturating_add(NLMSG_ALIGNTO - 1) & !(NLMSG_ALIGNTO - 1)
}

/// An iterator over the messages of a datagram.
struct Messages<'a> {
    bytes: &'a [u8],
    offset: usize,
}

impl<'a> Iterator for Messages<'a> {
    type Item = Result<Message<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.bytes.is_empty() {
            return None;
        }
        let bytes = std::mem::take(&mut self.bytes);
        let malformed = |stated| Malformed {
            offset: self.offset,
            stated,
            available: bytes.len(),
        };
        let Some(header) = bytes.get(..NLMSG_HDRLEN) else {
            return Some(Err(malformed(NLMSG_HDRLEN)));
        };
        let length = usize::try_from(u32::from_ne_bytes(array(header, 0))).unwrap_or(usize::MAX);
        let Some(payload) = bytes.get(NLMSG_HDRLEN..length) else {
            return Some(Err(malformed(length)));
        };
        // The last message's padding may be absent.
        self.bytes = bytes.get(align(length)..).unwrap_or_default();
        self.offset += align(length);
        Some(Ok(Message::with_header(header, payload)))
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
    fn wrong_lengths_are_errors_and_end_the_iteration() {
        for (datagram, stated) in [
            (raw(17, &[]), 17),
            (raw(15, &[]), 15),
            (raw(0, &[]), 0),
            (vec![0; 7], 16),
        ] {
            let all: Vec<_> = messages(&datagram).collect();
            let expected = Malformed {
                offset: 0,
                stated,
                available: datagram.len(),
            };
            assert_eq!(all, [Err(expected)]);
        }
    }

    #[test]
    fn an_error_states_where_its_message_starts() {
        let mut datagram = raw(17, &[5, 0, 0, 0]);
        datagram.extend(raw(99, &[]));
        let expected = Malformed {
            offset: 20,
            stated: 99,
            available: 16,
        };
        assert_eq!(messages(&datagram).nth(1), Some(Err(expected)));
    }

    proptest! {
        #[test]
        fn any_bytes_end(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(messages(&bytes).count() <= bytes.len() / 16 + 1);
        }
    }
}
