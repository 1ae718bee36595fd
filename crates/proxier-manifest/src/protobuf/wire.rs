//! The wire format, as far as messages are taken apart before they are whole.

/// How a field is written.
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
    let (field, is_delimited) = (key >> 3, key & 7 == 2);
    if field == 0 {
        return Err(NotAField);
    }
    let (length, size) = match key & 7 {
        0 => (Length::Varint, size),
        1 => (Length::Of(8), size),
        2 => match varint(bytes.get(size..).unwrap_or_default())? {
            Some((length, more)) => (Length::Of(length), size + more),
            None => return Ok(None),
        },
        5 => (Length::Of(4), size),
        // Kubernetes has no groups.
        _ => return Err(NotAField),
    };
    Ok(Some(Key {
        field,
        length,
        is_delimited,
        size,
    }))
}

/// The bytes of the first field of that number that is whole, in a message that may be broken behind it.
pub(super) fn first(message: &[u8], number: u64) -> Option<std::ops::Range<usize>> {
    let mut at = 0;
    while let Some(rest) = message.get(at..).filter(|rest| !rest.is_empty()) {
        let key = key(rest).ok()??;
        at += key.size;
        let length = match key.length {
            Length::Of(length) => usize::try_from(length).ok()?,
            Length::Varint => varint(message.get(at..)?).ok()??.1,
        };
        let end = at.checked_add(length)?;
        message.get(at..end)?;
        if key.field == number && key.is_delimited {
            return Some(at..end);
        }
        at = end;
    }
    None
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

    #[test]
    fn a_field_is_found_before_what_is_broken() {
        let message = [0x08, 0x05, 0x0a, 0x01, b'x', 0x12, 0xff];
        assert_eq!(first(&message, 1), Some(4..5));
        assert_eq!(first(&message, 2), None);
        assert_eq!(first(&[0x0a, 0x05, 1], 1), None);
    }
}
