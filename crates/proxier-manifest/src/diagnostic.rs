//! What is wrong with which object, and where it is.

use std::fmt;

use proxier::cluster::ObjectName;

use crate::text::printable;

/// Where something is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Location {
    /// The file, as it was named.
    pub file: Box<str>,
    /// The document in it, from 1.
    pub document: usize,
    /// The item of the list that the document is, from 1.
    pub item: Option<usize>,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: document {}", printable(&self.file), self.document)?;
        match self.item {
            Some(item) => write!(f, ", item {item}"),
            None => Ok(()),
        }
    }
}

/// What a problem costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Severity {
    /// The object, or the document, is not used.
    Rejected,
    /// One field or entry of the object is not used; the rest is.
    LeftOut,
    /// Nothing: it is used as the reason says.
    Warning,
}

/// A problem with an object, or with a document.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Diagnostic {
    /// Where it is.
    pub location: Location,
    /// What it costs.
    pub severity: Severity,
    /// The object's kind, if it is known.
    pub kind: Option<Box<str>>,
    /// The object's name, if it is known.
    pub name: Option<ObjectName>,
    /// The path of the field, such as `spec.ports[1].port`; empty for the whole.
    pub field: Box<str>,
    /// What is wrong with it.
    pub reason: Box<str>,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, name) = (self.kind.as_deref(), self.name.as_ref());
        let problem = display_problem(kind, name, &self.field, &self.reason);
        write!(f, "{}: {problem}", self.location)?;
        match self.severity {
            Severity::LeftOut => f.write_str("; the rest of the object is used"),
            Severity::Rejected | Severity::Warning => Ok(()),
        }
    }
}

/// What is wrong with which object.
pub(crate) fn display_problem(
    kind: Option<&str>,
    name: Option<&ObjectName>,
    field: &str,
    reason: &str,
) -> impl fmt::Display {
    let mut parts = Vec::new();
    match (kind, name) {
        (Some(kind), Some(name)) => {
            let name = name.to_string();
            parts.push(format!("{} {}", printable(kind), printable(&name)));
        }
        (Some(kind), None) => parts.push(printable(kind).into_owned()),
        _ => {}
    }
    if !field.is_empty() {
        parts.push(field.to_owned());
    }
    parts.push(reason.to_owned());
    parts.join(": ")
}
