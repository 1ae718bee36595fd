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
use std::mem;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::{Path, Segment};

pub(super) use self::notes::Notes;
use super::diagnostic::Location;
use super::field_error::FieldError;
#[cfg(feature = "protobuf")]
use super::list::ListKind;
use super::object::{ObjectError, ObjectReading};
use super::objects::{Metadata, RawNode, RawService, RawSlice};
use proxier::cluster::{Change, Cluster, EndpointSlice, Node, ObjectName, Service};

/// The labels that are read, of objects of any kind.
#[cfg(feature = "protobuf")]
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

/// The fields by which an object's kind and name are known.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head {
    api_version: Option<String>,
    kind: Option<String>,
    metadata: Option<Value>,
}

impl Read {
    /// What is told of it to whoever asked for this object alone.
    pub(super) fn into_reading(self) -> Result<ObjectReading, ObjectError> {
        match self.object {
            Ok(object) => Ok(ObjectReading {
                object,
                left_out: self.notes.left_out,
                warnings: self.notes.warnings,
            }),
            Err(error) => Err(ObjectError {
                kind: self.kind,
                name: self.name,
                field: error.field,
                reason: error.reason,
            }),
        }
    }
}

pub(super) fn object(value: Value) -> Read {
    let head = Head::deserialize(&value);
    let Ok(Head {
        api_version: Some(api_version),
        kind: Some(kind),
        metadata,
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
    let metadata = metadata
        .and_then(|m| serde_json::from_value::<Metadata>(m).ok())
        .unwrap_or_default();
    let (name, version) = name_and_version(&metadata);
    let mut notes = Notes::default();
    let group = api_version.split_once('/').map_or("", |(group, _)| group);
    let object = match (group, kind.as_str()) {
        ("", "Service") => {
            typed(value, &mut notes).and_then(|raw: RawService| raw.convert(&mut notes))
        }
        ("discovery.k8s.io", "EndpointSlice") => {
            typed(value, &mut notes).and_then(|raw: RawSlice| raw.convert(&mut notes))
        }
        ("", "Node") => typed(value, &mut notes).and_then(|raw: RawNode| raw.convert(&mut notes)),
        _ => Ok(None),
    };
    Read {
        object,
        kind: Some(kind.into()),
        name,
        version,
        notes: notes.finished(),
    }
}

/// What objects of both formats are read to, and converted from.
pub(super) trait Convert {
    /// `Ok(None)`: of no concern to a proxy.
    fn convert(self, notes: &mut Notes) -> Result<Option<Object>, FieldError>;
}

impl Convert for RawService {
    fn convert(self, notes: &mut Notes) -> Result<Option<Object>, FieldError> {
        let service = service::convert(self, notes)?;
        Ok(Some(Object::Service(Box::new(service))))
    }
}

impl Convert for RawSlice {
    fn convert(self, notes: &mut Notes) -> Result<Option<Object>, FieldError> {
        let slice = slice::convert(self, notes)?;
        Ok(slice.map(|slice| Object::Slice(Box::new(slice))))
    }
}

impl Convert for RawNode {
    fn convert(self, notes: &mut Notes) -> Result<Option<Object>, FieldError> {
        let node = node::convert(self, notes)?;
        Ok(Some(Object::Node(Box::new(node))))
    }
}

/// An object whose metadata were decoded, with what became of the rest of it.
#[cfg(feature = "protobuf")]
pub(super) fn encoded(
    kind: ListKind,
    metadata: Metadata,
    convert: impl FnOnce(Metadata, &mut Notes) -> Result<Option<Object>, FieldError>,
) -> Read {
    let (name, version) = name_and_version(&metadata);
    let mut notes = Notes::default();
    let object = convert(metadata, &mut notes);
    Read {
        object,
        kind: Some(kind.item_kind().into()),
        name,
        version,
        notes: notes.finished(),
    }
}

fn name_and_version(metadata: &Metadata) -> (Option<ObjectName>, u64) {
    let namespace = metadata.namespace.as_deref().unwrap_or("default");
    let name = metadata.name.as_deref();
    let name = name.map(|name| ObjectName::new(namespace, name));
    let version = metadata.resource_version.as_deref();
    let version = version.and_then(|version| version.parse().ok());
    (name, version.unwrap_or_default())
}

/// How many entries of an object may have a wrong type before all of it is rejected.
const MAX_MISTYPED: usize = 100;

/// Gives the fields their types. An entry of a list with a wrong type is replaced by null, and noted.
fn typed<T: DeserializeOwned>(mut value: Value, notes: &mut Notes) -> Result<T, FieldError> {
    for _ in 0..MAX_MISTYPED {
        let error = match serde_path_to_error::deserialize(&value) {
            Ok(typed) => return Ok(typed),
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
