//! Who claims a virtual server.

use std::slice;
use std::sync::Arc;

use super::tracked::Rank;

/// Who claims a virtual server, the senior first: mostly one.
#[derive(Debug)]
pub(super) enum Queue {
    One(Arc<Rank>),
    /// At least two.
    Many(Vec<Arc<Rank>>),
}

impl Queue {
    pub(super) fn ranks(&self) -> &[Arc<Rank>] {
        match self {
            Self::One(only) => slice::from_ref(only),
            Self::Many(ranks) => ranks,
        }
    }

    /// The same without one and with another; `None` if nobody is left.
    pub(super) fn with(self, old: Option<&Arc<Rank>>, new: Option<&Arc<Rank>>) -> Option<Self> {
        let mut ranks = match self {
            Self::One(only) => vec![only],
            Self::Many(ranks) => ranks,
        };
        if let Some(old) = old {
            ranks.retain(|rank| !Arc::ptr_eq(rank, old));
        }
        if let Some(new) = new {
            let at = ranks.partition_point(|rank| rank < new);
            ranks.insert(at, Arc::clone(new));
        }
        match ranks.len() {
            0 | 1 => ranks.pop().map(Self::One),
            _ => Some(Self::Many(ranks)),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use super::*;
    use crate::cluster::{ObjectName, Service};

    #[test]
    fn who_comes_and_goes_finds_or_leaves_a_place() {
        let rank = |name: &str, created| {
            let mut service = Service::new(ObjectName::new("default", name), Vec::new());
            service.created = Some(created);
            Arc::new(Rank::of(&service))
        };
        let [first, second, third] = [rank("c", 1), rank("a", 2), rank("b", 2)];
        let queue = Queue::One(Arc::clone(&second));
        let queue = queue.with(None, Some(&third)).unwrap();
        let queue = queue.with(None, Some(&first)).unwrap();
        let expected = [&first, &second, &third].map(Arc::clone);
        assert_eq!(queue.ranks(), expected);

        // One that is younger now, though it is the same Service.
        let later = rank("c", 3);
        let queue = queue.with(Some(&first), Some(&later)).unwrap();
        let expected = [&second, &third, &later].map(Arc::clone);
        assert_eq!(queue.ranks(), expected);

        let queue = queue.with(Some(&later), None).unwrap();
        let queue = queue.with(Some(&second), None).unwrap();
        assert!(matches!(&queue, Queue::One(only) if Arc::ptr_eq(only, &third)));
        assert!(queue.with(Some(&third), None).is_none());
    }
}
