//! Values that many objects have in common, kept once.

use std::hash::Hash;
use std::sync::Arc;

use crate::cluster::{Endpoint, EndpointPort, Hints, ServicePort};
use crate::hash::HashSet;

/// The names of ports and nodes, and hints: few beside those that have them. A copy for each would cost memory, and a
/// look at it wherever objects are compared.
#[derive(Debug, Default)]
pub(super) struct Shared {
    ports: Pool<str>,
    nodes: Pool<str>,
    hints: Pool<Hints>,
}

impl Shared {
    pub(super) fn service_ports(&mut self, ports: &mut [ServicePort]) {
        let names = ports.iter_mut().map(|port| &mut port.name);
        names.for_each(|name| self.ports.share(name, None));
    }

    pub(super) fn endpoint_ports(&mut self, ports: &mut [EndpointPort]) {
        let names = ports.iter_mut().map(|port| &mut port.name);
        names.for_each(|name| self.ports.share(name, None));
    }

    /// Most endpoints have the values of those that they replace.
    pub(super) fn endpoints(&mut self, endpoints: &mut [Endpoint], before: &[Endpoint]) {
        for (at, endpoint) in endpoints.iter_mut().enumerate() {
            let before = before.get(at);
            if let Some(node) = &mut endpoint.node {
                self.nodes.share(node, before.and_then(|b| b.node.as_ref()));
            }
            if let Some(hints) = &mut endpoint.hints {
                self.hints
                    .share(hints, before.and_then(|b| b.hints.as_ref()));
            }
        }
    }
}

/// Different values.
#[derive(Debug)]
struct Pool<T: ?Sized> {
    known: HashSet<Arc<T>>,
    /// From how many values on unused ones are dropped.
    review_at: usize,
}

impl<T: ?Sized> Default for Pool<T> {
    fn default() -> Self {
        Self {
            known: HashSet::default(),
            review_at: 2,
        }
    }
}

impl<T: ?Sized + Hash + Eq> Pool<T> {
    fn share(&mut self, value: &mut Arc<T>, before: Option<&Arc<T>>) {
        let known = before.filter(|before| *before == value);
        if let Some(known) = known.or_else(|| self.known.get(&**value)) {
            value.clone_from(known);
            return;
        }
        // Values come and go for ever: now and then, those that are no longer in use are dropped.
        if self.known.len() >= self.review_at {
            self.known.retain(|value| Arc::strong_count(value) > 1);
            self.review_at = self.known.len().saturating_mul(2).max(2);
        }
        self.known.insert(Arc::clone(value));
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use super::*;

    #[test]
    fn one_copy_for_all_while_any_has_it() {
        let mut pool = Pool::default();
        let mut names = ["a", "b", "a", "b"].map(Arc::<str>::from);
        for name in &mut names {
            pool.share(name, None);
        }
        let [a, b, again, last] = names;
        assert!(Arc::ptr_eq(&a, &again) && Arc::ptr_eq(&b, &last));
        assert_eq!((&*a, &*b), ("a", "b"));
        let mut near = Arc::from("a");
        pool.share(&mut near, Some(&a));
        assert!(Arc::ptr_eq(&a, &near));

        drop((b, last));
        pool.share(&mut Arc::from("c"), Some(&a));
        assert_eq!(pool.known.len(), 2, "b is forgotten: {pool:?}");
    }
}
