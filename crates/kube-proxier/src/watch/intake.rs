//! From objects as they come to events of those that can be used.

mod listing;
mod nodes;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::mem;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use self::listing::{Listing, Objects};
use self::nodes::is_deleting;
use super::super::Event;
use super::item::Item;
use super::{Counters, Kind};
use proxier::cluster::{Change, Node, ObjectName};
use proxier_manifest::{FieldError, LAST_CHANGE_TRIGGER_TIME, Names, Object};

/// How many entries of an object are logged one by one.
const MAX_REPORTED: usize = 5;

/// What is known of one kind, as far as is needed to derive changes.
///
/// An object that cannot be used is reported and changes nothing: the last usable version stays in force,
/// and where there was none it is as if it were not there.
pub(super) struct Intake {
    kind: Kind,
    counters: Arc<Counters>,
    /// The usable objects that were sent. Their names only: the objects are with whoever receives them.
    known: HashSet<ObjectName>,
    /// Those whose last version cannot be used, or only in part.
    refused: BTreeSet<ObjectName>,
    /// What was reported of objects that are used: entries left out, and warnings.
    reported: BTreeMap<ObjectName, Vec<FieldError>>,
    /// Those that objects have in common.
    names: Names,
    listing: Listing,
    listed_once: bool,
    /// This node's own.
    node: Option<Node>,
    /// The addresses of other Nodes, by name.
    others: BTreeMap<Box<str>, Vec<IpAddr>>,
    deleting: Option<bool>,
}

/// What became of an object.
enum Read {
    Usable {
        object: Object,
        /// Whether entries of it are left out.
        partial: bool,
    },
    /// It is there, and of no concern.
    Irrelevant,
    /// It cannot be used. Whether an earlier version of it can.
    Refused { known: bool },
}

impl Intake {
    pub(super) fn new(kind: Kind, counters: Arc<Counters>) -> Self {
        Self {
            kind,
            counters,
            known: HashSet::new(),
            refused: BTreeSet::new(),
            reported: BTreeMap::new(),
            names: Names::default(),
            listing: Listing::default(),
            listed_once: false,
            node: None,
            others: BTreeMap::new(),
            deleting: None,
        }
    }

    /// From the next list on, other Nodes are wanted.
    pub(super) fn set_kind(&mut self, kind: Kind) {
        self.kind = kind;
    }

    /// A list begins. What came of one that was broken off is forgotten.
    pub(super) fn begin_list(&mut self) {
        self.listing = Listing::default();
    }

    /// An item of the list, or another version of one.
    pub(super) fn list_item<'a>(&mut self, item: impl Into<Item<'a>>) {
        let item = item.into();
        if !self.kind.wants(&item) {
            return;
        }
        let name = self.name(&item);
        if self.kind.own() == Some(name.name()) {
            self.listing.deleting = Some(is_deleting(&item));
        }
        match self.read(item, &name) {
            Read::Usable { object, partial } => {
                self.listing.put(shared(name, &object), object, partial);
            }
            Read::Refused { known } => self.listing.refuse(name, known),
            Read::Irrelevant => self.listing.remove(&name),
        }
    }

    /// An object that was listed is gone already.
    pub(super) fn list_gone(&mut self, item: &Item<'_>) {
        if !self.kind.wants(item) {
            return;
        }
        let name = self.name(item);
        if self.kind.own() == Some(name.name()) {
            self.listing.deleting = None;
        }
        self.listing.remove(&name);
    }

    /// The list is whole: what is to be sent of it.
    pub(super) fn end_list(&mut self) -> Vec<Event> {
        let Listing {
            objects,
            places,
            refused,
            kept,
            deleting,
        } = mem::take(&mut self.listing);
        let mut now: HashSet<_> = places.into_keys().collect();
        let changes = if let Kind::Node(_) = self.kind {
            self.node_list(objects.nodes, kept.is_empty())
        } else if matches!(self.kind, Kind::Nodes(_)) && kept.is_empty() {
            self.all_nodes(objects.nodes)
        } else if kept.is_empty() {
            vec![self.whole(objects)]
        } else {
            // The earlier versions of some stay, and are not here to be sent again. So the differences are.
            let gone = self.known.difference(&now).filter(|n| !kept.contains(*n));
            let mut gone: Vec<_> = gone.cloned().collect();
            gone.sort_unstable();
            let gone = gone.into_iter().map(|name| self.change_gone(name));
            objects.into_changes().chain(gone).collect()
        };
        now.extend(kept);
        self.warn_of_loss(&now);
        self.reported.retain(|name, _| now.contains(name));
        self.known = now;
        self.refuse(refused);
        self.listed_once = true;
        let mut events: Vec<_> = changes
            .into_iter()
            .map(|change| Event::Cluster {
                change,
                triggered: None,
            })
            .collect();
        events.extend(deleting.and_then(|deleting| self.set_deleting(deleting)));
        events
    }

    /// A list that removes most of what is known may be right, and is then what an engineer wants to know of.
    fn warn_of_loss(&self, now: &HashSet<ObjectName>) {
        let known = self.known.len();
        let removed = self.known.difference(now).count();
        if removed * 2 > known {
            tracing::warn!(
                kind = self.kind.name(),
                known,
                removed,
                listed = now.len(),
                "a new list lacks more than half of the objects that were known; what belongs to them is removed"
            );
        }
    }

    fn whole(&self, objects: Objects) -> Change {
        match self.kind {
            Kind::Services => Change::Services(without_gaps(objects.services)),
            Kind::Slices => Change::Slices(without_gaps(objects.slices)),
            Kind::Node(_) | Kind::Nodes(_) => Change::Nodes(Vec::new()),
        }
    }

    /// An object was added or changed.
    pub(super) fn applied<'a>(&mut self, item: impl Into<Item<'a>>) -> Vec<Event> {
        let item = item.into();
        if !self.kind.wants(&item) {
            return Vec::new();
        }
        let triggered = triggered(&item);
        let name = self.name(&item);
        let own = self.kind.own() == Some(name.name());
        let deleting = own.then(|| is_deleting(&item));
        let read = self.read(item, &name);
        let refused = matches!(
            read,
            Read::Refused { .. } | Read::Usable { partial: true, .. }
        );
        self.refuse_one(&name, refused);
        let change = match read {
            Read::Usable { object, .. } => {
                self.known.insert(shared(name, &object));
                self.is_news(&object).then(|| Change::from(object))
            }
            Read::Irrelevant => self.forget(name),
            Read::Refused { .. } => None,
        };
        let change = change.map(|change| Event::Cluster { change, triggered });
        let deleting = deleting.and_then(|deleting| self.set_deleting(deleting));
        change.into_iter().chain(deleting).collect()
    }

    /// An object is gone, usable or not.
    pub(super) fn gone<'a>(&mut self, item: impl Into<Item<'a>>) -> Option<Event> {
        let item = item.into();
        if !self.kind.wants(&item) {
            return None;
        }
        let name = self.name(&item);
        self.refuse_one(&name, false);
        let change = self.forget(name)?;
        let triggered = triggered(&item);
        Some(Event::Cluster { change, triggered })
    }

    fn refuse_one(&mut self, name: &ObjectName, refused: bool) {
        let before = self.refused.len();
        if refused {
            self.refused.insert(name.clone());
        } else {
            self.refused.remove(name);
        }
        self.counters
            .refused_objects_of_kind(before, self.refused.len());
    }

    fn refuse(&mut self, these: BTreeSet<ObjectName>) {
        self.counters
            .refused_objects_of_kind(self.refused.len(), these.len());
        self.refused = these;
    }

    fn forget(&mut self, name: ObjectName) -> Option<Change> {
        if self.kind.own() == Some(name.name()) {
            self.node = None;
        }
        self.others.remove(name.name());
        self.reported.remove(&name);
        self.known.remove(&name).then(|| self.change_gone(name))
    }

    fn read(&mut self, item: Item<'_>, name: &ObjectName) -> Read {
        match item.read(&self.kind, &mut self.names) {
            Ok(reading) => {
                let partial = !reading.left_out.is_empty();
                if partial {
                    self.counters.count_refused();
                }
                self.report(name, reading.left_out, reading.warnings);
                match reading.object {
                    Some(object) if object.kind() == self.kind.name() => Read::Usable {
                        object: self.reduced(object),
                        partial,
                    },
                    _ => Read::Irrelevant,
                }
            }
            Err(error) => self.refused(name, &error.field, &error.reason),
        }
    }

    /// An object cannot be used for the reason that a field is wrong.
    fn refused(&self, name: &ObjectName, field: &str, reason: &str) -> Read {
        self.counters.count_refused();
        let known = self.known.contains(name) || self.listing.places.contains_key(name);
        tracing::warn!(
            kind = self.kind.name(),
            object = %name,
            %field,
            %reason,
            "an object cannot be used; {}",
            if known {
                "its last usable version stays in force"
            } else {
                "it is as if it were not there"
            }
        );
        Read::Refused { known }
    }

    /// Logs what is left out of an object and what it warns of, once until that changes.
    fn report(&mut self, name: &ObjectName, left_out: Vec<FieldError>, warnings: Vec<FieldError>) {
        if left_out.is_empty() && warnings.is_empty() {
            self.reported.remove(name);
            return;
        }
        let entries = left_out.len();
        let all: Vec<_> = left_out.into_iter().chain(warnings).collect();
        if self.reported.get(name) == Some(&all) {
            return;
        }
        for (n, error) in all.iter().enumerate().take(MAX_REPORTED) {
            tracing::warn!(
                kind = self.kind.name(),
                object = %name,
                field = %error.field,
                reason = %error.reason,
                "{}",
                if n < entries {
                    "an entry cannot be used; the rest of the object is"
                } else {
                    "an entry is used, but not as it is written"
                }
            );
        }
        self.reported.insert(name.clone(), all);
    }

    /// What an object goes by, usable or not. Nodes have no namespace.
    fn name(&self, item: &Item<'_>) -> ObjectName {
        let namespace = match self.kind {
            Kind::Node(_) | Kind::Nodes(_) => "",
            Kind::Services | Kind::Slices => item.namespace().unwrap_or("default"),
        };
        ObjectName::new(namespace, item.name())
    }

    fn change_gone(&self, name: ObjectName) -> Change {
        match self.kind {
            Kind::Services => Change::ServiceGone(name),
            Kind::Slices => Change::SliceGone(name),
            Kind::Node(_) | Kind::Nodes(_) => Change::NodeGone(name.name().into()),
        }
    }
}

/// Those that are there, in no more room than they need.
fn without_gaps<T>(objects: Vec<Option<T>>) -> Vec<T> {
    let mut all: Vec<_> = objects.into_iter().flatten().collect();
    all.shrink_to_fit();
    all
}

/// The object's own name, which is the same: one text for both.
fn shared(name: ObjectName, object: &Object) -> ObjectName {
    let own = match object {
        Object::Service(service) => &service.name,
        Object::Slice(slice) => &slice.name,
        _ => return name,
    };
    match *own == name {
        true => own.clone(),
        false => name,
    }
}

fn triggered(item: &Item<'_>) -> Option<SystemTime> {
    humantime::parse_rfc3339_weak(item.annotation(LAST_CHANGE_TRIGGER_TIME)?).ok()
}

#[cfg(test)]
mod tests;
