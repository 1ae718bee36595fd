//! Services and EndpointSlices in JSON as an API server writes them, read in one go and without what is not needed of them.
//!
//! One that has anything out of the ordinary, such as a value of a wrong type, is not read here. It is left to
//! [`read_object`](crate::read_object), which finds out what it is.

use serde::Deserialize;

use crate::borrowed::Loose;
use crate::convert::{self, Convert};
use crate::list::ListKind;
use crate::names::Names;
use crate::object::{ObjectError, ObjectReading};
use crate::objects::{Metadata, Named, RawService, RawSlice};

/// A Service or an EndpointSlice whose fields have the types that they should have. Its texts are borrowed.
#[derive(Debug)]
pub struct PlainObject<'a> {
    kind: ListKind,
    raw: Raw<'a>,
}

#[derive(Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "one at a time is held, and taken apart soon"
)]
enum Raw<'a> {
    Service(RawService<'a>),
    Slice(RawSlice<'a>),
}

/// An event of a watch.
#[derive(Deserialize)]
struct Line<E, T> {
    #[serde(rename = "type")]
    event: E,
    object: T,
}

impl<'a> PlainObject<'a> {
    /// Reads an object of that kind, which may lack `kind` and `apiVersion` like the items of a list. `None`: it has to be
    /// read otherwise, whatever it is.
    #[must_use]
    pub fn item(kind: ListKind, text: &'a str) -> Option<Self> {
        let raw = match kind {
            ListKind::Services => Raw::Service(serde_json::from_str(text).ok()?),
            ListKind::EndpointSlices => Raw::Slice(serde_json::from_str(text).ok()?),
            ListKind::Nodes => return None,
        };
        Self { kind, raw }.of_its_kind()
    }

    /// Reads a line of a watch of that kind: the type of the event, such as `ADDED`, and its object. `None`: it has to be read
    /// otherwise, whatever it is.
    #[must_use]
    pub fn event<E: Deserialize<'a>>(kind: ListKind, line: &'a [u8]) -> Option<(E, Self)> {
        let text = std::str::from_utf8(line).ok()?;
        let (event, raw) = match kind {
            ListKind::Services => {
                let line: Line<_, _> = serde_json::from_str(text).ok()?;
                (line.event, Raw::Service(line.object))
            }
            ListKind::EndpointSlices => {
                let line: Line<_, _> = serde_json::from_str(text).ok()?;
                (line.event, Raw::Slice(line.object))
            }
            ListKind::Nodes => return None,
        };
        Some((event, Self { kind, raw }.of_its_kind()?))
    }

    /// It, unless it says that it is something else.
    fn of_its_kind(self) -> Option<Self> {
        let (kind, api_version) = match &self.raw {
            Raw::Service(raw) => (&raw.kind, &raw.api_version),
            Raw::Slice(raw) => (&raw.kind, &raw.api_version),
        };
        let is = |named: &Named<'_>, expected: &str| match named {
            Named::Missing => true,
            Named::As(found) => **found == *expected,
        };
        let list = self.kind;
        let same = is(kind, list.item_kind()) && is(api_version, list.api_version());
        same.then_some(self)
    }

    const fn metadata(&self) -> &Metadata<'a> {
        match &self.raw {
            Raw::Service(raw) => &raw.metadata,
            Raw::Slice(raw) => &raw.metadata,
        }
    }

    /// Its name; empty where it has none.
    #[must_use]
    pub fn name(&self) -> &str {
        self.metadata().name.as_deref().unwrap_or_default()
    }

    /// Its namespace, if it has one.
    #[must_use]
    pub fn namespace(&self) -> Option<&str> {
        self.metadata().namespace.as_deref()
    }

    /// Its version, if it has one.
    #[must_use]
    pub fn resource_version(&self) -> Option<&str> {
        let version = self.metadata().resource_version.as_deref();
        version.filter(|version| !version.is_empty())
    }

    /// Whether its deletion was asked for.
    #[must_use]
    pub const fn is_being_deleted(&self) -> bool {
        self.metadata().deletion_timestamp.is_some()
    }

    /// The annotation of that key, if it has it and it is one of those that are read.
    #[must_use]
    pub fn annotation(&self, key: &str) -> Option<&str> {
        match self.metadata().annotations.get(key)? {
            Loose::Text(text) => Some(text),
            Loose::Other(_) => None,
        }
    }

    /// Reads it, as [`read_object`](crate::read_object) reads the same object.
    ///
    /// # Errors
    /// [`ObjectError`] where the object as a whole cannot be used, with the field at fault.
    pub fn read(self, names: &mut Names) -> Result<ObjectReading, ObjectError> {
        let metadata = self.metadata();
        let known = [&metadata.namespace, &metadata.name].map(Clone::clone);
        let known = || {
            let [namespace, name] = &known;
            (namespace.as_deref(), name.as_deref())
        };
        convert::of_kind(self.kind, known, |notes| match self.raw {
            Raw::Service(raw) => raw.convert(names, notes),
            Raw::Slice(raw) => raw.convert(names, notes),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::read_object;

    fn slice() -> Value {
        json!({
            "metadata": {
                "name": "web-1", "namespace": "shop", "resourceVersion": "7", "uid": "u",
                "labels": {"app": "a\u{e9}b\\c", "kubernetes.io/service-name": "web"},
                "annotations": {
                    "endpoints.kubernetes.io/last-change-trigger-time": "2026-01-31T12:00:00Z",
                    "kube-proxier.io/other": 7, "more": {"any": [1, null, "x"]}},
                "managedFields": [{"fieldsV1": {"f:endpoints": {}}}]},
            "addressType": "IPv4", "ports": [{"name": "http", "port": 80}],
            "endpoints": [{"addresses": ["10.1.0.1", "10.1.0.2"], "nodeName": "node-\"a", "zone": "z"}, null]})
    }

    fn event<'a>(kind: ListKind, line: &'a str) -> Option<(&'a str, PlainObject<'a>)> {
        PlainObject::event(kind, line.as_bytes())
    }

    #[test]
    fn what_is_plain_is_read_as_anything_else_is() {
        let kind = ListKind::EndpointSlices;
        let text = slice().to_string();
        let line = format!("{{\"type\":\"MODIFIED\",\"object\":{text}}}\n");
        let (of, object) = event(kind, &line).unwrap();
        assert_eq!(
            (of, object.name(), object.namespace()),
            ("MODIFIED", "web-1", Some("shop"))
        );
        assert_eq!(object.resource_version(), Some("7"));
        let triggered = object.annotation(crate::LAST_CHANGE_TRIGGER_TIME);
        assert_eq!(triggered, Some("2026-01-31T12:00:00Z"));
        assert!(!object.is_being_deleted());
        let mut names = Names::default();
        let read = object.read(&mut names).unwrap();
        let item = PlainObject::item(kind, &text).unwrap().read(&mut names);
        assert_eq!(item.as_ref(), Ok(&read));
        let mut value = slice();
        kind.complete(&mut value);
        assert_eq!(read_object(value), Ok(read));
    }

    #[test]
    fn names_are_kept_once() {
        let mut names = Names::default();
        let mut read = || {
            let text = slice().to_string();
            let object = PlainObject::item(ListKind::EndpointSlices, &text).unwrap();
            match object.read(&mut names).unwrap().object {
                Some(crate::Object::Slice(slice)) => slice,
                other => panic!("{other:?}"),
            }
        };
        let (one, other) = (read(), read());
        let node = |slice: &proxier::cluster::EndpointSlice| {
            let node = slice
                .endpoints
                .first()
                .and_then(|endpoint| endpoint.node.clone());
            (node.unwrap(), slice.ports.first().unwrap().name.clone())
        };
        let ((node_a, port_a), (node_b, port_b)) = (node(&one), node(&other));
        assert!(std::sync::Arc::ptr_eq(&node_a, &node_b));
        assert!(std::sync::Arc::ptr_eq(&port_a, &port_b));
    }

    #[test]
    fn what_is_out_of_the_ordinary_is_left_to_others() {
        let kind = ListKind::EndpointSlices;
        let with = |field: &str, value: Value| {
            let mut slice = slice();
            slice[field] = value;
            slice.to_string()
        };
        let plain = |text: &str| PlainObject::item(kind, text).is_some();
        assert!(plain(&slice().to_string()));
        assert!(plain(&with("kind", "EndpointSlice".into())));
        assert!(plain(&with("endpoints", Value::Null)));
        for (field, value) in [
            ("kind", "Service".into()),
            ("kind", Value::Null),
            ("apiVersion", "v1".into()),
            ("endpoints", json!([{"addresses": [7]}])),
            ("endpoints", json!([{"addresses": ["10.1.0.1", 7]}])),
            ("metadata", json!({"labels": []})),
            ("metadata", Value::Null),
        ] {
            assert!(!plain(&with(field, value.clone())), "{field}: {value}");
        }
        let text = slice().to_string();
        let twice = text.replacen("\"ports\":", "\"ports\":[],\"ports\":", 1);
        assert!(twice.len() > text.len() && !plain(&twice));
        for line in [
            format!("{{\"type\":7,\"object\":{text}}}"),
            format!("{{\"object\":{text}}}"),
            "{\"type\":\"ADDED\"}".into(),
            format!("{{\"type\":\"ADDED\",\"object\":{text}"),
        ] {
            assert!(event(kind, &line).is_none(), "{line}");
        }
        assert!(PlainObject::item(ListKind::Nodes, "{}").is_none());
    }
}
