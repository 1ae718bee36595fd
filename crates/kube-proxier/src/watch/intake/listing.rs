//! A list of objects, gathered until it is whole.

use std::collections::{BTreeMap, BTreeSet};

use proxier::cluster::ObjectName;
use proxier_manifest::Object;

/// A list that is under way.
#[derive(Default)]
pub(super) struct Listing {
    /// The usable ones, in the order they came; `None` where one is gone again.
    pub(super) objects: Vec<Option<Object>>,
    /// Where each of them is.
    pub(super) places: BTreeMap<ObjectName, usize>,
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
        match self.objects.get_mut(place) {
            Some(earlier) => *earlier = Some(object),
            None => self.objects.push(Some(object)),
        }
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
        let place = self.places.remove(name);
        if let Some(object) = place.and_then(|place| self.objects.get_mut(place)) {
            *object = None;
        }
    }
}
