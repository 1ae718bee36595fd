//! The objects, their versions, and what happened to them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Value, json};

use super::format::Format;
use super::selector::Selector;
use super::streamed::added;

/// The path of a collection, and an object's namespace and name.
type Key = (String, String, String);

pub(super) struct Store {
    version: u64,
    objects: BTreeMap<Key, Value>,
    /// Events of objects as they are, in protobuf.
    prepared: BTreeMap<Key, Arc<[u8]>>,
    happened: Vec<Happening>,
    /// What happened up to this version is forgotten.
    compacted: u64,
    /// The rest of lists that are half had, by what to go on with.
    rests: BTreeMap<String, (u64, Vec<Value>)>,
    /// How many such tokens were given out.
    tokens: u64,
}

struct Happening {
    version: u64,
    path: String,
    before: Option<Value>,
    after: Option<Value>,
}

/// An object, or its event as it is sent.
pub(super) enum Stored {
    Object(Value),
    Prepared(Arc<[u8]>),
}

/// A page of a list.
pub(super) struct Page {
    pub(super) version: u64,
    pub(super) items: Vec<Value>,
    pub(super) next: Option<String>,
}

/// The version is gone.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooOld;

impl Store {
    pub(super) const fn new() -> Self {
        Self {
            version: 1,
            objects: BTreeMap::new(),
            prepared: BTreeMap::new(),
            happened: Vec::new(),
            compacted: 0,
            rests: BTreeMap::new(),
            tokens: 0,
        }
    }

    pub(super) const fn version(&self) -> u64 {
        self.version
    }

    pub(super) fn objects(&self) -> Vec<Value> {
        self.objects.values().cloned().collect()
    }

    pub(super) const fn advance(&mut self, by: u64) {
        self.version += by;
    }

    /// A backup of an earlier version was restored: what happened since is forgotten, and versions go on from there.
    pub(super) fn rewind(&mut self, version: u64) {
        self.version = version;
        self.compacted = 0;
        self.happened.clear();
        self.rests.clear();
    }

    pub(super) fn compact(&mut self) {
        self.compacted = self.version;
        self.happened.clear();
        self.rests.clear();
    }

    pub(super) fn become_these(&mut self, objects: impl IntoIterator<Item = Value>) {
        let mut wanted = BTreeSet::new();
        for object in objects {
            let items = match object {
                Value::Object(mut list) if list.get("items").is_some_and(Value::is_array) => {
                    match list.remove("items") {
                        Some(Value::Array(items)) => items,
                        _ => Vec::new(),
                    }
                }
                object => vec![object],
            };
            for item in items {
                wanted.insert(key(&item));
                self.put(item);
            }
        }
        let gone: Vec<_> = self
            .objects
            .keys()
            .filter(|key| !wanted.contains(*key))
            .cloned()
            .collect();
        for key in gone {
            self.remove(key);
        }
    }

    pub(super) fn put(&mut self, mut object: Value) {
        let key = key(&object);
        let before = self.objects.get(&key).cloned();
        if let Some(before) = &before {
            object["metadata"]["resourceVersion"] = before["metadata"]["resourceVersion"].clone();
            if object == *before {
                return;
            }
        }
        self.version += 1;
        object["metadata"]["resourceVersion"] = self.version.to_string().into();
        self.prepared.remove(&key);
        self.objects.insert(key.clone(), object.clone());
        self.happened.push(Happening {
            version: self.version,
            path: key.0,
            before,
            after: Some(object),
        });
    }

    pub(super) fn delete(&mut self, object: &Value) {
        self.remove(key(object));
    }

    fn remove(&mut self, key: Key) {
        let Some(before) = self.objects.remove(&key) else {
            return;
        };
        self.prepared.remove(&key);
        self.version += 1;
        self.happened.push(Happening {
            version: self.version,
            path: key.0,
            before: Some(before),
            after: None,
        });
    }

    /// Encodes the events of all objects.
    pub(super) fn prepare(&mut self) {
        for (key, object) in &self.objects {
            let (kind, version) = (&object["kind"], &object["apiVersion"]);
            let [kind, version] = [kind, version].map(|text| text.as_str().unwrap_or_default());
            let event = Format::Protobuf.write_event(&added(object), kind, version);
            self.prepared.insert(key.clone(), event.into());
        }
    }

    /// All objects of a path that are selected, as events have them.
    pub(super) fn all(&self, path: &str, selector: &Selector, format: Format) -> Vec<Stored> {
        let objects = self.objects.iter().filter(|(key, _)| key.0 == path);
        let selected = objects.filter(|(_, object)| selector.matches(object));
        selected
            .map(|(key, object)| match self.prepared.get(key) {
                Some(event) if format == Format::Protobuf => Stored::Prepared(Arc::clone(event)),
                _ => Stored::Object(object.clone()),
            })
            .collect()
    }

    /// The first page of a list, or the one that `from` stands for. Its items lack kind and API version,
    /// as those of a real server do.
    pub(super) fn list(
        &mut self,
        path: &str,
        selector: &Selector,
        limit: Option<usize>,
        from: Option<&str>,
    ) -> Result<Page, TooOld> {
        let (version, mut items) = match from {
            Some(from) => self.rests.remove(from).ok_or(TooOld)?,
            None => {
                let objects = self.objects.iter().filter(|(key, _)| key.0 == path);
                let mut items: Vec<_> = objects
                    .map(|(_, object)| object)
                    .filter(|object| selector.matches(object))
                    .cloned()
                    .collect();
                for item in items.iter_mut().filter_map(Value::as_object_mut) {
                    item.remove("kind");
                    item.remove("apiVersion");
                }
                (self.version, items)
            }
        };
        let rest = items.split_off(limit.unwrap_or(usize::MAX).min(items.len()));
        let next = (!rest.is_empty()).then(|| {
            // Several lists may be half had at the same version.
            self.tokens += 1;
            let token = format!("rest-{version}-{}", self.tokens);
            self.rests.insert(token.clone(), (version, rest));
            token
        });
        Ok(Page {
            version,
            items,
            next,
        })
    }

    /// The lines of a watch for what happened after a version.
    pub(super) fn since(
        &self,
        path: &str,
        selector: &Selector,
        version: u64,
    ) -> Result<Vec<Value>, TooOld> {
        if version < self.compacted {
            return Err(TooOld);
        }
        let seen = |object: &Option<Value>| object.as_ref().is_some_and(|o| selector.matches(o));
        let from = self
            .happened
            .partition_point(|what| what.version <= version);
        let happened = self.happened.iter().skip(from);
        let mut lines = Vec::new();
        for what in happened.filter(|what| what.path == path) {
            let (name, object) = match (seen(&what.before), seen(&what.after)) {
                (false, false) => continue,
                (false, true) => ("ADDED", &what.after),
                (true, true) => ("MODIFIED", &what.after),
                (true, false) => ("DELETED", &what.before),
            };
            let mut object = object.clone().unwrap_or_default();
            object["metadata"]["resourceVersion"] = what.version.to_string().into();
            lines.push(json!({"type": name, "object": object}));
        }
        Ok(lines)
    }
}

/// Where an object belongs.
fn key(object: &Value) -> Key {
    let text = |pointer| object.pointer(pointer).and_then(Value::as_str);
    let kind = text("/kind").unwrap_or_default();
    let path = match kind {
        "Service" => "/api/v1/services",
        "Node" => "/api/v1/nodes",
        "EndpointSlice" => "/apis/discovery.k8s.io/v1/endpointslices",
        other => panic!("the stand-in has no {other:?}"),
    };
    let namespace = match kind {
        "Node" => "",
        _ => text("/metadata/namespace").unwrap_or("default"),
    };
    let name = text("/metadata/name").unwrap_or_default();
    (path.into(), namespace.into(), name.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODES: &str = "/api/v1/nodes";

    fn node(name: &str, label: &Value) -> Value {
        json!({"kind": "Node", "metadata": {"name": name, "labels": label}})
    }

    #[test]
    fn a_change_of_what_is_selected_is_an_addition_or_a_deletion() {
        let mut store = Store::new();
        let hidden = json!({"hide": ""});
        store.put(node("a", &json!({})));
        let from = store.version();
        store.put(node("a", &json!({"x": "1"})));
        store.put(node("a", &hidden));
        store.put(node("b", &hidden));
        store.put(node("a", &json!({})));
        let selector = Selector::parse(Some("!hide"), None).unwrap();
        let lines = store.since(NODES, &selector, from).unwrap();
        let kinds: Vec<_> = lines.iter().map(|line| &line["type"]).collect();
        assert_eq!(kinds, ["MODIFIED", "DELETED", "ADDED"]);
        store.compact();
        assert_eq!(store.since(NODES, &selector, from), Err(TooOld));
    }

    #[test]
    fn what_is_prepared_is_sent_until_it_changes() {
        let mut store = Store::new();
        let sent = |store: &Store, format| -> Vec<_> {
            let all = store.all(NODES, &Selector::default(), format);
            let bytes = |stored: &Stored| match stored {
                Stored::Prepared(event) => Some(event.to_vec()),
                Stored::Object(_) => None,
            };
            all.iter().map(bytes).collect()
        };
        store.put(node("a", &json!({})));
        store.put(node("b", &json!({})));
        store.prepare();
        let event = |name| {
            let stored = &store.objects[&key(&node(name, &json!({})))];
            Format::Protobuf.write_event(&added(stored), "Node", "")
        };
        let [a, b] = ["a", "b"].map(event);
        assert_eq!(sent(&store, Format::Protobuf), [Some(a), Some(b.clone())]);
        assert_eq!(sent(&store, Format::Json), [None, None]);
        store.put(node("a", &json!({"x": "1"})));
        assert_eq!(sent(&store, Format::Protobuf), [None, Some(b)]);
        store.delete(&node("b", &json!({})));
        assert_eq!(sent(&store, Format::Protobuf), [None]);
    }

    #[test]
    fn a_step_is_exactly_its_objects_and_a_list_is_one_moment() {
        let mut store = Store::new();
        let all = Selector::default();
        store.become_these([json!({"kind": "List", "items": [
            node("a", &json!({})), node("b", &json!({})), node("c", &json!({}))]})]);
        let page = store.list(NODES, &all, Some(2), None).unwrap();
        store.become_these([node("b", &json!({})), node("d", &json!({}))]);
        let rest = store
            .list(NODES, &all, Some(2), page.next.as_deref())
            .unwrap();
        assert_eq!((page.items.len(), page.version), (2, rest.version));
        assert_eq!(rest.items[0]["metadata"]["name"], "c");
        let lines = store.since(NODES, &all, page.version).unwrap();
        let kinds: Vec<_> = lines.iter().map(|line| &line["type"]).collect();
        assert_eq!(kinds, ["ADDED", "DELETED", "DELETED"]);
        assert!(store.list(NODES, &all, None, Some("never")).is_err());
    }

    #[test]
    fn lists_that_are_had_at_once_do_not_mix() {
        let mut store = Store::new();
        let all = Selector::default();
        let service = |name: &str| json!({"kind": "Service", "metadata": {"name": name}});
        let names = ["a", "b", "c"];
        store.become_these(names.map(|name| node(name, &json!({}))));
        for name in names {
            store.put(service(name));
        }
        let paths = [NODES, "/api/v1/services"];
        let mut next = paths.map(|path| store.list(path, &all, Some(1), None).unwrap().next);
        for name in ["b", "c"] {
            for (path, next) in paths.iter().zip(&mut next) {
                let page = store.list(path, &all, Some(1), next.as_deref()).unwrap();
                assert_eq!(page.items[0]["metadata"]["name"], name, "{path}");
                *next = page.next;
            }
        }
        assert_eq!(next, [None, None]);
    }
}
