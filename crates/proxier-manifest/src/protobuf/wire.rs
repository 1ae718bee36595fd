//! The wire format, as far as messages are taken apart before they are whole.

// How a field is written, by the last three bits of its key. Kubernetes has no groups, which are 3 and 4.

pub(super) const VARINT: u64 = 0;
pub(super) const FIXED_64: u64 = 1;
pub(super) const DELIMITED: u64 = 2;
pub(super) const FIXED_32: u64 = 5;

/// What comes behind the key of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Length {
    /// So many bytes behind the key.
    Of(u64),
    /// A number of variable length.
    Varint,
}

/// The key of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key {
    /// The number of the field.
    pub(super) field: u64,
    /// How long its value is.
    pub(super) length: Length,
    /// Whether it is a text, bytes or a message.
    pub(super) is_delimited: bool,
    /// How many bytes key and length have.
    pub(super) size: usize,
}

/// What is no field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotAField;

/// A number and how many bytes it has; `None`: there are more to come.
pub(super) fn varint(bytes: &[u8]) -> Result<Option<(u64, usize)>, NotAField> {
    let mut value = 0;
    for (n, byte) in bytes.iter().enumerate() {
        // The tenth byte has the last bit of 64.
        if n == 9 && *byte > 1 {
            return Err(NotAField);
        }
        value |= u64::from(byte & 0x7f) << (7 * n);
        if byte & 0x80 == 0 {
            return Ok(Some((value, n + 1)));
        }
    }
    Ok(None)
}

/// The key of the field at the beginning; `None`: there are more bytes to come.
pub(super) fn key(bytes: &[u8]) -> Result<Option<Key>, NotAField> {
    let Some((key, size)) = varint(bytes)? else {
        return Ok(None);
    };
    let (field, is_delimited) = (key >> 3, key & 7 == DELIMITED);
    if field == 0 {
        return Err(NotAField);
    }
    let (length, size) = match key & 7 {
        VARINT => (Length::Varint, size),
        FIXED_64 => (Length::Of(8), size),
        DELIMITED => match varint(bytes.get(size..).unwrap_or_default())? {
            Some((length, more)) => (Length::Of(length), size + more),
            None => return Ok(None),
        },
        FIXED_32 => (Length::Of(4), size),
        _ => return Err(NotAField),
    };
    Ok(Some(Key {
        field,
        length,
        is_delimited,
        size,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_all_lengths_are_read() {
        assert_eq!(varint(&[0x96, 0x01, 7]), Ok(Some((150, 2))));
        assert_eq!(varint(&[0x96]), Ok(None));
        let longest = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1];
        assert_eq!(varint(&longest), Ok(Some((u64::MAX, 10))));
        assert_eq!(varint(&[0xff; 10]), Err(NotAField));
    }

    #[test]
    fn keys_are_read_when_they_are_whole() {
        let bytes = [0x12, 0x80, 0x01];
        for cut in 0..bytes.len() {
            assert_eq!(key(&bytes[..cut]), Ok(None));
        }
        let read = key(&bytes).unwrap().unwrap();
        assert_eq!(
            (read.field, read.length, read.size),
            (2, Length::Of(128), 3)
        );
        // Field 0, and the start of a group.
        assert_eq!(key(&[0x02, 0]), Err(NotAField));
        assert_eq!(key(&[0x0b]), Err(NotAField));
    }
}
