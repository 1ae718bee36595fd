//! Kubernetes objects and configuration, read from YAML and JSON.
//!
//! Objects are read as `kubectl get services,endpointslices,nodes -A -o yaml` prints them: a `List`, or a
//! stream of documents, or several JSON values in a row. Fields that no proxy needs are ignored. An object
//! that cannot be used is refused, with its place and the field at fault; all others are read.
#![forbid(unsafe_code)]

mod config;
mod convert;
mod documents;
mod field_error;
#[cfg(any(test, feature = "fuzz"))]
#[doc(hidden)]
pub mod fuzz;
mod host;
mod object;
mod objects;
mod quantity;
pub mod snapshot;

use std::fmt;

pub use config::{
    ClientConnectionConfiguration, ConfigDocument, ConfigError, ConntrackConfiguration,
    DetectLocalConfiguration, IptablesConfiguration, IpvsConfiguration, KubeProxyConfiguration,
    LoggingConfiguration, read_config,
};
pub use convert::Object;
pub use documents::MAX_ALIAS_EVENTS;
pub use field_error::{FieldError, FieldErrors};
pub use host::read_links;
pub use object::{ObjectError, read_object};
pub use quantity::{DurationError, parse_duration};
pub use snapshot::{Snapshot, SnapshotError};

use crate::documents::Document;
use proxier::cluster::{Cluster, ObjectName};

/// What a file was found to hold.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    /// The objects that can be used.
    pub cluster: Cluster,
    /// How many objects were used.
    pub used: usize,
    /// How many objects were of kinds that no proxy needs.
    pub ignored: usize,
    /// What could not be used.
    pub refused: Vec<Refusal>,
    /// Whether anything was recognized at all: an object, or a list even if it is empty. Where it was not,
    /// the file says nothing about the cluster, not that the cluster is empty.
    pub recognized: bool,
}

/// Where something stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The file, as it was named.
    pub file: Box<str>,
    /// The document in it, from 1.
    pub document: usize,
    /// The item of the `List` that the document is, from 1.
    pub item: Option<usize>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: document {}", self.file, self.document)?;
        match self.item {
            Some(item) => write!(f, ", item {item}"),
            None => Ok(()),
        }
    }
}

/// Something that could not be used, and why.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Refusal {
    /// Where it stands.
    pub place: Place,
    /// Its kind, as far as that could be made out.
    pub kind: Option<Box<str>>,
    /// Its name, as far as that could be made out.
    pub name: Option<ObjectName>,
    /// The field at fault, such as `spec.ports[1].port`; empty where it is the whole.
    pub field: Box<str>,
    /// What is wrong with it.
    pub reason: Box<str>,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, name) = (self.kind.as_deref(), self.name.as_ref());
        let fault = object::display_fault(kind, name, &self.field, &self.reason);
        write!(f, "{}: {fault}", self.place)
    }
}

/// Reads the objects in a file. `file` is only what refusals call it.
///
/// Whatever the bytes are, this returns; of two objects of one kind and name the one with the higher
/// `resourceVersion` is used, so that their order does not matter.
#[must_use]
pub fn read_cluster(file: &str, bytes: &[u8]) -> Reading {
    let mut reading = Reading::default();
    let mut versions = convert::Versions::default();
    documents::each(bytes, |number, document| {
        let place = |item| Place {
            file: file.into(),
            document: number,
            item,
        };
        match document {
            Document::Value(value) => match documents::into_items(value) {
                Ok(items) => {
                    reading.recognized = true;
                    for (index, item) in items.into_iter().enumerate() {
                        reading.take(place(Some(index + 1)), item, &mut versions);
                    }
                }
                Err(value) => reading.take(place(None), value, &mut versions),
            },
            Document::Unreadable(reason) => reading.refused.push(Refusal {
                place: place(None),
                kind: None,
                name: None,
                field: Box::default(),
                reason: reason.into(),
            }),
        }
    });
    reading.refused.sort();
    reading
}

impl Reading {
    fn take(&mut self, place: Place, value: serde_json::Value, versions: &mut convert::Versions) {
        let read = convert::object(value);
        match read.object {
            Ok(Some(object)) => {
                self.recognized = true;
                let kind = object.kind();
                match versions.newest(&object, read.version, place, &self.cluster) {
                    Ok(first) => self.used += usize::from(first),
                    Err((older, name)) => {
                        self.refused.push(Refusal {
                            place: older,
                            kind: Some(kind.into()),
                            name: Some(name),
                            field: "metadata.name".into(),
                            reason:
                                "is there twice; the one with the higher resourceVersion is used"
                                    .into(),
                        });
                        return;
                    }
                }
                match object {
                    Object::Service(service) => drop(self.cluster.add_service(*service)),
                    Object::Slice(slice) => drop(self.cluster.add_slice(*slice)),
                    Object::Node(node) => drop(self.cluster.add_node(*node)),
                }
            }
            Ok(None) => {
                self.recognized = true;
                self.ignored += 1;
            }
            Err(fault) => self.refused.push(Refusal {
                place,
                kind: read.kind,
                name: read.name,
                field: fault.field,
                reason: fault.reason,
            }),
        }
    }
}
