//! Short text kept in place, so that names are `Copy` and need no allocation.

use std::cmp::Ordering;
use std::fmt;

/// Up to `N` bytes (at most 255) of UTF-8.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Inline<const N: usize> {
    /// Bytes behind `len` are zero, which keeps derived equality right.
    bytes: [u8; N],
    len: u8,
}

impl<const N: usize> Inline<N> {
    /// `text`, or `None` where it is longer than `N` bytes.
    pub(crate) fn new(text: &str) -> Option<Self> {
        let mut bytes = [0; N];
        bytes
            .get_mut(..text.len())?
            .copy_from_slice(text.as_bytes());
        let len = u8::try_from(text.len()).ok()?;
        Some(Self { bytes, len })
    }

    /// For constants: longer text is a compile error there.
    #[allow(
        clippy::indexing_slicing,
        clippy::cast_possible_truncation,
        reason = "evaluated by the compiler, which stops at a bad index; N is at most 255"
    )]
    pub(crate) const fn constant(text: &str) -> Self {
        let source = text.as_bytes();
        let mut bytes = [0; N];
        let mut index = 0;
        while index < source.len() {
            bytes[index] = source[index];
            index += 1;
        }
        Self {
            bytes,
            len: source.len() as u8,
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        let bytes = self.bytes.get(..usize::from(self.len)).unwrap_or_default();
        // Only built from text, so this never falls back.
        std::str::from_utf8(bytes).unwrap_or_default()
    }
}

impl<const N: usize> PartialOrd for Inline<N> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<const N: usize> Ord for Inline<N> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl<const N: usize> fmt::Debug for Inline<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}
