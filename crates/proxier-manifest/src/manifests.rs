//! Objects from a file.

use std::collections::BTreeMap;

use proxier::cluster::{Cluster, ObjectName};
use serde_json::Value;

use crate::convert::{self, Object, Standing, Versions};
use crate::diagnostic::{Diagnostic, Location, Severity};
use crate::documents::{self, Document};
use crate::field_error::FieldError;
use crate::list::{self, ListError, ListKind};
use crate::text::printable;

/// How many objects a file may have. More are not read, and the file is then no cluster.
pub const MAX_OBJECTS: usize = 2_000_000;
/// How many diagnostics are kept; the rest is counted.
const MAX_DIAGNOSTICS: usize = 10_000;

/// What was read from a file of Kubernetes objects.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Manifests {
    /// The objects that can be used.
    pub cluster: Cluster,
    /// How many objects were used.
    pub used: usize,
    /// How many objects no proxy needs, by kind.
    pub ignored: BTreeMap<Box<str>, usize>,
    /// What cannot be used, or only in part, sorted by its location.
    pub diagnostics: Vec<Diagnostic>,
    /// How many more diagnostics there were.
    pub more_diagnostics: usize,
    /// Whether the file shows a cluster at all.
    pub content: Content,
}

/// What a file shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Content {
    /// No cluster. The file has no Services, EndpointSlices and Nodes, or what an API server reports when it
    /// fails. It does not show that the cluster is empty.
    #[default]
    Nothing,
    /// An empty `List`, which does not name any kind. kubectl prints one for a cluster
    /// without Services, and also for a namespace that does not exist.
    EmptyList,
    /// Services, EndpointSlices or Nodes, or a list of one of these kinds, which may be empty.
    Cluster,
}

/// Reads the objects in a file. `file` is what diagnostics call it.
///
/// Any bytes can be read. Of two objects of one kind and name the one with the higher `resourceVersion` is
/// used, so that their order does not matter.
#[must_use]
pub fn read_cluster(file: &str, bytes: &[u8]) -> Manifests {
    let mut reader = Reader::default();
    documents::each(bytes, |document, content| {
        let location = Location {
            file: file.into(),
            document,
            item: None,
        };
        match content {
            Document::Value(value) => reader.document(location, value),
            Document::Unreadable(reason) => {
                reader.problem(Severity::Rejected, location, FieldError::new("", reason));
            }
        }
    });
    let mut manifests = reader.manifests;
    manifests.diagnostics.sort();
    if reader.broken {
        manifests.content = Content::Nothing;
    }
    manifests
}

#[derive(Default)]
struct Reader {
    manifests: Manifests,
    versions: Versions,
    objects: usize,
    /// Whether the file holds what a failed request leaves, so that it cannot be all of a cluster.
    broken: bool,
}

impl Reader {
    fn document(&mut self, location: Location, mut value: Value) {
        let kind = value
            .get("kind")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let kind: Box<str> = kind.into();
        if &*kind == "Status" {
            // Any list was asked for.
            if let Err(error) = list::check(ListKind::Services, &value) {
                self.break_off(location, &kind, &error);
            }
            return;
        }
        let Some(item_kind) = kind.strip_suffix("List").filter(|_| has_items(&value)) else {
            return self.object(location, value);
        };
        let asked = ListKind::from_kind(&kind);
        if let Some(asked) = asked {
            match list::check(asked, &value) {
                Ok(()) => self.show(Content::Cluster),
                // A list from a file shows the objects that it has.
                Err(error @ ListError::NoResourceVersion) if !is_empty(&value) => {
                    let error = FieldError::new("", format!("{error}, as an API server's has"));
                    self.problem_of(
                        Severity::Warning,
                        location.clone(),
                        Some(&kind),
                        None,
                        error,
                    );
                }
                Err(error) => return self.break_off(location, &kind, &error),
            }
        }
        let Some(Value::Array(items)) = value.get_mut("items").map(Value::take) else {
            return self.break_off(location, &kind, &ListError::NoItems);
        };
        if item_kind.is_empty() {
            self.show(Content::EmptyList);
        } else if asked.is_none() {
            *self.manifests.ignored.entry(item_kind.into()).or_default() += items.len();
            return;
        }
        for (index, mut item) in items.into_iter().enumerate() {
            if let Some(asked) = asked {
                asked.complete(&mut item);
            }
            let item_location = Location {
                item: Some(index + 1),
                ..location.clone()
            };
            self.object(item_location, item);
        }
    }

    fn show(&mut self, content: Content) {
        self.manifests.content = self.manifests.content.max(content);
    }

    fn break_off(&mut self, location: Location, kind: &str, error: &ListError) {
        self.broken = true;
        let error = FieldError::new("", format!("is not a list: {error}"));
        self.problem_of(Severity::Rejected, location, Some(kind), None, error);
    }

    fn object(&mut self, location: Location, value: Value) {
        self.objects += 1;
        if self.objects > MAX_OBJECTS {
            if !self.broken {
                self.broken = true;
                let reason =
                    format!("there are more than {MAX_OBJECTS} objects; the rest is not read");
                self.problem(Severity::Rejected, location, FieldError::new("", reason));
            }
            return;
        }
        let read = convert::object(value);
        let (kind, name) = (read.kind.as_deref(), read.name.as_ref());
        for (severity, errors) in [
            (Severity::LeftOut, read.notes.left_out),
            (Severity::Warning, read.notes.warnings),
        ] {
            for error in errors {
                self.problem_of(severity, location.clone(), kind, name, error);
            }
        }
        match read.object {
            Ok(Some(object)) => {
                self.show(Content::Cluster);
                self.newest(location, object, read.version);
            }
            Ok(None) => {
                let kind = printable(kind.unwrap_or_default());
                // Kinds without number would be a way to fill the memory.
                let known = self.manifests.ignored.len();
                let kind = if known < 1000 || self.manifests.ignored.contains_key(&*kind) {
                    &*kind
                } else {
                    "other kinds"
                };
                *self.manifests.ignored.entry(kind.into()).or_default() += 1;
            }
            Err(error) => self.problem_of(Severity::Rejected, location, kind, name, error),
        }
    }

    fn newest(&mut self, location: Location, object: Object, version: u64) {
        let (kind, name) = (object.kind(), object.name());
        let cluster = &mut self.manifests.cluster;
        let standing = self.versions.compare(&object, version, location, cluster);
        if !matches!(standing, Standing::Older(_)) {
            match object {
                Object::Service(service) => drop(cluster.add_service(*service)),
                Object::Slice(slice) => drop(cluster.add_slice(*slice)),
                Object::Node(node) => drop(cluster.add_node(*node)),
            }
        }
        match standing {
            Standing::First => self.manifests.used += 1,
            Standing::Newer(older) | Standing::Older(older) => {
                let reason = "is there twice; the one with the higher resourceVersion is used";
                let error = FieldError::new("metadata.name", reason);
                self.problem_of(Severity::Rejected, older, Some(kind), Some(&name), error);
            }
        }
    }

    fn problem(&mut self, severity: Severity, location: Location, error: FieldError) {
        self.problem_of(severity, location, None, None, error);
    }

    fn problem_of(
        &mut self,
        severity: Severity,
        location: Location,
        kind: Option<&str>,
        name: Option<&ObjectName>,
        error: FieldError,
    ) {
        if self.manifests.diagnostics.len() == MAX_DIAGNOSTICS {
            self.manifests.more_diagnostics += 1;
            return;
        }
        self.manifests.diagnostics.push(Diagnostic {
            location,
            severity,
            kind: kind.map(Into::into),
            name: name.cloned(),
            field: error.field,
            reason: error.reason,
        });
    }
}

/// Whether a value whose kind ends in `List` is a list: an object of such a kind has no items, or other ones.
fn has_items(value: &Value) -> bool {
    !matches!(value.get("items"), Some(Value::Object(_)))
}

fn is_empty(list: &Value) -> bool {
    let items = list.get("items").and_then(Value::as_array);
    items.is_none_or(Vec::is_empty)
}

#[cfg(test)]
mod tests;
