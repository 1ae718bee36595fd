//! Objects as they are written to objects that can be used.

mod fields;
mod networks;
mod node;
mod notes;
mod options;
mod ports;
mod service;
mod slice;

use std::cmp::Ordering;
use std::collections::HashMap;
use std::convert::Infallible;
use std::mem;

use serde::Deserialize;
use serde_json::Value;
use serde_path_to_error::{Path, Segment};

pub(super) use self::notes::Notes;
#[cfg(feature = "protobuf")]
pub(super) use self::slice::convert as convert_slice;
use super::borrowed::Text;
use super::diagnostic::Location;
use super::field_error::FieldError;
use super::list::ListKind;
use super::names::Names;
use super::object::{ObjectError, ObjectReading};
use super::objects::{Metadata, RawNode, RawService, RawSlice};
use proxier::cluster::{Change, Cluster, EndpointSlice, Node, ObjectName, Service};

/// The labels that are read, of objects of any kind.
pub(super) const LABELS: [&str; 3] = [service::PROXY_NAME, slice::SERVICE_NAME, node::ZONE];

/// An object that a proxy needs.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Object {
    /// A Service.
    Service(Box<Service>),
    /// An EndpointSlice of a Service.
    Slice(Box<EndpointSlice>),
    /// A Node.
    Node(Box<Node>),
}

impl Object {
    /// Its kind, as Kubernetes calls it.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Service(_) => "Service",
            Self::Slice(_) => "EndpointSlice",
            Self::Node(_) => "Node",
        }
    }

    /// Compares it with the one of its name in `cluster`.
    fn cmp_known(&self, cluster: &Cluster) -> Ordering {
        match self {
            Self::Service(new) => Some(&**new).cmp(&cluster.services.get(&new.name)),
            Self::Slice(new) => Some(&**new).cmp(&cluster.slices.get(&new.name)),
            Self::Node(new) => Some(&**new).cmp(&cluster.nodes.get(&new.name)),
        }
    }

    /// Its namespace and name; the namespace of a Node is empty.
    #[must_use]
    pub fn name(&self) -> ObjectName {
        match self {
            Self::Service(service) => service.name.clone(),
            Self::Slice(slice) => slice.name.clone(),
            Self::Node(node) => ObjectName::new("", &*node.name),
        }
    }

    /// The change of a cluster when it is deleted.
    #[must_use]
    pub fn gone(&self) -> Change {
        match self {
            Self::Service(service) => Change::ServiceGone(service.name.clone()),
            Self::Slice(slice) => Change::SliceGone(slice.name.clone()),
            Self::Node(node) => Change::NodeGone(node.name.clone()),
        }
    }
}

/// The change of a cluster when it is added or changed.
impl From<Object> for Change {
    fn from(object: Object) -> Self {
        match object {
            Object::Service(service) => Self::Service(service),
            Object::Slice(slice) => Self::Slice(slice),
            Object::Node(node) => Self::Node(node),
        }
    }
}

/// What became of an object, and what is known of it even where it cannot be used.
pub(super) struct Read {
    /// `Ok(None)`: of no concern to a proxy.
    pub(super) object: Result<Option<Object>, FieldError>,
    pub(super) kind: Option<Box<str>>,
    pub(super) name: Option<ObjectName>,
    pub(super) version: u64,
    /// What was left out of it, and warnings.
    pub(super) notes: Notes,
}

/// The fields by which it is known what an object is.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head<'a> {
    #[serde(borrow)]
    api_version: Option<Text<'a>>,
    #[serde(borrow)]
    kind: Option<Text<'a>>,
}

impl Read {
    /// What is told of it to whoever asked for this object alone.
    pub(super) fn into_reading(self) -> Result<ObjectReading, ObjectError> {
        let kind = || (self.kind, self.name);
        reading(self.object, self.notes, kind)
    }
}

/// What is told of an object; `known` gives its kind and name, which only an error has.
fn reading(
    object: Result<Option<Object>, FieldError>,
    notes: Notes,
    known: impl FnOnce() -> (Option<Box<str>>, Option<ObjectName>),
) -> Result<ObjectReading, ObjectError> {
    match object {
        Ok(object) => Ok(ObjectReading {
            object,
            left_out: notes.left_out,
            warnings: notes.warnings,
        }),
        Err(error) => {
            let (kind, name) = known();
            Err(ObjectError {
                kind,
                name,
                field: error.field,
                reason: error.reason,
            })
        }
    }
}

/// Reads a value as an object of one kind. An error has the path of a field with a wrong type.
type Reader = fn(&Value, &mut Notes) -> Result<Converted, PathError>;
type Converted = Result<Option<Object>, FieldError>;
type PathError = serde_path_to_error::Error<serde_json::Error>;

pub(super) fn object(value: Value) -> Read {
    let head = Head::deserialize(&value);
    let Ok(Head {
        api_version: Some(api_version),
        kind: Some(kind),
    }) = head
    else {
        let error = FieldError::new(
            "",
            "is not a Kubernetes object: it has no apiVersion and kind",
        );
        return Read {
            object: Err(error),
            kind: None,
            name: None,
            version: 0,
            notes: Notes::default(),
        };
    };
    let group = api_version.split_once('/').map_or("", |(group, _)| group);
    let reader: Option<Reader> = match (group, &*kind) {
        ("", "Service") => Some(|value, notes| typed::<RawService<'_>>(value, notes)),
        ("discovery.k8s.io", "EndpointSlice") => {
            Some(|value, notes| typed::<RawSlice<'_>>(value, notes))
        }
        ("", "Node") => Some(|value, notes| typed::<RawNode<'_>>(value, notes)),
        _ => None,
    };
    let kind = Box::from(&*kind);
    let metadata = value.get("metadata");
    let metadata = metadata.and_then(|metadata| Metadata::deserialize(metadata).ok());
    let metadata = metadata.unwrap_or_default();
    let (name, version) = (known_name(&metadata), version(&metadata));
    let mut notes = Notes::default();
    let object = match reader {
        Some(reader) => mended(value, reader, &mut notes),
        None => Ok(None),
    };
    Read {
        object,
        kind: Some(kind),
        name,
        version,
        notes: notes.finished(),
    }
}

/// What objects of both formats are read to, and converted from.
pub(super) trait Convert {
    /// `Ok(None)`: of no concern to a proxy.
    fn convert(self, names: &mut Names, notes: &mut Notes) -> Converted;
}

impl Convert for RawService<'_> {
    fn convert(self, names: &mut Names, notes: &mut Notes) -> Converted {
        let service = service::convert(self, names, notes)?;
        Ok(Some(Object::Service(Box::new(service))))
    }
}

impl Convert for RawSlice<'_> {
    fn convert(mut self, names: &mut Names, notes: &mut Notes) -> Converted {
        let list = self.endpoints.take();
        let listed = list.as_ref().map_or(0, Vec::len);
        let endpoints = |notes: &mut Notes| {
            let entries = notes.entries("endpoints", list);
            entries.map(|(n, raw)| (n, Ok::<_, Infallible>(raw)))
        };
        slice::convert(self, listed, endpoints, names, notes)
    }
}

impl Convert for RawNode<'_> {
    fn convert(self, _: &mut Names, notes: &mut Notes) -> Converted {
        let node = node::convert(self, notes)?;
        Ok(Some(Object::Node(Box::new(node))))
    }
}

/// An object of a known kind, with what becomes of it. `known` gives its namespace and name, for an error.
pub(super) fn of_kind<'a>(
    kind: ListKind,
    known: impl FnOnce() -> (Option<&'a str>, Option<&'a str>),
    convert: impl FnOnce(&mut Notes) -> Converted,
) -> Result<ObjectReading, ObjectError> {
    let mut notes = Notes::default();
    let object = convert(&mut notes);
    reading(object, notes.finished(), || {
        let (namespace, name) = known();
        (Some(kind.item_kind().into()), named(namespace, name))
    })
}

fn known_name(metadata: &Metadata<'_>) -> Option<ObjectName> {
    named(metadata.namespace.as_deref(), metadata.name.as_deref())
}

fn named(namespace: Option<&str>, name: Option<&str>) -> Option<ObjectName> {
    name.map(|name| ObjectName::new(namespace.unwrap_or("default"), name))
}

fn version(metadata: &Metadata<'_>) -> u64 {
    let version = metadata.resource_version.as_deref();
    let version = version.and_then(|version| version.parse().ok());
    version.unwrap_or_default()
}

/// How many entries of an object may have a wrong type before all of it is rejected.
const MAX_MISTYPED: usize = 100;

/// Gives the fields their types, and converts the object.
fn typed<'a, T>(value: &'a Value, notes: &mut Notes) -> Result<Converted, PathError>
where
    T: Deserialize<'a> + Convert,
{
    let raw: T = serde_path_to_error::deserialize(value)?;
    Ok(raw.convert(&mut Names::default(), notes))
}

/// Reads an object. An entry of a list with a wrong type is replaced by null, and noted.
fn mended(mut value: Value, reader: Reader, notes: &mut Notes) -> Converted {
    for _ in 0..MAX_MISTYPED {
        let error = match reader(&value, notes) {
            Ok(converted) => return converted,
            Err(error) => error,
        };
        let (field, reason) = (error.path().to_string(), error.inner().to_string());
        match entry(&mut value, error.path()) {
            Some(entry) => *entry = Value::Null,
            None => return Err(FieldError::new(field, reason)),
        }
        notes.leave_out(field, reason);
    }
    let reason = format!("more than {MAX_MISTYPED} entries have wrong types");
    Err(FieldError::new("", reason))
}

/// The entry of a list that a path leads into.
fn entry<'a>(value: &'a mut Value, path: &Path) -> Option<&'a mut Value> {
    let mut at = value;
    for segment in path {
        at = match segment {
            Segment::Map { key } => at.get_mut(key)?,
            Segment::Seq { index } => return at.get_mut(*index),
            Segment::Enum { .. } | Segment::Unknown => return None,
        };
    }
    None
}

/// The versions and locations of the objects met so far.
#[derive(Default)]
pub(super) struct Versions(HashMap<(&'static str, ObjectName), (u64, Location)>);

/// What an object is among those of its kind and name.
pub(super) enum Standing {
    /// The first one.
    First,
    /// It takes the place of the one here.
    Newer(Location),
    /// It is not used; it is here.
    Older(Location),
}

impl Versions {
    /// Compares an object with the newest one of its kind and name so far, which `cluster` has.
    pub(super) fn compare(
        &mut self,
        object: &Object,
        version: u64,
        location: Location,
        cluster: &Cluster,
    ) -> Standing {
        let key = (object.kind(), object.name());
        let Some(known) = self.0.get_mut(&key) else {
            self.0.insert(key, (version, location));
            return Standing::First;
        };
        // Equal versions are compared by their content, so that the order does not matter.
        let order = version.cmp(&known.0);
        if order.then_with(|| object.cmp_known(cluster)).is_le() {
            return Standing::Older(location);
        }
        known.0 = version;
        Standing::Newer(mem::replace(&mut known.1, location))
    }
}
