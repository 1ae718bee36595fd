//! Writing attributes into a buffer that the caller owns.

use std::net::IpAddr;

use crate::uapi::{NLA_ALIGNTO, NLA_F_NESTED, NLA_HDRLEN};

/// Bytes of the attributes that `encode` writes.
#[inline]
#[must_use]
pub fn measure(encode: impl FnOnce(&mut Writer<'_>)) -> usize {
    let mut writer = Writer::new(&mut []);
    encode(&mut writer);
    writer.len()
}

/// Writes attributes one after another as far as the buffer reaches, and counts how many bytes they
/// have in all. So the same code measures a message, with an empty buffer, and writes it. It never
/// panics and allocates nothing.
///
/// Every attribute starts at a multiple of four bytes from where the writer started; padding is zero.
/// A type (`kind`) is written as given: add [`NLA_F_NET_BYTEORDER`](crate::NLA_F_NET_BYTEORDER) where
/// the subsystem asks for it.
#[derive(Debug)]
pub struct Writer<'a> {
    buffer: &'a mut [u8],
    position: usize,
    /// The flags that nests get.
    nested: u16,
    overflowed: bool,
}

impl<'a> Writer<'a> {
    /// A writer that sets `NLA_F_NESTED` on nests, as requests do.
    #[inline]
    #[must_use]
    pub const fn new(buffer: &'a mut [u8]) -> Self {
        Self {
            buffer,
            position: 0,
            nested: NLA_F_NESTED,
            overflowed: false,
        }
    }

    /// A writer that does not set `NLA_F_NESTED`, as many of the kernel's replies do not.
    #[inline]
    #[must_use]
    pub const fn without_nested_flag(buffer: &'a mut [u8]) -> Self {
        Self {
            buffer,
            position: 0,
            nested: 0,
            overflowed: false,
        }
    }

    /// Bytes written, or that would have been written to a buffer large enough.
    #[inline]
    #[must_use]
    pub const fn len(&self) -> usize {
        self.position
    }

    /// Whether nothing was written.
    #[inline]
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.position == 0
    }

    /// Whether an attribute was longer than 65,535 bytes, which its header cannot state. What was
    /// written must not be sent then; divide it into several messages.
    #[inline]
    #[must_use]
    pub const fn overflowed(&self) -> bool {
        self.overflowed
    }

    /// A fixed header in front of attributes, as `struct nfgenmsg`. Its length must be a multiple of
    /// four bytes; another one does not compile.
    #[inline]
    pub fn header<const N: usize>(&mut self, header: [u8; N]) {
        const { assert!(N % NLA_ALIGNTO == 0) };
        if let Some(space) = self
            .buffer
            .get_mut(self.position..)
            .and_then(|rest| rest.first_chunk_mut())
        {
            *space = header;
        }
        self.position += N;
    }

    /// An attribute of `value` and `zeros` more bytes of zero.
    #[inline]
    fn put(&mut self, kind: u16, value: &[u8], zeros: usize) {
        let start = self.position;
        let length = NLA_HDRLEN + value.len() + zeros;
        self.position = start + length.next_multiple_of(NLA_ALIGNTO);
        let header = self.attribute_header(length, kind);
        let Some(space) = self.buffer.get_mut(start..self.position) else {
            return;
        };
        let Some((place, rest)) = space.split_first_chunk_mut::<NLA_HDRLEN>() else {
            return;
        };
        *place = header;
        let Some((place, padding)) = rest.split_at_mut_checked(value.len()) else {
            return;
        };
        place.copy_from_slice(value);
        padding.fill(0);
    }

    /// `struct nlattr`.
    #[inline]
    fn attribute_header(&mut self, length: usize, kind: u16) -> [u8; NLA_HDRLEN] {
        let length = u16::try_from(length).unwrap_or_else(|_| {
            self.overflowed = true;
            u16::MAX
        });
        let [a, b] = length.to_ne_bytes();
        let [c, d] = kind.to_ne_bytes();
        [a, b, c, d]
    }

    /// An attribute of `N` bytes.
    #[inline]
    pub fn array<const N: usize>(&mut self, kind: u16, value: [u8; N]) {
        self.put(kind, &value, 0);
    }

    /// An attribute of these bytes.
    #[inline]
    pub fn bytes(&mut self, kind: u16, value: &[u8]) {
        self.put(kind, value, 0);
    }

    /// Text, with the NUL that ends it.
    #[inline]
    pub fn text(&mut self, kind: u16, text: &str) {
        self.put(kind, text.as_bytes(), 1);
    }

    /// Bytes that need not be UTF-8, with the NUL that ends them.
    #[inline]
    pub fn c_string(&mut self, kind: u16, bytes: &[u8]) {
        self.put(kind, bytes, 1);
    }

    /// An attribute without a value, which means something by being there.
    #[inline]
    pub fn flag(&mut self, kind: u16) {
        self.array(kind, []);
    }

    /// An address in its 4 or 16 bytes.
    #[inline]
    pub fn ip(&mut self, kind: u16, address: IpAddr) {
        match address {
            IpAddr::V4(address) => self.array(kind, address.octets()),
            IpAddr::V6(address) => self.array(kind, address.octets()),
        }
    }

    /// A number of one byte.
    #[inline]
    pub fn u8(&mut self, kind: u16, value: u8) {
        self.array(kind, [value]);
    }

    /// A nest of the attributes that `content` writes. Its length is filled in behind them.
    #[inline]
    pub fn nest(&mut self, kind: u16, content: impl FnOnce(&mut Self)) {
        let start = self.position;
        self.position += NLA_HDRLEN;
        content(self);
        let header = self.attribute_header(self.position - start, kind | self.nested);
        if let Some(place) = self
            .buffer
            .get_mut(start..)
            .and_then(|rest| rest.first_chunk_mut())
        {
            *place = header;
        }
    }
}

/// The two ways to write a number of more than one byte.
macro_rules! numbers {
    ($($type:ident, $be:ident;)*) => {
        impl Writer<'_> {
            $(
                /// A number in host byte order.
                #[inline]
                pub fn $type(&mut self, kind: u16, value: $type) {
                    self.array(kind, value.to_ne_bytes());
                }

                /// A number in network byte order.
                #[inline]
                pub fn $be(&mut self, kind: u16, value: $type) {
                    self.array(kind, value.to_be_bytes());
                }
            )*
        }
    };
}

numbers! {
    u16, u16_be;
    u32, u32_be;
    u64, u64_be;
    i32, i32_be;
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::uapi::NLA_F_NET_BYTEORDER;
    use crate::{Attribute, attributes};

    /// Synthetic bytes, on a little-endian machine.
    #[cfg(target_endian = "little")]
    #[test]
    fn attributes_are_padded_with_zeros_and_nests_are_measured() {
        let encode = |writer: &mut Writer<'_>| {
            writer.header([2, 0, 0, 0]);
            writer.nest(1, |writer| {
                writer.u8(2, 7);
                writer.text(3, "rr");
            });
            writer.u16_be(4 | NLA_F_NET_BYTEORDER, 80);
            writer.flag(5);
            writer.c_string(6, b"\xe4");
        };
        let mut buffer = [0xee; 44];
        let mut writer = Writer::new(&mut buffer);
        encode(&mut writer);
        assert_eq!(writer.len(), 44);
        let expected = [
            [2, 0, 0, 0],
            [20, 0, 1, 0x80],
            [5, 0, 2, 0],
            [7, 0, 0, 0],
            [7, 0, 3, 0],
            [b'r', b'r', 0, 0],
            [6, 0, 4, 0x40],
            [0, 80, 0, 0],
            [4, 0, 5, 0],
            [6, 0, 6, 0],
            [0xe4, 0, 0, 0],
        ];
        assert_eq!(buffer[..], expected.concat());

        encode(&mut Writer::without_nested_flag(&mut buffer));
        let mut plain = expected;
        plain[1] = [20, 0, 1, 0];
        assert_eq!(buffer[..], plain.concat());
    }

    #[test]
    fn numbers_are_written_in_the_byte_order_asked_for() {
        let mut buffer = [0; 200];
        let mut writer = Writer::new(&mut buffer);
        writer.u16(1, 0x0102);
        writer.u16_be(2, 0x0102);
        writer.u32(3, 0x0102_0304);
        writer.u32_be(4, 0x0102_0304);
        writer.u64(5, 0x0102_0304_0506_0708);
        writer.u64_be(6, 0x0102_0304_0506_0708);
        writer.i32_be(7, -2);
        writer.ip(8, [10, 0, 0, 1].into());
        let length = writer.len();
        let values: Vec<_> = attributes(&buffer[..length])
            .map(|attribute| attribute.unwrap().value().to_vec())
            .collect();
        let expected: [&[u8]; 8] = [
            &0x0102_u16.to_ne_bytes(),
            &[1, 2],
            &0x0102_0304_u32.to_ne_bytes(),
            &[1, 2, 3, 4],
            &0x0102_0304_0506_0708_u64.to_ne_bytes(),
            &[1, 2, 3, 4, 5, 6, 7, 8],
            &[0xff, 0xff, 0xff, 0xfe],
            &[10, 0, 0, 1],
        ];
        assert_eq!(values, expected);
    }

    #[test]
    fn an_attribute_too_long_for_its_header_is_reported() {
        let mut longest = Writer::new(&mut []);
        longest.bytes(1, &[0; 65_531]);
        assert!(!longest.overflowed());
        let mut longer = Writer::new(&mut []);
        longer.bytes(1, &[0; 65_532]);
        assert!(longer.overflowed());
        let mut nest = Writer::new(&mut []);
        nest.nest(1, |nest| nest.bytes(2, &[0; 65_528]));
        assert!(nest.overflowed());
        assert_eq!(nest.len(), 65_536);
    }

    #[derive(Debug, Clone)]
    enum Item {
        Bytes(Vec<u8>),
        Text(String),
        Nest(Vec<(u16, Item)>),
    }

    fn write(writer: &mut Writer<'_>, items: &[(u16, Item)]) {
        for (kind, item) in items {
            match item {
                Item::Bytes(bytes) => writer.bytes(*kind, bytes),
                Item::Text(text) => writer.text(*kind, text),
                Item::Nest(items) => writer.nest(*kind, |writer| write(writer, items)),
            }
        }
    }

    fn compare(found: Attribute<'_>, kind: u16, item: &Item) {
        assert_eq!(found.kind(), kind);
        match item {
            Item::Bytes(bytes) => assert_eq!(found.value(), bytes),
            Item::Text(text) => assert_eq!(found.text().unwrap(), text),
            Item::Nest(items) => {
                assert!(found.is_nested());
                assert_eq!(found.nested().count(), items.len());
                for (found, (kind, item)) in found.nested().zip(items) {
                    compare(found.unwrap(), *kind, item);
                }
            }
        }
    }

    fn items() -> impl Strategy<Value = Vec<(u16, Item)>> {
        let leaf = prop_oneof![
            prop::collection::vec(any::<u8>(), 0..20).prop_map(Item::Bytes),
            "[a-zü]{0,12}".prop_map(Item::Text),
        ];
        let tree = leaf.prop_recursive(3, 24, 4, |inner| {
            prop::collection::vec((0..0x4000_u16, inner), 0..4).prop_map(Item::Nest)
        });
        prop::collection::vec((0..0x4000_u16, tree), 0..5)
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(items in items()) {
            let length = measure(|writer| write(writer, &items));
            let mut buffer = vec![0xee; length];
            let mut writer = Writer::new(&mut buffer);
            write(&mut writer, &items);
            prop_assert_eq!(writer.len(), length);
            prop_assert_eq!(attributes(&buffer).count(), items.len());
            for (found, (kind, item)) in attributes(&buffer).zip(&items) {
                compare(found.unwrap(), *kind, item);
            }
        }

        #[test]
        fn a_short_buffer_holds_what_fits_and_the_length_is_counted(
            items in items(), missing in 0_usize..60,
        ) {
            let length = measure(|writer| write(writer, &items));
            let mut whole = vec![0; length];
            write(&mut Writer::new(&mut whole), &items);
            let mut short = vec![0; length.saturating_sub(missing)];
            let mut writer = Writer::new(&mut short);
            write(&mut writer, &items);
            prop_assert_eq!(writer.len(), length);
            let fit = attributes(&whole).map_while(|item| {
                let attribute = item.unwrap();
                let start = attribute.value().as_ptr() as usize - whole.as_ptr() as usize;
                let end = start + attribute.value().len().next_multiple_of(4);
                (end <= short.len()).then_some(end)
            });
            let end = fit.last().unwrap_or(0);
            prop_assert_eq!(&short[..end], &whole[..end]);
        }
    }
}
