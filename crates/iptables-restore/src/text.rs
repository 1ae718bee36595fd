//! Texts that others wrote: bytes that are not UTF-8 kept in a `String`, and texts shown in messages.
//!
//! Comments, names of chains and of interfaces are bytes to the kernel. The model holds `String`s, in which a byte that
//! belongs to no UTF-8 character stands as one character of a private-use block: the byte 0xNN as U+10FFNN. Text that
//! has these very characters (nothing assigns a meaning to them) is taken for single bytes too, so that there and back is
//! the identity for all bytes.

use std::borrow::Cow;
use std::fmt::{self, Write as _};

/// The character that stands for the byte 0x00; only those for 0x80 to 0xff are used.
const FIRST: u32 = 0x10_ff00;

/// Reads bytes, each that is not part of UTF-8 as a character of its own.
pub(crate) fn from_bytes(bytes: &[u8]) -> Cow<'_, str> {
    let plain = std::str::from_utf8(bytes).ok();
    if let Some(text) = plain.filter(|text| !text.contains(|c| to_byte(c).is_some())) {
        return Cow::Borrowed(text);
    }
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match to_byte(c) {
                None => text.push(c),
                Some(_) => text.extend(c.encode_utf8(&mut [0; 4]).bytes().map(from_byte)),
            }
        }
        text.extend(chunk.invalid().iter().copied().map(from_byte));
    }
    Cow::Owned(text)
}

/// The bytes that a text was read from.
pub(crate) fn to_bytes(text: &str) -> Cow<'_, [u8]> {
    if !text.contains(|c| to_byte(c).is_some()) {
        return Cow::Borrowed(text.as_bytes());
    }
    let mut bytes = Vec::with_capacity(text.len());
    for c in text.chars() {
        match to_byte(c) {
            Some(byte) => bytes.push(byte),
            None => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    Cow::Owned(bytes)
}

/// A text that was put together from pieces: bytes that a quote kept apart may be one character now.
pub(crate) fn joined(text: String) -> String {
    let whole = match to_bytes(&text) {
        Cow::Borrowed(_) => None,
        Cow::Owned(bytes) => Some(from_bytes(&bytes).into_owned()),
    };
    whole.unwrap_or(text)
}

/// How many bytes the kernel sees.
pub(crate) fn byte_len(text: &str) -> usize {
    // Each character that stands for a byte has four.
    text.len() - 3 * text.chars().filter(|c| to_byte(*c).is_some()).count()
}

fn from_byte(byte: u8) -> char {
    char::from_u32(FIRST + u32::from(byte)).unwrap_or(char::REPLACEMENT_CHARACTER)
}

fn to_byte(c: char) -> Option<u8> {
    let byte = u8::try_from(u32::from(c).checked_sub(FIRST)?).ok()?;
    (byte >= 0x80).then_some(byte)
}

/// A text of somebody else's as a message shows it: on one line, at most [`Shown::MAX`] characters of it, and what a
/// terminal or a reader of logs could take for something else escaped.
pub(crate) struct Shown<'a>(pub(crate) &'a str);

impl Shown<'_> {
    /// The most characters that are shown.
    pub(crate) const MAX: usize = 400;
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut chars = self.0.chars();
        for c in chars.by_ref().take(Self::MAX) {
            if let Some(byte) = to_byte(c) {
                write!(f, "\\x{byte:02x}")?;
                continue;
            }
            match c {
                ' '..='~' => f.write_char(c)?,
                // Control characters, marks of direction and others without a glyph.
                _ if c.is_control() || is_format(c) => write!(f, "{}", c.escape_default())?,
                _ => f.write_char(c)?,
            }
        }
        match chars.as_str().len() {
            0 => Ok(()),
            left => write!(f, "… ({left} more bytes)"),
        }
    }
}

/// Characters that show nothing themselves and change how others are shown: those that set the direction of text, join or
/// separate, and end lines. Unicode 16, general categories Cf, Zl and Zp, without those of single scripts.
fn is_format(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}'
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn bytes_that_are_no_text_survive() {
        for (bytes, text) in [
            (&b"plain"[..], "plain"),
            (b"x\xe9y", "x\u{10ffe9}y"),
            ("é".as_bytes(), "é"),
            (b"\xc3", "\u{10ffc3}"),
            // The characters that stand for bytes, as text.
            (
                "\u{10ffe9}".as_bytes(),
                "\u{10fff4}\u{10ff8f}\u{10ffbf}\u{10ffa9}",
            ),
        ] {
            assert_eq!(from_bytes(bytes), text);
            assert_eq!(to_bytes(text), bytes);
            assert_eq!(byte_len(text), bytes.len());
        }
    }

    #[test]
    fn what_a_terminal_would_act_on_is_escaped() {
        assert_eq!(
            Shown("a\nb\rc\0d\u{1b}[31m \u{202e}e\u{2066}é\u{10ffe9}'\"").to_string(),
            "a\\nb\\rc\\u{0}d\\u{1b}[31m \\u{202e}e\\u{2066}é\\xe9'\""
        );
        let long = "é".repeat(Shown::MAX + 2);
        assert_eq!(
            Shown(&long).to_string(),
            format!("{}… (4 more bytes)", "é".repeat(Shown::MAX))
        );
        assert_eq!(
            Shown(&"x".repeat(Shown::MAX)).to_string(),
            "x".repeat(Shown::MAX)
        );
    }

    proptest! {
        #[test]
        fn there_and_back(bytes in any::<Vec<u8>>(), text in "[a\u{10ff00}-\u{10ffff}é]{0,5}") {
            for bytes in [&bytes[..], text.as_bytes()] {
                let read = from_bytes(bytes);
                prop_assert_eq!(&*to_bytes(&read), bytes);
                prop_assert_eq!(byte_len(&read), bytes.len());
            }
        }
    }
}
