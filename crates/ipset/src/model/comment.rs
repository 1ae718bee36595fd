//! Comments of entries.

use std::fmt::{self, Write};

/// The comment of an entry: bytes for people, usually UTF-8 text.
///
/// The kernel keeps any bytes but NUL, and so does this type. It displays as text: what UTF-8 or the
/// format of `ipset save` cannot carry (other bytes, control characters, `"`) is escaped as `\x0a`.
/// [`Set::to_bytes`](crate::Set::to_bytes) writes comments byte for byte.
///
/// ```
/// use ipset_netlink::Comment;
///
/// let comment = Comment::from(&b"caf\xe9"[..]);
/// assert_eq!(comment.as_bytes(), b"caf\xe9");
/// assert_eq!(comment.to_str(), None);
/// assert_eq!(comment.to_string(), r"caf\xe9");
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Comment(Box<[u8]>);

impl Comment {
    /// The most bytes that a comment can have (`IPSET_MAX_COMMENT_SIZE`).
    pub const MAX_LEN: usize = 255;

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The comment as text, or `None` if it is not UTF-8.
    #[must_use]
    pub fn to_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }

    /// Whether the kernel takes it, and `ipset restore` reads what `ipset save` prints of it: 1 to 255
    /// bytes without control characters and `"`.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        (1..=Self::MAX_LEN).contains(&self.0.len())
            && !self
                .0
                .iter()
                .any(|byte| byte.is_ascii_control() || *byte == b'"')
    }
}

impl From<&str> for Comment {
    fn from(text: &str) -> Self {
        Self(text.as_bytes().into())
    }
}

impl From<&String> for Comment {
    fn from(text: &String) -> Self {
        Self::from(text.as_str())
    }
}

impl From<String> for Comment {
    fn from(text: String) -> Self {
        Self(text.into_bytes().into())
    }
}

impl From<&[u8]> for Comment {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }
}

impl From<Vec<u8>> for Comment {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }
}

impl AsRef<[u8]> for Comment {
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl PartialEq<str> for Comment {
    fn eq(&self, text: &str) -> bool {
        *self.0 == *text.as_bytes()
    }
}

impl fmt::Display for Comment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            for c in chunk.valid().chars() {
                if c.is_ascii_control() || c == '"' {
                    write!(f, "\\x{:02x}", u32::from(c))?;
                } else {
                    f.write_char(c)?;
                }
            }
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Comment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_display_as_one_line_of_text() {
        for (bytes, shown) in [
            (&b"plain"[..], "plain"),
            ("\u{fc}ber".as_bytes(), "\u{fc}ber"),
            (b"caf\xe9!", r"caf\xe9!"),
            (b"a\nadd s 10.0.0.1", r"a\x0aadd s 10.0.0.1"),
            (b"say \"hi\"", r"say \x22hi\x22"),
            (b"back\\slash", r"back\slash"),
            (b"\x7f\0", r"\x7f\x00"),
        ] {
            assert_eq!(Comment::from(bytes).to_string(), shown);
        }
    }

    #[test]
    fn what_the_kernel_and_the_text_take_is_valid() {
        let valid = |bytes: &[u8]| Comment::from(bytes).is_valid();
        assert!(valid(b"a") && valid(b"caf\xe9") && valid(&[b'x'; 255]));
        for bytes in [&b""[..], b"a\"b", b"a\nb", b"a\0", &[b'x'; 256]] {
            assert!(!valid(bytes), "{bytes:?}");
        }
        assert_eq!(Comment::from("x"), *"x");
    }
}
