//! The fields of a message that is whole.

use std::str;

use super::envelope::Malformed;
use super::wire::{self, Length};

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

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_none() {
            self.0 = &[];
        }
        Some(field.ok_or_else(|| Malformed::new("a field is cut, or is none")))
    }
}

impl<'a> Fields<'a> {
    fn field(&mut self) -> Option<Field<'a>> {
        let key = wire::key(self.0).ok()??;
        let rest = self.0.get(key.size..)?;
        let (value, length) = match key.length {
            Length::Varint => {
                let (number, length) = wire::varint(rest).ok()??;
                (Value::Number(number), length)
            }
            Length::Of(length) => {
                let length = usize::try_from(length).ok()?;
                let bytes = rest.get(..length)?;
                let value = match key.is_delimited {
                    true => Value::Bytes(bytes),
                    false => Value::Fixed,
                };
                (value, length)
            }
        };
        self.0 = rest.get(length..)?;
        Some(Field {
            number: key.field,
            value,
        })
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
