//! Two lists side by side.

use std::cmp::Ordering;

/// Walks two lists sorted by a common key side by side.
pub(crate) fn merge<A, B, K: Ord>(
    wanted: impl IntoIterator<Item = A>,
    found: impl IntoIterator<Item = B>,
    wanted_key: impl Fn(&A) -> K,
    found_key: impl Fn(&B) -> K,
    mut each: impl FnMut(Option<A>, Option<B>),
) {
    let (mut wanted, mut found) = (wanted.into_iter().peekable(), found.into_iter().peekable());
    loop {
        let order = match (wanted.peek(), found.peek()) {
            (None, None) => return,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(w), Some(f)) => wanted_key(w).cmp(&found_key(f)),
        };
        let wanted = if order == Ordering::Greater {
            None
        } else {
            wanted.next()
        };
        let found = if order == Ordering::Less {
            None
        } else {
            found.next()
        };
        each(wanted, found);
    }
}
