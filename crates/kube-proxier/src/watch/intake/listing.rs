//! A list of objects, gathered until it is whole.

use std::collections::{BTreeSet, HashMap};

use proxier::cluster::{Change, EndpointSlice, Node, ObjectName, Service};
use proxier_manifest::Object;

/// A list that is under way.
#[derive(Default)]
pub(super) struct Listing {
    /// The usable ones.
    pub(super) objects: Objects,
    /// Where each of them is.
    pub(super) places: HashMap<ObjectName, usize>,
    /// Those in it that cannot be used, or only in part.
    pub(super) refused: BTreeSet<ObjectName>,
    /// Those of them that could be earlier.
    pub(super) kept: BTreeSet<ObjectName>,
    pub(super) deleting: Option<bool>,
}

impl Listing {
    /// A version can be used, all of it or in part.
    pub(super) fn put(&mut self, name: ObjectName, object: Object, partial: bool) {
        self.kept.remove(&name);
        if partial {
            self.refused.insert(name.clone());
        } else {
            self.refused.remove(&name);
        }
        let end = self.objects.len();
        let place = *self.places.entry(name).or_insert(end);
        self.objects.put(place, object);
    }

    /// A version cannot be used; `known`: an earlier one can, of this list or from before.
    pub(super) fn refuse(&mut self, name: ObjectName, known: bool) {
        if known && !self.places.contains_key(&name) {
            self.kept.insert(name.clone());
        }
        self.refused.insert(name);
    }

    /// It is not there, or of no concern.
    pub(super) fn remove(&mut self, name: &ObjectName) {
        self.kept.remove(name);
        self.refused.remove(name);
        if let Some(place) = self.places.remove(name) {
            self.objects.remove(place);
        }
    }
}

/// Objects of one kind, in the order they came; `None` where one is gone again. Each is out of its box as soon as it is
/// here: so many boxes that went at once would leave as many gaps in memory.
#[derive(Default)]
pub(super) struct Objects {
    pub(super) services: Vec<Option<Service>>,
    pub(super) slices: Vec<Option<EndpointSlice>>,
    pub(super) nodes: Vec<Option<Node>>,
}

impl Objects {
    const fn len(&self) -> usize {
        self.services.len() + self.slices.len() + self.nodes.len()
    }

    /// Puts an object where an earlier version of it is, or at the end.
    fn put(&mut self, place: usize, object: Object) {
        match object {
            Object::Service(service) => put(&mut self.services, place, *service),
            Object::Slice(slice) => put(&mut self.slices, place, *slice),
            Object::Node(node) => put(&mut self.nodes, place, *node),
            // Read as one of the kind that is listed.
            _ => {}
        }
    }

    fn remove(&mut self, place: usize) {
        remove(&mut self.services, place);
        remove(&mut self.slices, place);
        remove(&mut self.nodes, place);
    }

    /// Each as a change.
    pub(super) fn into_changes(self) -> impl Iterator<Item = Change> {
        let services = self.services.into_iter().flatten();
        let slices = self.slices.into_iter().flatten();
        let nodes = self.nodes.into_iter().flatten();
        let services = services.map(|service| Change::Service(Box::new(service)));
        let slices = slices.map(|slice| Change::Slice(Box::new(slice)));
        services
            .chain(slices)
            .chain(nodes.map(|node| Change::Node(Box::new(node))))
    }
}

fn put<T>(all: &mut Vec<Option<T>>, place: usize, object: T) {
    match all.get_mut(place) {
        Some(earlier) => *earlier = Some(object),
        None => all.push(Some(object)),
    }
}

fn remove<T>(all: &mut [Option<T>], place: usize) {
    if let Some(object) = all.get_mut(place) {
        *object = None;
    }
}
