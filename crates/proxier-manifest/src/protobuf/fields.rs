//! The fields of a message that is whole.

use std::str;

use super::envelope::Malformed;
use super::wire;

/// A field. What it is worth depends on what it should be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field<'a> {
    pub(super) number: u64,
    value: Value<'a>,
}

#[derive(Clone, Copy, Debug)]
enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    /// A number of fixed length, of which Kubernetes has none.
    Fixed,
}

/// The fields of a message, in their order. An error is the last that comes.
pub(super) fn fields(message: &[u8]) -> Fields<'_> {
    Fields(message)
}

#[derive(Clone, Debug)]
pub(super) struct Fields<'a>(&'a [u8]);

/// The bytes of the first field of that number, in a message that may be broken behind it.
pub(super) fn first(message: &[u8], number: u64) -> Option<&[u8]> {
    let mut whole = fields(message).map_while(Result::ok);
    whole.find_map(|field| field.bytes().ok().filter(|_| field.number == number))
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, Malformed>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field().ok_or_else(cut);
        if field.is_err() {
            self.0 = &[];
        }
        Some(field)
    }
}

#[cold]
fn cut() -> Malformed {
    Malformed::new("a field is cut, or is none")
}

impl<'a> Fields<'a> {
    /// The bytes of the fields that are still to come.
    pub(super) const fn rest(&self) -> &'a [u8] {
        self.0
    }

    /// Takes a field. Most have a key of one byte, and a number or a length of one byte.
    #[inline]
    fn field(&mut self) -> Option<Field<'a>> {
        if let [key @ 0x08..0x80, byte @ ..0x80, rest @ ..] = self.0 {
            let (value, rest) = match u64::from(key & 7) {
                wire::VARINT => (Value::Number((*byte).into()), rest),
                wire::DELIMITED => {
                    let (bytes, rest) = rest.split_at_checked((*byte).into())?;
                    (Value::Bytes(bytes), rest)
                }
                _ => return self.any_field(),
            };
            self.0 = rest;
            let number = u64::from(key >> 3);
            return Some(Field { number, value });
        }
        self.any_field()
    }

    /// Takes a field of whatever form.
    fn any_field(&mut self) -> Option<Field<'a>> {
        let key = self.number()?;
        let value = match key & 7 {
            wire::VARINT => Value::Number(self.number()?),
            wire::DELIMITED => {
                let length = self.number()?;
                Value::Bytes(self.bytes(usize::try_from(length).ok()?)?)
            }
            wire::FIXED_64 => self.bytes(8).map(|_| Value::Fixed)?,
            wire::FIXED_32 => self.bytes(4).map(|_| Value::Fixed)?,
            _ => return None,
        };
        let number = key >> 3;
        (number != 0).then_some(Field { number, value })
    }

    /// Takes a number of variable length.
    fn number(&mut self) -> Option<u64> {
        let (number, size) = wire::varint(self.0).ok()??;
        self.0 = self.0.get(size..)?;
        Some(number)
    }

    /// Takes so many bytes.
    fn bytes(&mut self, length: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }
}

impl<'a> Field<'a> {
    /// As bytes, or as a message.
    pub(super) fn bytes(self) -> Result<&'a [u8], Malformed> {
        match self.value {
            Value::Bytes(bytes) => Ok(bytes),
            _ => Err(self.wrong()),
        }
    }

    pub(super) fn text(self) -> Result<&'a str, Malformed> {
        let text = str::from_utf8(self.bytes()?);
        text.map_err(|_| Malformed::new(format!("field {} is not UTF-8", self.number)))
    }

    pub(super) fn int64(self) -> Result<i64, Malformed> {
        match self.value {
            Value::Number(number) => Ok(number.cast_signed()),
            _ => Err(self.wrong()),
        }
    }

    /// Of a number with more bits the lower ones count, as everywhere in protobuf.
    #[allow(clippy::cast_possible_truncation, reason = "see above")]
    pub(super) fn int32(self) -> Result<i64, Malformed> {
        self.int64().map(|number| i64::from(number as i32))
    }

    pub(super) fn boolean(self) -> Result<bool, Malformed> {
        self.int64().map(|number| number != 0)
    }

    fn wrong(self) -> Malformed {
        Malformed::new(format!("field {} has another type", self.number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_up_to_what_is_broken() {
        // A number, a text, eight bytes, and a text that is cut.
        let message = b"\x08\x96\x01\x12\x02ab\x19\0\0\0\0\0\0\0\0\x22\x05x";
        let all: Vec<_> = fields(message).collect();
        let [number, text, fixed, cut] = &all[..] else {
            panic!("{all:?}");
        };
        let (number, text) = (number.clone().unwrap(), text.clone().unwrap());
        assert_eq!((number.number, number.int32()), (1, Ok(150)));
        assert_eq!((text.number, text.text()), (2, Ok("ab")));
        assert!(number.text().is_err() && text.int64().is_err());
        assert!(fixed.clone().unwrap().boolean().is_err());
        assert!(cut.is_err());
        assert!(fields(b"").next().is_none());
        // Field 0, the start of a group alone and before something, a number without its end, and a text with less than its length.
        for none in [
            &b"\x02\0"[..],
            b"\x0b",
            b"\x0b\0",
            b"\x08\xff",
            b"\x0a\x02x",
        ] {
            assert!(fields(none).next().unwrap().is_err(), "{none:?}");
        }
    }

    #[test]
    fn a_field_is_found_before_what_is_broken() {
        let message = [0x08, 0x05, 0x0a, 0x01, b'x', 0x12, 0xff];
        assert_eq!(first(&message, 1), Some(&b"x"[..]));
        assert_eq!(first(&message, 2), None);
        assert_eq!(first(&[0x0a, 0x05, 1], 1), None);
    }

    #[test]
    fn keys_and_lengths_of_one_byte_are_those_of_several() {
        // Field 1 with its key and its length, each in one byte and in two.
        for (key, length) in [
            (&b"\x0a"[..], &b"\x02"[..]),
            (b"\x8a\0", b"\x82\0"),
            (b"\x0a", b"\x82\0"),
        ] {
            let message = [key, length, b"ab", b"\x90\x01\x07"].concat();
            let all: Vec<_> = fields(&message).map(Result::unwrap).collect();
            let [text, number] = &all[..] else {
                panic!("{all:?}");
            };
            assert_eq!((text.number, text.text()), (1, Ok("ab")), "{message:?}");
            assert_eq!((number.number, number.int32()), (18, Ok(7)), "{message:?}");
        }
        let long = [&b"\x0a\x80\x01"[..], &[b'x'; 128]].concat();
        assert_eq!(first(&long, 1).map(<[u8]>::len), Some(128));
    }

    #[test]
    fn numbers_are_signed_and_texts_are_utf8() {
        let field = |bytes| fields(bytes).next().unwrap().unwrap();
        let minus_one = field(b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01");
        assert_eq!((minus_one.int32(), minus_one.int64()), (Ok(-1), Ok(-1)));
        // 2^32 + 1.
        assert_eq!(field(b"\x08\x81\x80\x80\x80\x10").int32(), Ok(1));
        assert_eq!(field(b"\x08\x02").boolean(), Ok(true));
        let error = field(b"\x0a\x01\xff").text().unwrap_err();
        assert_eq!(error.to_string(), "field 1 is not UTF-8");
    }
}
