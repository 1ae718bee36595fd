//! Writing attributes into a buffer that the caller owns.

use crate::Family;
use std::net::IpAddr;

use crate::uapi::{AF_INET, AF_INET6};

/// `NLA_F_NESTED` of `linux/netlink.h`, which requests set and the kernel's replies do not.
const NESTED: u16 = 0x8000;
const HEADER: usize = 4;

/// Writes attributes one after another, as far as the buffer reaches, and counts how far that
/// would be. One piece of code so both measures a message and writes it.
pub(crate) struct Encoder<'a> {
    buffer: &'a mut [u8],
    position: usize,
    nested: u16,
}

impl<'a> Encoder<'a> {
    /// Writes a request.
    pub(crate) const fn request(buffer: &'a mut [u8]) -> Self {
        Self {
            buffer,
            position: 0,
            nested: NESTED,
        }
    }

    /// Writes a reply, as the kernel does.
    pub(crate) const fn reply(buffer: &'a mut [u8]) -> Self {
        Self {
            buffer,
            position: 0,
            nested: 0,
        }
    }

    /// Bytes written, or that would have been in a buffer large enough.
    pub(crate) const fn len(&self) -> usize {
        self.position
    }

    /// An attribute with its padding.
    #[inline]
    pub(crate) fn bytes<const N: usize>(&mut self, kind: u16, value: [u8; N]) {
        self.slice(kind, &value);
    }

    #[inline]
    fn slice(&mut self, kind: u16, value: &[u8]) {
        let start = self.position;
        let length = HEADER + value.len();
        self.position = start + length.next_multiple_of(4);
        let Some(space) = self.buffer.get_mut(start..self.position) else {
            return;
        };
        let Some((header, rest)) = space.split_first_chunk_mut::<HEADER>() else {
            return;
        };
        *header = attribute_header(length, kind);
        let Some((place, padding)) = rest.split_at_mut_checked(value.len()) else {
            return;
        };
        place.copy_from_slice(value);
        padding.fill(0);
    }

    /// A number of one byte.
    pub(crate) fn u8(&mut self, kind: u16, value: u8) {
        self.bytes(kind, [value]);
    }

    /// A number in host byte order.
    pub(crate) fn u16(&mut self, kind: u16, value: u16) {
        self.bytes(kind, value.to_ne_bytes());
    }

    /// A number in network byte order.
    pub(crate) fn u16_be(&mut self, kind: u16, value: u16) {
        self.bytes(kind, value.to_be_bytes());
    }

    /// A number in host byte order.
    pub(crate) fn u32(&mut self, kind: u16, value: u32) {
        self.bytes(kind, value.to_ne_bytes());
    }

    /// A number in host byte order.
    pub(crate) fn u64(&mut self, kind: u16, value: u64) {
        self.bytes(kind, value.to_ne_bytes());
    }

    /// A family by its number.
    pub(crate) fn family(&mut self, kind: u16, family: Family) {
        self.u16(
            kind,
            match family {
                Family::Inet => AF_INET,
                Family::Inet6 => AF_INET6,
            },
        );
    }

    /// An address in 16 bytes, IPv4 in the first 4.
    pub(crate) fn address(&mut self, kind: u16, address: IpAddr) {
        let bytes = match address {
            IpAddr::V4(address) => {
                let [a, b, c, d] = address.octets();
                [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
            }
            IpAddr::V6(address) => address.octets(),
        };
        self.bytes(kind, bytes);
    }

    /// Text of at most 15 bytes with its terminating NUL.
    pub(crate) fn name(&mut self, kind: u16, name: &str) {
        let mut bytes = [0; 16];
        let length = name.len().min(15);
        for (place, byte) in bytes.iter_mut().zip(name.bytes().take(length)) {
            *place = byte;
        }
        self.slice(kind, bytes.get(..=length).unwrap_or_default());
    }

    /// A nest; its length is filled in once its content is written.
    pub(crate) fn nest(&mut self, kind: u16, content: impl FnOnce(&mut Self)) {
        let start = self.position;
        self.position += HEADER;
        content(self);
        let length = self.position - start;
        if let Some(header) = self
            .buffer
            .get_mut(start..)
            .and_then(|rest| rest.first_chunk_mut())
        {
            *header = attribute_header(length, kind | self.nested);
        }
    }
}

/// `struct nlattr`. Lengths are a few hundred bytes at most: names are cut, nothing else varies.
#[inline]
fn attribute_header(length: usize, kind: u16) -> [u8; HEADER] {
    let [a, b] = u16::try_from(length).unwrap_or(u16::MAX).to_ne_bytes();
    let [c, d] = kind.to_ne_bytes();
    [a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_padded_and_nests_measured() {
        let mut buffer = [0xee; 20];
        let mut encoder = Encoder::request(&mut buffer);
        encoder.nest(1, |encoder| {
            encoder.u8(2, 7);
            encoder.name(3, "rr");
        });
        assert_eq!(encoder.len(), 20);
        // Synthetic, little-endian.
        #[cfg(target_endian = "little")]
        assert_eq!(
            buffer,
            [
                20, 0, 1, 0x80, 5, 0, 2, 0, 7, 0, 0, 0, 7, 0, 3, 0, b'r', b'r', 0, 0
            ]
        );
    }

    #[test]
    fn a_buffer_too_small_is_measured_all_the_same() {
        let mut buffer = [0; 6];
        let mut encoder = Encoder::reply(&mut buffer);
        encoder.nest(1, |encoder| encoder.u64(2, 7));
        assert_eq!(encoder.len(), 16);
    }
}
