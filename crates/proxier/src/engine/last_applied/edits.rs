//! Changes of the destinations of one virtual server.

use std::iter;
use std::sync::Arc;

use ipvs_netlink::{Destination, DestinationId};

use crate::plan::Operation;

/// What the destinations of one virtual server become, `None` of one that is deleted. Sorted; of one destination, in the order
/// in which it was done.
pub(super) struct Edits(Vec<(DestinationId, Option<Destination>)>);

impl Edits {
    pub(super) fn of<'a>(operations: impl Iterator<Item = &'a Operation>) -> Self {
        let edit = |operation: &Operation| match operation {
            Operation::AddDestination { destination, .. }
            | Operation::SetDestination { destination, .. } => {
                Some((destination.id, Some(*destination)))
            }
            Operation::DeleteDestination { id, .. } => Some((*id, None)),
            _ => None,
        };
        let mut edits: Vec<_> = operations.filter_map(edit).collect();
        edits.sort_by_key(|(id, _)| *id);
        Self(edits)
    }

    /// Whether a destination is among those changed.
    pub(super) fn concern(&self, id: &DestinationId) -> bool {
        self.0.binary_search_by_key(id, |(id, _)| *id).is_ok()
    }

    /// What destinations become, in their order.
    pub(super) fn apply<'a>(
        &'a self,
        destinations: &'a [Destination],
    ) -> impl Iterator<Item = Destination> + 'a {
        let mut rest = destinations.iter().copied().peekable();
        let mut edits = self.0.iter().peekable();
        iter::from_fn(move || {
            loop {
                let Some((id, to)) = edits.peek() else {
                    return rest.next();
                };
                if let Some(before) = rest.next_if(|destination| destination.id < *id) {
                    return Some(before);
                }
                edits.next();
                // The last edit of a destination decides: the sort keeps their order.
                if edits.peek().is_some_and(|(next, _)| next == id) {
                    continue;
                }
                rest.next_if(|destination| destination.id == *id);
                if to.is_some() {
                    return *to;
                }
            }
        })
    }

    /// The same as a list.
    pub(super) fn applied(&self, destinations: &[Destination]) -> Arc<[Destination]> {
        let mut changed = Vec::with_capacity(destinations.len() + self.0.len());
        changed.extend(self.apply(destinations));
        changed.into()
    }
}
