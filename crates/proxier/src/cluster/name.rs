//! Names of objects.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// Namespace and name, by which Kubernetes identifies an object of a kind.
///
/// One piece of text, which clones share: names are kept in many places, and large clusters are searched by them. Ordered by namespace, then by name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ObjectName {
    /// Namespace and name with [`BETWEEN`] in the middle.
    text: Arc<str>,
    /// Bytes of the namespace.
    namespace: usize,
}

/// Sorts before whatever a name can go on with.
const BETWEEN: &str = "\0";

/// How many bytes most names have at the most. These are put together here, so that only the name itself is allocated.
const SHORT: usize = 128;

/// The parts as one text, if there is room for it.
fn joined<'a>(parts: [&str; 3], room: &'a mut [u8; SHORT]) -> Option<&'a str> {
    let mut length = 0;
    for part in parts {
        let end = length + part.len();
        room.get_mut(length..end)?.copy_from_slice(part.as_bytes());
        length = end;
    }
    std::str::from_utf8(room.get(..length)?).ok()
}

impl ObjectName {
    /// A name in a namespace.
    pub fn new(namespace: impl AsRef<str>, name: impl AsRef<str>) -> Self {
        let namespace = namespace.as_ref();
        let parts = [namespace, BETWEEN, name.as_ref()];
        let mut room = [0; SHORT];
        let text = match joined(parts, &mut room) {
            Some(short) => short.into(),
            None => parts.concat().into(),
        };
        Self {
            text,
            namespace: namespace.len(),
        }
    }

    /// The namespace.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.text.get(..self.namespace).unwrap_or_default()
    }

    /// The name in that namespace.
    #[must_use]
    pub fn name(&self) -> &str {
        let from = self.namespace.saturating_add(BETWEEN.len());
        self.text.get(from..).unwrap_or_default()
    }
}

impl Hash for ObjectName {
    /// The text alone: it differs for all names that Kubernetes allows, and hashing the length too would cost a step.
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace(), self.name())
    }
}

impl fmt::Debug for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ObjectName")
            .field(&self.to_string())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_are_what_short_ones_are() {
        for length in [0, 1, SHORT - 3, SHORT - 2, SHORT - 1, SHORT, 1000] {
            let long = "ä".repeat(length / 2) + &"x".repeat(length % 2);
            let name = ObjectName::new("a", &long);
            assert_eq!((name.namespace(), name.name()), ("a", &*long), "{length}");
        }
    }

    #[test]
    fn it_is_two_texts_in_this_order() {
        // '-' sorts before '/', with which it is printed.
        let pairs = [("", "x"), ("a", ""), ("a", "b"), ("a-b", "a"), ("b", "a")];
        let names = pairs.map(|(namespace, name)| ObjectName::new(namespace, name));
        assert!(names.is_sorted());
        for (name, (namespace, own)) in names.iter().zip(pairs) {
            assert_eq!((name.namespace(), name.name()), (namespace, own));
            assert_eq!(name.to_string(), format!("{namespace}/{own}"));
        }
        assert_ne!(ObjectName::new("a\0b", "c"), ObjectName::new("a", "b\0c"));
    }
}
