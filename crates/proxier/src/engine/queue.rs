//! The Services that claim a virtual server.

use std::slice;
use std::sync::Arc;

use super::tracked::Rank;
use crate::translate::Precedence;

/// A Service that claims a virtual server. The one that sorts first gets it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Claimant {
    /// That of its first claim.
    pub(super) precedence: Precedence,
    pub(super) rank: Arc<Rank>,
}

/// The Services that claim a virtual server, the one that gets it first. Mostly there is one.
#[derive(Debug)]
pub(super) enum Queue {
    One(Claimant),
    /// At least two.
    Many(Vec<Claimant>),
}

impl Queue {
    pub(super) fn claimants(&self) -> &[Claimant] {
        match self {
            Self::One(only) => slice::from_ref(only),
            Self::Many(claimants) => claimants,
        }
    }

    /// The same without one and with another; `None` if none is left.
    pub(super) fn with(self, old: Option<&Arc<Rank>>, new: Option<Claimant>) -> Option<Self> {
        let mut claimants = match self {
            Self::One(only) => vec![only],
            Self::Many(claimants) => claimants,
        };
        if let Some(old) = old {
            claimants.retain(|claimant| !Arc::ptr_eq(&claimant.rank, old));
        }
        if let Some(new) = new {
            let at = claimants.partition_point(|claimant| *claimant < new);
            claimants.insert(at, new);
        }
        match claimants.len() {
            0 | 1 => claimants.pop().map(Self::One),
            _ => Some(Self::Many(claimants)),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use super::*;
    use crate::cluster::{ObjectName, Service};

    fn claimant(name: &str, created: i64, precedence: Precedence) -> Claimant {
        let mut service = Service::new(ObjectName::new("default", name), Vec::new());
        service.created = Some(created);
        Claimant {
            precedence,
            rank: Arc::new(Rank::of(&service)),
        }
    }

    #[test]
    fn who_comes_and_goes_finds_or_leaves_a_place() {
        let of = |name, created| claimant(name, created, Precedence::Other);
        let [first, second, third] = [of("c", 1), of("a", 2), of("b", 2)];
        let queue = Queue::One(second.clone());
        let queue = queue.with(None, Some(third.clone())).unwrap();
        let queue = queue.with(None, Some(first.clone())).unwrap();
        assert_eq!(
            queue.claimants(),
            [first.clone(), second.clone(), third.clone()]
        );

        // One that is younger now, though it is the same Service.
        let later = of("c", 3);
        let queue = queue.with(Some(&first.rank), Some(later.clone())).unwrap();
        assert_eq!(
            queue.claimants(),
            [second.clone(), third.clone(), later.clone()]
        );

        let queue = queue.with(Some(&later.rank), None).unwrap();
        let queue = queue.with(Some(&second.rank), None).unwrap();
        assert!(matches!(&queue, Queue::One(only) if Arc::ptr_eq(&only.rank, &third.rank)));
        assert!(queue.with(Some(&third.rank), None).is_none());
    }

    #[test]
    fn a_cluster_ip_comes_before_whatever_is_older() {
        let older = claimant("a", 1, Precedence::Other);
        let younger = claimant("b", 2, Precedence::ClusterIp);
        let queue = Queue::One(older.clone());
        let queue = queue.with(None, Some(younger.clone())).unwrap();
        assert_eq!(queue.claimants(), [younger, older]);
    }
}
