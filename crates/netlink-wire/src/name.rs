//! Short names kept in place.

use std::fmt;
use std::num::NonZeroU8;

/// A name of 1 to `N` bytes of UTF-8, held in place: `Copy`, without an allocation, and made in
/// constants too. `N` is at most 255.
///
/// The kernel keeps such names in arrays of a fixed size (`IFNAMSIZ`, `IPSET_MAXNAMELEN`). What a name
/// may consist of beyond its length, the type around it decides. Names compare as text does.
///
/// (`arrayvec::ArrayString` cannot be made from text in a constant, and has no room for `Option`'s tag.)
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InlineName<const N: usize> {
    // The order of the fields makes derived comparison that of text: what is behind `length` is zero,
    // so of two names that differ by trailing NULs alone, the shorter one comes first.
    bytes: [u8; N],
    length: NonZeroU8,
}

impl<const N: usize> InlineName<N> {
    /// The most bytes that a name can have.
    pub const MAX_LEN: usize = N;

    /// A name of this text, or `None` if it is empty or longer than `N` bytes.
    #[must_use]
    pub const fn new(text: &str) -> Option<Self> {
        const { assert!(N <= 255) };
        let mut rest = text.as_bytes();
        let mut bytes = [0; N];
        let mut free: &mut [u8] = &mut bytes;
        let mut length: u8 = 0;
        while let Some((first, tail)) = rest.split_first() {
            let Some((slot, slots)) = free.split_first_mut() else {
                return None;
            };
            *slot = *first;
            length += 1;
            (rest, free) = (tail, slots);
        }
        match NonZeroU8::new(length) {
            Some(length) => Some(Self { bytes, length }),
            None => None,
        }
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let bytes = self
            .bytes
            .get(..usize::from(self.length.get()))
            .unwrap_or_default();
        // Made from text and not cut, so the default is never used.
        std::str::from_utf8(bytes).unwrap_or_default()
    }
}

impl<const N: usize> AsRef<str> for InlineName<N> {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl<const N: usize> fmt::Display for InlineName<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl<const N: usize> fmt::Debug for InlineName<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RR: InlineName<15> = match InlineName::new("rr") {
        Some(name) => name,
        None => panic!("too long"),
    };

    #[test]
    fn names_are_made_in_constants_and_shown_as_text() {
        assert_eq!(RR.as_str(), "rr");
        assert_eq!(format!("{RR:>4}|{RR:?}"), "  rr|\"rr\"");
        assert_eq!(InlineName::new("rr"), Some(RR));
    }

    #[test]
    fn lengths_at_the_limits() {
        assert_eq!(InlineName::<15>::new(""), None);
        assert!(InlineName::<15>::new("fifteen-bytes-x").is_some());
        assert_eq!(InlineName::<15>::new("sixteen-bytes-xy"), None);
        assert!(InlineName::<255>::new(&"a".repeat(255)).is_some());
        assert_eq!(InlineName::<255>::new(&"a".repeat(256)), None);
    }

    #[test]
    fn an_optional_name_takes_no_more_room() {
        assert_eq!(size_of::<Option<InlineName<15>>>(), 16);
    }

    proptest! {
        #[test]
        fn names_compare_as_text(a in "[\0abü]{1,5}", b in "[\0abü]{1,5}") {
            let name = |text: &str| InlineName::<15>::new(text).unwrap();
            prop_assert_eq!(name(&a).cmp(&name(&b)), a.cmp(&b));
            prop_assert_eq!(name(&a) == name(&b), a == b);
            let kept = name(&a);
            prop_assert_eq!(kept.as_str(), a);
        }
    }
}
